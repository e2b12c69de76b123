// deliveries.h: callbacks that are due, in the order they became due, until the outermost Drive
// runs them.
//
// So that code of the layers above never runs inside Reap, inside the store or inside a command.
// Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstddef>
#include <deque>

namespace flash::blocks {

/// Something with a callback to run once. Owns itself from the moment it was queued: Deliver ends
/// it unless it knows better. A withdrawn one stays queued and does nothing when its turn comes.
class Delivery {
 public:
  virtual ~Delivery() = default;
  virtual void Deliver() = 0;
  /// The pool ends first: as Deliver, without the callback.
  virtual void Discard() = 0;
};

class Deliveries {
 public:
  void Add(Delivery* delivery) { due_.push_back(delivery); }
  [[nodiscard]] size_t count() const { return due_.size(); }

  /// Runs the oldest. It may add others, and may drive.
  void RunOne() {
    Delivery* delivery = due_.front();
    due_.pop_front();
    delivery->Deliver();
  }

  void DiscardAll() {
    for (; !due_.empty(); due_.pop_front()) due_.front()->Discard();
  }

 private:
  std::deque<Delivery*> due_;
};

}  // namespace flash::blocks
