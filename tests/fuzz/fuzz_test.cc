// SPDX-License-Identifier: MIT
// The fuzz targets without a fuzzer: the checked-in corpus, and a fixed number of mutations of it.

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fuzz/targets.h"
#include "support/journal_image.h"

namespace holdfast::testing {
namespace {

constexpr int kMutations = 10'000;

std::vector<std::string> corpus_of(const fuzz::Target& target) {
  std::vector<std::string> corpus;
  const auto folder = std::string(HOLDFAST_TESTS_DIR) + "/fuzz/corpus/" + target.name;
  for (const auto& file : files_in(folder, "", "")) corpus.push_back(read_bytes(file));
  return corpus;
}

/// What a fuzzer does to an input: bits, bytes, numbers, pieces taken out, doubled, or from
/// another.
class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, std::size_t bytes_max)
      : corpus_(std::move(corpus)), bytes_max_(bytes_max) {}

  std::string next() {
    auto input = any();
    for (auto times = 1 + random_() % 4; times > 0; --times) change(input);
    input.resize(std::min(input.size(), bytes_max_));
    return input;
  }

 private:
  const std::string& any() { return corpus_[random_() % corpus_.size()]; }
  std::size_t place_in(const std::string& input) { return random_() % (input.size() + 1); }

  void change(std::string& input) {
    const auto at = place_in(input);
    const auto length = random_() % 9;
    switch (random_() % 6) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random_() % 8));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>("\x00\xff\x7f\x80\x01"[random_() % 5]);
        break;
      case 2: input.erase(at, length); break;
      case 3: input.insert(at, input.substr(at, length)); break;
      case 4: input.insert(at, length, static_cast<char>(random_())); break;
      default: {
        const auto& other = any();
        const auto from = place_in(other);
        input.replace(at, length, other.substr(from, random_() % 40));
      }
    }
  }

  std::vector<std::string> corpus_;
  std::size_t bytes_max_;
  std::mt19937_64 random_{7};
};

class FuzzTargets : public ::testing::TestWithParam<fuzz::Target> {};

TEST_P(FuzzTargets, TheirCorpusIsTheSeedsAsTheyAreMadeNowAndMostOfItIsAccepted) {
  const auto& target = GetParam();
  auto corpus = corpus_of(target);
  auto seeds = fuzz::seeds(target.name);
  const auto before = fuzz::accepted();
  for (const auto& input : corpus) target.run(input);
  EXPECT_GE(2 * (fuzz::accepted() - before), corpus.size());
  std::sort(corpus.begin(), corpus.end());
  std::sort(seeds.begin(), seeds.end());
  EXPECT_TRUE(corpus == seeds) << "make_fuzz_corpus tests/fuzz/corpus, after a look at why";
}

TEST_P(FuzzTargets, HoldWhatTheyPromiseForMutationsOfIt) {
  const auto& target = GetParam();
  Mutator mutator(corpus_of(target), target.input_bytes_max);
  const auto before = fuzz::accepted();
  for (int i = 0; i < kMutations; ++i) target.run(mutator.next());
  // Enough of them get past the first check.
  EXPECT_GE(fuzz::accepted() - before, kMutations / 100);
}

INSTANTIATE_TEST_SUITE_P(Of, FuzzTargets,
                         ::testing::ValuesIn(fuzz::targets().begin(), fuzz::targets().end()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace holdfast::testing
