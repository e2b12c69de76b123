// large_write.cc: see large_write.h.
//
// Thread: main.
#include "dispatch/large_write.h"

#include <algorithm>
#include <utility>

#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"

namespace flash::dispatch {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;
using values::Collection;
using values::Missing;

/// A job that gets no room for so long is given up.
constexpr uint64_t kStuckUs = 10'000'000;
constexpr uint64_t kPartShare = 16;
constexpr uint64_t kPartBytesMax = kMiB;

BlockPool& Pool() { return server::Engine::Get().pool(); }

uint64_t CacheBytes() {
  const uint64_t bytes = server::Engine::Get().settings().cache_size_bytes;
  const uint64_t limit = server::PressureLimitInForce();
  return limit == 0 ? bytes : std::min(bytes, limit);
}

/// A view of what tells whether a value has changed.
class Looked : public Collection {
 public:
  using Collection::Collection;
  [[nodiscard]] bool Equals(const Looked& other) const {
    if (!has_root() || !other.has_root()) return *word_ == *other.word_;
    const values::Root& a = *root();
    const values::Root& b = *other.root();
    return a.tops[0] == b.tops[0] && a.tops[1] == b.tops[1] && a.count == b.count;
  }
};

}  // namespace

bool LargeWrite::IsLarge(uint64_t bytes) { return bytes > CacheBytes() / 4; }

LargeWrite::LargeWrite(Wanted wanted, std::function<void()> done)
    : wanted_(std::move(wanted)),
      done_(std::move(done)),
      base_(Clone(Collection::Holder::kReader)),
      word_(Clone(Collection::Holder::kKey)) {}

uint64_t LargeWrite::Clone(Collection::Holder holder) {
  return Collection(server::TheEnv(), wanted_.kind, &wanted_.word).Clone(holder);
}

LargeWrite::~LargeWrite() {
  pins_.Release();
  server::FreeCollection(wanted_.kind, base_);
  server::FreeCollection(wanted_.kind, word_);
}

bool LargeWrite::IsOf(uint64_t word) const {
  uint64_t base = base_;
  return Looked(server::TheEnv(), wanted_.kind, &word)
      .Equals(Looked(server::TheEnv(), wanted_.kind, &base));
}

uint64_t LargeWrite::TakeWord() { return std::exchange(word_, 0); }

void LargeWrite::ChoosePart() {
  if (part_end_ > next_) return;
  const uint64_t most = std::min(CacheBytes() / kPartShare, kPartBytesMax);
  part_bytes_ = 0;
  do {
    part_bytes_ += wanted_.steps->BytesOf(part_end_++);
  } while (part_end_ < wanted_.steps->count() &&
           part_bytes_ + wanted_.steps->BytesOf(part_end_) <= most);
}

/// One element may be larger than the cache: it leaves again as blocks of its own.
Result<void> LargeWrite::Admit() const {
  return Pool().Admit(std::min(part_bytes_, CacheBytes() / 2));
}

void LargeWrite::ApplyPart() {
  wanted_.steps->Apply(&word_, next_, part_end_);
  next_ = part_end_;
  pins_.Release();
  stuck_since_us_ = 0;
}

LargeWrite::Progress LargeWrite::Step(uint64_t deadline_us) {
  if (cancelled_) return Progress::kDone;
  const base::Clock& clock = server::Engine::Get().clock();
  while (!AtEnd()) {
    if (clock.NowUs() >= deadline_us) return Progress::kMore;
    ChoosePart();
    if (pins_.started()) {
      if (!pins_.ready()) return Progress::kWaiting;
      outcome_ = pins_.outcome();
      if (!outcome_) break;
    }
    Missing missing;
    wanted_.steps->Plan(&word_, next_, part_end_, &missing);
    if (!missing.empty()) {
      pins_.Release();
      pins_ = Pool().StartFetch(missing.ids(), [] {});
      return Progress::kWaiting;
    }
    if (const Result<void> admitted = Admit(); !admitted) {
      // Others may need what is pinned in order to make room.
      pins_.Release();
      const uint64_t now_us = clock.NowUs();
      if (stuck_since_us_ == 0) stuck_since_us_ = now_us;
      if (admitted.code() == Code::kBusy && now_us - stuck_since_us_ < kStuckUs) {
        return Progress::kWaiting;
      }
      outcome_ = Code::kNoSpace;
      break;
    }
    ApplyPart();
  }
  pins_.Release();
  done_();
  return Progress::kDone;
}

void LargeWrite::RunNow(WaitCause cause) {
  while (!AtEnd()) {
    ChoosePart();
    const auto admit = [this] { return Admit(); };
    if (!admit()) {
      pins_.Release();
      Result<void> room = Pool().AwaitRoomFor(part_bytes_, WaitCause::kHardMark, admit);
      // What a script deleted before is room, too.
      if (!room && server::FinishFrees()) {
        room = Pool().AwaitRoomFor(part_bytes_, WaitCause::kHardMark, admit);
      }
      if (!room && !wanted_.must) {
        outcome_ = Code::kNoSpace;
        break;
      }
    }
    Missing missing;
    wanted_.steps->Plan(&word_, next_, part_end_, &missing);
    while (!missing.empty() && outcome_) {
      pins_.Release();
      pins_ = Pool().FetchNow(missing.ids(), cause);
      outcome_ = pins_.outcome();
      missing.Clear();
      if (outcome_) wanted_.steps->Plan(&word_, next_, part_end_, &missing);
    }
    if (outcome_) ApplyPart();
  }
  pins_.Release();
}

}  // namespace flash::dispatch
