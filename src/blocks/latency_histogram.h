// latency_histogram.h: how long things took, in microseconds, as percentiles, in 1 KiB of counters.
//
// Log-linear: eight steps per power of two, so a percentile is at most an eighth too high. Counters
// are halved when they grow large, so old times fade. Thread: main.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace flash::blocks {

class LatencyHistogram {
 public:
  void Add(uint64_t us) {
    ++counts_[StepOf(us)];
    if (++total_ >= kTotalMax) Halve();
  }

  /// The time that `per_thousand` of 1000 did not exceed (rounded up to a step's end); 0 without
  /// data.
  [[nodiscard]] uint64_t Percentile(uint64_t per_thousand) const {
    const uint64_t wanted = (total_ * per_thousand + 999) / 1000;
    uint64_t seen = 0;
    for (size_t step = 0; step < kSteps; ++step) {
      seen += counts_[step];
      if (seen >= wanted && seen > 0) return EndOf(step);
    }
    return 0;
  }
  [[nodiscard]] uint64_t count() const { return total_; }

 private:
  static constexpr uint64_t kPerDoubling = 8;
  static constexpr size_t kSteps = 256;  // Up to 2^34 us.
  static constexpr uint64_t kTotalMax = 1u << 24;

  static size_t StepOf(uint64_t us) {
    if (us < kPerDoubling) return static_cast<size_t>(us);
    const auto shift = static_cast<uint64_t>(std::bit_width(us)) - 4;  // Leaves four bits.
    return static_cast<size_t>(
        std::min<uint64_t>(kSteps - 1, (shift + 1) * kPerDoubling + (us >> shift) - kPerDoubling));
  }
  static uint64_t EndOf(size_t step) {
    if (step < kPerDoubling) return step;
    const uint64_t shift = step / kPerDoubling - 1;
    return ((step % kPerDoubling + kPerDoubling + 1) << shift) - 1;
  }
  void Halve() {
    total_ = 0;
    for (uint32_t& count : counts_) total_ += count /= 2;
  }

  std::array<uint32_t, kSteps> counts_{};
  uint64_t total_ = 0;
};

}  // namespace flash::blocks
