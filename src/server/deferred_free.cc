// deferred_free.cc: two queues, one filled by any thread under a mutex, one emptied by the main
// thread.
//
// The mutex is held for one append or one swap, and only when something was pushed: not a hot path.
// A forked child never comes here. Thread: see deferred_free.h.
#include "server/deferred_free.h"

#include <atomic>
#include <deque>
#include <mutex>

#include "base/clock.h"

namespace flash::server {
namespace {

struct Item {
  DeferredFree::FreeFunction free_value;
  void* value;
};

struct Queue {
  std::atomic<uint64_t> pending = 0;
  std::mutex mutex;
  std::deque<Item> incoming;  // Guarded by mutex. A deque grows without moving what it holds.
  std::deque<Item> draining;  // Main thread only.
};

Queue& TheQueue() {
  // raw new: never destroyed, because the lazy-free thread may outlive static destruction.
  static Queue* const queue = new Queue;
  return *queue;
}

/// Looking at the clock costs as much as freeing a small value.
constexpr int kItemsPerClockLook = 32;

}  // namespace

void DeferredFree::Push(FreeFunction free_value, void* value) {
  Queue& queue = TheQueue();
  const std::lock_guard lock(queue.mutex);
  queue.incoming.push_back({free_value, value});
  queue.pending.fetch_add(1, std::memory_order_relaxed);
}

uint64_t DeferredFree::Drain(uint64_t budget_us) {
  Queue& queue = TheQueue();
  if (queue.pending.load(std::memory_order_relaxed) == 0) return 0;
  const base::SystemClock clock;
  const uint64_t deadline_us = clock.NowUs() + budget_us;
  uint64_t freed = 0;
  while (true) {
    if (queue.draining.empty()) {
      const std::lock_guard lock(queue.mutex);
      queue.draining.swap(queue.incoming);
      if (queue.draining.empty()) return freed;
    }
    const Item item = queue.draining.front();
    queue.draining.pop_front();
    item.free_value(item.value);
    queue.pending.fetch_sub(1, std::memory_order_relaxed);
    ++freed;
    if (freed % kItemsPerClockLook == 0 && clock.NowUs() >= deadline_us) return freed;
    if (budget_us == 0) return freed;
  }
}

uint64_t DeferredFree::Pending() { return TheQueue().pending.load(std::memory_order_relaxed); }

}  // namespace flash::server
