// collection_pool_test.cc: collections over the real pool, store and a device in memory: several
// times the cache, changed and read at random, copied and freed.
//
// What the fake pool of the other tests cannot show: eviction by the policy, clean blocks, reads in
// any order, temperature as the pool tells it. Thread: one.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/inline_backend.h"
#include "io/memory_device.h"
#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

using base::AsBytes;
using blocks::TieredPool;
using blocks::WaitCause;

constexpr uint64_t kCapacityBytes = 32 * kMiB;
constexpr uint64_t kCacheBytes = 128 * kKiB;

class CollectionPoolTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override {
    auto device = std::make_unique<io::MemoryDevice>(
        std::make_shared<io::MemoryFile>(kCapacityBytes), io::MemoryDevice::Options{});
    io::InlineBackend::Options backend_options;
    backend_options.seed = GetParam();
    backend_ = std::make_unique<io::InlineBackend>(std::move(device), &clock_, backend_options);
    TieredPool::Options options;
    options.cache_bytes = kCacheBytes;
    options.store.capacity_bytes = kCapacityBytes;
    options.store.segment_bytes = 256 * kKiB;
    auto pool = TieredPool::Open(options, backend_.get(), &clock_);
    ASSERT_TRUE(pool.ok());
    pool_ = std::move(pool).Take();
    env_.store = pool_.get();
    env_.counters = &counters_;
    env_.hash_seed = GetParam();
    env_.inline_bytes_max = 300;
  }

  void TearDown() override {
    const auto& blocks = pool_->stats().blocks;
    for (size_t state = 1; state < blocks.size(); ++state) EXPECT_EQ(blocks[state], 0U);
    EXPECT_EQ(counters_.tiered_multi_block_values, 0U);
  }

  /// Lets the pool demote what it wants to, as between two commands.
  void Turn() { pool_->Drive(TieredPool::Deliver::kCallbacks); }

  /// Carries a plan out; the blocks stay pinned until the next one.
  template <typename Plan>
  void Fetch(const Plan& plan) {
    for (int round = 0; round < 8; ++round) {
      Missing missing;
      plan(&missing);
      if (missing.empty()) return;
      held_.Release();
      held_ = pool_->FetchNow(missing.ids(), WaitCause::kOther);
      ASSERT_TRUE(held_.ready() && held_.outcome());
    }
    FAIL() << "a plan that never ends";
  }

  std::string Text(uint64_t variety) {
    std::string text = "text:" + std::to_string(random_.Below(variety));
    if (random_.Chance(1, 4)) text += std::string(random_.Below(200), 'm');
    if (random_.Chance(1, 50)) text += std::string(400 + random_.Below(2000), 'l');
    return text;
  }

  template <typename Value>
  void FreeAll(Value value) {
    held_.Release();
    Missing missing;
    while (!value.FreeSome(7, &missing)) {
      if (!missing.empty()) held_ = pool_->FetchNow(missing.ids(), WaitCause::kOther);
      missing.Clear();
      Turn();
    }
    held_.Release();
  }

  base::SystemClock clock_;
  std::unique_ptr<io::InlineBackend> backend_;
  std::unique_ptr<TieredPool> pool_;
  ValueCounters counters_;
  Env env_;
  base::Random random_{GetParam()};
  blocks::Fetch held_;
};

TEST_P(CollectionPoolTest, Hashes) {
  uint64_t word = 0;
  HashValue hash(env_, &word);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 6000; ++step) {
    const std::string field = Text(4000);
    if (random_.Chance(1, 5)) {
      Fetch([&](Missing* m) { hash.PlanErase(AsBytes(field), m); });
      ASSERT_EQ(hash.Erase(AsBytes(field)), model.erase(field) == 1);
    } else if (random_.Chance(1, 3)) {
      Fetch([&](Missing* m) { hash.PlanGet(AsBytes(field), m); });
      const auto value = hash.Get(AsBytes(field));
      ASSERT_EQ(value.has_value(), model.contains(field));
      if (value) {
        ASSERT_EQ(ElementText(env_, *value), model[field]);
      }
    } else {
      const std::string value = Text(1'000'000);
      Fetch([&](Missing* m) { hash.PlanSet(AsBytes(field), m); });
      ASSERT_EQ(hash.Set(AsBytes(field), AsBytes(value)), !model.contains(field));
      model[field] = value;
    }
    Turn();
  }
  EXPECT_GT(pool_->stats().evictions, 0U);
  EXPECT_TRUE(hash.tiered());
  EXPECT_EQ(counters_.tiered_multi_block_values, 1U);
  uint64_t copy = hash.Clone(Collection::Holder::kKey);
  FreeAll(hash);
  HashValue same(env_, &copy);
  EXPECT_EQ(same.size(), model.size());
  for (const auto& pair : model) {
    Fetch([&](Missing* m) { same.PlanGet(AsBytes(pair.first), m); });
    ASSERT_EQ(ElementText(env_, *same.Get(AsBytes(pair.first))), pair.second);
    Turn();
  }
  FreeAll(same);
}

