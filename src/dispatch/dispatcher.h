// dispatcher.h: runs commands; what a command lacks is brought, beside the event loop where that is
// possible.
//
// The server calls Run for every FLASH.* command. A handler that passes its gates is done at once;
// for one that does not, the client is parked (parked.h) or, where it cannot be, this thread waits.
// Knows no single command. Thread: main. Decision: docs/adr/0006.
#pragma once

#include "dispatch/bringer.h"
#include "dispatch/context.h"
#include "dispatch/fallback.h"
#include "dispatch/recheck.h"
#include "server/engine.h"
#include "server/events.h"

namespace flash::dispatch {

/// Why no command that needs the module's data can run now: the error to reply, while it recovers
/// them or after it could not. Null: they can.
[[nodiscard]] const char* NotReady();

class Dispatcher {
 public:
  /// Once, at load, after the engine was opened. Errors: kUnsupported.
  [[nodiscard]] static Result<void> Start(ValkeyModuleCtx* ctx);

  /// The function that the server calls for a command.
  template <const CommandSpec& kSpec>
  static int Run(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
    if constexpr (HasMovableKeys(kSpec)) {
      if (ValkeyModule_IsKeysPositionRequest(ctx) != 0) {
        ReportKeys(ctx, kSpec, argv, argc);
        return VALKEYMODULE_OK;
      }
    }
    if (server::Engine::Get().state() != server::ModuleState::kReady && !MayRunNow(ctx))
        [[unlikely]] {
      return VALKEYMODULE_OK;
    }
    if constexpr (kSpec.writes()) {
      if (WritesAreLookedAt() && !MayWriteNow(ctx, kSpec, argv, argc)) [[unlikely]] {
        return VALKEYMODULE_OK;
      }
    }
    Context context(ctx, argv, argc, kSpec, Context::Mode::kRun, nullptr);
    const Outcome outcome =
        FallsBack() ? RunWithFallback(context) : kSpec.handler(context);  // The setting is rare.
    if (outcome != Outcome::kDone) [[unlikely]]
      Bring(context, outcome, argv, argc);
    if constexpr (kSpec.writes()) {
      // The server looks at its memory before the next command of the same turn.
      if (server::PressureLimitInForce() != 0) [[unlikely]]
        server::EaseMemory();
    }
    return VALKEYMODULE_OK;
  }

  /// Brings what is lacking while this thread waits, and runs the handler until it is done (kDone),
  /// or has to wait for a key (kWait).
  static Outcome RunNow(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc,
                        const CommandSpec& spec, Need need, Bringer* bringer,
                        blocks::WaitCause cause);

 private:
  /// While the module is not ready: true for what must run all the same, else replies an error.
  [[nodiscard]] static bool MayRunNow(ValkeyModuleCtx* ctx);
  /// While writes are refused: true for what was acknowledged elsewhere, else replies the error.
  /// While effects of the replication link wait: false for what has to wait behind them, and does.
  [[nodiscard]] static bool MayWriteNow(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                                        ValkeyModuleString** argv, int argc);
  /// Parks the client, or waits.
  static void Bring(Context& context, Outcome outcome, ValkeyModuleString** argv, int argc);
};

}  // namespace flash::dispatch
