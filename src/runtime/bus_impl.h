// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>

#include "holdfast/bus.h"
#include "runtime/engine.h"

namespace holdfast {

struct Bus::Impl {
  std::unique_ptr<runtime::Engine> engine;
};

namespace internal {

/// Makes a bus of an engine, however that was opened: tests do otherwise than `Bus::open`.
struct BusMaker {
  static std::unique_ptr<Bus> make(std::unique_ptr<runtime::Engine> engine) {
    auto impl = std::make_unique<Bus::Impl>(Bus::Impl{std::move(engine)});
    return std::unique_ptr<Bus>(new Bus(std::move(impl)));
  }
};

}  // namespace internal

}  // namespace holdfast
