// SPDX-License-Identifier: MIT
#include "support/kill_load.h"

#include <atomic>
#include <charconv>
#include <cstring>
#include <map>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"
#include "support/waiting.h"

namespace holdfast::testing {

namespace {

using Kind = LoadRecord::Kind;

constexpr std::uint64_t kFollowEvery = 8;
constexpr std::uint64_t kFollowBit = std::uint64_t{1} << 63U;
constexpr std::uint32_t kCount = 0;  // the subscriptions, as records name them
constexpr std::uint32_t kOrder = 1;

// Keys: round, thread, number. The payload begins with the key, and the batch's key, which is that
// of its first event, or 0.
struct Body {
  std::uint64_t key = 0;
  std::uint64_t batch = 0;
};

std::string encode_body(const Body& body, std::size_t padding) {
  std::string text(sizeof(Body) + padding, 'p');
  std::memcpy(text.data(), &body, sizeof(body));
  return text;
}

Body decode_body(Bytes payload) {
  Body body;
  if (payload.size() >= sizeof(body)) std::memcpy(&body, payload.data(), sizeof(body));
  return body;
}

class Load {
 public:
  Load(Bus& bus, int fd, std::uint64_t seed, std::uint64_t round)
      : bus_(bus), fd_(fd), seed_(seed), round_(round) {}

  void subscribe() {
    subscriptions_.push_back(must(bus_.subscribe(
        {.name = "count",
         .types = {"work"},
         .concurrency = 3,
         .retry = policy(),
         .on_settled = [this](EventId id, Settled how) { settled(kCount, id, how); }},
        [this](Delivery& delivery) {
          delivered(kCount, delivery);
          const auto key = decode_body(delivery.event().payload).key;
          if (delivery.attempt() == 1 && key % 7 == 3) {
            return Outcome::retry_after(std::chrono::milliseconds(1), "first");
          }
          raise(delivery, key);
          if (key % kFollowEvery == 0) {
            const auto body = encode_body({key | kFollowBit, 0}, 0);
            delivery.tx().publish({.type = "follow", .payload = body, .priority = Priority::high});
          }
          return Outcome::ack();
        })));
    subscriptions_.push_back(must(bus_.subscribe(
        {.name = "order",
         .types = {"work"},
         .retry = policy(),
         .on_settled = [this](EventId id, Settled how) { settled(kOrder, id, how); }},
        [this](Delivery& delivery) { delivered(kOrder, delivery); })));
    subscriptions_.push_back(must(bus_.subscribe(
        {.name = "follow", .types = {"follow"}, .concurrency = 2, .retry = policy()},
        [](Delivery& delivery) { raise(delivery, decode_body(delivery.event().payload).key); })));
  }

  void publish_for_ever(std::uint64_t thread) {
    std::mt19937_64 random(seed_ * 1'000'003 + round_ * 101 + thread);
    std::uint64_t next = (round_ << 40U) | (thread << 32U);
    while (true) {
      const auto choice = random() % 100;
      const auto durability = random() % 2 == 0 ? Durability::durable : Durability::os;
      if (choice < 70) {
        publish_single(++next, random, durability);
      } else if (choice < 80) {
        publish_async(++next, random, durability);
      } else {
        const auto size = static_cast<std::uint32_t>(2 + random() % 20);
        publish_batch(next + 1, size, random, durability, choice >= 95);
        next += size;
      }
    }
  }

  void tell(const LoadRecord& record) const {
    // Nobody to tell any more: the parent has gone, and so should this.
    if (fd_ >= 0 && !report(fd_, &record, sizeof(record))) _exit(0);
  }

 private:
  static RetryPolicy policy() {
    // Being killed over and over is an everyday matter here, and no reason to give up on an event.
    return {.attempts_max = 1'000'000,
            .backoff_first = std::chrono::milliseconds(0),
            .backoff_max = std::chrono::milliseconds(0),
            .jitter = 0};
  }

  static void raise(Delivery& delivery, std::uint64_t key) {
    auto state = delivery.tx().state();
    const auto name = std::to_string(key);
    const auto value = must(state.get(name)).value_or("0");
    state.put(name, std::to_string(std::stoi(value) + 1));
  }

  void delivered(std::uint32_t subscription, const Delivery& delivery) const {
    const auto id = delivery.event().id;
    tell({.kind = Kind::delivered,
          .subscription = subscription,
          .attempt = delivery.attempt(),
          .lane = static_cast<std::uint32_t>(id.priority),
          .sequence = id.sequence});
  }

