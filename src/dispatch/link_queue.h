// link_queue.h: effects of the replication link that wait for their blocks, in order.
//
// On a replica an effect that lacks blocks does not stop the link: their reads begin, and it waits
// here while the link's next commands run and begin theirs. Effects behind it on its keys wait with
// it. All are applied, in order, before anything else looks at the data: before any command that is
// not such an effect, and before the turn of the event loop in which they came ends. Knows no
// single command. Thread: main. Decision: docs/adr/0024.
#pragma once

#include <span>

#include "dispatch/command_spec.h"
#include "dispatch/context.h"

namespace flash::dispatch {

class LinkQueue {
 public:
  /// Queues a command of the link that named the blocks it lacks; `flags` are its context's. False:
  /// the caller has to wait for them itself, and what came before is applied.
  [[nodiscard]] static bool Take(Context& context, ValkeyModuleString** argv, int argc,
                                 uint32_t flags);

  /// Queues a command of the link if an effect waits on one of its keys.
  [[nodiscard]] static bool TakeBehind(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                                       ValkeyModuleString** argv, int argc);

  /// Do effects wait? Costs one load.
  [[nodiscard]] static bool holds() { return holds_; }

  /// Applies what waits, in order, waiting for the blocks on this thread; as a unit of execution of
  /// its own unless one is under way.
  static void Apply(ValkeyModuleCtx* ctx);

 private:
  static constinit inline bool holds_ = false;
  friend struct LinkQueueState;
};

/// The command by which the module calls itself, so that what is applied is a unit of execution.
[[nodiscard]] std::span<const CommandEntry> LinkQueueCommands();

}  // namespace flash::dispatch
