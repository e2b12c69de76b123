// simulation_operations.cc: what the simulator does to the pool; see simulation.h.
//
// Each operation draws its own arguments; one that finds nothing to do does nothing.
// Thread: one.
#include <algorithm>
#include <utility>

#include "blocks/hot_block.h"
#include "tests/sim/sim_writer.h"
#include "tests/sim/simulation.h"
#include "tests/sim/trace.h"

namespace flash::sim {
namespace {

using blocks::BlockState;
using blocks::HotCharge;
using blocks::WaitCause;
using Deliver = blocks::BlockPool::Deliver;

constexpr size_t kFetchesMax = 8;
constexpr size_t kWritersMax = 4;
constexpr uint64_t kBurst = 16;

unsigned long long Print(uint64_t number) { return number; }

}  // namespace

const std::array<Simulation::Operation, 25>& Simulation::Operations() {
  static const std::array<Operation, 25> kOperations = {{
      {"create", 20, &Simulation::Create},
      {"create-cold", 8, &Simulation::CreateCold},
      {"touch", 15, &Simulation::Touch},
      {"write", 15, &Simulation::Write},
      {"resize", 6, &Simulation::Resize},
      {"share", 3, &Simulation::Share},
      {"free", 10, &Simulation::Free},
      {"owner", 2, &Simulation::ChangeOwner},
      {"fetch", 15, &Simulation::StartFetch},
      {"release", 8, &Simulation::ReleaseFetch},
      {"fetch-now", 6, &Simulation::FetchNow},
      {"detached", 4, &Simulation::ReadDetached},
      {"copy-now", 3, &Simulation::CopyNow},
      {"demote", 10, &Simulation::Demote},
      {"compact", 3, &Simulation::Compact},
      {"cache", 2, &Simulation::ChangeCache},
      {"pressure", 1, &Simulation::ChangePressure},
      {"limits", 1, &Simulation::ChangeLimits},
      {"compression", 1, &Simulation::ChangeCompression},
      {"wait-for-room", 3, &Simulation::WaitForRoom},
      {"forget", 1, &Simulation::ForgetWriter},
      {"fork", 2, &Simulation::Fork},
      {"faults", 2, &Simulation::ChangeFaults},
      {"drive", 40, &Simulation::Drive},
      {"drive-long", 3, &Simulation::DriveLong},
  }};
  return kOperations;
}

// --- Life
// -------------------------------------------------------------------------------------------

uint32_t Simulation::DrawSize() {
  const uint32_t size_max = pool().block_bytes_max();
  if (geometry_.hoard) {
    return size_max - static_cast<uint32_t>(random_.Below(std::min(size_max / 2, 4000U)));
  }
  switch (random_.Below(8)) {
    case 0:
      return static_cast<uint32_t>(1 + random_.Below(16));
    case 1:
      return static_cast<uint32_t>(1 + random_.Below(std::min(size_max, 60'000U)));
    default:
      return static_cast<uint32_t>(1 + random_.Below(3000));
  }
}

/// A large block may be let in alone when nothing else is hot.
void Simulation::NoteAdded(uint64_t load_before) {
  if (load_before == 0) allowance_bytes_ = std::max(allowance_bytes_, Load());
}

bool Simulation::TryCreate(uint32_t size) {
  const uint64_t load_before = Load();
  const bool owned = random_.Chance(1, 4);
  if (!pool().Admit(HotCharge(size + (owned ? blocks::kOwnerBytes : 0)))) return false;
  MutableBytes to_fill;
  const Content content = DrawContent(size);
  const BlockId id = pool().Create(size, &to_fill, owned ? &owner_ : nullptr);
  content.Fill(to_fill);
  model_.Add(id, content, owned);
  NoteAdded(load_before);
  Trace("  create %llu, %u bytes", Print(id), size);
  return true;
}

bool Simulation::TryCreateCold(Content content) {
  const uint64_t load_before = Load();
  const bool owned = random_.Chance(1, 4);
  cold_bytes_.resize(content.size);
  content.Fill(cold_bytes_);
  const Result<BlockId> id = pool().CreateCold(cold_bytes_, owned ? &owner_ : nullptr);
  if (!id) return false;
  model_.Add(*id, content, owned);
  NoteAdded(load_before);
  Trace("  create cold %llu, %u bytes", Print(*id), content.size);
  return true;
}

void Simulation::Create() {
  const uint64_t count = geometry_.hoard ? kBurst : 1 + random_.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t size = DrawSize();
    if (TryCreate(size)) continue;
    if (random_.Chance(1, 2)) {
      pool().DriveUntil(
          WaitCause::kHardMark, [&] { return TryCreate(size); }, 20'000);
    } else {
      TryCreateCold(DrawContent(size));
    }
  }
}

void Simulation::CreateCold() {
  const uint64_t count = geometry_.hoard ? kBurst : 1 + random_.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const Content content = DrawContent(DrawSize());
    if (TryCreateCold(content) || random_.Chance(1, 2)) continue;
    pool().DriveUntil(
        WaitCause::kLoading, [&] { return TryCreateCold(content); }, 20'000);
  }
}

void Simulation::Share() {
  Block* block = model_.Draw(&random_);
  if (block == nullptr) return;
  pool().Share(block->id);
  ++block->holders;
  Trace("  share %llu: %u holders", Print(block->id), block->holders);
}

void Simulation::FreeBlock(uint64_t serial) {
  Block* block = model_.Find(serial);
  if (block == nullptr) return;
  const BlockId id = block->id;
  Trace("  free %llu of %u holders", Print(id), block->holders);
  pool().Free(id);
  if (--block->holders > 0) return;
  owner_.cold.erase(id);
  model_.Remove(serial);
  SIM_EXPECT(pool().StateOf(id) == BlockState::kFree, "block %llu lives after its free", Print(id));
}

void Simulation::Free() {
  const uint64_t count = geometry_.hoard ? kBurst : 1 + random_.Below(3);
  for (uint64_t i = 0; i < count; ++i) {
    const Block* block = model_.Draw(&random_);
    if (block != nullptr) FreeBlock(block->serial);
  }
}

void Simulation::ChangeOwner() {
  Block* block = model_.Draw(&random_);
  if (block == nullptr || !pool().IsHot(block->id) || block->holders > 1) return;
  const uint64_t before = ChargeOf(*block);
  block->owned = !block->owned;
  if (ChargeOf(*block) > before && !pool().Admit(ChargeOf(*block) - before)) {
    block->owned = false;
    return;
  }
  pool().SetOwner(block->id, block->owned ? &owner_ : nullptr);
  ExpectContent(*block, pool().Read(block->id), "change of owner");
}

// --- Use
// ----------------------------------------------------------------------------------------------

void Simulation::Touch() {
  const Block* block = model_.Draw(&random_);
  if (block == nullptr || !pool().IsHot(block->id)) return;
  ExpectContent(*block, pool().Touch(block->id), "touch");
}

void Simulation::Rewrite(Block* block) {
  ExpectContent(*block, pool().Read(block->id), "before a write");
  block->content.seed = random_.Next();
  block->content.Fill(pool().Write(block->id));
  Trace("  write %llu", Print(block->id));
}

void Simulation::Write() {
  Block* block = model_.Draw(&random_);
  if (block == nullptr || !pool().IsHot(block->id) || block->holders > 1) return;
  Rewrite(block);
}

void Simulation::Resize() {
  Block* block = model_.Draw(&random_);
  if (block == nullptr || !pool().IsHot(block->id) || block->holders > 1) return;
  const uint32_t size = DrawSize();
  if (size > block->content.size && !pool().Admit(HotCharge(size + blocks::kOwnerBytes))) return;
  const uint64_t load_before = Load();
  const MutableBytes bytes = pool().Resize(block->id, size);
  Trace("  resize %llu from %u to %u", Print(block->id), block->content.size, size);
  SIM_EXPECT(bytes.size() == size, "resize gave %zu bytes", bytes.size());
  const uint32_t kept = std::min(size, block->content.size);
  SIM_EXPECT(block->content.MatchesPrefix(bytes.first(kept)), "resize changed bytes of %llu",
             Print(block->id));
  block->content = DrawContent(size);
  block->content.Fill(bytes);
  if (load_before <= HotCharge(kept + blocks::kOwnerBytes)) NoteAdded(0);  // It was alone.
}

// --- Fetching
// -------------------------------------------------------------------------------------------

void Simulation::StartFetch() {
  if (fetches_.size() >= kFetchesMax || model_.empty()) return;
  auto owned = std::make_unique<PendingFetch>();
  PendingFetch* pending = owned.get();
  const uint64_t count = 1 + random_.Below(6);
  for (uint64_t i = 0; i < count; ++i) {
    const Block* block = model_.Draw(&random_);
    pending->serials.push_back(block->serial);
    pending->ids.push_back(block->id);
    Trace("  fetch %p of %llu", static_cast<const void*>(pending), Print(block->id));
  }
  fetches_.push_back(std::move(owned));
  pending->fetch = pool().StartFetch(pending->ids, [this, pending] { OnReady(pending); });
}

void Simulation::OnReady(PendingFetch* pending) {
  SIM_EXPECT(!pending->called && !pending->finished, "fetch called back twice or after release");
  pending->called = true;
  VerifyFetch(*pending);
  switch (random_.Below(6)) {
    case 0:
      Finish(pending);
      break;
    case 1:
      FreeBlock(pending->serials.front());
      Finish(pending);
      break;
    case 2:
      StartFetch();
      break;
    case 3:
      pool().Drive(Deliver::kCallbacks);
      break;
    default:
      break;
  }
}

void Simulation::VerifyFetch(const PendingFetch& pending) {
  SIM_EXPECT(pending.fetch.ready(), "fetch called back before it was ready");
  const Result<void> outcome = pending.fetch.outcome();
  if (!outcome) {
    ExpectError(outcome.code(), "fetch");
    return;
  }
  for (const uint64_t serial : pending.serials) {
    Block* block = model_.Find(serial);
    if (block == nullptr) continue;
    SIM_EXPECT(pool().IsHot(block->id), "block %llu of a ready fetch is not in RAM",
               Print(block->id));
    ExpectContent(*block, pool().Touch(block->id), "fetch");
    if (random_.Chance(1, 6) && block->holders == 1) Rewrite(block);
  }
}

/// Releases the fetch; the record goes at the next Sweep.
void Simulation::Finish(PendingFetch* pending) {
  if (std::exchange(pending->finished, true)) return;
  // Dirty blocks that lose their pin count again, and cannot leave at once.
  for (const uint64_t serial : pending->serials) {
    const Block* block = model_.Find(serial);
    if (block == nullptr || !pool().IsHot(block->id)) continue;
    if (pool().StateOf(block->id) == BlockState::kHotClean) continue;
    allowance_bytes_ += ChargeOf(*block);
  }
  allowance_bytes_ += Load() > HighMark() ? Load() - HighMark() : 0;
  Trace("  release fetch %p", static_cast<const void*>(pending));
  pending->fetch.Release();
}

void Simulation::Sweep() {
  std::erase_if(fetches_, [](const auto& pending) { return pending->finished; });
  std::erase_if(writers_, [](const auto& writer) { return writer->answered(); });
}

void Simulation::ReleaseFetch() {
  if (fetches_.empty()) return;
  PendingFetch* pending = fetches_[random_.Below(fetches_.size())].get();
  if (pending->fetch.ready()) VerifyFetch(*pending);
  Finish(pending);
}

void Simulation::FetchNow() {
  PendingFetch pending;
  const uint64_t count = model_.empty() ? 0 : 1 + random_.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const Block* block = model_.Draw(&random_);
    pending.serials.push_back(block->serial);
    pending.ids.push_back(block->id);
    Trace("  fetch now %llu", Print(block->id));
  }
  pending.fetch = pool().FetchNow(pending.ids, WaitCause::kScript);
  VerifyFetch(pending);
  Finish(&pending);
}

void Simulation::ReadDetached() {
  const Block* block = model_.Draw(&random_);
  if (block == nullptr) return;
  const Block asked = *block;
  const Result<void> started =
      pool().ReadDetached(asked.id, [this, asked](Result<std::span<const std::byte>> bytes) {
        --detached_;
        const bool gone = model_.Find(asked.serial) == nullptr;
        if (!bytes && bytes.code() == Code::kGone) {
          SIM_EXPECT(gone, "a detached read says that a living block is gone");
          return;
        }
        SIM_EXPECT(!gone, "a detached read does not know that its block is gone");
        if (!bytes) {
          ExpectError(bytes.code(), "detached read");
        } else {
          ExpectContent(asked, *bytes, "detached read");
        }
      });
  if (started) {
    ++detached_;
  } else {
    SIM_EXPECT(started.code() == Code::kBusy, "detached read refused with code %d",
               static_cast<int>(started.code()));
  }
}

void Simulation::CopyNow() {
  const Block* block = model_.Draw(&random_);
  if (block == nullptr) return;
  std::vector<std::byte> bytes;
  const Result<void> copied = pool().CopyNow(block->id, WaitCause::kDump, &bytes);
  if (copied) {
    ExpectContent(*block, bytes, "copy");
  } else {
    ExpectError(copied.code(), "copy");
  }
}

// --- Room and settings
// ------------------------------------------------------------------------------------

void Simulation::Demote() {
  const uint64_t count = 1 + random_.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const Block* block = model_.Draw(&random_);
    if (block == nullptr) return;
    const Result<bool> demoted = pool().Demote(block->id);
    Trace("  demote %llu: %s", Print(block->id),
          !demoted ? "refused" : (*demoted ? "yes" : "already"));
    SIM_EXPECT(demoted || demoted.code() == Code::kBusy || demoted.code() == Code::kNoSpace,
               "demote refused with code %d", static_cast<int>(demoted.code()));
  }
}

void Simulation::Compact() {
  world_->store().RequestCompaction(static_cast<uint32_t>(random_.Below(3) * 25));
}

void Simulation::ChangeCache() {
  cache_bytes_ = geometry_.cache_bytes / 2 + random_.Below(geometry_.cache_bytes * 2);
  allowance_bytes_ = std::max(allowance_bytes_, Load());
  pool().SetCacheBytes(cache_bytes_);
}

void Simulation::ChangePressure() {
  pressure_bytes_ = pressure_bytes_ == 0 ? 1 + random_.Below(geometry_.cache_bytes) : 0;
  allowance_bytes_ = std::max(allowance_bytes_, Load());
  pool().SetPressureLimit(pressure_bytes_);
}

void Simulation::ChangeLimits() {
  pool().SetDemotionLimits(static_cast<uint32_t>(random_.Below(20)),
                           static_cast<uint32_t>(random_.Below(20)));
}

void Simulation::ChangeCompression() {
  using Compression = store::RecordStore::Compression;
  world_->store().SetCompression(random_.Chance(1, 2) ? Compression::kLz4 : Compression::kNone);
}

void Simulation::WaitForRoom() {
  if (writers_.size() >= kWritersMax) return;
  const uint32_t size = DrawSize();
  // Its callback creates the block, as a parked command would, if there is still room by then.
  auto writer = std::make_unique<Writer>([this, size] { TryCreate(size); });
  pool().WaitForRoom(HotCharge(size), writer.get());
  writers_.push_back(std::move(writer));
}

void Simulation::ForgetWriter() {
  if (writers_.empty()) return;
  const size_t at = random_.Below(writers_.size());
  pool().Forget(writers_[at].get());
  writers_.erase(writers_.begin() + static_cast<ptrdiff_t>(at));
}

// --- Events
// ---------------------------------------------------------------------------------------------

void Simulation::Fork() {
  if (frozen_) {
    CheckFork();
    child_.reset();
    pool().Thaw();
    forked_.clear();
    frozen_ = false;
    return;
  }
  ++tally_.forks;
  frozen_ = true;
  pool().Freeze();
  for (const Block& block : model_.blocks()) {
    const std::optional<store::Place> place = pool().PlaceOf(block.id);
    if (!place) continue;
    forked_.push_back({.id = block.id,
                       .place = *place,
                       .content = block.content,
                       .owned = block.owned,
                       .was_unwritten = !world_->store().IsDurable(*place)});
  }
  child_ = std::make_unique<ForkedChild>(
      &world_->file(), [this](store::SnapshotSource& source) { JudgeFork(source); });
}

void Simulation::ChangeFaults() {
  switch (random_.Below(4)) {
    case 0:
      world_->faults().SetEnabled(false);
      world_->faults().Release();
      break;
    case 1:
      if (options_.profile == FaultProfile::kHang) world_->faults().HangAll();
      break;
    default:
      world_->faults().SetEnabled(true);
  }
}

void Simulation::Drive() {
  world_->clock().Advance(random_.Below(400));
  pool().Drive(random_.Chance(3, 4) ? Deliver::kCallbacks : Deliver::kQueueOnly);
}

void Simulation::DriveLong() {
  const uint64_t turns = 1 + random_.Below(50);
  for (uint64_t i = 0; i < turns; ++i) {
    Drive();
    CheckBounds();
    Sweep();
  }
}

}  // namespace flash::sim
