// histogram.cc: see histogram.h.
//
// Thread: one owner.
#include "tools/flash-bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace flash::tools::bench {

uint64_t Histogram::StepOf(uint64_t us) {
  if (us < 2 * kPerDoubling) return us;
  const auto shift = static_cast<uint64_t>(std::bit_width(us)) - 9;  // Leaves nine bits.
  return shift * kPerDoubling + (us >> shift);
}

uint64_t Histogram::EndOf(uint64_t step) {
  if (step < 2 * kPerDoubling) return step;
  const uint64_t shift = step / kPerDoubling - 1;
  return ((step - shift * kPerDoubling + 1) << shift) - 1;
}

void Histogram::Add(uint64_t us) {
  us = std::min(us, kMaxUs);
  ++counts_[StepOf(us)];
  ++count_;
  sum_us_ += us;
  max_us_ = std::max(max_us_, us);
}

void Histogram::Add(const Histogram& other) {
  if (other.count_ == 0) return;
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_us_ = std::max(max_us_, other.max_us_);
}

void Histogram::Clear() {
  if (count_ == 0) return;
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = sum_us_ = max_us_ = 0;
}

uint64_t Histogram::Percentile(double share) const {
  if (count_ == 0) return 0;
  const auto wanted = std::max<uint64_t>(
      1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_) - 1e-9)));
  uint64_t seen = 0;
  for (uint64_t step = 0; step < counts_.size(); ++step) {
    seen += counts_[step];
    if (seen >= wanted) return std::min(EndOf(step), max_us_);
  }
  return max_us_;
}

double Histogram::MeanUs() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_us_) / static_cast<double>(count_);
}

}  // namespace flash::tools::bench