TEST_P(CollectionPoolTest, Lists) {
  uint64_t word = 0;
  ListValue list(env_, &word);
  std::vector<std::string> model;
  for (int step = 0; step < 6000; ++step) {
    const uint64_t at = random_.Below(model.size() + 1);
    if (random_.Chance(1, 12) && at < model.size()) {
      const uint64_t end = std::min<uint64_t>(model.size(), at + 1 + random_.Below(3));
      Fetch([&](Missing* m) { list.PlanErase(at, end, m); });
      list.Erase(at, end);
      model.erase(model.begin() + static_cast<ptrdiff_t>(at),
                  model.begin() + static_cast<ptrdiff_t>(end));
    } else if (random_.Chance(1, 3) && at < model.size()) {
      Fetch([&](Missing* m) {
        const auto element = list.At(at, m);
        if (element) PlanElement(env_, *element, m);
      });
      ASSERT_EQ(ElementText(env_, *list.At(at)), model[at]);
    } else {
      const std::string text = Text(1'000'000);
      Fetch([&](Missing* m) { list.PlanInsert(at, m); });
      list.Insert(at, AsBytes(text));
      model.insert(model.begin() + static_cast<ptrdiff_t>(at), text);
    }
    ASSERT_EQ(list.size(), model.size());
    Turn();
  }
  EXPECT_GT(pool_->stats().evictions, 0U);
  FreeAll(list);
}

TEST_P(CollectionPoolTest, SortedSets) {
  uint64_t word = 0;
  ZSetValue zset(env_, &word);
  std::map<std::string, double> model;
  for (int step = 0; step < 5000; ++step) {
    const std::string member = Text(3000);
    const auto score = static_cast<double>(random_.Below(500)) / 2;
    if (random_.Chance(1, 5)) {
      Fetch([&](Missing* m) { zset.PlanErase(AsBytes(member), m); });
      ASSERT_EQ(zset.Erase(AsBytes(member)), model.erase(member) == 1);
    } else {
      Fetch([&](Missing* m) { zset.PlanSet(AsBytes(member), score, m); });
      ASSERT_EQ(zset.Set(AsBytes(member), score), !model.contains(member));
      model[member] = score;
    }
    Turn();
  }
  EXPECT_GT(pool_->stats().evictions, 0U);
  std::vector<std::optional<double>> by_rank(model.size());
  for (const auto& pair : model) {
    const Bytes member = AsBytes(pair.first);
    Fetch([&](Missing* m) { (void)zset.Rank(member, m); });
    const auto rank = zset.Rank(member);
    ASSERT_TRUE(rank.has_value() && *rank < by_rank.size() && !by_rank[*rank].has_value());
    by_rank[*rank] = pair.second;
    ASSERT_EQ(*zset.Score(member), pair.second);
    Turn();
  }
  EXPECT_TRUE(std::is_sorted(by_rank.begin(), by_rank.end()));
  FreeAll(zset);
}

/// What is loaded beyond the cache goes to flash leaf by leaf, and is counted cold there.
TEST_P(CollectionPoolTest, BuildsStraightToFlash) {
  std::vector<std::string> texts;
  for (uint64_t i = 0; i < 20'000; ++i) texts.push_back("text:" + std::to_string(i * 7919));
  std::vector<Bytes> elements;
  elements.reserve(20'000);
  for (const std::string& text : texts) elements.push_back(AsBytes(text));
  uint64_t word = 0;
  ListValue list(env_, &word);
  list.Build(elements, true);
  for (int i = 0; i < 200; ++i) Turn();
  EXPECT_LE(pool_->stats().hot_bytes, kCacheBytes + kCacheBytes / 10);
  EXPECT_TRUE(list.tiered());
  for (uint64_t i = 0; i < texts.size(); i += 97) {
    Fetch([&](Missing* m) { (void)list.At(i, m); });
    ASSERT_EQ(ElementText(env_, *list.At(i)), texts[i]);
    Turn();
  }
  FreeAll(list);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CollectionPoolTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace flash::values
