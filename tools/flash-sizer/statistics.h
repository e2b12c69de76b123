// statistics.h: the share of memory that has a property, estimated from sampled keys, and how sure
// that is.
//
// Keys weigh by their bytes and come in stretches (clusters) within strata, so the number of keys
// says little about certainty. The variance of the ratio is taken from the differences between
// stretches (Taylor linearisation, "ultimate clusters"); the sample that would be as certain if
// keys were equal is its effective size; the interval is Wilson's for that size.
// Sources: Wilson 1927; Korn and Graubard 1998; Dean and Pagano 2015; Cochran 1977, chapters 6, 11.
// Thread: any.
#pragma once

#include <cstdint>
#include <vector>

namespace flash::tools::sizer {

/// A number and the interval that covers the truth in 95 of 100 samplings.
struct Range {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// Wilson's score interval for the share `share` found in `n` equal observations (n need not be
/// whole), for the quantile `z` of the normal distribution.
[[nodiscard]] Range WilsonInterval(double share, double n, double z);

/// The 97.5 % quantile of Student's distribution with `degrees` degrees of freedom.
[[nodiscard]] double StudentQuantile(double degrees);

/// One sampled key, as the estimator sees it.
struct Observation {
  uint32_t stretch = 0;
  double size = 0;  ///< Weight times bytes: what it stands for.
  double part = 0;  ///< Of it, from 0 to `size`, what has the property.
};

/// Where stretches belong, and how much of a stratum the sample is.
struct Design {
  std::vector<uint32_t> stratum_of_stretch;
  std::vector<double> sampled_part_of_stratum;  ///< Keys sampled / keys there are: 1 is certainty.
};

struct ShareEstimate {
  Range share;
  double n_effective = 0;  ///< Infinite if every key was seen.
  double total = 0;        ///< Sum of sizes.
};

/// The share of `part` in `size`. No observations: share 0, interval [0, 1].
[[nodiscard]] ShareEstimate EstimateShare(const std::vector<Observation>& observations,
                                          const Design& design);

}  // namespace flash::tools::sizer
