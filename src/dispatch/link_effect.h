// link_effect.h: one effect of the replication link that waits for its blocks; see link_queue.h.
//
// Kept as a parked command is: its arguments and its database, planned again when blocks have come.
// Thread: main. Decision: docs/adr/0024.
#pragma once

#include <vector>

#include "dispatch/bringer.h"

namespace flash::dispatch {

class LinkEffect {
 public:
  LinkEffect(const CommandSpec& spec, ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc)
      : command_(spec, ctx, argv, argc) {}

  /// The handler has run and lacks these blocks: begins to read them.
  void ReadAhead(const std::vector<BlockId>& blocks);
  /// Asks what it would lack as things are, and begins to read that; nothing if it has been asked
  /// often enough, or that is more than `bytes_max`. Returns the bytes to be read.
  uint64_t PlanAhead(uint64_t bytes_max);
  /// No read of its is under way.
  [[nodiscard]] bool is_ready() const { return !reads_.started() || reads_.ready(); }

  enum class Applied : uint8_t { kDone, kError, kLacks };
  /// Runs the handler: the change is made, or an error was replied, or it lacks blocks still, of
  /// which the reads have begun if it may be run once more.
  [[nodiscard]] Applied Apply(ValkeyModuleCtx* ctx);

  [[nodiscard]] const char* name() const { return command_.spec().name; }

  /// Bytes that the arguments take.
  [[nodiscard]] static uint64_t ArgumentBytes(ValkeyModuleString** argv, int argc);
  /// Bytes that reading what is cold of `blocks` brings.
  [[nodiscard]] static uint64_t ReadBytes(const std::vector<BlockId>& blocks);

 private:
  KeptCommand command_;
  Bringer bringer_;
  blocks::Fetch reads_;
  bool looked_ = false;  // The handler has run before.
  int plans_ = 0;
};

}  // namespace flash::dispatch
