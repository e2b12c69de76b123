// loading.cc: see loading.h.
//
// Thread: main.
#include "types/loading.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/load_state.h"
#include "server/value_env.h"
#include "types/save_support.h"
#include "vk/log.h"

namespace flash::types {
namespace {

constexpr uint64_t kBeyondDivisor = 8;
constexpr uint64_t kBeyondBytes = 64 * kMiB;
constexpr uint64_t kTellEveryUs = 10'000'000;
/// What a value may keep in RAM while it is put in order: more of it means fewer runs to merge.
constexpr uint64_t kHeldShare = 8;
constexpr uint64_t kHeldBytesMin = 256 * kKiB;
constexpr uint64_t kHeldBytesMax = 16 * kMiB;

constinit bool loading_cold = false;

bool FitsBeyond(uint64_t bytes) {
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const blocks::BlockPool::Stats& stats = pool.stats();
  const uint64_t beyond = std::min(pool.store_stats().capacity_bytes / kBeyondDivisor,
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

LoadingCold::LoadingCold(bool cold) : before_(std::exchange(loading_cold, cold)) {}
LoadingCold::~LoadingCold() { loading_cold = before_; }
bool LoadingCold::Now() { return loading_cold; }

LoadHints::LoadHints(ValkeyModuleIO* io) : number_behind_(ValkeyModule_LoadUnsigned(io)) {
  if (number_behind_ != kHintsMark) return;
  hints_ = ValkeyModule_LoadUnsigned(io);
  number_behind_ = ValkeyModule_LoadUnsigned(io);
  if ((hints_ & kColdHint) != 0) cold_.emplace(true);
}

void LoadHints::Count(
    void* value, const std::function<void(void* value, std::vector<BlockId>* ids)>& append_blocks) {
  if ((hints_ & kMigratedHint) == 0) return;
  std::vector<BlockId> ids;
  append_blocks(value, &ids);
  const blocks::BlockPool& pool = server::Engine::Get().pool();
  for (const BlockId id : ids) {
    server::Engine::Get().counters().migration.bytes_received += pool.FootprintOf(id);
  }
}

bool MustLoad(uint64_t bytes) {
  if (server::DataLoads()) return FitsBeyond(bytes);
  // A replica that clients may write to cannot be told from its primary's stream here.
  return server::HasAnyFlag(VALKEYMODULE_CTX_FLAGS_REPLICA) &&
         server::HasAnyFlag(VALKEYMODULE_CTX_FLAGS_READONLY);
}

// --- LoadPlacer
// -----------------------------------------------------------------------------------

Result<BlockId> LoadPlacer::Place(Bytes payload, values::Family* family) {
  blocks::BlockPool& pool = server::Engine::Get().pool();
  BlockId id = kNoBlock;
  const auto place_hot = [&] {
    Result<void> admitted = pool.Admit(payload.size());
    if (admitted) id = values::MakeHot(server::TheEnv().store, payload, family);
    return admitted;
  };
  const auto place = [&]() -> Result<void> {
    if (!LoadingCold::Now() && place_hot()) return {};
    const Result<BlockId> created = pool.CreateCold(payload, family);
    if (created) {
      id = *created;
      return {};
    }
    // With a full tier, RAM is the only place: perhaps something can still leave it.
    if (created.code() == Code::kBusy) return Code::kBusy;
    return place_hot();
  };
  if (place() || AwaitRoomToLoad(payload.size(), place)) return id;
  if (!Must(payload.size())) return Code::kNoSpace;
  return values::MakeHot(server::TheEnv().store, payload, family);
}

Result<void> LoadPlacer::AwaitRoom(uint64_t bytes) {
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const auto admit = [&] { return pool.Admit(bytes); };
  if (admit() || AwaitRoomToLoad(bytes, admit) || Must(bytes)) return {};
  return Code::kNoSpace;
}

uint64_t LoadPlacer::memory_bytes_max() const {
  const uint64_t cache_bytes = server::Engine::Get().settings().cache_size_bytes;
  return std::clamp(cache_bytes / kHeldShare, kHeldBytesMin, kHeldBytesMax);
}

void LoadPlacer::Hold(uint64_t bytes, uint64_t pinned_bytes) {
  if (bytes == held_bytes_ && pinned_bytes == pinned_bytes_) return;
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const uint64_t before = held_bytes_ + pinned_bytes_;
  const uint64_t after = bytes + pinned_bytes;
  // Blocks make room first, if they can; where nothing can leave, so be it.
  const auto fits = [&] { return pool.Admit(after - before); };
  if (after > before && !fits()) static_cast<void>(AwaitRoomToLoad(after - before, fits).ok());
  pool.HoldBytes(static_cast<int64_t>(bytes - held_bytes_),
                 static_cast<int64_t>(pinned_bytes - pinned_bytes_));
  held_bytes_ = bytes;
  pinned_bytes_ = pinned_bytes;
}

}  // namespace flash::types
