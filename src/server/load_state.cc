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

bool DataLoads() {
  constexpr uint32_t kLoads = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  return Engine::Get().replaying() || HasAnyFlag(kLoads);
}

uint64_t LoadPatienceUs() { return DataLoads() ? kLoadPatienceUs : 0; }

}  // namespace flash::server