  void settled(std::uint32_t subscription, EventId id, Settled how) const {
    if (how != Settled::acked) return tell({.kind = Kind::surprise, .key = 1});
    tell({.kind = Kind::settled,
          .subscription = subscription,
          .lane = static_cast<std::uint32_t>(id.priority),
          .sequence = id.sequence});
  }

  static Priority any_lane(std::mt19937_64& random) {
    return kAllPriorities[random() % kLaneCount];
  }

  void intend(std::uint64_t key, Priority lane, std::uint64_t batch, std::uint32_t size,
              bool has_state = false) const {
    tell({.kind = Kind::intent,
          .attempt = has_state ? 1U : 0U,
          .lane = static_cast<std::uint32_t>(lane),
          .key = key,
          .batch = batch,
          .batch_size = size});
  }

  void confirm(std::uint64_t key, const Receipt& receipt, Durability durability) const {
    if (durability == Durability::durable && bus_.durable_commit() < receipt.commit) {
      tell({.kind = Kind::surprise, .key = 2});
    }
    tell({.kind = Kind::receipt,
          .lane = static_cast<std::uint32_t>(receipt.id.priority),
          .sequence = receipt.id.sequence,
          .commit = receipt.commit.value,
          .key = key,
          .durability = static_cast<std::uint32_t>(durability)});
  }

  void publish_single(std::uint64_t key, std::mt19937_64& random, Durability durability) const {
    const auto lane = any_lane(random);
    const auto body = encode_body({key, 0}, random() % 100);
    intend(key, lane, 0, 1);
    confirm(key,
            must(bus_.publish({.type = "work", .payload = body, .priority = lane},
                              {.durability = durability})),
            durability);
  }

  void publish_async(std::uint64_t key, std::mt19937_64& random, Durability durability) const {
    const auto lane = any_lane(random);
    const auto body = encode_body({key, 0}, random() % 100);
    intend(key, lane, 0, 1);
    must(bus_.publish_async({.type = "work", .payload = body, .priority = lane},
                            [this, key, durability](Result<Receipt> receipt) {
                              confirm(key, must(std::move(receipt)), durability);
                            },
                            {.durability = durability}));
  }

  void publish_batch(std::uint64_t first, std::uint32_t size, std::mt19937_64& random,
                     Durability durability, bool with_state) const {
    std::vector<OwnedEvent> events;
    for (std::uint32_t i = 0; i < size; ++i) {
      const auto lane = any_lane(random);
      intend(first + i, lane, first, size, with_state);
      events.push_back({.type = "work",
                        .payload = encode_body({first + i, first}, random() % 100),
                        .priority = lane});
    }
    BatchReceipt receipt;
    if (with_state) {
      auto batch = bus_.batch();
      for (const auto& event : events) {
        batch.add({.type = event.type, .payload = event.payload, .priority = event.priority});
      }
      batch.state("batches").put(std::to_string(first), std::to_string(size));
      receipt = must(batch.commit({.durability = durability}));
    } else {
      receipt = must(bus_.publish_batch(events, {.durability = durability}));
    }
    for (std::uint32_t i = 0; i < size; ++i) confirm(first + i, receipt.receipts[i], durability);
  }

  Bus& bus_;
  const int fd_;
  const std::uint64_t seed_;
  const std::uint64_t round_;
  std::vector<Subscription> subscriptions_;
};

std::uint64_t to_number(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int run_load(const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0), kill_load_options()));
  Load load(*bus, given.report_fd, to_number(given.values.at(1)), to_number(given.values.at(2)));
  for (const auto& suspect : bus->recovery().suspects) {
    load.tell({.kind = Kind::suspect,
               .lane = static_cast<std::uint32_t>(suspect.event.priority),
               .sequence = suspect.event.sequence});
    if (suspect.dead) load.tell({.kind = Kind::surprise, .key = 3});
  }
  load.subscribe();
  load.tell({.kind = Kind::ready});
  std::vector<std::jthread> publishers;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    publishers.emplace_back([&load, thread] { load.publish_for_ever(thread); });
  }
  return 0;  // never: the threads end with the process
}

}  // namespace

const char* const kKillLoadRole = "kill-load";
namespace {
const ChildRole kLoadRole(kKillLoadRole, run_load);
}  // namespace

Options kill_load_options() {
  Options options;
  options.retention.bytes = std::uint64_t{1} << 40U;
  options.unclaimed_retention.bytes = std::uint64_t{1} << 40U;
  options.ack_linger = std::chrono::milliseconds(2);
  return options;
}

