// SPDX-License-Identifier: MIT
#include "journal/rocks/reclaim.h"

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "journal/rocks/keys.h"
#include "model/chunk.h"

namespace holdfast::journal {

namespace {

/// From a chunk's header, unverified (docs/journal-format.md); nothing if it is not one of ours.
/// Verifying would cost more than all the rest of a compaction, and the engine has just checked the
/// block it comes from.
std::optional<std::uint32_t> count_in(std::string_view chunk) {
  struct {
    char magic[4];
    std::uint32_t count;
  } header;
  if (chunk.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, chunk.data(), sizeof(header));
  if (std::string_view(header.magic, 4) != "HFC1" || header.count == 0 ||
      header.count > model::kChunkEventsMax) {
    return std::nullopt;
  }
  return header.count;
}

class ReclaimFilter final : public rocksdb::CompactionFilter {
 public:
  explicit ReclaimFilter(const DurableTrims& trims) {
    for (const auto lane : kAllPriorities) trim_[lane] = trims.of(lane);
  }
  [[nodiscard]] const char* Name() const override { return "holdfast.reclaim"; }

  bool Filter(int /*level*/, const rocksdb::Slice& key, const rocksdb::Slice& value,
              std::string* /*new_value*/, bool* /*value_changed*/) const override {
    const std::string_view text(key.data(), key.size());
    if (text.empty()) return false;
    if (text.front() == static_cast<char>(keys::Table::event)) {
      const auto parsed = keys::parse(text);
      if (!parsed) return false;
      const auto trim = trim_[parsed->event.priority];
      if (parsed->event.sequence >= trim) return false;
      const auto count = count_in({value.data(), value.size()});
      return count && parsed->event.sequence + *count <= trim;
    }
    if (text.front() != static_cast<char>(keys::Table::meta)) return false;
    const auto mark = keys::parse_retention_mark(text);
    return mark && mark->sequence < trim_[mark->priority];
  }

 private:
  model::PerLane<model::Sequence> trim_;
};

class ReclaimFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ReclaimFilterFactory(std::shared_ptr<const DurableTrims> trims)
      : trims_(std::move(trims)) {}
  [[nodiscard]] const char* Name() const override { return "holdfast.reclaim"; }

  [[nodiscard]] bool ShouldFilterTableFileCreation(
      rocksdb::TableFileCreationReason reason) const override {
    return reason == rocksdb::TableFileCreationReason::kFlush ||
           reason == rocksdb::TableFileCreationReason::kCompaction;
  }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& /*context*/) override {
    return std::make_unique<ReclaimFilter>(*trims_);
  }

 private:
  std::shared_ptr<const DurableTrims> trims_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> make_reclaim_filter(
    std::shared_ptr<const DurableTrims> trims) {
  return std::make_shared<ReclaimFilterFactory>(std::move(trims));
}

}  // namespace holdfast::journal
