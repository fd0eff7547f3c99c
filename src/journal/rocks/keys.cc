// SPDX-License-Identifier: MIT
#include "journal/rocks/keys.h"

#include <concepts>
#include <utility>

namespace holdfast::journal::keys {

namespace {

template <std::unsigned_integral T>
void put(std::string& key, T value) {
  for (auto shift = sizeof(T) * 8; shift > 0; shift -= 8) {
    key += static_cast<char>(static_cast<unsigned char>(std::uint64_t{value} >> (shift - 8)));
  }
}

void put(std::string& key, Priority lane) { put(key, static_cast<std::uint8_t>(lane)); }
void put(std::string& key, model::SubscriptionId id) { put(key, id.value); }
void put(std::string& key, EventId event) {
  put(key, event.priority);
  put(key, event.sequence);
}

// Negative times sort before the others.
std::uint64_t sortable(model::DueTime time) {
  return static_cast<std::uint64_t>(time) ^ (std::uint64_t{1} << 63U);
}
model::DueTime time_of(std::uint64_t sortable) {
  return static_cast<model::DueTime>(sortable ^ (std::uint64_t{1} << 63U));
}

std::string begin(Table table) { return {static_cast<char>(table)}; }

template <typename... Parts>
std::string join(std::string key, const Parts&... parts) {
  key.reserve(key.size() + 16);
  (put(key, parts), ...);
  return key;
}

/// Takes the parts of a key from its front, and remembers whether they were there.
class Cutter {
 public:
  explicit Cutter(std::string_view rest) : rest_(rest) {}

