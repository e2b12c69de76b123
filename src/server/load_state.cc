// load_state.cc: see load_state.h.
//
// Thread: main.
#include "server/load_state.h"

#include "server/engine.h"
#include "server/events.h"
#include "vk/blocked_client.h"

namespace flash::server {
namespace {

constexpr uint64_t kLoadPatienceUs = 60'000'000;

}  // namespace

bool HasAnyFlag(uint32_t flags) { return (vk::ContextFlags(DetachedContext()) & flags) != 0; }

bool DataLoads() { return Engine::Get().replaying() || HasAnyFlag(VALKEYMODULE_CTX_FLAGS_LOADING); }

uint64_t LoadPatienceUs() {
  return DataLoads() || HasAnyFlag(VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING) ? kLoadPatienceUs : 0;
}

}  // namespace flash::server