// --- The book -----------------------------------------------------------------------------------

void KillBook::begin_round() {
  for (auto& sequence : last_delivered_) sequence = 0;
}

void KillBook::note_suspects(const RecoveryReport& report) {
  for (const auto& suspect : report.suspects) {
    EXPECT_FALSE(suspect.dead) << to_string(suspect.event);
    suspects_.insert(suspect.event);
  }
}

void KillBook::note(const LoadRecord& record) {
  const auto id = record.event();
  switch (record.kind) {
    case Kind::ready: return;
    case Kind::suspect: suspects_.insert(id); return;
    case Kind::intent:
      EXPECT_TRUE(intents_.emplace(record.key, Intent{record.lane, record.batch, false}).second);
      if (record.batch != 0) {
        batches_[record.batch].size = record.batch_size;
        batches_[record.batch].has_state = record.attempt != 0;
      }
      return;
    case Kind::receipt:
      receipts_.push_back(record);
      ++receipt_count_;
      return;
    case Kind::delivered:
      EXPECT_FALSE(settled_[record.subscription].contains(id))
          << to_string(id) << " was settled durably for subscription " << record.subscription
          << " and is delivered again, as attempt " << record.attempt;
      // One at a time and in order, but for those that a crash had set apart.
      if (record.subscription == kOrder && record.attempt == 1 && !suspects_.contains(id)) {
        EXPECT_GT(record.sequence, last_delivered_[record.lane])
            << "out of order: " << to_string(id);
        last_delivered_[record.lane] = record.sequence;
      }
      return;
    case Kind::settled:
      EXPECT_TRUE(settled_[record.subscription].insert(id).second)
          << to_string(id) << " was settled twice";
      return;
    case Kind::surprise: ADD_FAILURE() << "the child met surprise " << record.key; return;
  }
  ADD_FAILURE() << "a record that nobody wrote";
}

std::size_t KillBook::events() const {
  std::size_t sum = 0;
  for (const auto& lane : lanes_) sum += lane.keys.size();
  return sum;
}

std::size_t KillBook::settled() const { return settled_[0].size() + settled_[1].size(); }

void KillBook::see(const EventView& event) {
  const auto lane_number = static_cast<std::size_t>(event.id.priority);
  auto& lane = lanes_[lane_number];
  ASSERT_EQ(event.id.sequence, lane.keys.size() + 1) << "a gap before " << to_string(event.id);
  const auto body = decode_body(event.payload);
  lane.keys.push_back(body.key);
  EXPECT_GE(event.commit.value, lane.commits.empty() ? 0 : lane.commits.back());
  lane.commits.push_back(event.commit.value);
  if ((body.key & kFollowBit) != 0) {
    EXPECT_EQ(event.type, "follow");
    EXPECT_TRUE(intents_.contains(body.key & ~kFollowBit));
    // Only one tx may have published it.
    EXPECT_TRUE(intents_.emplace(body.key, Intent{}).second)
        << "the follow-up of " << (body.key & ~kFollowBit) << " is there twice";
    return;
  }
  const auto intent = intents_.find(body.key);
  ASSERT_NE(intent, intents_.end()) << to_string(event.id) << " was never intended";
  EXPECT_FALSE(intent->second.seen) << to_string(event.id) << " is there twice";
  intent->second.seen = true;
  EXPECT_EQ(intent->second.lane, lane_number);
  auto& last = last_key_of_[(body.key >> 32U) * kLaneCount + lane_number];
  EXPECT_GT(body.key, last) << to_string(event.id) << " overtook one of its own publisher";
  last = body.key;
  EXPECT_EQ(body.batch, intent->second.batch);
  if (body.batch == 0) {
    EXPECT_EQ(event.batch_id.value, 0U);
    return;
  }
  auto& batch = batches_.at(body.batch);
  if (batch.seen++ == 0) {
    batch.commit = event.commit.value;
    batch.batch_id = event.batch_id.value;
  }
  EXPECT_EQ(batch.commit, event.commit.value) << "a batch in two commits";
  EXPECT_EQ(batch.batch_id, event.batch_id.value);
}

