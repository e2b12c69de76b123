// cache_bound.h: how many bytes may be hot: the setting, lowered while the server is short of
// memory.
//
// Knows neither blocks nor who waits; the load is compared with it elsewhere. Thread: main.
// Decision: docs/adr/0005.
#pragma once

#include <algorithm>
#include <cstdint>

namespace flash::blocks {

class CacheBound {
 public:
  explicit CacheBound(uint64_t cache_bytes) { SetCacheBytes(cache_bytes); }

  void SetCacheBytes(uint64_t bytes) {
    cache_bytes_ = bytes;
    SetMarks();
  }
  /// 0: no limit.
  void SetPressureLimit(uint64_t bytes) {
    pressure_bytes_ = bytes;
    SetMarks();
  }

  /// The setting, whatever the pressure.
  [[nodiscard]] uint64_t cache_bytes() const { return cache_bytes_; }
  /// RAM that values under construction take beside blocks, and in blocks that they have pinned; it
  /// counts as if it were hot.
  void SetHeld(uint64_t bytes) {
    held_bytes_ = bytes;
    SetMarks();
  }
  [[nodiscard]] uint64_t held_bytes() const { return held_bytes_; }

  /// Above it blocks have to leave.
  [[nodiscard]] uint64_t high_mark() const { return high_mark_; }
  /// Above it nothing comes in.
  [[nodiscard]] uint64_t hard_mark() const { return std::max(hard_mark_at_rest_, descent_bytes_); }

  /// `load` bytes are hot from a time without a bound (docs/adr/0023): if that is too many, the
  /// hard mark begins a tenth of the cache above them, and with each Descend comes down as they do,
  /// to where it belongs.
  void BeginDescent(uint64_t load) {
    if (load > hard_mark_at_rest_) descent_bytes_ = load + cache_bytes_ / 10;
  }
  /// `wanted`: room for those who wait, which may be more than that tenth.
  void Descend(uint64_t load, uint64_t wanted) {
    descent_bytes_ = std::min(descent_bytes_, load + wanted + cache_bytes_ / 10);
    if (descent_bytes_ <= hard_mark_at_rest_) descent_bytes_ = 0;
  }
  [[nodiscard]] bool descends() const { return descent_bytes_ != 0; }

 private:
  /// Every write asks for the marks, and what they follow from seldom changes.
  void SetMarks() {
    const uint64_t bound =
        pressure_bytes_ == 0 ? cache_bytes_ : std::min(cache_bytes_, pressure_bytes_);
    high_mark_ = bound - std::min(held_bytes_, bound / 2);
    hard_mark_at_rest_ = high_mark_ + high_mark_ / 10;
  }

  uint64_t cache_bytes_ = 0;
  uint64_t pressure_bytes_ = 0;
  uint64_t held_bytes_ = 0;
  uint64_t high_mark_ = 0;
  uint64_t hard_mark_at_rest_ = 0;
  uint64_t descent_bytes_ = 0;  // 0: the mark is where it belongs.
};

}  // namespace flash::blocks
