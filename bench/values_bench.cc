// values_bench.cc: hot operations on hashes, lists and sorted sets of 10, 1,000 and 1 M elements,
// without server and I/O; and their RAM.
//
// Blocks are plain allocations (tests/support/fake_block_pool.h); a block's header in the real pool
// is 24 bytes, counted here as such. Run: bench_values_bench. Compare operations with a server's
// CPU time per command, RAM with MEMORY USAGE of the native type.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/fake_block_pool.h"
#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

using base::AsBytes;

struct Bench {
  testing::FakeBlockPool pool{{.move_on_resize = false}};
  ValueCounters counters;
  Env env{.store = &pool, .counters = &counters, .hash_seed = 11};
  uint64_t word = 0;
  base::Random random{5};

  ~Bench() {
    Missing missing;
    Collection value(env, CollectionKind::kHash, &word);
    while (!value.FreeSome(1000, &missing)) {
    }
  }

  void ReportRam(benchmark::State& state, const Collection& value) {
    constexpr uint64_t kHotHeaderAndTableEntry = 24 + 8;
    const uint64_t ram =
        pool.live_bytes() + pool.live_blocks() * kHotHeaderAndTableEntry + value.RamBytes();
    state.counters["ram/element"] =
        static_cast<double>(ram) / static_cast<double>(std::max<uint64_t>(1, value.size()));
  }
};

std::string Name(const char* prefix, uint64_t i) {
  const std::string digits = std::to_string(i);
  return prefix + std::string(digits.size() < 9 ? 9 - digits.size() : 0, '0') + digits;
}

std::vector<std::string> Names(const char* prefix, uint64_t count) {
  std::vector<std::string> names;
  for (uint64_t i = 0; i < count; ++i) names.push_back(Name(prefix, i));
  return names;
}

