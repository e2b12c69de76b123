// ghost.cc: buckets of fingerprints; see ghost.h.
//
// The hash is splitmix64's finalizer over the id: ids are dense, so they need mixing, not secrecy.
// Thread: main.
#include "blocks/ghost.h"

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace flash::blocks {

void Ghost::Resize(uint64_t slots) {
  const uint64_t rounded = std::bit_ceil(std::max(slots, kBucketEntries));
  entries_.assign(rounded, 0);
  entries_.shrink_to_fit();
  insertions_ = 0;
  insertions_per_tick_ = std::max<uint64_t>(1, rounded / kTicksPerTable);
}

Ghost::Spot Ghost::SpotOf(BlockId id) const {
  const uint64_t hash = base::Random(id).Next();
  const uint64_t buckets = entries_.size() / kBucketEntries;
  const auto fingerprint = static_cast<uint32_t>(hash >> 48) | 1u;
  return {(hash & (buckets - 1)) * kBucketEntries, fingerprint << 16};
}

uint32_t Ghost::AgeOf(uint32_t entry) const {
  return static_cast<uint16_t>(tick() - (entry & 0xffffu));
}

void Ghost::Insert(BlockId id) {
  if (entries_.empty()) return;
  const Spot spot = SpotOf(id);
  uint64_t chosen = spot.bucket;
  uint32_t age_of_chosen = 0;
  for (uint64_t i = spot.bucket; i < spot.bucket + kBucketEntries; ++i) {
    const uint32_t entry = entries_[i];
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
  entries_[chosen] = spot.fingerprint | static_cast<uint16_t>(tick());
}

void Ghost::Erase(BlockId id) {
  if (entries_.empty()) return;
  const Spot spot = SpotOf(id);
  for (uint64_t i = spot.bucket; i < spot.bucket + kBucketEntries; ++i) {
    if ((entries_[i] & 0xffff0000u) == spot.fingerprint) entries_[i] = 0;
  }
}

bool Ghost::Contains(BlockId id, uint64_t age_max) const {
  if (entries_.empty()) return false;
  const Spot spot = SpotOf(id);
  for (uint64_t i = spot.bucket; i < spot.bucket + kBucketEntries; ++i) {
    if ((entries_[i] & 0xffff0000u) != spot.fingerprint) continue;
    return AgeOf(entries_[i]) * insertions_per_tick_ <= age_max;
  }
  return false;
}

}  // namespace flash::blocks
