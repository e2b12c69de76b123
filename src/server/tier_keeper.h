// tier_keeper.h: when this server has a tier: always as a primary, as a replica if the settings say
// so.
//
// Follows the server's role and its synchronisations, opens the tier after a promotion, lets go of
// it when a synchronisation replaces the data. Knows neither commands nor types. Thread: main.
// Decision: docs/adr/0023.
#pragma once

#include "base/result.h"
#include "server/settings.h"
#include "vk/api.h"

namespace flash::server {

/// Should a server of this role and these settings have a tier?
[[nodiscard]] bool WantsTier(ValkeyModuleCtx* ctx, const Settings& settings);

/// Follows from now on. Once, at load, behind StartEvents. Errors: kUnsupported.
[[nodiscard]] Result<void> StartTierKeeper(ValkeyModuleCtx* ctx);

/// open, emptying, opening, none, failed.
[[nodiscard]] const char* TierStateName();

}  // namespace flash::server
