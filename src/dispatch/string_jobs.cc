// string_jobs.cc: see string_jobs.h.
//
// A reader's completion may come after its job was cancelled: it holds the job alive and finds the
// flag. Thread: main.
#include "dispatch/string_jobs.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/memory.h"
#include "io/backend.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/value_env.h"

namespace flash::dispatch {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;
using values::Rope;
using values::StringBuilder;
using values::Strings;
using values::StringValue;

/// Reads past the cache in flight for one gathering command.
constexpr uint64_t kGatherWindowBytes = 4 * kMiB;
constexpr uint32_t kGatherWindowReads = 64;
/// A build that gets no block stored for so long is given up.
constexpr uint64_t kBuildStuckUs = 10'000'000;
/// Less than this is given back faster than it is handed over.
constexpr uint64_t kReleaseElsewhereBytes = 4 * kMiB;

bool ByBits(StringValue a, StringValue b) { return a.bits() < b.bits(); }

BlockPool& Pool() { return server::Engine::Get().pool(); }

/// Gives memory back on an I/O thread: of hundreds of MiB the pages go to the kernel one by one.
struct ReleaseTask final : io::Task {
  std::byte* memory = nullptr;
};

void ReleaseElsewhere(std::byte* memory, uint64_t bytes) {
  // Where the server is short of memory it must not find this still taken when it looks next.
  const bool elsewhere = bytes >= kReleaseElsewhereBytes && server::Engine::IsOpen();
  if (elsewhere && server::HasMemoryFor(0)) {
    auto task = std::make_unique<ReleaseTask>();
    task->memory = memory;
    task->work = [](io::Task& self, MutableBytes /*io_bytes*/) noexcept {
      base::Release(static_cast<ReleaseTask&>(self).memory);
    };
    task->done = [](io::Task& self) noexcept {
      const std::unique_ptr<ReleaseTask> ended(&static_cast<ReleaseTask&>(self));
    };
    io::Backend* const backend = server::Engine::Get().backend();
    if (backend != nullptr && backend->Submit(task.get())) {
      [[maybe_unused]] const ReleaseTask* owned_by_backend = task.release();
      return;
    }
  }
  base::Release(memory);
}

}  // namespace

// --- GatherJob
// --------------------------------------------------------------------------------------

GatherJob::GatherJob(std::span<const StringValue> wanted, std::function<void()> done)
    : done_(std::move(done)) {
  Strings& strings = server::TheStrings();
  std::vector<StringValue> sorted(wanted.begin(), wanted.end());
  std::sort(sorted.begin(), sorted.end(), ByBits);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  items_.reserve(sorted.size());
  for (const StringValue value : sorted) {
    if (strings.BlockCount(value) == 0) continue;  // Always in RAM: read when it is needed.
    auto* bytes = static_cast<std::byte*>(base::Allocate(value.bytes()));
    items_.push_back({strings.Share(value), bytes});
  }
}

GatherJob::~GatherJob() {
  for (const Item& item : items_) {
    const uint64_t bytes = item.value.bytes();
    server::FreeString(item.value);
    ReleaseElsewhere(item.bytes, bytes);
  }
}

void GatherJob::Advance() {
  const StringValue value = items_[cursor_.item].value;
  cursor_.offset += server::TheStrings().BlockBytes(value, cursor_.block);
  if (++cursor_.block == server::TheStrings().BlockCount(value)) cursor_ = {cursor_.item + 1, 0, 0};
}

bool GatherJob::ReadPast(BlockId id, uint32_t bytes) {
  if (inflight_ >= kGatherWindowReads || inflight_bytes_ + bytes > kGatherWindowBytes) {
    if (inflight_ > 0) return false;
  }
  std::byte* const to = items_[cursor_.item].bytes + cursor_.offset;
  auto self = shared_from_this();
  Result<void> started =
      Pool().ReadDetached(id, [self, to, bytes](Result<std::span<const std::byte>> read) {
        --self->inflight_;
        self->inflight_bytes_ -= bytes;
        if (!read) return self->Fail(read.code());
        FLASH_CHECK(read->size() == bytes);
        if (!self->cancelled_) std::memcpy(to, read->data(), bytes);
      });
  if (!started) {
    if (started.code() != Code::kBusy) Fail(started.code());
    return false;
  }
  ++inflight_;
  inflight_bytes_ += bytes;
  return true;
}

GatherJob::Progress GatherJob::Step(uint64_t deadline_us) {
  if (cancelled_) return Progress::kDone;
  const base::Clock& clock = server::Engine::Get().clock();
  Strings& strings = server::TheStrings();
  while (!AtEnd() && !failed_) {
    const Item& item = items_[cursor_.item];
    const BlockId id = strings.BlockAt(item.value, cursor_.block);
    if (Pool().IsHot(id)) {
      const Bytes bytes = Pool().Read(id);
      std::memcpy(item.bytes + cursor_.offset, bytes.data(), bytes.size());
    } else if (!ReadPast(id, strings.BlockBytes(item.value, cursor_.block))) {
      break;
    }
    Advance();
    if (clock.NowUs() >= deadline_us) return Progress::kMore;
  }
  if (inflight_ > 0) return Progress::kWaiting;
  if (!AtEnd() && !failed_) return Progress::kWaiting;  // The store is busy with others.
  done_();
  return Progress::kDone;
}

