// distribution.h: which key comes next.
//
// uniform   every key alike.
// zipf      the i-th most wanted key in proportion to 1 / i^skew, the wanted ones scattered over
// all
//           keys, by rejection-inversion (Hoermann and Derflinger, 1996): no table, any number of
//           keys.
// scan      one after the other, and again.
// mixed     nine draws of zipf and one step of a scan: what a nightly job does to a cache.
//
// Seeded: the same sequence for the same seed. Thread: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/random.h"

namespace flash::tools::bench {

enum class Pattern : uint8_t { kUniform, kZipf, kScan, kMixed };

[[nodiscard]] std::optional<Pattern> PatternNamed(std::string_view name);
[[nodiscard]] const char* NameOf(Pattern pattern);

class Distribution {
 public:
  struct Options {
    Pattern pattern = Pattern::kZipf;
    uint64_t keys = 1;
    double skew = 0.99;  ///< Of zipf; above 0.
    uint64_t seed = 1;
    uint64_t scan_start = 0;  ///< Where this one's scan begins.
  };

  explicit Distribution(const Options& options);

  /// Below keys.
  [[nodiscard]] uint64_t Next();

 private:
  double Integral(double x) const;
  double InverseIntegral(double y) const;
  /// 1 to keys; 1 is drawn most.
  uint64_t ZipfRank();
  /// The key of a rank: the same for every seed, and each key has one rank.
  uint64_t Scattered(uint64_t rank) const;
  double UnitDraw();

  Options options_;
  base::Random random_;
  uint64_t next_in_scan_;
  double integral_at_first_ = 0;
  double integral_at_last_ = 0;
  double shortcut_ = 0;
};

}  // namespace flash::tools::bench
