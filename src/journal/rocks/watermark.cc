// SPDX-License-Identifier: MIT
#include "journal/rocks/watermark.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checksum.h"
#include "base/status_or.h"
#include "journal/rocks/keys.h"

namespace holdfast::journal {

namespace {

// On disk since format 1: sizes and places are frozen, all integers little-endian.
struct Layout {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t writer;
  model::Uuid uuid;
  std::uint64_t epoch;
  std::array<char, 64> boot_id;  // padded with NULs
  std::uint64_t durable;
  std::array<std::uint64_t, kLaneCount> next;
  std::uint64_t reserved_number;
  std::array<std::uint64_t, kLaneCount> reserved;
  std::uint64_t checksum;  // of everything before it
};
static_assert(sizeof(Layout) == 192 && std::is_trivially_copyable_v<Layout>);

constexpr std::array<char, 8> kMagic = {'H', 'F', 'W', 'A', 'T', 'E', 'R', '1'};

std::uint64_t checksum_of(const Layout& layout) {
  return base::checksum({reinterpret_cast<const char*>(&layout), offsetof(Layout, checksum)});
}

}  // namespace

std::string encode(const Watermark& watermark) {
  Layout layout{};
  layout.magic = kMagic;
  layout.format = keys::kFormat;
  layout.writer = static_cast<std::uint32_t>(watermark.writer);
  layout.uuid = watermark.uuid;
  layout.epoch = watermark.epoch;
  std::copy_n(watermark.boot_id.begin(), std::min(watermark.boot_id.size(), layout.boot_id.size()),
              layout.boot_id.begin());
  layout.durable = watermark.durable.value;
  layout.next = watermark.next.values;
  layout.reserved_number = watermark.reserved_number.value;
  layout.reserved = watermark.reserved.values;
  layout.checksum = checksum_of(layout);
  return {reinterpret_cast<const char*>(&layout), sizeof(layout)};
}

Result<Watermark> decode_watermark(std::string_view bytes) {
  Layout layout{};
  constexpr auto kHead = offsetof(Layout, writer);
  if (bytes.size() < kHead) return Status(StatusCode::data_loss, "watermark file is cut off");
  std::memcpy(&layout, bytes.data(), std::min(bytes.size(), sizeof(layout)));
  if (layout.magic != kMagic) return Status(StatusCode::data_loss, "watermark file is not one");
  if (layout.format > keys::kFormat) {
    return Status(StatusCode::invalid_argument,
                  "the journal has format " + std::to_string(layout.format) +
                      "; this version supports up to " + std::to_string(keys::kFormat));
  }
  if (bytes.size() != sizeof(layout)) {
    return Status(StatusCode::data_loss, "watermark file has a wrong size");
  }
  if (layout.checksum != checksum_of(layout)) {
    return Status(StatusCode::data_loss, "checksum of the watermark file is wrong");
  }
  if (layout.writer > static_cast<std::uint32_t>(Watermark::Writer::failed)) {
    return Status(StatusCode::data_loss, "watermark file has an unknown state of its writer");
  }
  Watermark watermark;
  watermark.uuid = layout.uuid;
  watermark.epoch = layout.epoch;
  watermark.boot_id.assign(layout.boot_id.data(),
                           strnlen(layout.boot_id.data(), layout.boot_id.size()));
  watermark.writer = static_cast<Watermark::Writer>(layout.writer);
  watermark.durable = {layout.durable};
  watermark.next.values = layout.next;
  watermark.reserved_number = {layout.reserved_number};
  watermark.reserved.values = layout.reserved;
  return watermark;
}

std::string watermark_path(const std::string& folder) { return folder + "/watermark"; }

Result<std::optional<Watermark>> read_watermark(const Files& files, const std::string& folder) {
  const auto path = watermark_path(folder);
  if (!files.exists(path)) return std::optional<Watermark>();
  HOLDFAST_ASSIGN(const auto bytes, files.read(path));
  auto watermark = decode_watermark(bytes);
  if (!watermark.ok()) return watermark.status().with_context(path);
  return std::optional<Watermark>(*std::move(watermark));
}

Status write_watermark(const Files& files, const std::string& folder, const Watermark& watermark) {
  return files.replace(watermark_path(folder), encode(watermark));
}

}  // namespace holdfast::journal
