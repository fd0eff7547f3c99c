// SPDX-License-Identifier: MIT
#include "journal/rocks/table_guard.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/checksum.h"

namespace holdfast::journal {

namespace {

// The engine's block-based tables from format 3 on: blocks, each with its compression and checksum
// behind it, and a footer that says where two of them are.
constexpr std::size_t kFooterBytes = 53;  // checksum type 1, two handles 40, version 4, magic 8
constexpr std::uint64_t kMagic = 0x88e241b785f4cff7U;
constexpr char kXxh3 = 4;  // what this engine writes
constexpr std::size_t kTrailerBytes = 5;
// A block of properties has a few KiB, and so has the one that says where it is.
constexpr std::uint64_t kBlockBytesMax = std::uint64_t{1} << 20U;
constexpr std::string_view kProperties = "rocksdb.properties";

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

std::optional<std::uint64_t> take_varint(std::string_view& rest) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
std::optional<Handle> take_handle(std::string_view rest) {
  const auto offset = take_varint(rest);
  const auto size = take_varint(rest);
  if (!offset || !size) return std::nullopt;
  return Handle{*offset, *size};
}

/// Where the properties are, by the block that has an entry for each of those that are no data:
/// three lengths, a key that is whole, a value.
std::optional<Handle> find_properties(std::string_view index) {
  while (!index.empty()) {
    const auto shared = take_varint(index);
    const auto key_bytes = take_varint(index);
    const auto value_bytes = take_varint(index);
    if (!shared || *shared != 0 || !key_bytes || !value_bytes || *key_bytes > index.size() ||
        *value_bytes > index.size() - *key_bytes) {
      return std::nullopt;
    }
    const auto key = index.substr(0, *key_bytes);
    const auto value = index.substr(*key_bytes, *value_bytes);
    if (key == kProperties) return take_handle(value);
    index.remove_prefix(*key_bytes + *value_bytes);
  }
  return std::nullopt;
}

/// Reads blocks of one table.
class Blocks {
 public:
  Blocks(rocksdb::FSRandomAccessFile& file, std::uint64_t file_bytes)
      : file_(file), file_bytes_(file_bytes) {}

  /// False when it is not there, or cannot be read.
  bool read(std::uint64_t offset, std::size_t size, std::string& out) {
    if (size > file_bytes_ || offset > file_bytes_ - size) return false;
    out.resize(size);
    rocksdb::Slice got;
    const auto status = file_.Read(offset, size, {}, &got, out.data(), nullptr);
    has_failed_ = has_failed_ || !status.ok();
    if (!status.ok() || got.size() != size) return false;
    if (got.data() != out.data()) std::memmove(out.data(), got.data(), size);
    return true;
  }

  /// A block without its trailer, if its checksum is right.
  std::optional<std::string> block(const Handle& handle) {
    std::string bytes;
    if (handle.size > kBlockBytesMax || !read(handle.offset, handle.size + kTrailerBytes, bytes)) {
      return std::nullopt;
    }
    const auto type = static_cast<unsigned char>(bytes[handle.size]);
    const auto sum =
        base::checksum32(std::string_view(bytes).substr(0, handle.size)) ^ (type * 0x6b9083d9U);
    if (number_at<std::uint32_t>(bytes, handle.size + 1) != sum) return std::nullopt;
    bytes.resize(handle.size);
    return bytes;
  }

  /// Reading has: that is no damage, and for the engine to meet.
  [[nodiscard]] bool has_failed() const { return has_failed_; }

 private:
  rocksdb::FSRandomAccessFile& file_;
  std::uint64_t file_bytes_;
  bool has_failed_ = false;
};

/// What is wrong with the way to a table's properties; null = nothing, or what the engine finds out
/// itself.
const char* why_unsafe(Blocks& blocks, std::uint64_t file_bytes) {
  std::string footer;
  if (file_bytes < kFooterBytes || !blocks.read(file_bytes - kFooterBytes, kFooterBytes, footer) ||
      number_at<std::uint64_t>(footer, kFooterBytes - sizeof(kMagic)) != kMagic) {
    return nullptr;
  }
  if (footer.front() != kXxh3) return "names another checksum than the engine writes";
  const auto place = take_handle(std::string_view(footer).substr(1));
  auto index = place ? blocks.block(*place) : std::nullopt;
  if (!index || index->size() < sizeof(std::uint32_t)) return "has a damaged index of its blocks";
  // At its end are the places at which a search may begin, and how many.
  const auto restarts = number_at<std::uint32_t>(*index, index->size() - sizeof(std::uint32_t));
  const auto tail = (std::uint64_t{restarts} + 1) * sizeof(std::uint32_t);
  if (tail > index->size()) return "has an impossible index of its blocks";
  const auto properties = find_properties(std::string_view(*index).substr(0, index->size() - tail));
  if (!properties) return "does not say where its properties are";
  return blocks.block(*properties) ? nullptr : "has damaged properties";
}

}  // namespace

rocksdb::IOStatus TableGuard::NewRandomAccessFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* file, rocksdb::IODebugContext* context) {
  auto status = FileSystemWrapper::NewRandomAccessFile(path, options, file, context);
  if (!status.ok() || !std::string_view(path).ends_with(".sst")) return status;
  std::uint64_t bytes = 0;
  status = target()->GetFileSize(path, {}, &bytes, context);
  if (!status.ok()) return status;
  Blocks blocks(**file, bytes);
  const char* why = why_unsafe(blocks, bytes);
  if (why == nullptr || blocks.has_failed()) return status;
  file->reset();
  return rocksdb::IOStatus::Corruption("table " + path + " " + why);
}

}  // namespace holdfast::journal
