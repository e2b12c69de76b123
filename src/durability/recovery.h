// recovery.h: at start, what the loaded RDB and the log found make of the data set together.
//
// Runs once, behind everything that the server loads and before any client. Either the log
// continues the RDB, and what the RDB does not hold is applied; or they do not belong together, and
// the operator decides. Thread: main. Decision: docs/adr/0015.
#pragma once

#include <cstdint>
#include <string>

#include "durability/journal.h"
#include "durability/position.h"
#include "vk/api.h"

namespace flash::durability {

struct Recovered {
  bool error = false;       // Nothing was touched, and the module answers no command.
  bool wants_base = false;  // A snapshot is due although all is well.
};

/// Recovers, and lets the journal go on. `damage`: why the log could not even be opened; empty if
/// it was. `rdb` is the server's file.
[[nodiscard]] Recovered Recover(ValkeyModuleCtx* ctx, Journal* journal, const std::string& damage,
                                const std::string& rdb);

/// How far the recovery of this process has come.
struct Progress {
  uint64_t applied = 0;    // Records of the log.
  uint64_t percent = 100;  // Of its bytes.
};
[[nodiscard]] const Progress& RecoveryProgress();

/// Of a node that starts as a replica: forgets what was found.
void StartAsReplica(Journal* journal);

/// The body of the notification in which the replay runs.
void ReplayInNotification(ValkeyModuleCtx* ctx);

}  // namespace flash::durability
