// loading.cc: see loading.h.
//
// Thread: main.
#include "server/loading.h"

#include "server/collection_key.h"
#include "server/deferred_free.h"
#include "server/events.h"

namespace flash::server {
namespace {

constexpr uint64_t kLoadPatienceUs = 60'000'000;
constexpr uint64_t kRestorePatienceUs = 1'000'000;
constexpr uint64_t kFreeSliceUs = 10'000;

bool HasAnyFlag(uint32_t flags) { return (vk::ContextFlags(DetachedContext()) & flags) != 0; }

bool DataLoads() { return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_LOADING); }

}  // namespace

uint64_t LoadPatienceUs() {
  return DataLoads() || HasAnyFlag(VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING) ? kLoadPatienceUs
                                                                         : kRestorePatienceUs;
}

bool MustLoad() {
  // A replica that clients may write to cannot be told from its primary's stream here.
  return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_REPLICA) &&
         HasAnyFlag(VALKEYMODULE_CTX_FLAGS_READONLY) && !DataLoads();
}

bool AnyFreeToFinish() {
  return DataLoads() && (DeferredFree::Pending() != 0 || AnyCollectionToFree());
}

void FinishFrees() {
  while (DeferredFree::Pending() != 0) DeferredFree::Drain(kFreeSliceUs);
  FinishFreeingCollections();
}

}  // namespace flash::server
