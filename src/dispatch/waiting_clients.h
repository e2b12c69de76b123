// waiting_clients.h: clients that wait for work which the event loop does step by step.
//
// For commands that neither read blocks for a reply nor wait for a key: moving one value to flash,
// a pass of compaction. Knows no command: each brings the function that does a step. Thread: main.
#pragma once

#include <functional>

#include "vk/api.h"

namespace flash::dispatch {

/// What a step of such a command says: null, not yet; else a simple string or an error to reply, of
/// static life.
using Answer = const char*;

/// An error begins with its code and a space; a simple string here is one word.
[[nodiscard]] bool IsError(Answer answer);

/// Replies an answer.
int ReplyAnswer(ValkeyModuleCtx* ctx, Answer answer);

class WaitingClients {
 public:
  /// Does a slice of work, in the database that the client had selected. Called once per turn of
  /// the event loop, with a context that has no client.
  using Step = std::function<Answer(ValkeyModuleCtx* ctx)>;
  /// Replies the answer in the client's own context.
  using Reply = std::function<int(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, Answer answer)>;

  /// Blocks the client of `ctx` until `step` has an answer, which `reply`, or ReplyAnswer, gives
  /// it. False: it cannot be blocked, nothing happened, and `step` is untouched.
  [[nodiscard]] static bool Park(ValkeyModuleCtx* ctx, Step&& step, Reply reply = {});

  /// One step of each. Once per turn of the event loop.
  static void Turn(ValkeyModuleCtx* ctx);
};

}  // namespace flash::dispatch
