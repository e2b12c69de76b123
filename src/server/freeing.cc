// freeing.cc: a queue that any thread fills, jobs that free large values in slices, and waiting for
// both.
//
// The queue's mutex is held for one append or one swap, and only when something was pushed: not a
// hot path. A forked child never comes here. Thread: see freeing.h.
#include "server/freeing.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/clock.h"
#include "server/background.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/load_state.h"
#include "server/value_env.h"
#include "vk/server_info.h"

namespace flash::server {
namespace {

using values::Collection;
using values::CollectionKind;
using values::Missing;
using values::Rope;

constexpr uint64_t kFreeSliceUs = 10'000;
constexpr uint64_t kLazyFreeUsMax = 1'000'000;
constexpr uint64_t kLazyFreeIdleUsMax = 50'000;
constexpr uint64_t kLazyFreeLookUs = 1000;
constexpr std::chrono::microseconds kLazyFreeLook{kLazyFreeLookUs};
/// Blocks of a large rope freed between two looks at the clock: 2 MiB.
constexpr uint32_t kFreeSliceBlocks = 8;
/// Blocks of about 4 KiB that are freed at once, so that eviction sees the memory of most values
/// come back; each is several cache misses, some 5 us.
constexpr uint32_t kFreedAtOnce = 64;
constexpr uint32_t kFreedPerStep = 32;

pthread_t main_thread;

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

void FreeRope(void* rest) {
  Rope* left = TheStrings().FreeRest(static_cast<Rope*>(rest), kFreeSliceBlocks);
  if (left != nullptr) DeferredFree::Push(FreeRope, left);
}

/// Frees a large collection in slices; leaves with large elements have to be read first.
class FreeJob final : public BackgroundJob {
 public:
  FreeJob(CollectionKind kind, uint64_t word) : word_(word), value_(TheEnv(), kind, &word_) {
    Unfinished().insert(this);
  }
  ~FreeJob() override { Unfinished().erase(this); }

  /// Those for which nothing may turn the background's ring soon: data loads, or a script runs.
  static std::unordered_set<FreeJob*>& Unfinished() {
    // raw new: never destroyed, as everything that may be used while the server exits.
    static auto* const jobs = new std::unordered_set<FreeJob*>;
    return *jobs;
  }

  Progress Step(uint64_t deadline_us) override {
    if (fetch_.started()) {
      if (!fetch_.ready()) return Progress::kWaiting;
      // What cannot be read is given up, or the value would stay for ever.
      leave_cold_ = leave_cold_ || !fetch_.outcome().ok();
    }
    const base::Clock& clock = Engine::Get().clock();
    do {
      Missing missing;
      if (value_.FreeSome(kFreedPerStep, &missing, leave_cold_)) {
        fetch_.Release();
        Unfinished().erase(this);
        return Progress::kDone;
      }
      if (!missing.empty()) {
        fetch_.Release();
        fetch_ = Engine::Get().pool().StartFetch(missing.ids(), [] {});
        return Progress::kWaiting;
      }
    } while (clock.NowUs() < deadline_us);
    return Progress::kMore;
  }

  /// All of it, waiting on this thread, which holds no pins.
  void Finish() {
    for (Missing missing; !value_.FreeSome(kFreedAtOnce, &missing, leave_cold_); missing.Clear()) {
      if (missing.empty()) continue;
      fetch_.Release();
      fetch_ = Engine::Get().pool().FetchNow(missing.ids(), blocks::WaitCause::kLoading);
      leave_cold_ = leave_cold_ || !fetch_.outcome().ok();
    }
    fetch_.Release();
    Unfinished().erase(this);
  }

 private:
  uint64_t word_;
  Collection value_;
  blocks::Fetch fetch_;
  bool leave_cold_ = false;
};

[[nodiscard]] bool AnyCollectionToFree() { return !FreeJob::Unfinished().empty(); }

void FinishFreeingCollections() {
  // Their owner is the background's ring, which takes its turns only from the event loop.
  while (AnyCollectionToFree()) (*FreeJob::Unfinished().begin())->Finish();
}

/// Looking costs some 100 us.
bool LazyFreeGoesOn() {
  return vk::ServerInfo(DetachedContext(), "memory").Unsigned("lazyfree_pending_objects") != 0;
}

/// Until the server's lazy-free thread has handed over all values of ours, or for long enough. It
/// may be busy with native ones: a script does not wait for those.
void AwaitLazyFree() {
  const base::Clock& clock = Engine::Get().clock();
  const uint64_t began_us = clock.NowUs();
  const uint64_t patience_us = LoadPatienceUs();
  uint64_t handed_over = DeferredFree::Pending();
  uint64_t moved_us = began_us;
  while (LazyFreeGoesOn()) {
    std::this_thread::sleep_for(kLazyFreeLook);
    const uint64_t now_us = clock.NowUs();
    if (const uint64_t now_there = DeferredFree::Pending(); now_there != handed_over) {
      handed_over = now_there;
      moved_us = now_us;
    }
    if (now_us - moved_us >= std::max(patience_us, kLazyFreeIdleUsMax)) break;
    if (now_us - began_us >= std::max(patience_us, kLazyFreeUsMax)) break;
  }
  const uint64_t waited_us = clock.NowUs() - began_us;
  if (waited_us >= kLazyFreeLookUs) {
    Engine::Get().pool().CountWait(blocks::WaitCause::kHardMark, waited_us);
  }
}

bool DrainFrees() {
  if (!FreesQueued()) return false;
  // A drained value may leave a collection, not the other way round.
  while (DeferredFree::Pending() != 0) DeferredFree::Drain(kFreeSliceUs);
  FinishFreeingCollections();
  return true;
}

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

void StartFreeing() { main_thread = pthread_self(); }

void FreeOnAnyThread(DeferredFree::FreeFunction free_now, void* value) {
  if (pthread_equal(pthread_self(), main_thread) != 0) {
    free_now(value);
  } else {
    DeferredFree::Push(free_now, value);
  }
}

void FreeString(values::StringValue value) {
  if (Rope* rest = TheStrings().Free(value); rest != nullptr) FreeRest(rest);
}

void FreeRest(values::Rope* rest) { DeferredFree::Push(FreeRope, rest); }

void FreeCollection(CollectionKind kind, uint64_t word) {
  if (word == 0) return;
  Missing missing;
  if (Collection(TheEnv(), kind, &word).FreeSome(kFreedAtOnce, &missing)) return;
  Background::Add(std::make_shared<FreeJob>(kind, word));
}

bool FreesQueued() { return DeferredFree::Pending() != 0 || AnyCollectionToFree(); }

bool AnyFreePending() {
  if (FreesQueued()) return true;
  static bool goes_on = false;
  static uint64_t looked_us = 0;
  const uint64_t now_us = Engine::Get().clock().NowUs();
  if (now_us - looked_us >= kLazyFreeLookUs) {
    looked_us = now_us;
    goes_on = LazyFreeGoesOn();
  }
  return goes_on;
}

bool FinishFrees() {
  AwaitLazyFree();
  return DrainFrees();
}

void FinishFreesWhileLoading() {
  if (DataLoads()) DrainFrees();
}

}  // namespace flash::server
