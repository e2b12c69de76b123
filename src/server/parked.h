// parked.h: one command whose client waits for flash, from BlockClient to the reply.
//
// It owns what it waits for: fetch, room, gathered or built values. It is released when it lacks
// nothing, is first among parked commands for each of its keys, and, if it writes, nothing may not
// be propagated now. Whoever leaves takes his command along. Thread: main. Decision: docs/adr/0006.
#pragma once

#include <memory>
#include <vector>

#include "server/context.h"
#include "server/key_queues.h"
#include "vk/blocked_client.h"

namespace flash::server {

class Parked final : public blocks::RoomWaiter {
 public:
  /// Blocks the context's client and begins to bring what it lacks. False: the server refuses to
  /// block this client, and nothing happened.
  [[nodiscard]] static bool Start(Context& context, ValkeyModuleString** argv, int argc);

  /// Looks again at the commands that are held at a pause point or by a pause of writes. Once per
  /// turn of the event loop.
  static void ReleaseHeld();

  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  ~Parked() override;

  void OnRoom(Result<blocks::RoomGrant> outcome) override;

 private:
  Parked(Context& context, ValkeyModuleString** argv, int argc);

  static int OnReply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept;
  static void OnDisconnect(ValkeyModuleCtx* ctx, ValkeyModuleBlockedClient* client) noexcept;
  static void OnFree(ValkeyModuleCtx* ctx, void* parked) noexcept;

  void Begin(Need need);
  void OnFetched();
  void OnGathered();
  void OnBuilt();
  /// Something came: what is lacking now?
  void PlanAgain();
  /// Lacks nothing, or waits no longer.
  void Ready();
  void TryRelease();
  /// Has ReleaseHeld look at this one.
  void Hold();
  [[nodiscard]] bool MustHold() const;
  void DropWaits();
  /// Lets go of what others may need, whoever is before this one above all: pins and room.
  void GiveWay();
  /// With the real client: checks again what may have changed, and runs the handler.
  void Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc);

  const CommandSpec& spec_;
  std::vector<vk::String> arguments_;
  std::vector<ValkeyModuleString*> argv_;  // Views of arguments_.
  int db_;
  vk::BlockedClient client_;
  Prepared prepared_;
  KeyQueues<Parked>::Places places_;
  int plans_ = 0;
  bool waits_for_room_ = false;
  bool reads_all_ = false;  // The fetch under way brings all that a reading command lacks.
  bool plan_limit_ = false;
  bool ready_ = false;
  bool held_at_fetch_ = false;
  bool stale_ = false;  // Ready once, but what it held was given up since.
  bool released_ = false;
  bool gone_ = false;
};

}  // namespace flash::server
