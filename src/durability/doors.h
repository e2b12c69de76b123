// doors.h: how a reply could leave before the turn's end, and how replies are dropped.
//
// A client whose earlier output waits to be sent has a write handler in the event loop and may be
// answered within the turn. Handlers are installed at the turn's end, and in the loops that a
// script nests once it has run for a millisecond or more. So one look holds for the turn, as long
// as it is asked for again within a millisecond. Mostly there is no handler at all, which one look
// at the event loop tells of every client (write_interest.h). Thread: main. Decision:
// docs/adr/0014.
#pragma once

#include <cstdint>
#include <vector>

#include "durability/write_interest.h"
#include "vk/api.h"

namespace flash::durability {

class Doors {
 public:
  /// May client `id` be answered within this turn? 0: it is not known who asks, so any client.
  [[nodiscard]] bool IsOpenFor(ValkeyModuleCtx* ctx, uint64_t id);
  /// True where the event loop shows no write handler at all; looked for where that is the cheaper
  /// way. `now_us`: Unix time of the question, or of the begin of the command that asks, provided
  /// that no loop was nested since.
  [[nodiscard]] bool AllAreClosed(uint64_t now_us);
  /// The turn ends.
  void NewTurn();

  /// Disconnects every client, replicas and the primary excepted, with what was not sent yet. At
  /// the turn's end only.
  static void DropReplies(ValkeyModuleCtx* ctx);
  /// The same where a client may be in the middle of a command and cannot be freed: from now on
  /// nothing reaches any of them, and the server notices soon. With an `id` that alone; 0: all.
  static void CutClients(ValkeyModuleCtx* ctx, uint64_t id);

 private:
  enum class Any : uint8_t { kUnknown, kNo, kYes };

  /// By CLIENT LIST.
  [[nodiscard]] Any AskAboutAny(ValkeyModuleCtx* ctx);

  WriteInterest interest_;
  bool interest_tried_ = false;
  Any loop_ = Any::kUnknown;  // Handlers, as the event loop shows them;
  uint64_t asked_us_ = 0;     // and when that was last asked.
  size_t asked_ = 0;          // Questions in this turn, and in the one before.
  size_t asked_before_ = 0;
  std::vector<uint64_t> closed_;  // Looked at in this turn.
  Any any_ = Any::kUnknown;
};

}  // namespace flash::durability
