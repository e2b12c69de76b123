// demotion.h: moves all of one value to flash, a slice of time per turn of the event loop.
//
// A value may have many thousands of blocks, so the work keeps its place from turn to turn: the
// blocks are listed once a round, sent on their way in order, and seen to arrive in order. A value
// that changed meanwhile shows at the end of a round, and a further round follows. Thread: main.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "blocks/block_pool.h"
#include "dispatch/waiting_clients.h"
#include "vk/api.h"

namespace flash::commands {

using dispatch::Answer;

inline constexpr Answer kOk = "OK";

class Demotion {
 public:
  /// Lists the blocks of the value at `key`. An answer if there is nothing to demote: no such key,
  /// not a value of ours, one without blocks, or one that is on flash whole.
  Answer Start(ValkeyModuleCtx* ctx, ValkeyModuleString* key);

  /// Works for a slice of time. OK once every block is durable on flash, and nothing of it in RAM;
  /// an error if the device failed, flash is full, or nothing went forward for 30 seconds.
  Answer Step(ValkeyModuleCtx* ctx, ValkeyModuleString* key);

  /// From now on the main thread waits between steps: whoever uses the value does not let it go
  /// meanwhile, and a standstill ends after 10 seconds.
  void WaitHere() { here_ = true; }

 private:
  class Slice;

  Answer Send(Slice& slice);
  void Settle(Slice& slice);
  Answer Judge();
  void BeginRound();

  std::vector<BlockId> ids_;
  size_t sent_ = 0;      // Blocks before it have been sent on their way in this round.
  size_t settled_ = 0;   // Blocks before it have been seen on flash in this round.
  size_t furthest_ = 0;  // The greatest sum of both so far.
  uint64_t moved_at_us_ = 0;
  bool here_ = false;
  uint64_t write_errors_ = 0;  // When it started: what failed before says nothing about now.
};

}  // namespace flash::commands
