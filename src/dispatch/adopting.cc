// adopting.cc: see adopting.h.
//
// Thread: main.
#include "dispatch/adopting.h"

#include "dispatch/errors.h"
#include "server/engine.h"
#include "types/adoption.h"

namespace flash::dispatch {

using server::Engine;

Result<bool> AdoptKey(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  constexpr uint32_t kAcknowledged =
      VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
  const bool must = (vk::ContextFlags(ctx) & kAcknowledged) != 0;
  Result<bool> adopted = types::Adopt(ctx, key, {.must = must});
  if (!adopted || !*adopted) return adopted;
  ++Engine::Get().counters().adopted;
  ValkeyModule_SignalModifiedKey(ctx, key);
  ValkeyModule_Replicate(ctx, "FLASH.ADOPT", "s", key);
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_GENERIC, "flash.adopt", key);
  return adopted;
}

std::string AdoptErrorText(const Error& error) {
  server::ServerCounters& counters = Engine::Get().counters();
  switch (error.code) {
    case Code::kUnsupported:
      return error.message;
    case Code::kNoSpace:
    case Code::kBusy:
      ++counters.flashfull_errors;
      return errors::kFull;
    case Code::kCorrupt:
      ++counters.flashio_errors;
      return errors::kCorrupt;
    case Code::kTimeout:
      ++counters.flashio_errors;
      return errors::kTimeout;
    default:
      ++counters.flashio_errors;
      return errors::kIo;
  }
}

}  // namespace flash::dispatch
