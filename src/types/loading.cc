// loading.cc: see loading.h.
//
// Thread: main.
#include "types/loading.h"

#include <algorithm>
#include <string>

#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/load_state.h"
#include "vk/log.h"

namespace flash::types {
namespace {

constexpr uint64_t kBeyondDivisor = 8;
constexpr uint64_t kBeyondBytes = 64 * kMiB;
constexpr uint64_t kTellEveryUs = 10'000'000;

bool FitsBeyond(uint64_t bytes) {
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const blocks::BlockPool::Stats& stats = pool.stats();
  const uint64_t beyond = std::min(pool.store().stats().capacity_bytes / kBeyondDivisor,
                                   std::max(stats.cache_bytes, kBeyondBytes));
  if (stats.hot_bytes + bytes > stats.cache_bytes + beyond) return false;
  static uint64_t told_us = 0;
  const uint64_t now_us = server::Engine::Get().clock().NowUs();
  if (told_us == 0 || now_us - told_us > kTellEveryUs) {
    told_us = now_us;
    vk::Log(
        server::DetachedContext(), vk::LogLevel::kWarning,
        std::string("what has no place on flash stays in RAM while data loads: ") + kNoRoomToLoad);
  }
  return true;
}

}  // namespace

Result<void> AwaitRoomToLoad(uint64_t bytes, const blocks::BlockPool::Attempt& attempt) {
  server::FinishFreesWhileLoading();
  const auto await = [&] {
    return server::Engine::Get().pool().AwaitRoomFor(bytes, blocks::WaitCause::kLoading, attempt,
                                                     server::LoadPatienceUs());
  };
  Result<void> outcome = await();
  if (!outcome && server::FinishFrees()) outcome = await();
  return outcome;
}

bool MustLoad(uint64_t bytes) {
  if (server::DataLoads()) return FitsBeyond(bytes);
  // A replica that clients may write to cannot be told from its primary's stream here.
  return server::HasAnyFlag(VALKEYMODULE_CTX_FLAGS_REPLICA) &&
         server::HasAnyFlag(VALKEYMODULE_CTX_FLAGS_READONLY);
}

}  // namespace flash::types
