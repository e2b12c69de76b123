// leaf_fuzzer.cc: arbitrary bytes as a leaf: Validate reads nothing beyond them, and what it lets
// pass can be read, searched, changed and copied without harm.
//
// The first byte chooses the kind. Format: docs/format/leaf.md.
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "tests/support/fake_block_pool.h"
#include "values/element.h"
#include "values/leaf.h"
#include "values/leaf_search.h"

namespace flash::values {
namespace {

/// Reads all bytes, so that a sanitizer sees each of them.
uint64_t Sum(Bytes bytes) {
  uint64_t sum = 0;
  for (const std::byte b : bytes) sum += static_cast<uint64_t>(b);
  return sum;
}

uint64_t ReadAll(const Env& env, const LeafView& leaf, LeafKind kind) {
  uint64_t sum = leaf.used();
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    const EntryView entry = leaf.At(i);
    if (kind == LeafKind::kHash) {
      const HashEntry parsed = ParseHashEntry(entry);
      sum += Sum(parsed.field.bytes) + Sum(parsed.value.bytes) + parsed.value.size();
      sum += EntryHash(env, entry);
    } else if (kind == LeafKind::kList) {
      sum += Sum(ParseListEntry(entry).bytes);
    } else {
      sum += Sum(ParseMember(entry).bytes) + static_cast<uint64_t>(ParseScore(entry) > 0);
    }
  }
  return sum;
}

void TestOne(const uint8_t* data, size_t size) {
  static testing::FakeBlockPool pool;
  static ValueCounters counters;
  const Env env{.store = &pool, .counters = &counters};
  const auto kind = static_cast<LeafKind>(1 + data[0] % 3);
  // An allocation of exactly this size: reading past it is an error of the sanitizer.
  std::vector<std::byte> block(size - 1);
  for (size_t i = 1; i < size; ++i) block[i - 1] = static_cast<std::byte>(data[i]);
  if (!LeafValidate(block, kind)) return;

  const LeafView leaf(block);
  const uint64_t sum = ReadAll(env, leaf, kind);
  if (!leaf.HasLarge(0, leaf.count())) {  // Blocks of large elements do not exist here.
    const std::byte key[4] = {};
    const Element element{key, false};
    if (kind == LeafKind::kHash) {
      (void)FindField(env, leaf, element, env.HashOf(key), {}, nullptr);
    } else if (kind == LeafKind::kScores) {
      (void)FindBound(env, leaf, {0, element, ScoreBound::Side::kBeforeMember}, nullptr);
      (void)ScanForMember(env, leaf, element, nullptr);
    }
  }
  std::vector<std::byte> copy(leaf.used());
  LeafInit(copy, kind);
  LeafAppendRange(copy, leaf, 0, leaf.count());
  if (!LeafValidate(copy, kind) || ReadAll(env, LeafView(copy), kind) != sum) __builtin_trap();
  const uint32_t half = leaf.count() / 2;
  LeafErase(copy, 0, half);
  if (!LeafValidate(copy, kind) || LeafView(copy).count() != leaf.count() - half) __builtin_trap();
}

}  // namespace
}  // namespace flash::values

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) flash::values::TestOne(data, size);
  return 0;
}
