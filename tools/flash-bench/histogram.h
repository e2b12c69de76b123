// histogram.h: durations by their length, as HdrHistogram counts them: every percentile at most one
// part in 256 too high, from a microsecond to an hour, in 60 KB.
//
// Log-linear steps: below 512 every microsecond has its own, above that each power of two has 256.
// Histograms of threads and of intervals add up to those of the run. Thread: one owner.
// Source: G. Tene, HdrHistogram.
#pragma once

#include <cstdint>
#include <vector>

namespace flash::tools::bench {

class Histogram {
 public:
  static constexpr uint64_t kMaxUs = 3'600'000'000;

  Histogram() : counts_(kSteps, 0) {}

  void Add(uint64_t us);
  void Add(const Histogram& other);
  void Clear();

  /// The duration that `share` (0 to 1) of all did not exceed; 0 without any.
  [[nodiscard]] uint64_t Percentile(double share) const;
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t max_us() const { return max_us_; }
  [[nodiscard]] double MeanUs() const;

 private:
  static constexpr uint64_t kPerDoubling = 256;
  static constexpr uint64_t kSteps = 2 * kPerDoubling + 23 * kPerDoubling;

  static uint64_t StepOf(uint64_t us);
  static uint64_t EndOf(uint64_t step);

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t sum_us_ = 0;
  uint64_t max_us_ = 0;
};

}  // namespace flash::tools::bench
