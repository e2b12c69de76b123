// distribution.cc: see distribution.h.
//
// Thread: one owner.
#include "tools/flash-bench/distribution.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/result.h"

namespace flash::tools::bench {
namespace {

constexpr std::array<const char*, 4> kNames = {"uniform", "zipf", "scan", "mixed"};

/// (exp(x) - 1) / x, also where x is next to nothing.
double ExpOver(double x) { return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x / 2; }
/// log(1 + x) / x, likewise.
double LogOver(double x) { return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x / 2; }

}  // namespace

std::optional<Pattern> PatternNamed(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Pattern>(i);
  }
  return std::nullopt;
}

const char* NameOf(Pattern pattern) { return kNames[static_cast<size_t>(pattern)]; }

Distribution::Distribution(const Options& options)
    : options_(options), random_(options.seed), next_in_scan_(options.scan_start) {
  FLASH_CHECK(options.keys > 0 && options.skew > 0);
  integral_at_first_ = Integral(1.5) - 1;
  integral_at_last_ = Integral(static_cast<double>(options.keys) + 0.5);
  shortcut_ = 2 - InverseIntegral(Integral(2.5) - std::pow(2.0, -options.skew));
}

uint64_t Distribution::Next() {
  const bool steps = options_.pattern == Pattern::kScan ||
                     (options_.pattern == Pattern::kMixed && random_.Chance(1, 10));
  if (steps) return next_in_scan_++ % options_.keys;
  if (options_.pattern == Pattern::kUniform) return random_.Below(options_.keys);
  return Scattered(ZipfRank());
}

double Distribution::Integral(double x) const {
  const double log_x = std::log(x);
  return ExpOver((1 - options_.skew) * log_x) * log_x;
}

double Distribution::InverseIntegral(double y) const {
  const double t = std::max(y * (1 - options_.skew), -1.0);
  return std::exp(LogOver(t) * y);
}

double Distribution::UnitDraw() { return static_cast<double>(random_.Next() >> 11) * 0x1p-53; }

uint64_t Distribution::ZipfRank() {
  while (true) {
    const double u = integral_at_last_ + UnitDraw() * (integral_at_first_ - integral_at_last_);
    const double x = InverseIntegral(u);
    const auto rank =
        std::clamp<uint64_t>(static_cast<uint64_t>(std::llround(x)), 1, options_.keys);
    const auto k = static_cast<double>(rank);
    if (k - x <= shortcut_ || u >= Integral(k + 0.5) - std::pow(k, -options_.skew)) return rank;
  }
}

/// Steps that can be undone, on the next power of two; who lands beyond the keys goes on.
uint64_t Distribution::Scattered(uint64_t rank) const {
  const auto bits = static_cast<uint64_t>(std::bit_width(options_.keys - 1));
  const uint64_t mask = bits == 0 ? 0 : ~uint64_t{0} >> (64 - bits);
  uint64_t place = rank - 1;
  do {
    place = (place * 0x9e3779b97f4a7c15ULL + 0x2545f4914f6cdd1dULL) & mask;
    place ^= place >> ((bits + 1) / 2);
    place = (place * 0xbf58476d1ce4e5b9ULL) & mask;
  } while (place >= options_.keys);
  return place;
}

}  // namespace flash::tools::bench