void HashGet(benchmark::State& state) {
  Bench bench;
  HashValue hash(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto fields = Names("field:", count);
  for (const auto& field : fields) hash.Set(AsBytes(field), AsBytes("value:0123456789"));
  for (auto _ : state) {
    Missing missing;
    const auto value = hash.Get(AsBytes(fields[bench.random.Below(count)]), &missing);
    benchmark::DoNotOptimize(value);
  }
  bench.ReportRam(state, hash);
}

void HashSetExisting(benchmark::State& state) {
  Bench bench;
  HashValue hash(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto fields = Names("field:", count);
  for (const auto& field : fields) hash.Set(AsBytes(field), AsBytes("value:0123456789"));
  uint64_t flip = 0;
  for (auto _ : state) {
    const Bytes field = AsBytes(fields[bench.random.Below(count)]);
    Missing missing;
    hash.PlanSet(field, &missing);
    hash.Set(field, AsBytes(++flip % 2 == 0 ? "value:0123456789" : "value:01234"));
  }
}

void HashSetNewAndErase(benchmark::State& state) {
  Bench bench;
  HashValue hash(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto fields = Names("field:", count * 2);
  for (uint64_t i = 0; i < count; ++i) {
    hash.Set(AsBytes(fields[i]), AsBytes("value:0123456789"));
  }
  uint64_t next = count;
  for (auto _ : state) {
    hash.Set(AsBytes(fields[next % fields.size()]), AsBytes("value:0123456789"));
    hash.Erase(AsBytes(fields[(next + count) % fields.size()]));
    ++next;
  }
}

void ListPushPop(benchmark::State& state, ListValue::End push, ListValue::End pop) {
  Bench bench;
  ListValue list(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto elements = Names("element:", count);
  for (const auto& element : elements) list.Push(push, AsBytes(element));
  for (auto _ : state) {
    Missing missing;
    list.PlanPush(push, &missing);
    list.Push(push, AsBytes(elements[0]));
    const uint64_t at = pop == ListValue::End::kFront ? 0 : list.size() - 1;
    list.PlanErase(at, at + 1, &missing);
    benchmark::DoNotOptimize(list.At(at, &missing));
    list.Erase(at, at + 1);
  }
  bench.ReportRam(state, list);
}

void ListPush(benchmark::State& state) {
  Bench bench;
  ListValue list(bench.env, &bench.word);
  for (auto _ : state) {
    Missing missing;
    list.PlanPush(ListValue::End::kFront, &missing);
    list.Push(ListValue::End::kFront, AsBytes("element:000000000"));
  }
  bench.ReportRam(state, list);
}

void ListRange100(benchmark::State& state) {
  Bench bench;
  ListValue list(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  for (const auto& element : Names("element:", count)) {
    list.Push(ListValue::End::kBack, AsBytes(element));
  }
  for (auto _ : state) {
    const uint64_t end = std::min<uint64_t>(100, count);
    Missing missing;
    list.PlanRange(0, end, &missing);
    uint64_t bytes = 0;
    list.ForRange(0, end, [&](const Element& element) {
      bytes += element.size();
      return true;
    });
    benchmark::DoNotOptimize(bytes);
  }
}

void FillZSet(Bench* bench, ZSetValue* zset, const std::vector<std::string>& members) {
  for (const auto& member : members) {
    zset->Set(AsBytes(member), static_cast<double>(bench->random.Below(1'000'000'000)));
  }
}

void ZSetAdd(benchmark::State& state) {
  Bench bench;
  ZSetValue zset(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto members = Names("member:", count);
  FillZSet(&bench, &zset, members);
  for (auto _ : state) {
    const Bytes member = AsBytes(members[bench.random.Below(count)]);
    const auto score = static_cast<double>(bench.random.Below(1'000'000'000));
    Missing missing;
    zset.PlanSet(member, score, &missing);
    zset.Set(member, score);
  }
  bench.ReportRam(state, zset);
}

void ZSetScore(benchmark::State& state) {
  Bench bench;
  ZSetValue zset(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto members = Names("member:", count);
  FillZSet(&bench, &zset, members);
  for (auto _ : state) {
    Missing missing;
    benchmark::DoNotOptimize(zset.Score(AsBytes(members[bench.random.Below(count)]), &missing));
  }
}

void ZSetRank(benchmark::State& state) {
  Bench bench;
  ZSetValue zset(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  const auto members = Names("member:", count);
  FillZSet(&bench, &zset, members);
  for (auto _ : state) {
    Missing missing;
    benchmark::DoNotOptimize(zset.Rank(AsBytes(members[bench.random.Below(count)]), &missing));
  }
}

void ZSetPopMinAndAdd(benchmark::State& state) {
  Bench bench;
  ZSetValue zset(bench.env, &bench.word);
  const auto count = static_cast<uint64_t>(state.range(0));
  FillZSet(&bench, &zset, Names("member:", count));
  std::string member;
  for (auto _ : state) {
    Missing missing;
    zset.PlanEraseRange(0, 1, &missing);
    zset.ForRange(0, 1, [&](double, const Element& element) {
      member = ElementText(bench.env, element);
      return true;
    });
    zset.EraseRange(0, 1);
    zset.Set(AsBytes(member), static_cast<double>(bench.random.Below(1'000'000'000)));
  }
}

#define FLASH_SIZES Arg(10)->Arg(100)->Arg(1000)->Arg(1'000'000)
BENCHMARK(HashGet)->FLASH_SIZES;
BENCHMARK(HashSetExisting)->FLASH_SIZES;
BENCHMARK(HashSetNewAndErase)->FLASH_SIZES;
BENCHMARK(ListPush);
BENCHMARK_CAPTURE(ListPushPop, queue, ListValue::End::kFront, ListValue::End::kBack)->FLASH_SIZES;
BENCHMARK_CAPTURE(ListPushPop, stack, ListValue::End::kFront, ListValue::End::kFront)->FLASH_SIZES;
BENCHMARK(ListRange100)->FLASH_SIZES;
BENCHMARK(ZSetAdd)->FLASH_SIZES;
BENCHMARK(ZSetScore)->FLASH_SIZES;
BENCHMARK(ZSetRank)->FLASH_SIZES;
BENCHMARK(ZSetPopMinAndAdd)->FLASH_SIZES;

}  // namespace
}  // namespace flash::values
