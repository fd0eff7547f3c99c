// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "journal/journal.h"

namespace holdfast::journal {

/// A journal that keeps everything in memory and loses it with its destructor: for
/// `Options::in_memory` and for tests. To it every commit is durable.
std::unique_ptr<Journal> make_memory_journal();

}  // namespace holdfast::journal
