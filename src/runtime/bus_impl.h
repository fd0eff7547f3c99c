// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "holdfast/bus.h"
#include "runtime/engine.h"

namespace holdfast {

struct Bus::Impl {
  std::unique_ptr<runtime::Engine> engine;
};

}  // namespace holdfast
