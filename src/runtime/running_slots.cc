// SPDX-License-Identifier: MIT
#include "runtime/running_slots.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace holdfast::runtime {

namespace {

constexpr char kMagic[8] = {'H', 'F', 'S', 'L', 'O', 'T', 'S', '1'};
constexpr std::size_t kSlotsMax = 65'536;

struct Header {
  char magic[8];
  char boot_id[40];
  std::uint64_t count;
  char reserved[8];
};

struct alignas(64) Slot {
  std::atomic<std::uint32_t> running;
  std::uint32_t subscription;
  std::uint64_t sequence;
  std::uint8_t lane;
  std::uint8_t suspect;
};
static_assert(sizeof(Header) == 64 && sizeof(Slot) == 64);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

Slot* slot_at(void* memory, std::size_t index) {
  return std::launder(reinterpret_cast<Slot*>(static_cast<char*>(memory) + sizeof(Header))) + index;
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
    if (slot.running.load() != 1 || slot.lane >= kLaneCount || slot.sequence == 0) continue;
    running.push_back({{slot.subscription},
                       {static_cast<Priority>(slot.lane), slot.sequence},
                       slot.suspect != 0});
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
  const auto bytes = sizeof(Header) + count * sizeof(Slot);
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
  return std::unique_ptr<RunningSlots>(new RunningSlots(memory, bytes));
}

RunningSlots::~RunningSlots() { munmap(memory_, bytes_); }

void RunningSlots::begin(std::size_t slot, const Running& running) noexcept {
  auto& out = *slot_at(memory_, slot);
  out.subscription = running.subscription.value;
  out.sequence = running.event.sequence;
  out.lane = static_cast<std::uint8_t>(running.event.priority);
  out.suspect = running.suspect ? 1 : 0;
  // The flag last: a process that dies in between leaves a slot that says nothing.
  out.running.store(1, std::memory_order_release);
}

void RunningSlots::end(std::size_t slot) noexcept {
  slot_at(memory_, slot)->running.store(0, std::memory_order_release);
}

}  // namespace holdfast::runtime