  template <std::unsigned_integral T>
  T number() {
    if (rest_.size() < sizeof(T)) {
      good_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (const char c : rest_.substr(0, sizeof(T))) {
      value = (value << 8U) | static_cast<unsigned char>(c);
    }
    rest_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  Priority lane() {
    const auto value = number<std::uint8_t>();
    if (value >= kLaneCount) good_ = false;
    return static_cast<Priority>(value);
  }
  EventId event() {
    const auto priority = lane();
    return {priority, number<std::uint64_t>()};
  }
  model::SubscriptionId subscription() { return {number<std::uint32_t>()}; }
  /// Up to the next NUL, which goes as well.
  std::string_view text() {
    const auto end = rest_.find('\0');
    if (end == std::string_view::npos) {
      good_ = false;
      return {};
    }
    const auto text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }
  [[nodiscard]] bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

constexpr std::string_view kLostRange = "ml";
constexpr std::string_view kRetentionMark = "mr";
constexpr std::string_view kTombstone = "te";
constexpr std::string_view kToken = "tt";
constexpr std::string_view kIdempotency = "kk";
constexpr std::string_view kIdempotencyUse = "ku";
constexpr std::string_view kOperation = "oh";
constexpr std::string_view kMember = "om";

std::optional<EventId> parse_after(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  Cutter cutter(key.substr(prefix.size()));
  const auto event = cutter.event();
  if (!cutter.done()) return std::nullopt;
  return event;
}

std::optional<std::uint64_t> parse_number(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  Cutter cutter(key.substr(prefix.size()));
  const auto number = cutter.number<std::uint64_t>();
  if (!cutter.done()) return std::nullopt;
  return number;
}

}  // namespace

std::string event(EventId first) { return join(begin(Table::event), first); }
std::string subscription(model::SubscriptionId id) { return join(begin(Table::subscription), id); }
std::string cursor(model::SubscriptionId id, Priority lane) {
  return join(begin(Table::cursor), id, lane);
}
std::string settlement(model::SubscriptionId id, EventId event) {
  return join(begin(Table::settlement), id, event);
}
std::string parked(model::SubscriptionId id, EventId event) {
  return join(begin(Table::parked), id, event);
}
std::string dead_letter(model::SubscriptionId id, EventId event) {
  return join(begin(Table::dead_letter), id, event);
}
std::string due(model::SubscriptionId id, EventId event, model::DueTime due) {
  return join(begin(Table::due), id, event.priority, sortable(due), event.sequence);
}
std::string all_due(model::SubscriptionId id, Priority lane) {
  return join(begin(Table::due), id, lane);
}
std::string state(std::string_view name, std::string_view key) {
  auto full = begin(Table::state);
  full.append(name).append(1, '\0').append(key);
  return full;
}
std::string lost_range(Priority lane, model::Sequence from) {
  return join(std::string(kLostRange), lane, from);
}
std::string retention_mark(Priority lane, model::Sequence sequence) {
  return join(std::string(kRetentionMark), lane, sequence);
}

std::string token(TokenId id) { return join(std::string(kToken), id.value); }
std::string tombstone(EventId event) { return join(std::string(kTombstone), event); }
std::string ordering_key(std::string_view key) { return begin(Table::ordering_key).append(key); }

std::string idempotency(std::string_view key) { return std::string(kIdempotency).append(key); }
std::string idempotency_use(std::uint64_t number) {
  return join(std::string(kIdempotencyUse), number);
}

std::string operation(OperationId id) { return join(std::string(kOperation), id.value); }
std::string member(OperationId operation, std::uint32_t index) {
  return join(std::string(kMember), operation.value, index);
}

std::string end_of(std::string_view prefix) {
  std::string end(prefix);
  // A prefix begins with its table's byte, which is never 0xff: there is something left to count
  // up.
  while (end.back() == '\xff') end.pop_back();
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string all(Table table) { return begin(table); }
std::string of_subscription(Table table, model::SubscriptionId id) {
  return join(begin(table), id);
}
std::string all_lost_ranges() { return std::string(kLostRange); }
std::string all_retention_marks() { return std::string(kRetentionMark); }
std::string all_tokens() { return std::string(kToken); }
std::string all_tombstones() { return std::string(kTombstone); }
std::string all_operations() { return std::string(kOperation); }
std::string all_members() { return std::string(kMember); }
std::string all_members(OperationId operation) {
  return join(std::string(kMember), operation.value);
}

std::optional<Parsed> parse(std::string_view key) {
  if (key.empty()) return std::nullopt;
  Parsed parsed;
  parsed.table = static_cast<Table>(key.front());
  Cutter cutter(key.substr(1));
  switch (parsed.table) {
    case Table::event: parsed.event = cutter.event(); break;
    case Table::subscription: parsed.subscription = cutter.subscription(); break;
    case Table::cursor:
      parsed.subscription = cutter.subscription();
      parsed.event.priority = cutter.lane();
      break;
    case Table::settlement:
    case Table::parked:
    case Table::dead_letter:
      parsed.subscription = cutter.subscription();
      parsed.event = cutter.event();
      break;
    case Table::due:
      parsed.subscription = cutter.subscription();
      parsed.event.priority = cutter.lane();
      parsed.due = time_of(cutter.number<std::uint64_t>());
      parsed.event.sequence = cutter.number<std::uint64_t>();
      break;
    case Table::state:
      parsed.name = cutter.text();
      parsed.key = cutter.rest();
      break;
    case Table::ordering_key:
      parsed.key = cutter.rest();
      if (parsed.key.empty()) return std::nullopt;
      break;
    case Table::meta:
      if (key == kJournal || key == kCommit || key == kResumed || key == kPausedTypes ||
          parse_lost_range(key) || parse_retention_mark(key)) {
        return parsed;
      }
      return std::nullopt;
    case Table::cancel:
      if (parse_token(key) || parse_tombstone(key)) return parsed;
      return std::nullopt;
    case Table::idempotency:
      if (key == kIdempotencyRange || parse_idempotency(key) || parse_idempotency_use(key)) {
        return parsed;
      }
      return std::nullopt;
    case Table::operation:
      if (parse_operation(key) || parse_member(key)) return parsed;
      return std::nullopt;
    default: return std::nullopt;
  }
  if (!cutter.done()) return std::nullopt;
  return parsed;
}

std::optional<EventId> parse_lost_range(std::string_view key) {
  return parse_after(kLostRange, key);
}
std::optional<EventId> parse_retention_mark(std::string_view key) {
  return parse_after(kRetentionMark, key);
}
std::optional<TokenId> parse_token(std::string_view key) {
  const auto number = parse_number(kToken, key);
  if (!number.has_value()) return std::nullopt;
  return TokenId{*number};
}
std::optional<EventId> parse_tombstone(std::string_view key) {
  return parse_after(kTombstone, key);
}
std::optional<std::string_view> parse_idempotency(std::string_view key) {
  if (!key.starts_with(kIdempotency) || key.size() == kIdempotency.size()) return std::nullopt;
  return key.substr(kIdempotency.size());
}
std::optional<std::uint64_t> parse_idempotency_use(std::string_view key) {
  return parse_number(kIdempotencyUse, key);
}
std::optional<OperationId> parse_operation(std::string_view key) {
  const auto number = parse_number(kOperation, key);
  if (!number.has_value()) return std::nullopt;
  return OperationId{*number};
}
std::optional<std::pair<OperationId, std::uint32_t>> parse_member(std::string_view key) {
  if (!key.starts_with(kMember)) return std::nullopt;
  Cutter cutter(key.substr(kMember.size()));
  const OperationId operation{cutter.number<std::uint64_t>()};
  const auto index = cutter.number<std::uint32_t>();
  if (!cutter.done()) return std::nullopt;
  return std::pair(operation, index);
}

}  // namespace holdfast::journal::keys
