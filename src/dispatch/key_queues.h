// key_queues.h: who waits for a key before whom; parked commands only.
//
// Each parked command stands in one queue per key it names. It may go when it is first in all of
// them: commands enter all their queues at once, in order of arrival, so the oldest is always first
// somewhere everywhere and nobody waits in a circle. A queue is that of a hash of (database, key):
// two keys that share one wait for each other without need, which harms nobody. Knows waiters by
// address alone. Thread: main.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/few.h"
#include "base/flat_map.h"

namespace flash::dispatch {

/// Two keys may have one hash.
[[nodiscard]] inline uint64_t HashOfKey(int db, std::string_view key) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;  // Spreads small numbers over all bits.
  return std::hash<std::string_view>()(key) ^ (static_cast<uint64_t>(db) + 1) * kOdd;
}

template <typename Waiter>
class KeyQueues {
  /// Nearly all have one waiter, who needs no memory beside the map's.
  struct Queue {
    Waiter* first = nullptr;
    std::vector<Waiter*> others;  // Behind it, in order.

    [[nodiscard]] const Waiter* last() const { return others.empty() ? first : others.back(); }
  };

 public:
  /// Where one waiter stands: the hashes of its keys.
  using Places = base::Few<uint64_t, 1>;

  /// Puts `waiter` at the end of the queue of (db, key); once if the key is named twice.
  void Enter(Waiter* waiter, int db, std::string_view key, Places* places) {
    const uint64_t hash = HashOfKey(db, key);
    const uint64_t place = hash != 0 ? hash : 1;  // 0 is no place.
    Queue& queue = map_[place];
    if (queue.last() == waiter) return;
    if (queue.first == nullptr) {
      queue.first = waiter;
    } else {
      queue.others.push_back(waiter);
    }
    places->push_back(place);
  }

  [[nodiscard]] bool IsFirst(const Waiter* waiter, const Places& places) const {
    for (const uint64_t place : places) {
      if (map_.At(place).first != waiter) return false;
    }
    return true;
  }

  /// Takes `waiter` out, wherever it stands. Returns whoever became first somewhere.
  [[nodiscard]] std::vector<Waiter*> Leave(Waiter* waiter, Places* places) {
    std::vector<Waiter*> next;
    for (const uint64_t place : *places) {
      Queue& queue = map_.At(place);
      if (queue.first != waiter) {
        std::erase(queue.others, waiter);
      } else if (queue.others.empty()) {
        map_.Erase(place);
      } else {
        queue.first = queue.others.front();
        queue.others.erase(queue.others.begin());
        next.push_back(queue.first);
      }
    }
    *places = {};
    return next;
  }

  [[nodiscard]] size_t size() const { return map_.size(); }

 private:
  base::FlatMap<Queue> map_;
};

}  // namespace flash::dispatch
