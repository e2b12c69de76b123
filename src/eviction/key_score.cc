// key_score.cc: see key_score.h.
//
// Thread: main.
#include "eviction/key_score.h"

#include <algorithm>

#include "types/type_registry.h"

namespace flash::eviction {
namespace {

constexpr uint64_t kFrequencyMax = 255;

bool MakesRoom(ValkeyModuleKey* key, Wanted wanted) {
  const types::FlashType* const type =
      types::TypeRegistry::Find(ValkeyModule_ModuleTypeGetType(key));
  if (type == nullptr) return false;
  const types::Residence residence = type->residence(ValkeyModule_ModuleTypeGetValue(key));
  return wanted == Wanted::kRam ? residence == types::Residence::kHot
                                : residence != types::Residence::kNoBlocks;
}

}  // namespace

std::optional<uint64_t> ScoreOf(ValkeyModuleKey* key, const Policy& policy, Wanted wanted) {
  if (!MakesRoom(key, wanted)) return std::nullopt;
  mstime_t expire_at_ms = VALKEYMODULE_NO_EXPIRE;
  if (policy.volatile_only) {
    expire_at_ms = ValkeyModule_GetAbsExpire(key);
    if (expire_at_ms == VALKEYMODULE_NO_EXPIRE) return std::nullopt;
  }
  switch (policy.by) {
    case Policy::By::kNothing:
      return std::nullopt;
    case Policy::By::kChance:
      return 0;
    case Policy::By::kExpiry:
      return UINT64_MAX - static_cast<uint64_t>(std::max<mstime_t>(expire_at_ms, 0));
    case Policy::By::kIdleTime: {
      mstime_t idle_ms = 0;
      ValkeyModule_GetLRU(key, &idle_ms);
      return static_cast<uint64_t>(std::max<mstime_t>(idle_ms, 0));
    }
    case Policy::By::kFrequency: {
      long long frequency = 0;
      ValkeyModule_GetLFU(key, &frequency);
      return kFrequencyMax - std::clamp<uint64_t>(static_cast<uint64_t>(frequency), 0, 255);
    }
  }
  return std::nullopt;
}

}  // namespace flash::eviction
