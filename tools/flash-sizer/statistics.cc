// statistics.cc: see statistics.h.
//
// Formulas are named by their sources in the header. Thread: any.
#include "tools/flash-sizer/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"

namespace flash::tools::sizer {
namespace {

constexpr double kNormalQuantile = 1.959963984540054;
constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Variance {
  double of_ratio = 0;
  double degrees = 0;  // Of freedom.
};

/// Sums over the stretches of one stratum.
struct StratumSums {
  double stretches = 0;
  double residual = 0;
  double residual_squared = 0;
};

/// The variance of share = sum(part) / sum(size), from the residuals of whole stretches.
Variance RatioVariance(const std::vector<Observation>& observations, const Design& design,
                       double share, double total) {
  std::vector<double> residual(design.stratum_of_stretch.size(), 0);
  for (const Observation& each : observations) {
    residual[each.stretch] += each.part - share * each.size;
  }
  std::vector<StratumSums> strata(design.sampled_part_of_stratum.size());
  for (size_t i = 0; i < residual.size(); i++) {
    StratumSums& sums = strata[design.stratum_of_stretch[i]];
    sums.stretches += 1;
    sums.residual += residual[i];
    sums.residual_squared += residual[i] * residual[i];
  }
  Variance variance;
  for (size_t i = 0; i < strata.size(); i++) {
    const StratumSums& sums = strata[i];
    if (sums.stretches < 2) continue;
    const double spread = sums.residual_squared - sums.residual * sums.residual / sums.stretches;
    const double unseen = std::clamp(1 - design.sampled_part_of_stratum[i], 0.0, 1.0);
    variance.of_ratio += unseen * sums.stretches / (sums.stretches - 1) * std::max(spread, 0.0);
    variance.degrees += sums.stretches - 1;
  }
  variance.of_ratio /= total * total;
  return variance;
}

/// Kish's effective size: what unequal sizes alone leave of the sample.
double KishSize(const std::vector<Observation>& observations, const Design& design) {
  double sum = 0;
  double unseen_squares = 0;
  for (const Observation& each : observations) {
    const double seen = design.sampled_part_of_stratum[design.stratum_of_stretch[each.stretch]];
    sum += each.size;
    unseen_squares += std::clamp(1 - seen, 0.0, 1.0) * each.size * each.size;
  }
  return unseen_squares > 0 ? sum * sum / unseen_squares : kInfinite;
}

/// The size that the sample would have if all keys weighed the same.
double EqualSize(const std::vector<Observation>& observations, const Design& design) {
  double unseen = 0;
  for (const Observation& each : observations) {
    const double seen = design.sampled_part_of_stratum[design.stratum_of_stretch[each.stretch]];
    unseen += std::clamp(1 - seen, 0.0, 1.0);
  }
  const auto count = static_cast<double>(observations.size());
  return unseen > 0 ? count * count / unseen : kInfinite;
}

}  // namespace

Range WilsonInterval(double share, double n, double z) {
  if (std::isinf(n)) return {share, share, share};
  const double z2n = z * z / n;
  const double centre = (share + z2n / 2) / (1 + z2n);
  const double half = z / (1 + z2n) * std::sqrt(share * (1 - share) / n + z2n / (4 * n));
  return {share, std::clamp(centre - half, 0.0, share), std::clamp(centre + half, share, 1.0)};
}

double StudentQuantile(double degrees) {
  if (degrees < 1) return 12.706;
  if (degrees < 2) return 4.303;  // The expansion below is off by more than a percent here.
  const double z = kNormalQuantile;
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  const double z7 = z5 * z * z;
  const double n = degrees;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

ShareEstimate EstimateShare(const std::vector<Observation>& observations, const Design& design) {
  ShareEstimate estimate;
  double part = 0;
  for (const Observation& each : observations) {
    FLASH_CHECK(each.stretch < design.stratum_of_stretch.size());
    estimate.total += each.size;
    part += each.part;
  }
  if (estimate.total <= 0) {
    estimate.share = {0, 0, 1};
    return estimate;
  }
  const double share = std::clamp(part / estimate.total, 0.0, 1.0);
  const double by_sizes = KishSize(observations, design);
  const Variance variance = RatioVariance(observations, design, share, estimate.total);
  double n = by_sizes;
  if (variance.of_ratio > 0 && share > 0 && share < 1) {
    n = share * (1 - share) / variance.of_ratio;
  }
  // A variance that came out small by luck must not promise more than keys of equal size would.
  n = std::min(n, EqualSize(observations, design));
  estimate.n_effective = std::max(n, 1.0);
  estimate.share = WilsonInterval(share, estimate.n_effective, StudentQuantile(variance.degrees));
  return estimate;
}

}  // namespace flash::tools::sizer
