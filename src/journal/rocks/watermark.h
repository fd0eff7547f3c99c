// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "journal/rocks/files.h"
#include "model/ids.h"
#include "model/state_codec.h"

namespace holdfast::journal {

/// What is known durable, kept in a file beside the engine. The engine opens happily when its
/// newest log is missing or cut; a journal that ends before its watermark is how that is found out.
struct Watermark {
  model::Uuid uuid{};
  std::uint64_t epoch = 0;  ///< Of the writer; 0 while the journal is being made.
  std::string boot_id;      ///< Of the machine when it was written.
  /// How its writer ended, as far as it could say.
  enum class Writer : std::uint32_t {
    open = 0,    ///< Not at all: it is at work, or was when it died.
    closed = 1,  ///< Properly; nothing was written after it.
    failed = 2,  ///< A write or sync failed: callers know of commits that may not be there.
  };
  Writer writer = Writer::open;
  CommitNumber durable;                                ///< Newest commit known to be fsynced.
  model::PerLane<model::Sequence> next{{1, 1, 1, 1}};  ///< As of that commit.
  /// Numbers and sequences below may have been given out, whether or not they got to the disk.
  CommitNumber reserved_number{1};
  model::PerLane<model::Sequence> reserved{{1, 1, 1, 1}};
};

[[nodiscard]] std::string encode(const Watermark& watermark);
/// `data_loss` for anything that is not whole, `invalid_argument` for a newer format.
Result<Watermark> decode_watermark(std::string_view bytes);

[[nodiscard]] std::string watermark_path(const std::string& folder);
/// Nothing when there is none.
Result<std::optional<Watermark>> read_watermark(const Files& files, const std::string& folder);
Status write_watermark(const Files& files, const std::string& folder, const Watermark& watermark);

}  // namespace holdfast::journal
