// spsc_ring.h: a bounded queue from one thread to one other, without locks.
//
// The two indexes live on cache lines of their own, each beside its owner's copy of the other one,
// so that a line moves between cores only when a side runs out of what it knew. Knows nothing of
// its elements. Thread: Push on one, Pop on one; empty on either.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <vector>

namespace flash::io {

template <typename T>
class SpscRing {
 public:
  /// Holds at least `capacity_min` elements.
  explicit SpscRing(size_t capacity_min)
      : slots_(std::bit_ceil(capacity_min)), mask_(slots_.size() - 1) {}
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  /// False: full. What the pushing thread wrote before is seen by the thread that pops.
  [[nodiscard]] bool Push(T element) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    slots_[tail & mask_] = element;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// False: empty.
  [[nodiscard]] bool Pop(T& element) {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return false;
    }
    element = slots_[head & mask_];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  static constexpr size_t kLine = 64;

  std::vector<T> slots_;
  const size_t mask_;
  alignas(kLine) std::atomic<size_t> head_{0};  // Next to pop.
  size_t tail_seen_ = 0;                        // The popping thread's.
  alignas(kLine) std::atomic<size_t> tail_{0};  // Next to push.
  size_t head_seen_ = 0;                        // The pushing thread's.
};

}  // namespace flash::io