template <typename Source>
void KillBook::check_new(const Source& source) {
  std::set<std::uint64_t> batches;
  for (const auto lane : kAllPriorities) {
    auto& book = lanes_[static_cast<std::size_t>(lane)];
    const auto from = book.keys.size() + 1;
    must(source.scan({.priorities = {lane}, .from_sequence = from},
                     [&](const EventView& event, EventState) {
                       see(event);
                       const auto body = decode_body(event.payload);
                       if (body.batch != 0) batches.insert(body.batch);
                       return !::testing::Test::HasFatalFailure();
                     }));
    // What was there before is there still, and is what it was.
    for (int i = 0; i < 3 && from > 1; ++i) {
      const auto sequence = 1 + random_() % (from - 1);
      const auto stored = must(source.get({lane, sequence}));
      ASSERT_TRUE(stored.has_value()) << to_string(EventId{lane, sequence});
      EXPECT_EQ(decode_body(as_bytes(stored->event.payload)).key, book.keys[sequence - 1]);
    }
  }
  for (const auto batch : batches) {
    EXPECT_EQ(batches_.at(batch).seen, batches_.at(batch).size) << "half a batch";
  }
  for (const auto& receipt : receipts_) {
    const auto& book = lanes_[receipt.lane];
    ASSERT_LE(receipt.sequence, book.keys.size())
        << to_string(receipt.event()) << " was confirmed with durability " << receipt.durability
        << " and is gone";
    EXPECT_EQ(book.keys[receipt.sequence - 1], receipt.key);
    EXPECT_EQ(book.commits[receipt.sequence - 1], receipt.commit);
  }
  receipts_.clear();
}

template <typename Source>
void KillBook::check_all(const Source& source) {
  check_new(source);
  std::size_t visited = 0;
  must(source.scan({}, [&](const EventView& event, EventState) {
    const auto& book = lanes_[static_cast<std::size_t>(event.id.priority)];
    EXPECT_LE(event.id.sequence, book.keys.size());
    if (event.id.sequence > book.keys.size()) return false;
    EXPECT_EQ(decode_body(event.payload).key, book.keys[event.id.sequence - 1]);
    EXPECT_EQ(event.commit.value, book.commits[event.id.sequence - 1]);
    ++visited;
    return true;
  }));
  EXPECT_EQ(visited, events());
}

template void KillBook::check_new(const Bus&);
template void KillBook::check_new(const JournalView&);
template void KillBook::check_all(const Bus&);
template void KillBook::check_all(const JournalView&);

void KillBook::finish(Bus& bus) {
  Load load(bus, -1, 0, 0);
  load.subscribe();
  EXPECT_TRUE(eventually([&] {
    std::uint64_t owed = 0;
    for (const auto& lane : bus.stats().lanes) {
      owed += lane.owed.ready + lane.owed.leased + lane.owed.scheduled;
    }
    return owed == 0;
  }));
  must(bus.drain());
  check_all(bus);
  EXPECT_TRUE(must(bus.dead_letters()).empty());
  std::map<std::string, std::string> counters;
  must(bus.scan_state("count", "", [&](std::string_view key, std::string_view value) {
    counters.emplace(key, value);
    return true;
  }));
  std::map<std::string, std::string> follow_counters;
  must(bus.scan_state("follow", "", [&](std::string_view key, std::string_view value) {
    follow_counters.emplace(key, value);
    return true;
  }));
  std::size_t work = 0;
  std::size_t follow = 0;
  for (const auto& lane : lanes_) {
    for (const auto key : lane.keys) {
      const bool is_follow = (key & kFollowBit) != 0;
      const auto& of_key = is_follow ? follow_counters : counters;
      const auto found = of_key.find(std::to_string(key));
      ASSERT_NE(found, of_key.end()) << "the tx of " << key << " never happened";
      EXPECT_EQ(found->second, "1") << "the tx of " << key << " happened more than once";
      ++(is_follow ? follow : work);
      if (!is_follow && key % kFollowEvery == 0) {
        EXPECT_TRUE(intents_.contains(key | kFollowBit))
            << "the follow-up of " << key << " is missing";
      }
    }
  }
  EXPECT_EQ(counters.size(), work);
  EXPECT_EQ(follow_counters.size(), follow);
  std::set<std::string> states;
  must(bus.scan_state("batches", "", [&](std::string_view key, std::string_view) {
    states.emplace(key);
    return true;
  }));
  for (const auto& [key, batch] : batches_) {
    EXPECT_EQ(states.contains(std::to_string(key)), batch.has_state && batch.seen > 0);
  }
  std::size_t unsettled = 0;
  must(bus.scan({}, [&](const EventView&, EventState state) {
    unsettled += state == EventState::settled ? 0 : 1;
    return true;
  }));
  EXPECT_EQ(unsettled, 0U);
}

}  // namespace holdfast::testing
