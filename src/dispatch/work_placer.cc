// work_placer.cc: see work_placer.h.
//
// Thread: main.
#include "dispatch/work_placer.h"

#include <algorithm>

#include "dispatch/long_work.h"
#include "server/engine.h"
#include "server/value_env.h"

namespace flash::dispatch {
namespace {

/// What a work builds stays hot up to this share of the cache.
constexpr uint64_t kHotShare = 4;
/// What is held is sorted within a step, which takes a millisecond.
constexpr uint64_t kHeldBytesMax = 256 * kKiB;

blocks::BlockPool& Pool() { return server::Engine::Get().pool(); }

}  // namespace

uint64_t WorkMeter::StepBytes() { return PortionBytes(); }

void WorkMeter::BeginStep() {
  step_bytes_ = 0;
  step_bytes_max_ = StepBytes();
}

Result<BlockId> WorkPlacer::Place(Bytes payload, values::Family* family) {
  meter_.step_bytes_ += payload.size();
  const uint64_t hot_max = server::Engine::Get().settings().cache_size_bytes / kHotShare;
  if (meter_.hot_bytes_ + payload.size() > hot_max) {
    Result<BlockId> created = Pool().CreateCold(payload, family);
    if (created) return created;
  }
  meter_.hot_bytes_ += payload.size();
  return values::MakeHot(server::TheEnv().store, payload, family);
}

uint64_t WorkPlacer::memory_bytes_max() const {
  return std::min(PortionBytes() / 2, kHeldBytesMax);
}

/// What is pinned are leaves of the portion, which is counted as hot already.
void WorkPlacer::Hold(uint64_t bytes, uint64_t /*pinned_bytes*/) {
  if (bytes == held_bytes_) return;
  if (bytes > held_bytes_) meter_.step_bytes_ += bytes - held_bytes_;
  Pool().HoldBytes(static_cast<int64_t>(bytes - held_bytes_), 0);
  held_bytes_ = bytes;
}

}  // namespace flash::dispatch
