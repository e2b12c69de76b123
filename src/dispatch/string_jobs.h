// string_jobs.h: large strings copied out of the pool, or made from arguments, in slices.
//
// GatherJob freezes values by taking a share of each and copies them block by block, cold blocks
// past the cache. BuildJob cuts arguments into blocks, hot while there is room and the cache is
// large enough, else straight to flash. Both also run in one go where a client cannot be parked.
// Know no keys. Thread: main. Decision: docs/adr/0006.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "server/background.h"
#include "values/string_value.h"
#include "vk/string.h"

namespace flash::dispatch {

class GatherJob final : public server::BackgroundJob,
                        public std::enable_shared_from_this<GatherJob> {
 public:
  /// Takes a share of each value. `done` runs once, from Step, unless cancelled before.
  GatherJob(std::span<const values::StringValue> wanted, std::function<void()> done);
  ~GatherJob() override;

  [[nodiscard]] Progress Step(uint64_t deadline_us) override;
  /// Everything at once, waiting for the disk on this thread. Errors: kIo, kCorrupt, kTimeout.
  [[nodiscard]] Result<void> RunNow(blocks::WaitCause cause);
  void Cancel() { cancelled_ = true; }

  /// Of a finished job. Errors: as RunNow.
  [[nodiscard]] Result<void> outcome() const;
  /// The bytes of `value` if it is one of those gathered whole; data() is null if not.
  [[nodiscard]] Bytes Find(values::StringValue value) const;

 private:
  struct Item {
    values::StringValue value;
    std::byte* bytes = nullptr;
  };
  /// The next block to copy.
  struct Cursor {
    size_t item = 0;
    uint32_t block = 0;
    uint64_t offset = 0;  // In the item.
  };
  [[nodiscard]] bool AtEnd() const { return cursor_.item == items_.size(); }
  /// To the next block; values without blocks were copied by the constructor.
  void Advance();
  void SkipFinishedItems();
  [[nodiscard]] bool ReadPast(BlockId id, uint32_t bytes);
  void Fail(Code code) { failed_ = true, failure_ = code; }

  std::vector<Item> items_;  // By the bits of the value, each once.
  Cursor cursor_;
  std::function<void()> done_;
  uint64_t inflight_bytes_ = 0;
  uint32_t inflight_ = 0;
  bool cancelled_ = false;
  bool failed_ = false;
  Code failure_ = Code::kIo;
};

class BuildJob final : public server::BackgroundJob {
 public:
  struct Source {
    int argument = 0;  // Index, by which the value is asked for later.
    /// Alive as long as the job. Its bytes are asked for anew each time: the server trims the
    /// arguments that a module holds once the command has returned, and they may move.
    ValkeyModuleString* string = nullptr;
  };
  BuildJob(std::span<const Source> sources, std::function<void()> done);
  ~BuildJob() override;

  [[nodiscard]] Progress Step(uint64_t deadline_us) override;
  /// Everything at once, waiting for room on this thread. Errors: kNoSpace.
  [[nodiscard]] Result<void> RunNow();
  void Cancel() { cancelled_ = true; }
  [[nodiscard]] Result<void> outcome() const;
  /// The value made of an argument, which the caller owns from now on; the empty handle if it is
  /// none of this job's.
  [[nodiscard]] values::StringValue Take(int argument);

 private:
  struct Item {
    Source source;
    values::StringValue value;
  };
  /// Appends one piece. kBusy: none now; kNoSpace: never.
  [[nodiscard]] Result<void> AppendPiece();

  std::vector<Item> items_;
  size_t next_ = 0;
  std::unique_ptr<values::StringBuilder> builder_;
  std::function<void()> done_;
  bool past_the_cache_ = false;
  bool cancelled_ = false;
  bool failed_ = false;
  uint64_t stuck_since_us_ = 0;
};

}  // namespace flash::dispatch
