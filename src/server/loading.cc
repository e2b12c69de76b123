// loading.cc: see loading.h.
//
// Thread: main.
#include "server/loading.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "server/collection_key.h"
#include "server/deferred_free.h"
#include "server/engine.h"
#include "server/events.h"
#include "vk/log.h"
#include "vk/server_info.h"

namespace flash::server {
namespace {

constexpr uint64_t kLoadPatienceUs = 60'000'000;
constexpr uint64_t kFreeSliceUs = 10'000;
constexpr uint64_t kBeyondDivisor = 8;
constexpr uint64_t kBeyondBytes = 64 * kMiB;
constexpr uint64_t kTellEveryUs = 10'000'000;
constexpr uint64_t kLazyFreeUsMax = 1'000'000;
constexpr uint64_t kLazyFreeIdleUsMax = 50'000;
constexpr uint64_t kLazyFreeLookUs = 1000;
constexpr std::chrono::microseconds kLazyFreeLook{kLazyFreeLookUs};

bool HasAnyFlag(uint32_t flags) { return (vk::ContextFlags(DetachedContext()) & flags) != 0; }

bool DataLoads() { return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_LOADING); }

uint64_t LoadPatienceUs() {
  return DataLoads() || HasAnyFlag(VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING) ? kLoadPatienceUs : 0;
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

bool FitsBeyond(uint64_t bytes) {
  blocks::BlockPool& pool = Engine::Get().pool();
  const blocks::BlockPool::Stats& stats = pool.stats();
  const uint64_t beyond = std::min(pool.store().stats().capacity_bytes / kBeyondDivisor,
                                   std::max(stats.cache_bytes, kBeyondBytes));
  if (stats.hot_bytes + bytes > stats.cache_bytes + beyond) return false;
  static uint64_t told_us = 0;
  const uint64_t now_us = Engine::Get().clock().NowUs();
  if (told_us == 0 || now_us - told_us > kTellEveryUs) {
    told_us = now_us;
    vk::Log(
        DetachedContext(), vk::LogLevel::kWarning,
        std::string("what has no place on flash stays in RAM while data loads: ") + kNoRoomToLoad);
  }
  return true;
}

bool DrainFrees() {
  if (DeferredFree::Pending() == 0 && !AnyCollectionToFree()) return false;
  // A drained value may leave a collection, not the other way round.
  while (DeferredFree::Pending() != 0) DeferredFree::Drain(kFreeSliceUs);
  FinishFreeingCollections();
  return true;
}

}  // namespace

Result<void> AwaitRoomToLoad(uint64_t bytes, const blocks::BlockPool::Attempt& attempt) {
  FinishFreesWhileLoading();
  const auto await = [&] {
    return Engine::Get().pool().AwaitRoomFor(bytes, blocks::WaitCause::kLoading, attempt,
                                             LoadPatienceUs());
  };
  Result<void> outcome = await();
  if (!outcome && FinishFrees()) outcome = await();
  return outcome;
}

bool MustLoad(uint64_t bytes) {
  if (DataLoads()) return FitsBeyond(bytes);
  // A replica that clients may write to cannot be told from its primary's stream here.
  return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_REPLICA) && HasAnyFlag(VALKEYMODULE_CTX_FLAGS_READONLY);
}

bool AnyFreePending() {
  if (DeferredFree::Pending() != 0 || AnyCollectionToFree()) return true;
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
