// parked.h: one command whose client waits for flash, from BlockClient to the reply.
//
// What it lacks is brought by its Bringer. It is released when it lacks nothing, is first among
// parked commands for each of its keys (a long read has left their line), and, if it writes,
// nothing may not be propagated now. Whoever leaves takes his command along. Thread: main.
// Decision: docs/adr/0006.
#pragma once

#include "dispatch/bringer.h"
#include "dispatch/context.h"
#include "dispatch/key_queues.h"
#include "vk/blocked_client.h"

namespace flash::dispatch {

class Parked {
 public:
  /// Blocks the context's client and begins to bring what it lacks. False: the server refuses to
  /// block this client, and nothing happened.
  [[nodiscard]] static bool Start(Context& context, ValkeyModuleString** argv, int argc);

  /// Looks again at the commands that are held at a pause point or by a pause of writes. Once per
  /// turn of the event loop.
  static void ReleaseHeld();

  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  ~Parked();

 private:
  Parked(Context& context, ValkeyModuleString** argv, int argc);

  static int OnReply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept;
  static void OnDisconnect(ValkeyModuleCtx* ctx, ValkeyModuleBlockedClient* client) noexcept;
  static void OnFree(ValkeyModuleCtx* ctx, void* parked) noexcept;

  void Begin(Need need);
  void OnCame();
  /// What is lacking now?
  void PlanAgain();
  /// Lacks nothing, or waits no longer.
  void Ready();
  /// When it is tried: amid the commands of a turn of the event loop, or behind them all.
  enum class When : uint8_t { kAmidCommands, kBehindCommands };
  void TryRelease(When when);
  /// Has it tried behind the commands of this turn.
  void TryReleaseLater();
  /// Those behind it on its keys wait for it no longer.
  void LeaveLine(When when);
  /// Has ReleaseHeld look at this one.
  void Hold();
  [[nodiscard]] bool MustHold() const;
  void DropWaits();
  void LeaveLists();
  /// Lets go of what others may need, whoever is before this one above all: pins and room.
  void GiveWay();
  /// With the real client: checks again what may have changed, and runs the handler.
  void Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc);

  KeptCommand command_;
  Bringer bringer_;
  vk::BlockedClient client_;
  KeyQueues<Parked>::Places places_;
  uint64_t parked_at_us_ = 0;
  int plans_ = 0;
  bool plan_limit_ = false;
  bool ready_ = false;
  bool held_at_fetch_ = false;
  bool stale_ = false;   // Ready once, but what it held was given up since.
  bool is_due_ = false;  // Between TryReleaseLater and its timer.
  bool released_ = false;
  bool gone_ = false;
};

}  // namespace flash::dispatch
