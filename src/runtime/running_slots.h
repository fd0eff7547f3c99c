// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "holdfast/result.h"
#include "model/ids.h"

namespace holdfast::runtime {

/// What each worker is running, in a file mapped into memory: a write costs no system call and
/// survives SIGKILL, so the next open knows which events were with a handler when the process died.
/// After a reboot (another boot id) its content means nothing and is ignored.
class RunningSlots {
 public:
  struct Running {
    model::SubscriptionId subscription;
    EventId event;
    bool suspect = false;
    bool together = false;  ///< With others, in one batch.
  };

  /// What the last process left. Reads the file and nothing else; none, when it is missing, of
  /// another boot or not a slot file, and nothing of a slot whose checksum is another: it is a
  /// help, never a reason not to open.
  static std::vector<Running> left_behind(const std::filesystem::path& file,
                                          const std::string& boot_id);

  /// An empty file with `count` slots, each with room for a batch of `kBatchSizeMax`. Without a
  /// path the slots are in memory only.
  static Result<std::unique_ptr<RunningSlots>> create(const std::filesystem::path& file,
                                                      const std::string& boot_id,
                                                      std::size_t count);
  ~RunningSlots();
  RunningSlots(const RunningSlots&) = delete;
  RunningSlots& operator=(const RunningSlots&) = delete;

  /// Each slot belongs to one thread.
  void begin(std::size_t slot, const Running& running) noexcept;
  /// One or more of one subscription, and at most `kBatchSizeMax`; more than one are no suspects.
  void begin(std::size_t slot, std::span<const Running> batch) noexcept;
  void end(std::size_t slot) noexcept;

 private:
  RunningSlots(void* memory, std::size_t bytes, std::size_t count)
      : memory_(memory), bytes_(bytes), count_(count) {}
  void* memory_;
  std::size_t bytes_;
  std::size_t count_;
};

}  // namespace holdfast::runtime
