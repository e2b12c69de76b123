// room_queue.h: writers that wait for room below the hard mark, first come, first served.
//
// Knows neither the cache nor the store: the demoter says what fits and when waiting is pointless.
// Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "blocks/deliveries.h"

namespace flash::blocks {

/// Room below the hard mark that nobody else is admitted to while this lives. Whoever uses it up,
/// or has to wait for something else, lets it go. May outlive the pool. Move-only.
class RoomGrant {
 public:
  RoomGrant() = default;
  RoomGrant(std::shared_ptr<uint64_t> promised_bytes, uint64_t bytes)
      : promised_bytes_(std::move(promised_bytes)), bytes_(bytes) {
    *promised_bytes_ += bytes_;
  }
  RoomGrant(RoomGrant&& other) noexcept
      : promised_bytes_(std::move(other.promised_bytes_)), bytes_(std::exchange(other.bytes_, 0)) {}
  RoomGrant& operator=(RoomGrant&& other) noexcept {
    if (this != &other) {
      Release();
      promised_bytes_ = std::move(other.promised_bytes_);
      bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
  }
  ~RoomGrant() { Release(); }

  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  void Release() {
    if (bytes_ != 0) *promised_bytes_ -= std::exchange(bytes_, 0);
  }

 private:
  std::shared_ptr<uint64_t> promised_bytes_;  // The queue's sum.
  uint64_t bytes_ = 0;
};

/// Someone who waits for room at the hard mark; see BlockPool::WaitForRoom.
class RoomWaiter {
 public:
  virtual ~RoomWaiter() = default;
  /// kNoSpace: the tier is full or failing and waiting longer is pointless. kInvalid: more than the
  /// whole cache.
  virtual void OnRoom(Result<RoomGrant> outcome) = 0;
};

class RoomQueue {
 public:
  explicit RoomQueue(Deliveries* deliveries) : deliveries_(*deliveries) {}
  ~RoomQueue();
  RoomQueue(const RoomQueue&) = delete;
  RoomQueue& operator=(const RoomQueue&) = delete;

  void Add(RoomWaiter* waiter, uint64_t bytes, uint64_t now_us);
  void Forget(RoomWaiter* waiter);

  /// Bytes wanted by the first in line and since when; 0 bytes: nobody waits. `number` is its own
  /// alone.
  struct Head {
    uint64_t bytes = 0;
    uint64_t since_us = 0;
    uint64_t number = 0;
  };
  [[nodiscard]] Head head();
  /// Is nobody in line, not even somebody forgotten?
  [[nodiscard]] bool empty() const { return line_.empty(); }

  /// The first in line leaves it with this outcome.
  void AnswerHead(const Result<void>& outcome);

  /// For somebody who waited outside the line.
  [[nodiscard]] RoomGrant Grant(uint64_t bytes) { return {promised_bytes_, bytes}; }

  /// Bytes of all grants that live.
  [[nodiscard]] uint64_t promised_bytes() const { return *promised_bytes_; }
  [[nodiscard]] size_t count() const { return entries_.size(); }

 private:
  struct Entry;

  Deliveries& deliveries_;
  std::deque<Entry*> line_;
  uint64_t last_number_ = 0;
  std::unordered_map<RoomWaiter*, Entry*> entries_;  // In line or due.
  std::shared_ptr<uint64_t> promised_bytes_ = std::make_shared<uint64_t>(0);
};

}  // namespace flash::blocks
