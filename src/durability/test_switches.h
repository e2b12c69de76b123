// test_switches.h: faults and delays that tests ask for by environment variables, to show that they
// would be noticed.
//
// FLASH_TEST_BREAK: words, separated by commas, each of which leaves out one safeguard.
// FLASH_TEST_COMMIT_DELAY: "before,after": microseconds around each commit.
// FLASH_TEST_REPLAY_DELAY: microseconds behind each record that is replayed. Without the variables
// nothing of this costs more than a load. Thread: main.
#pragma once

#include <cstdint>

namespace flash::durability {

enum class Safeguard : uint8_t {
  kPosition,       ///< "position": snapshots carry the exact position.
  kWriteHandler,   ///< "h1": a client whose output waits already is not answered early.
  kLongScript,     ///< "h2": what ended before a long script is committed meanwhile.
  kIoThreads,      ///< "h3": I/O threads do not answer early.
  kLimbo,          ///< "limbo": keys that the loader drops are kept.
  kReplicationId,  ///< "replid": replicas do not continue from before the replay.
  kReload,         ///< "reload": the flush of a reload is no effect.
  kCommit,         ///< "commit": replies wait for the commit at the turn's end.
};

/// Reads the environment. Once, at load.
void StartTestSwitches();
[[nodiscard]] bool IsBroken(Safeguard safeguard);
void DelayBeforeCommit();
void DelayAfterCommit();
void DelayReplay();

}  // namespace flash::durability
