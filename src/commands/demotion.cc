// demotion.cc: see demotion.h.
//
// Knows values only as lists of blocks. Thread: main.
#include "commands/demotion.h"

#include <algorithm>

#include "dispatch/errors.h"
#include "server/engine.h"
#include "server/events.h"
#include "types/type_registry.h"
#include "vk/key.h"

namespace flash::commands {
namespace {

using blocks::BlockState;
using server::Engine;

constexpr uint64_t kStandstillUsMax = 30'000'000;
constexpr uint64_t kStandstillHereUsMax = 10'000'000;  // As writers wait for a slow device.
constexpr uint64_t kSliceUs = 500;  // Of a value of many blocks, per turn of the event loop.
constexpr int kRoundsMax = 4;       // Of a value that changes meanwhile, likewise.
constexpr size_t kPortion = 16;     // Blocks between two looks at the clock.
constexpr Answer kMissing = "ERR key does not exist";
constexpr Answer kAlreadyCold = "ALREADY_COLD";
constexpr Answer kInUse = "ERR the value is in use and did not leave RAM; nothing is lost";
constexpr Answer kTooSlow =
    "ERR flash took no part of the value for too long; the rest stays in RAM, nothing is lost";
constexpr Answer kWriteFailing =
    "FLASHIO the value could not be written to flash (device error); it stays in RAM";
constexpr Answer kNoTier =
    "ERR there is no tier now (a replica with flash.replica-tier-enabled no, or one that cannot be "
    "opened); the value stays in RAM";
constexpr Answer kFull = "FLASHFULL no room on flash; the value stays in RAM";

/// The blocks of the value at `key`. An answer if there is no such value.
Answer BlocksOf(ValkeyModuleCtx* ctx, ValkeyModuleString* key, std::vector<BlockId>* ids) {
  const vk::Key open(ctx, key, vk::Key::kPeek);
  if (!open.exists()) return kMissing;
  const types::FlashType* const type = types::TypeRegistry::Find(open.module_type());
  if (type == nullptr) return dispatch::errors::kWrongType;
  if (ids != nullptr) type->append_blocks(open.module_value(), ids);
  return nullptr;
}

}  // namespace

/// The time that one turn may take.
class Demotion::Slice {
 public:
  Slice() : deadline_us_(Engine::Get().clock().NowUs() + kSliceUs) {}

  /// Before each block: whether there is time left for it.
  bool TimeForOne() {
    if (++blocks_ % kPortion == 0) over_ = Engine::Get().clock().NowUs() >= deadline_us_;
    return !over_;
  }

 private:
  uint64_t deadline_us_;
  size_t blocks_ = 0;
  bool over_ = false;
};

Answer Demotion::Start(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  if (const Answer answer = BlocksOf(ctx, key, &ids_)) return answer;
  if (ids_.empty()) return kAlreadyCold;  // Too small to tier: it has no blocks.
  blocks::BlockPool& pool = Engine::Get().pool();
  if (std::ranges::all_of(ids_, [&](BlockId id) { return pool.IsOnFlash(id); })) {
    return kAlreadyCold;
  }
  if (!pool.tiering()) return kNoTier;
  moved_at_us_ = Engine::Get().clock().NowUs();
  write_errors_ = pool.store_stats().write_errors;
  return nullptr;
}

Answer Demotion::Step(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  if (const Answer answer = BlocksOf(ctx, key, nullptr)) return answer;
  Slice slice;
  for (int round = 0; round < kRoundsMax; ++round) {
    if (const Answer answer = Send(slice)) return answer;
    if (Engine::Get().pool().has_store()) Engine::Get().pool().store().Flush();
    Settle(slice);
    if (settled_ < ids_.size()) break;
    std::vector<BlockId> now;
    if (const Answer answer = BlocksOf(ctx, key, &now)) return answer;
    if (now == ids_) return kOk;
    ids_ = std::move(now);  // Cold leaves say nothing of the large elements they refer to.
    BeginRound();
  }
  if (const Answer answer = Judge()) return answer;
  // A completion may be what is waited for, or the end of a pin or of the slice, which nothing
  // announces.
  if (!here_) server::TurnSoon(ctx);
  return nullptr;
}

/// Sends what is hot on its way, in order, as much as the slice and the write buffers allow.
Answer Demotion::Send(Slice& slice) {
  Engine& engine = Engine::Get();
  for (; sent_ < ids_.size() && slice.TimeForOne(); ++sent_) {
    const Result<bool> sent = engine.pool().Demote(ids_[sent_]);
    if (!sent && sent.code() == Code::kBusy) {
      if (here_ && engine.pool().IsPinned(ids_[sent_])) return kInUse;
      break;
    }
    if (!sent && sent.code() == Code::kUnsupported) return kNoTier;
    if (!sent && sent.code() != Code::kGone) return kFull;  // Gone: the end of the round shows it.
    if (sent && *sent) ++engine.counters().commanded_demotions;
  }
  return nullptr;
}

/// Passes over what has arrived. A block that came back meanwhile, and those after it, are sent
/// again in the next turn.
void Demotion::Settle(Slice& slice) {
  const blocks::BlockPool& pool = Engine::Get().pool();
  for (; settled_ < sent_ && slice.TimeForOne(); ++settled_) {
    const BlockId id = ids_[settled_];
    if (pool.IsOnFlash(id)) continue;
    const BlockState state = pool.StateOf(id);
    if (state == BlockState::kFree) continue;
    if (state != BlockState::kCold && state != BlockState::kDemoting) sent_ = settled_;
    break;
  }
}

/// Null while there is reason to go on.
Answer Demotion::Judge() {
  Engine& engine = Engine::Get();
  const store::RecordStore::Stats& store = engine.pool().store_stats();
  if (store.writes_failing && store.write_errors != write_errors_) return kWriteFailing;
  const uint64_t now_us = engine.clock().NowUs();
  if (sent_ + settled_ > furthest_) {
    furthest_ = sent_ + settled_;
    moved_at_us_ = now_us;
  }
  if (now_us - moved_at_us_ < (here_ ? kStandstillHereUsMax : kStandstillUsMax)) return nullptr;
  return settled_ < sent_ ? kTooSlow : kInUse;
}

void Demotion::BeginRound() {
  sent_ = 0;
  settled_ = 0;
}

}  // namespace flash::commands
