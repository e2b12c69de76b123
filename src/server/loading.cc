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
constexpr uint64_t kFreeSliceUs = 10'000;

bool HasAnyFlag(uint32_t flags) { return (vk::ContextFlags(DetachedContext()) & flags) != 0; }

bool DataLoads() { return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_LOADING); }

}  // namespace

uint64_t LoadPatienceUs() {
  return DataLoads() || HasAnyFlag(VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING) ? kLoadPatienceUs : 0;
}

bool MustLoad() {
  // A replica that clients may write to cannot be told from its primary's stream here.
  return HasAnyFlag(VALKEYMODULE_CTX_FLAGS_REPLICA) &&
         HasAnyFlag(VALKEYMODULE_CTX_FLAGS_READONLY) && !DataLoads();
}

bool FinishFrees() {
  if (DeferredFree::Pending() == 0 && !AnyCollectionToFree()) return false;
  // A drained value may leave a collection, not the other way round.
  while (DeferredFree::Pending() != 0) DeferredFree::Drain(kFreeSliceUs);
  FinishFreeingCollections();
  return true;
}

void FinishFreesWhileLoading() {
  if (DataLoads()) FinishFrees();
}

}  // namespace flash::server
