// bulk_read.cc: see bulk_read.h. Sorted by place, cut into runs (one read each) and batches of
// runs.
//
// Thread: one.
#include "store/bulk_read.h"

#include <algorithm>
#include <array>
#include <utility>

#include "store/page_memory.h"

namespace flash::store {
namespace {

/// Items that one read brings.
struct Run {
  Extent extent;
  size_t first = 0;
  size_t count = 0;
  size_t at = 0;  // In the batch's memory.
};

struct Batch {
  std::vector<Run> runs;
  uint64_t bytes = 0;
};

class Reader {
 public:
  Reader(const BulkOptions& options, std::vector<BulkItem>* items,
         const RecordStore::VisitRecord& visit)
      : options_(options), source_(*options.source), items_(*items), visit_(visit) {}

  void Run() {
    std::sort(items_.begin(), items_.end(), [](const BulkItem& a, const BulkItem& b) {
      return a.expected.place.offset() < b.expected.place.offset();
    });
    Start(0);
    for (size_t slot = 0; !batches_[slot].runs.empty(); slot ^= 1) {
      Start(slot ^ 1);
      Visit(slot);
      batches_[slot].runs.clear();
    }
  }

 private:
  using OneRun = flash::store::Run;

  /// The run that begins at the next item.
  [[nodiscard]] OneRun NextRun() const {
    OneRun run{.extent = ExtentOf(items_[next_].expected.place, options_.alignment),
               .first = next_,
               .count = 1};
    for (size_t i = next_ + 1; i < items_.size(); ++i, ++run.count) {
      const Extent more = ExtentOf(items_[i].expected.place, options_.alignment);
      const uint64_t end = std::max(run.extent.offset + run.extent.bytes, more.offset + more.bytes);
      if (more.offset > run.extent.offset + run.extent.bytes + options_.gap_bytes_max) break;
      if (end - run.extent.offset > options_.run_bytes_max) break;
      run.extent.bytes = static_cast<uint32_t>(end - run.extent.offset);
    }
    return run;
  }

  void Start(size_t slot) {
    Batch& batch = batches_[slot];
    batch.bytes = 0;
    while (next_ < items_.size() && batch.runs.size() < options_.batch_runs_max) {
      OneRun run = NextRun();
      if (!batch.runs.empty() && batch.bytes + run.extent.bytes > options_.batch_bytes_max) break;
      run.at = batch.bytes;
      batch.bytes += run.extent.bytes;
      next_ += run.count;
      batch.runs.push_back(run);
    }
    if (batch.runs.empty()) return;
    if (memory_[slot].size() < batch.bytes) {
      memory_[slot] = PageMemory(batch.bytes, base::PageKind::kHuge);
    }
    ranges_.clear();
    for (const OneRun& run : batch.runs) {
      ranges_.push_back(
          {run.extent.offset, memory_[slot].bytes().subspan(run.at, run.extent.bytes)});
    }
    source_.Start(ranges_);
  }

  void Visit(size_t slot) {
    const Result<void> read = source_.Finish();
    if (!read && read.code() == Code::kTimeout) {
      // Pages of ours that the device may still write to, now or later.
      for (PageMemory& memory : memory_) std::exchange(memory, PageMemory()).Leak();
    }
    for (const OneRun& run : batches_[slot].runs) VisitRun(run, read, slot);
  }

  void VisitRun(const OneRun& run, const Result<void>& read, size_t slot) {
    for (size_t i = run.first; i < run.first + run.count; ++i) {
      const auto& [index, expected] = items_[i];
      if (read) {
        const Bytes bytes = memory_[slot].bytes().subspan(run.at, run.extent.bytes);
        visit_(index, ViewRecord(expected, bytes, run.extent.offset, &unpacked_));
      } else if (read.code() == Code::kTimeout) {
        visit_(index, Code::kTimeout);
      } else {
        VisitAlone(index, expected);
      }
    }
  }

  /// A batch failed: the records that it was not about are read one by one.
  void VisitAlone(size_t index, const RecordExpectation& expected) {
    const Extent extent = ExtentOf(expected.place, options_.alignment);
    if (alone_.size() < extent.bytes) alone_ = PageMemory(extent.bytes);
    const MutableBytes into = alone_.bytes().first(extent.bytes);
    if (const Result<void> read = source_.ReadAt(extent.offset, into); !read) {
      if (read.code() == Code::kTimeout) std::exchange(alone_, PageMemory()).Leak();
      return visit_(index, read.error());
    }
    visit_(index, ViewRecord(expected, into, extent.offset, &unpacked_));
  }

  const BulkOptions& options_;
  SnapshotSource& source_;
  std::vector<BulkItem>& items_;
  const RecordStore::VisitRecord& visit_;
  size_t next_ = 0;  // The first item that is in no batch yet.
  std::array<Batch, 2> batches_;
  std::array<PageMemory, 2> memory_;
  PageMemory alone_;
  std::vector<SnapshotSource::Range> ranges_;
  std::vector<std::byte> unpacked_;
};

}  // namespace

void SnapshotSource::Start(std::span<const Range> ranges) {
  Result<void> outcome;
  for (const Range& range : ranges) {
    if (Result<void> read = ReadAt(range.offset, range.into); !read) outcome = read;
  }
  outcomes_.push_back(std::move(outcome));
}

Result<void> SnapshotSource::Finish() {
  FLASH_CHECK(!outcomes_.empty());
  Result<void> outcome = std::move(outcomes_.front());
  outcomes_.pop_front();
  return outcome;
}

void BulkRead(const BulkOptions& options, std::vector<BulkItem>* items,
              const RecordStore::VisitRecord& visit) {
  Reader(options, items, visit).Run();
}

}  // namespace flash::store
