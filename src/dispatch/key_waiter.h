// key_waiter.h: one blocking command whose client waits for a key, or for the bytes of one.
//
// The server keeps the client blocked on its keys in both cases, with its time limit and its place
// among others, and calls back when one of them is ready. The first run of a command may lack
// blocks: they are brought beside the event loop. Runs after a wake-up never wait there again.
// Thread: main. Decision: docs/adr/0009.
#pragma once

#include "dispatch/bringer.h"
#include "dispatch/context.h"

namespace flash::dispatch {

class KeyWaiter {
 public:
  /// Blocks the context's client on the keys of its KeyWait, and begins to bring what it lacks, if
  /// anything. False: the server refuses to block this client, and nothing happened.
  [[nodiscard]] static bool Start(Context& context, ValkeyModuleString** argv, int argc);

  /// Looks again at those who were held by a pause of writes or at a pause point. Once per turn of
  /// the event loop.
  static void ReleaseHeld();

  KeyWaiter(const KeyWaiter&) = delete;
  KeyWaiter& operator=(const KeyWaiter&) = delete;
  ~KeyWaiter();

 private:
  enum class State : uint8_t {
    kBringing,  ///< The command was not run yet: what it lacks is on its way.
    kFirstRun,  ///< It lacks nothing, and is to run for the first time.
    kWaiting,   ///< It found no key, or none that could serve it.
  };

  KeyWaiter(Context& context, ValkeyModuleString** argv, int argc);

  static int OnReady(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept;
  static int OnTimeout(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept;
  static void OnFree(ValkeyModuleCtx* ctx, void* waiter) noexcept;

  void Begin(Need need);
  void PlanAgain();
  /// Has the server call back for these keys, at the end of this turn of the event loop.
  void Signal();
  void Hold();
  void EndBringing(State next);
  [[nodiscard]] bool ReadyKeyMayServe(ValkeyModuleCtx* ctx) const;
  /// Runs the command with the real client. False: it still has to wait.
  [[nodiscard]] bool Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc);

  KeptCommand command_;
  Bringer bringer_;
  const KeyWait wait_;
  Need held_need_;  // At the pause point before the first fetch.
  State state_ = State::kWaiting;
  int plans_ = 0;
  bool held_ = false;
};

}  // namespace flash::dispatch
