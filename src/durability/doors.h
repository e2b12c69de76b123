// doors.h: how a reply could leave before the turn's end, and how replies are dropped.
//
// A client whose earlier output waits to be sent has a write handler in the event loop and may be
// answered within the turn. Handlers are installed at the turn's end only, so one look at a client
// holds for the turn. Thread: main. Decision: docs/adr/0014.
#pragma once

#include <cstdint>
#include <vector>

#include "vk/api.h"

namespace flash::durability {

class Doors {
 public:
  /// May client `id` be answered within this turn? 0: it is not known who asks, so any client.
  [[nodiscard]] bool IsOpenFor(ValkeyModuleCtx* ctx, uint64_t id);
  /// The turn ends.
  void NewTurn();

  /// Disconnects every client, replicas and the primary excepted, with what was not sent yet.
  static void DropReplies(ValkeyModuleCtx* ctx);

 private:
  enum class Any : uint8_t { kUnknown, kNo, kYes };

  std::vector<uint64_t> closed_;  // Looked at in this turn.
  Any any_ = Any::kUnknown;
};

}  // namespace flash::durability
