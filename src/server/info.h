// info.h: the section "# flash" of INFO.
//
// Every field and what it counts: docs/info.md, which a test compares with the real reply. Also
// called from the server's crash report: then nothing here allocates or locks. Thread: main.
#pragma once

#include "vk/api.h"

namespace flash::server {

/// Registers the section. Once, at load.
void RegisterInfo(ValkeyModuleCtx* ctx);

}  // namespace flash::server