Result<void> GatherJob::RunNow(WaitCause cause) {
  Strings& strings = server::TheStrings();
  std::vector<blocks::BlockCopy> copies;
  while (!AtEnd()) {
    copies.clear();
    for (uint64_t bytes = 0; !AtEnd() && bytes < kGatherWindowBytes; Advance()) {
      const Item& item = items_[cursor_.item];
      const uint32_t block_bytes = strings.BlockBytes(item.value, cursor_.block);
      copies.push_back(
          {strings.BlockAt(item.value, cursor_.block), {item.bytes + cursor_.offset, block_bytes}});
      bytes += block_bytes;
    }
    if (Result<void> read = Pool().CopyNow(copies, cause); !read) return read;
  }
  return {};
}

Result<void> GatherJob::outcome() const {
  if (failed_) return failure_;
  return {};
}

Bytes GatherJob::Find(StringValue value) const {
  const auto item =
      std::lower_bound(items_.begin(), items_.end(), value,
                       [](const Item& each, StringValue key) { return ByBits(each.value, key); });
  if (item == items_.end() || !(item->value == value)) return {};
  return {item->bytes, value.bytes()};
}

// --- BuildJob
// ---------------------------------------------------------------------------------------

BuildJob::BuildJob(std::span<const Source> sources, std::function<void()> done)
    : done_(std::move(done)) {
  uint64_t bytes = 0;
  for (const Source& source : sources) {
    items_.push_back({source, StringValue()});
    bytes += Strings::HotBytesOf(vk::BytesOf(source.string).size());
  }
  // A value that would push out much of the working set does not pass through the cache.
  past_the_cache_ = bytes > server::Engine::Get().settings().cache_size_bytes / 8;
}

BuildJob::~BuildJob() {
  for (const Item& item : items_) {
    if (!item.value.empty_handle()) server::FreeString(item.value);
  }
  if (builder_ == nullptr) return;
  if (Rope* rest = builder_->Abandon(); rest != nullptr) server::FreeRest(rest);
}

Result<void> BuildJob::AppendPiece() {
  Item& item = items_[next_];
  const Bytes bytes = vk::BytesOf(item.source.string);
  if (builder_ == nullptr) {
    builder_ = std::make_unique<StringBuilder>(&server::TheStrings(), bytes.size());
  }
  const Bytes piece = bytes.subspan(builder_->done_bytes(), builder_->next_bytes());
  if (!past_the_cache_ && Pool().Admit(piece.size())) {
    builder_->AppendHot(piece);
  } else if (Result<void> stored = builder_->AppendCold(piece); !stored) {
    // Without a tier, or with a full one, RAM is the only place.
    if (stored.code() == Code::kBusy) return Code::kBusy;
    if (Result<void> admitted = Pool().Admit(piece.size()); !admitted) return admitted.code();
    builder_->AppendHot(piece);
  }
  if (builder_->next_bytes() == 0) {
    item.value = builder_->Finish();
    builder_.reset();
    ++next_;
  }
  return {};
}

BuildJob::Progress BuildJob::Step(uint64_t deadline_us) {
  if (cancelled_) return Progress::kDone;
  const base::Clock& clock = server::Engine::Get().clock();
  while (next_ < items_.size() && !failed_) {
    if (Result<void> appended = AppendPiece(); !appended) {
      const uint64_t now_us = clock.NowUs();
      if (stuck_since_us_ == 0) stuck_since_us_ = now_us;
      failed_ = appended.code() != Code::kBusy || now_us - stuck_since_us_ > kBuildStuckUs;
      if (!failed_) return Progress::kWaiting;
      continue;
    }
    stuck_since_us_ = 0;
    if (clock.NowUs() >= deadline_us) return Progress::kMore;
  }
  done_();
  return Progress::kDone;
}

Result<void> BuildJob::RunNow() {
  failed_ = false;  // Perhaps there is room now.
  while (next_ < items_.size()) {
    Result<void> appended = AppendPiece();
    if (!appended && appended.code() == Code::kBusy) {
      appended = Pool().AwaitRoomFor(builder_->next_bytes(), WaitCause::kHardMark,
                                     [this] { return AppendPiece(); });
    }
    if (!appended) {
      failed_ = true;
      return appended.code();
    }
  }
  return {};
}

Result<void> BuildJob::outcome() const {
  if (failed_) return Code::kNoSpace;
  return {};
}

StringValue BuildJob::Take(int argument) {
  const auto item = std::find_if(items_.begin(), items_.end(), [argument](const Item& each) {
    return each.source.argument == argument;
  });
  return item == items_.end() ? StringValue() : std::exchange(item->value, StringValue());
}

}  // namespace flash::dispatch
