// contents.cc: see contents.h.
//
// Two rounds: the blocks of the elements, then those of the large elements that they refer to. A
// completion may come after the job was cancelled: it holds the job alive and finds the flag.
// Thread: main.
#include "types/contents.h"

#include <algorithm>
#include <utility>

#include "server/engine.h"
#include "types/save_support.h"

namespace flash::types {
namespace {

/// Reads in flight for one value: enough to keep a drive busy, of up to 1 MiB each.
constexpr uint32_t kReadsMax = 32;
/// Blocks read together on this thread.
constexpr size_t kTogether = 256;

blocks::BlockPool& Pool() { return server::Engine::Get().pool(); }

}  // namespace

Contents::Contents(const FlashType& type, const void* value, std::function<void()> done)
    : type_(type), frozen_(type.freeze(value)), done_(std::move(done)) {
  std::vector<BlockId> ids;
  type_.append_content(frozen_, &ids);
  blocks_.resize(ids.size());
  wanted_.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) wanted_.push_back({ids[i], &blocks_[i]});
}

Contents::~Contents() { type_.free_now(frozen_); }

void Contents::ListLarge() {
  large_listed_ = true;
  wanted_.clear();
  next_ = 0;
  if (type_.append_large == nullptr) return;
  std::vector<BlockId> ids;
  for (const Buffer& leaf : blocks_) type_.append_large(leaf, &ids);
  for (const BlockId id : ids) wanted_.push_back({id, &large_[id]});
}

bool Contents::Start(const Wanted& wanted) {
  const auto take = [](Buffer* into, Bytes bytes) { into->assign(bytes.begin(), bytes.end()); };
  if (Pool().IsHot(wanted.id)) {
    take(wanted.into, Pool().Read(wanted.id));
    bytes_ += wanted.into->size();
    return true;
  }
  if (inflight_ >= kReadsMax) return false;
  auto self = shared_from_this();
  const Result<void> started = Pool().ReadDetached(
      wanted.id, [self, take, into = wanted.into](Result<std::span<const std::byte>> read) {
        --self->inflight_;
        if (!read) return self->Fail(read.code());
        if (self->cancelled_) return;
        take(into, *read);
        self->bytes_ += read->size();
      });
  if (!started) {
    if (started.code() != Code::kBusy) Fail(started.code());
    return false;
  }
  ++inflight_;
  return true;
}

Contents::Progress Contents::Step(uint64_t deadline_us) {
  if (cancelled_) return Progress::kDone;
  const base::Clock& clock = server::Engine::Get().clock();
  while (true) {
    while (next_ < wanted_.size() && !failed_ && Start(wanted_[next_])) {
      ++next_;
      if (clock.NowUs() >= deadline_us) return Progress::kMore;
    }
    // Waits for its reads, or for a store that is busy with others.
    if (inflight_ > 0 || (next_ < wanted_.size() && !failed_)) return Progress::kWaiting;
    if (failed_ || large_listed_) break;
    ListLarge();
  }
  complete_ = !failed_;
  done_();
  return Progress::kDone;
}

Result<void> Contents::RunNow() {
  if (Result<void> read = ReadAll(); !read) {
    Fail(read.code());
    return read;
  }
  complete_ = true;
  return {};
}

Result<void> Contents::ReadAll() {
  std::vector<std::vector<std::byte>> copies;
  std::vector<BlockId> ids;
  while (true) {
    while (next_ < wanted_.size()) {
      const size_t count = std::min(kTogether, wanted_.size() - next_);
      ids.clear();
      for (size_t i = 0; i < count; ++i) ids.push_back(wanted_[next_ + i].id);
      if (Result<void> read = CopyAllForSave(ids, &copies); !read) return read;
      for (size_t i = 0; i < count; ++i) {
        wanted_[next_ + i].into->assign(copies[i].begin(), copies[i].end());
        bytes_ += copies[i].size();
      }
      next_ += count;
    }
    if (large_listed_) return {};
    ListLarge();
  }
}

Result<void> Contents::outcome() const {
  if (failed_) return failure_;
  return {};
}

}  // namespace flash::types
