// SPDX-License-Identifier: MIT
#include "runtime/running_slots.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <new>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/checksum.h"
#include "holdfast/options.h"

namespace holdfast::runtime {

namespace {

constexpr char kMagic[8] = {'H', 'F', 'S', 'L', 'O', 'T', 'S', '3'};
constexpr std::size_t kSlotsMax = 65'536;

// The file: a header, a slot for each worker, and for each slot what its batch has beside the
// first.

struct Header {
  char magic[8];
  char boot_id[40];
  std::uint64_t count;
  char reserved[8];
};

struct alignas(64) Slot {
  std::atomic<std::uint32_t> seal;  // a checksum of what follows and of its others; 0 = empty
  std::uint32_t subscription;
  std::uint64_t sequence;
  std::uint8_t lane;
  std::uint8_t suspect;
  std::uint16_t others;  // of the batch, in the slot's room for them
};
static_assert(sizeof(Header) == 64 && sizeof(Slot) == 64);
constexpr std::size_t kSealed = offsetof(Slot, subscription);
constexpr std::size_t kSealedBytes = offsetof(Slot, others) + sizeof(Slot::others) - kSealed;
// An event in eight bytes: nobody gets as far as 2^62 in a lane.
using Other = std::uint64_t;
constexpr std::size_t kOthersMax = kBatchSizeMax;
static_assert(kLaneCount == 4 && kOthersMax <= UINT16_MAX);

Other packed(EventId event) {
  return event.sequence << 2U | static_cast<std::uint64_t>(event.priority);
}
EventId unpacked(Other other) { return {static_cast<Priority>(other & 3U), other >> 2U}; }

constexpr std::size_t others_at(std::size_t slots, std::size_t index) {
  return sizeof(Header) + slots * sizeof(Slot) + index * kOthersMax * sizeof(Other);
}
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

Slot* slot_at(void* memory, std::size_t index) {
  return std::launder(reinterpret_cast<Slot*>(static_cast<char*>(memory) + sizeof(Header))) + index;
}

std::uint32_t seal_of(const Slot& slot, std::size_t index, std::string_view others) {
  const std::string_view own(reinterpret_cast<const char*>(&slot) + kSealed, kSealedBytes);
  return std::max(1U,
                  base::checksum32(own, others.empty() ? index : base::checksum(others, index)));
}

std::string padded(const std::string& boot_id) {
  std::string padded(boot_id, 0, sizeof(Header::boot_id));
  padded.resize(sizeof(Header::boot_id));
  return padded;
}

}  // namespace

std::vector<RunningSlots::Running> RunningSlots::left_behind(const std::filesystem::path& file,
                                                             const std::string& boot_id) {
  std::vector<Running> running;
  std::ifstream in(file, std::ios::binary);
  Header header{};
  if (!in.read(reinterpret_cast<char*>(&header), sizeof(header)) ||
      std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || boot_id.empty() ||
      std::memcmp(header.boot_id, padded(boot_id).data(), sizeof(header.boot_id)) != 0 ||
      header.count > kSlotsMax) {
    return running;
  }
  for (std::uint64_t i = 0; i < header.count; ++i) {
    Slot slot{};
    if (!in.read(reinterpret_cast<char*>(&slot), sizeof(slot))) break;
    if (slot.seal.load() == 0 || slot.others > kOthersMax) continue;
    std::vector<Other> others(slot.others);
    const auto others_bytes = others.size() * sizeof(Other);
    if (!others.empty()) {
      const auto next = in.tellg();
      in.seekg(static_cast<std::streamoff>(others_at(header.count, i)));
      in.read(reinterpret_cast<char*>(others.data()), static_cast<std::streamsize>(others_bytes));
      in.clear();
      in.seekg(next);
    }
    const std::string_view text(reinterpret_cast<const char*>(others.data()), others_bytes);
    if (slot.seal.load() != seal_of(slot, i, text)) continue;
    if (slot.lane >= kLaneCount || slot.sequence == 0) continue;
    running.push_back({{slot.subscription},
                       {static_cast<Priority>(slot.lane), slot.sequence},
                       slot.suspect != 0,
                       !others.empty()});
    for (const auto other : others) {
      if (unpacked(other).sequence == 0) continue;
      running.push_back({{slot.subscription}, unpacked(other), false, true});
    }
  }
  return running;
}

Result<std::unique_ptr<RunningSlots>> RunningSlots::create(const std::filesystem::path& file,
                                                           const std::string& boot_id,
                                                           std::size_t count) {
  const auto failed = [&](const char* what) {
    return Status(StatusCode::unavailable, std::string(what) + " " + file.string() + ": " +
                                               std::generic_category().message(errno));
  };
  const auto bytes = others_at(count, count);
  int descriptor = -1;
  if (!file.empty()) {
    descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return failed("cannot open");
    // Emptied and made large again, so that every slot is zero. Its blocks are taken now: on a full
    // file system the first store into a page without one would be a SIGBUS.
    errno = ftruncate(descriptor, 0) != 0
                ? errno
                : posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
    if (errno != 0) {
      auto status = failed("cannot make room for");
      close(descriptor);
      return status;
    }
  }
  const int flags = file.empty() ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (descriptor >= 0) close(descriptor);
  if (memory == MAP_FAILED) return failed("cannot map");
  auto* header = new (memory) Header{};
  for (std::size_t i = 0; i < count; ++i) new (slot_at(memory, i)) Slot{};
  std::memcpy(header->boot_id, padded(boot_id).data(), sizeof(header->boot_id));
  header->count = count;
  std::memcpy(header->magic, kMagic, sizeof(kMagic));
  return std::unique_ptr<RunningSlots>(new RunningSlots(memory, bytes, count));
}

RunningSlots::~RunningSlots() { munmap(memory_, bytes_); }

void RunningSlots::begin(std::size_t slot, const Running& running) noexcept {
  begin(slot, std::span(&running, 1));
}

void RunningSlots::begin(std::size_t slot, std::span<const Running> batch) noexcept {
  auto& out = *slot_at(memory_, slot);
  const auto& running = batch.front();
  auto* const others = static_cast<char*>(memory_) + others_at(count_, slot);
  std::size_t others_bytes = 0;
  for (const auto& each : batch.subspan(1)) {
    const auto other = packed(each.event);
    std::memcpy(others + others_bytes, &other, sizeof(other));
    others_bytes += sizeof(other);
  }
  out.others = static_cast<std::uint16_t>(batch.size() - 1);
  out.subscription = running.subscription.value;
  out.sequence = running.event.sequence;
  out.lane = static_cast<std::uint8_t>(running.event.priority);
  out.suspect = running.suspect ? 1 : 0;
  // Last: a process that dies in between leaves a slot that says nothing.
  out.seal.store(seal_of(out, slot, {others, others_bytes}), std::memory_order_release);
}

void RunningSlots::end(std::size_t slot) noexcept {
  slot_at(memory_, slot)->seal.store(0, std::memory_order_release);
}

}  // namespace holdfast::runtime
