// range_reader.h: many ranges of the tier file read at once by a thread that waits for them.
//
// For snapshots: a ring of its own, so it works in a forked child, and in the server while nothing
// else may move. Batches are read in parallel and finished in the order they were started, so the
// caller can use one while the next is on its way. Knows neither records nor tasks.
// Thread: made and used on one thread. Decision: docs/adr/0010.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "io/device.h"

namespace flash::io {

class RangeReader {
 public:
  /// Where to read and to what; aligned as the device demands.
  struct Range {
    uint64_t offset = 0;
    MutableBytes into;
  };
  struct Options {
    uint64_t timeout_us = 5'000'000;  ///< Without any completion for this long: kTimeout.
  };

  /// `clock` outlives the reader.
  RangeReader(const Options& options, std::unique_ptr<Device> device, const base::Clock* clock)
      : options_(options), device_(std::move(device)), clock_(*clock) {}

  /// Starts a batch. Its memory stays valid until the batch is finished; if that says kTimeout,
  /// for good: the device may still write to it.
  void Start(std::span<const Range> ranges);

  /// Waits for the batch that was started first. Errors: kIo (also: the file ends before); then
  /// what its ranges hold is undefined; kTimeout, and from then on for every batch.
  [[nodiscard]] Result<void> Finish();

  [[nodiscard]] size_t batches() const { return batches_.size(); }
  /// Transfers may be under way whose memory nobody waits for.
  [[nodiscard]] bool hung() const { return hung_; }

 private:
  struct Batch {
    std::vector<Range> left;  ///< What is still to be read of each range.
    size_t next = 0;          ///< The first that was not submitted yet.
    size_t pending = 0;
    bool failed = false;
  };
  void Submit();
  void OnCompletion(const Completion& completion);
  [[nodiscard]] bool SubmitOne(size_t batch, size_t range);

  Options options_;
  std::unique_ptr<Device> device_;
  const base::Clock& clock_;
  std::deque<Batch> batches_;
  uint64_t first_batch_ = 0;                        ///< Number of batches_.front().
  std::vector<std::pair<uint64_t, size_t>> again_;  ///< Rest of short reads: batch, range.
  bool hung_ = false;
};

}  // namespace flash::io
