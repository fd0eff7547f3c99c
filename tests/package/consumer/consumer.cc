// Goal: what is installed is enough for a program that knows nothing else of holdfast.
// Method: open a journal, publish durably, read back, reopen; any surprise is a non-zero exit.
// Also compiled with -fno-exceptions -fno-rtti.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include <holdfast/holdfast.h>

namespace {

// Leaving members out of a designated initialiser warns where one has no initialiser of its own.
[[maybe_unused]] const holdfast::Event kEvent{.type = "a.b", .source = {}};
[[maybe_unused]] const holdfast::Source kSource{.kind = holdfast::SourceKind::user};
[[maybe_unused]] const holdfast::OwnedEvent kOwned{.priority = holdfast::Priority::high};
[[maybe_unused]] const holdfast::Options kOptions{.create_if_missing = false};
[[maybe_unused]] const holdfast::SubscribeOptions kSubscribe{.concurrency = 2};
[[maybe_unused]] const holdfast::Match kMatch{.source_names = {"a"}};
[[maybe_unused]] const holdfast::ScanFilter kScan{.limit = 1};
[[maybe_unused]] const holdfast::DeadLetterFilter kLetters{.limit = 1};
[[maybe_unused]] const holdfast::BatchOptions kBatch{.durability = holdfast::Durability::os};
[[maybe_unused]] const holdfast::RetryPolicy kRetry{.attempts_max = 1};

int fail(const char* what, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", what, why.c_str());
  return 1;
}

int run(const std::string& folder) {
  if (holdfast::Handler(std::function<void(holdfast::Delivery&)>())) {
    return fail("handler", "an empty function counts as one");
  }
  holdfast::EventId id;
  {
    auto bus = holdfast::Bus::open(folder);
    if (!bus) return fail("open", bus.status().to_string());
    auto receipt = (*bus)->publish({.type = "package.test"});
    if (!receipt) return fail("publish", receipt.status().to_string());
    id = receipt->id;
    if (auto status = (*bus)->close(); !status) return fail("close", status.to_string());
  }
  auto bus = holdfast::Bus::open(folder);
  if (!bus) return fail("reopen", bus.status().to_string());
  auto stored = (*bus)->get(id);
  if (!stored) return fail("get", stored.status().to_string());
  if (!stored->has_value()) return fail("get", "a durable event is gone");
  std::printf("holdfast %s: %s survived\n", HOLDFAST_VERSION_STRING,
              holdfast::to_string(id).c_str());
  return 0;
}

}  // namespace

int main() {
  std::string folder =
      (std::filesystem::temp_directory_path() / "holdfast-consumer-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return fail("mkdtemp", folder);
  const int result = run(folder);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return result;
}
