// ghost.cc: buckets of fingerprints; see ghost.h.
//
// The hash is splitmix64's finalizer over the id: ids are dense, so they need mixing, not secrecy.
// Thread: main.
#include "blocks/ghost.h"

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace flash::blocks {
namespace {

constexpr uint64_t kBucketEntries = 8;

}  // namespace

// --- One array
// ------------------------------------------------------------------------------------

GhostTable::GhostTable(uint64_t slots)
    : entries_(static_cast<uint32_t*>(base::Allocate(slots * sizeof(uint32_t)))),
      slots_(slots),
      cleared_((slots + kChunkEntries - 1) / kChunkEntries),
      insertions_per_tick_(std::max<uint64_t>(1, slots / kTicksPerTable)) {}

void GhostTable::Swap(GhostTable& other) {
  std::swap(entries_, other.entries_);
  std::swap(slots_, other.slots_);
  std::swap(cleared_, other.cleared_);
  std::swap(insertions_, other.insertions_);
  std::swap(insertions_per_tick_, other.insertions_per_tick_);
}

GhostTable::Spot GhostTable::SpotOf(BlockId id) {
  const uint64_t hash = base::Random(id).Next();
  const uint64_t buckets = slots_ / kBucketEntries;
  const uint64_t first = (hash & (buckets - 1)) * kBucketEntries;
  const uint64_t chunk = first / kChunkEntries;
  if (!cleared_[chunk]) [[unlikely]] {
    const uint64_t begin = chunk * kChunkEntries;
    std::fill_n(entries_ + begin, std::min(kChunkEntries, slots_ - begin), 0);
    cleared_[chunk] = true;
  }
  const auto fingerprint = static_cast<uint32_t>(hash >> 48) | 1u;
  return {entries_ + first, fingerprint << 16};
}

uint32_t GhostTable::AgeOf(uint32_t entry) const {
  return static_cast<uint16_t>(tick() - (entry & 0xffffu));
}

void GhostTable::Insert(BlockId id) {
  if (slots_ == 0) return;
  const Spot spot = SpotOf(id);
  uint64_t chosen = 0;
  uint32_t age_of_chosen = 0;
  for (uint64_t i = 0; i < kBucketEntries; ++i) {
    const uint32_t entry = spot.bucket[i];
    if (entry == 0 || (entry & 0xffff0000u) == spot.fingerprint) {
      chosen = i;
      break;
    }
    const uint32_t age = AgeOf(entry);
    if (age >= age_of_chosen) {
      chosen = i;
      age_of_chosen = age;
    }
  }
  ++insertions_;
  spot.bucket[chosen] = spot.fingerprint | static_cast<uint16_t>(tick());
}

void GhostTable::Erase(BlockId id) {
  if (slots_ == 0) return;
  const Spot spot = SpotOf(id);
  for (uint64_t i = 0; i < kBucketEntries; ++i) {
    if ((spot.bucket[i] & 0xffff0000u) == spot.fingerprint) spot.bucket[i] = 0;
  }
}

bool GhostTable::Contains(BlockId id, uint64_t age_max) {
  if (slots_ == 0) return false;
  const Spot spot = SpotOf(id);
  for (uint64_t i = 0; i < kBucketEntries; ++i) {
    if ((spot.bucket[i] & 0xffff0000u) != spot.fingerprint) continue;
    return AgeOf(spot.bucket[i]) * insertions_per_tick_ <= age_max;
  }
  return false;
}

// --- The ghost
// ------------------------------------------------------------------------------------

void Ghost::Resize(uint64_t slots) {
  const uint64_t rounded = std::bit_ceil(std::max(slots, kBucketEntries));
  if (rounded == now_.slots()) return;
  // Of several changes in a row the array that has seen most is the one to remember.
  if (now_.insertions() >= before_.insertions()) {
    before_ = std::exchange(now_, GhostTable());
    before_ends_at_ = before_.insertions() + before_.slots();
  }
  now_ = GhostTable(rounded);
}

void Ghost::Insert(BlockId id) {
  now_.Insert(id);
  if (before_.slots() == 0) return;
  before_.Pass();
  if (before_.insertions() >= before_ends_at_) before_ = GhostTable();
}

void Ghost::Erase(BlockId id) {
  now_.Erase(id);
  before_.Erase(id);
}

}  // namespace flash::blocks
