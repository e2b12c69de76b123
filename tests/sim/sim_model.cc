// sim_model.cc: the bytes of blocks; see sim_model.h.
//
// Thread: one.
#include "tests/sim/sim_model.h"

#include <cstring>

namespace flash::sim {
namespace {

constexpr size_t kPatternBytes = 1024 * 1024;
constexpr uint64_t kWindows = 4096;
constexpr size_t kStampEvery = 512;

/// Long enough for a block of any size from any window.
std::vector<std::byte> MakePattern(bool compressible) {
  std::vector<std::byte> pattern(kPatternBytes + kWindows);
  base::Random random(compressible ? 1 : 2);
  for (std::byte& byte : pattern) {
    byte = static_cast<std::byte>(compressible ? 'a' + random.Below(3) : random.Next());
  }
  return pattern;
}

const std::byte* WindowOf(uint64_t seed) {
  static const std::vector<std::byte> kText = MakePattern(true);
  static const std::vector<std::byte> kNoise = MakePattern(false);
  return (seed % 2 == 0 ? kText : kNoise).data() + (seed >> 8) % kWindows;
}

}  // namespace

void Content::Fill(MutableBytes to) const {
  std::memcpy(to.data(), WindowOf(seed), to.size());
  for (size_t at = 0; at < to.size(); at += kStampEvery) {
    std::memcpy(to.data() + at, &seed, std::min(sizeof(seed), to.size() - at));
  }
}

bool Content::MatchesPrefix(Bytes bytes) const {
  const std::byte* window = WindowOf(seed);
  for (size_t at = 0; at < bytes.size(); at += kStampEvery) {
    const size_t length = std::min(kStampEvery, bytes.size() - at);
    const size_t stamp = std::min(sizeof(seed), length);
    if (std::memcmp(bytes.data() + at, &seed, stamp) != 0) return false;
    if (std::memcmp(bytes.data() + at + stamp, window + at + stamp, length - stamp) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace flash::sim
