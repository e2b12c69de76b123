// fetch.h: the handle of a set of blocks that a command needs in RAM, from BlockPool::StartFetch
// on.
//
// Knows nothing of commands. Thread: main. Decision: docs/adr/0005.
#pragma once

#include "base/result.h"

namespace flash::blocks {

class Promoter;

/// A set of blocks that must be in RAM, and stay there, for a command. Move-only; its end releases
/// the pins (and may evict: bytes that were read from the pool are gone then). A block freed while
/// in the set counts as present: the command plans again anyway.
class Fetch {
 public:
  Fetch() = default;
  Fetch(Fetch&& other) noexcept;
  Fetch& operator=(Fetch&& other) noexcept;
  ~Fetch();
  [[nodiscard]] bool started() const { return state_ != nullptr; }
  [[nodiscard]] bool ready() const;
  /// Of a ready fetch: whether some block could not be read (kIo, kCorrupt, kTimeout).
  [[nodiscard]] Result<void> outcome() const;
  /// Of a ready fetch: every block of it is in RAM, none was freed meanwhile.
  [[nodiscard]] bool whole() const;
  /// Withdraws a fetch that is not ready (its on_ready will not run), unpins one that is.
  void Release();

 private:
  friend class Promoter;
  struct State;
  explicit Fetch(State* state) : state_(state) {}
  State* state_ = nullptr;
};

}  // namespace flash::blocks
