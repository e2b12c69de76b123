// long_work.h: what a command does to values of any size, portion by portion, and who runs it.
//
// A LongWork goes on from where it stopped; a LongJob brings what it lacks: beside the event loop,
// or waiting on this thread. Holds the pins of one portion at a time. Know no command and no key.
// Thread: main. Decision: docs/adr/0012.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "blocks/block_pool.h"
#include "server/background.h"
#include "values/collection.h"

namespace flash::dispatch {

/// Bytes of blocks that long work has pinned at a time, about; also what a command may pin without
/// becoming long work.
[[nodiscard]] uint64_t PortionBytes();

/// Is it too much of a value to be named at once, or to be gone over within a command?
[[nodiscard]] bool IsLongWork(const values::Collection& value, uint64_t elements);

/// Elements that a command may go over at once, if they are hot.
inline constexpr uint64_t kElementsAtOnce = 8192;

/// Would a command that lacks this pin more than a portion?
[[nodiscard]] bool IsMoreThanPortion(values::Missing* missing);

using blocks::BlockCopy;

class LongWork {
 public:
  enum class Progress : uint8_t {
    kMore,     ///< Its time was over.
    kMissing,  ///< Blocks are named.
    kCopies,   ///< Copies are asked for: TakeCopies.
    kDone,     ///< The end; never called again.
  };

  LongWork() = default;
  LongWork(const LongWork&) = delete;
  LongWork& operator=(const LongWork&) = delete;
  virtual ~LongWork() = default;

  /// Goes on until about `deadline_us` of the engine's clock, until it lacks blocks, or to the end.
  /// What it names, hot or cold, is hot and pinned when it is called next.
  [[nodiscard]] virtual Progress Step(uint64_t deadline_us, values::Missing* missing) = 0;

  /// Hot bytes that a step may add.
  [[nodiscard]] virtual uint64_t room_bytes() const { return 0; }
  /// Of a work that is done: why in vain, if it was.
  [[nodiscard]] virtual std::optional<Code> failure() const { return std::nullopt; }
  /// Bytes beside the cache that a step may take, for a reply. Not taken before the cache has given
  /// way to them, where the server itself is short of memory.
  [[nodiscard]] virtual uint64_t memory_bytes() const { return 0; }

  /// Does it need no place among the parked commands on its keys? What it learns is that of the
  /// moment at which it was made, whatever is done to them meanwhile, and changes nothing.
  [[nodiscard]] virtual bool is_apart() const { return false; }

  /// Blocks, hot or cold, to be copied before the next step into memory that lives as long as the
  /// work, no more than a portion of them.
  struct Copies {
    std::vector<BlockCopy> blocks;
    bool past_the_cache = false;  ///< Cold ones stay cold; else they become hot.
  };
  [[nodiscard]] virtual Copies TakeCopies() { return {}; }
};

class LongJob final : public server::BackgroundJob, public std::enable_shared_from_this<LongJob> {
 public:
  /// `done` runs once, from Step, unless cancelled before.
  LongJob(std::shared_ptr<LongWork> work, std::function<void()> done);

  [[nodiscard]] Progress Step(uint64_t deadline_us) override;
  /// Everything at once, waiting on this thread. Errors: kIo, kCorrupt, kTimeout; kNoSpace.
  [[nodiscard]] Result<void> RunNow(blocks::WaitCause cause);
  void Cancel();

  /// Of a job that is done. Errors: as RunNow.
  [[nodiscard]] Result<void> outcome() const;
  [[nodiscard]] LongWork& work() { return *work_; }

 private:
  [[nodiscard]] Progress Finish(std::optional<Code> failure);
  /// Is there room for `bytes`? Absent: wait; else kNoSpace says that it is waited for in vain.
  [[nodiscard]] std::optional<Result<void>> Room(uint64_t bytes);
  /// Room, waiting on this thread.
  [[nodiscard]] bool AwaitRoom(uint64_t bytes);
  [[nodiscard]] bool HasMemory();
  [[nodiscard]] Progress Fetch();

  void BeginCopies();
  /// Absent: all copies are made. An error is left in failure_.
  [[nodiscard]] std::optional<Progress> Copy();
  [[nodiscard]] bool CopyPast(const BlockCopy& copy);
  void CopyHot();

  void AwaitFetchRoomNow();
  void AwaitMemoryNow();
  [[nodiscard]] Result<void> CopyNow(blocks::WaitCause cause);

  std::shared_ptr<LongWork> work_;
  std::function<void()> done_;
  blocks::Fetch pins_;
  std::vector<BlockId> lacking_;  // Not asked for yet, for want of room.
  LongWork::Copies copies_;
  size_t next_copy_ = 0;
  uint32_t copies_inflight_ = 0;
  std::optional<Code> failure_;
  uint64_t stuck_since_us_ = 0;
  uint64_t short_since_us_ = 0;
  bool waits_for_memory_ = true;  // Until that was in vain.
  bool begun_ = false;
  bool cancelled_ = false;
};

/// A clone of a value that stays as it is, whatever happens to the key; or the draft of what the
/// value is to become. Freed in slices.
class Clone {
 public:
  Clone(const values::Collection& value, values::CollectionKind kind)
      : word_(value.Clone(values::Collection::Holder::kReader)), kind_(kind) {}
  Clone(const Clone&) = delete;
  Clone& operator=(const Clone&) = delete;
  ~Clone();

  [[nodiscard]] uint64_t word() const { return word_; }
  /// For handles on it.
  [[nodiscard]] uint64_t* mutable_word() { return &word_; }
  /// The word, which is the caller's from now on.
  [[nodiscard]] uint64_t Take();

 private:
  uint64_t word_;
  values::CollectionKind kind_;
};

}  // namespace flash::dispatch
