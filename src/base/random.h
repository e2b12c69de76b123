// random.h: a small seeded generator, the same sequence on every platform for one seed.
//
// Algorithm: splitmix64 (Steele, Lea, Flood, OOPSLA 2014). Not for secrets. Thread: one owner.
#pragma once

#include <cstdint>

namespace flash::base {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound); bound > 0. The bias of the modulus is below 2^-32 for bounds below
  /// 2^32.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  /// True with probability numerator / denominator.
  bool Chance(uint64_t numerator, uint64_t denominator) { return Below(denominator) < numerator; }

 private:
  uint64_t state_;
};

}  // namespace flash::base
