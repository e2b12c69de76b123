// tracking.h: which clients have the server track what they read (CLIENT TRACKING)?
//
// The server tells that along with the client's address as text, which is a tenth of what a cold
// read costs the main thread. So while cold reads are many, each client is asked about once: then a
// command filter sees all commands, and forgets who may switch tracking on. That sees every such
// command in time: the server shows filters a command before it puts it off (a pause) or queues it
// (MULTI), and a client whose command runs outside MULTI has none put off or queued. Filters cost
// every command some nanoseconds, so there is one only while cold reads are worth that.
// Knows no keys. Thread: main. Decision: docs/adr/0006.
#pragma once

#include "vk/api.h"

namespace flash::dispatch {

class Tracking {
 public:
  /// Does the client of `ctx`, which runs a command outside MULTI and scripts, have it on?
  [[nodiscard]] static bool IsOn(ValkeyModuleCtx* ctx);

  /// Decides whether there is to be a filter. Once per turn of the event loop.
  static void Turn();
};

}  // namespace flash::dispatch
