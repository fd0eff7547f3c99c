// SPDX-License-Identifier: MIT
#pragma once

// Whether two values that were decoded say the same. Each record is taken apart whole: a field that
// is added to one does not compile until it is compared here.

#include <string>
#include <string_view>

#include "model/records.h"
#include "model/state_codec.h"

namespace holdfast::fuzz {

bool same(const model::Record& a, const model::Record& b);
bool same(const model::Commit& a, const model::Commit& b);
bool same(const EventView& a, const EventView& b);

}  // namespace holdfast::fuzz
