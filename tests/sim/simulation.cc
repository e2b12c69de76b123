// simulation.cc: the run of one seed and what is judged on the way; see simulation.h.
//
// Thread: one.
#include "tests/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "blocks/hot_block.h"
#include "tests/sim/sim_writer.h"
#include "tests/sim/trace.h"

namespace flash::sim {
namespace {

using blocks::BlockState;
using blocks::HotCharge;
using Deliver = blocks::BlockPool::Deliver;

constexpr uint64_t kCheckEvery = 16;
constexpr uint64_t kTurnsMax = 200'000;  // Until everybody must have been answered.

unsigned long long Print(uint64_t number) { return number; }

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      random_(options.seed),
      geometry_(Geometry::Draw(&random_)),
      world_(std::make_unique<World>(geometry_, options.profile, random_.Next())),
      cache_bytes_(geometry_.cache_bytes) {}

Simulation::~Simulation() {
  fetches_.clear();
  world_.reset();
}

Simulation::Tally Simulation::Run() {
  // Each seed prefers other operations, so that rare combinations come up often in some.
  std::array<uint64_t, 25> weights{};
  uint64_t weights_sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    constexpr std::array<uint64_t, 5> kFactors = {0, 1, 1, 2, 5};
    weights[i] = Operations()[i].weight * kFactors[random_.Below(kFactors.size())];
    weights_sum += weights[i];
  }
  weights[0] += 5;  // Without blocks there is nothing to do.
  weights_sum += 5;
  for (uint64_t step = 0; step < options_.steps; ++step) {
    uint64_t drawn = random_.Below(weights_sum);
    size_t chosen = 0;
    for (; drawn >= weights[chosen]; ++chosen) drawn -= weights[chosen];
    Trace("%s", Operations()[chosen].name);
    (this->*Operations()[chosen].run)();
    ++tally_.operations;
    Sweep();
    CheckBounds();
    if (step % kCheckEvery == 0) CheckEverything();
  }
  Heal();
  AnswerEveryone();
  CheckEverything();
  ServeOneInACrowd();
  ReadEverything();
  tally_.demotions = pool().stats().demotions;
  tally_.moved_records = world_->store().stats().moved_records;
  tally_.faults = world_->faults().total();
  FreeEverything();
  return tally_;
}

// --- Judging
// ------------------------------------------------------------------------------------------

void Simulation::ExpectContent(const Block& block, Bytes bytes, const char* where) {
  SIM_EXPECT(block.content.Matches(bytes), "wrong bytes of block %llu (%s): %zu bytes, %u wanted",
             Print(block.id), where, bytes.size(), block.content.size);
  ++tally_.reads_verified;
}

void Simulation::ExpectError(Code code, const char* where) {
  ++tally_.reads_failed;
  const bool known = code == Code::kIo || code == Code::kCorrupt || code == Code::kTimeout;
  SIM_EXPECT(known, "%s failed with code %d", where, static_cast<int>(code));
  SIM_EXPECT(MayFailReads(options_.profile), "%s failed (code %d) without a fault", where,
             static_cast<int>(code));
}

uint64_t Simulation::Load() {
  const auto& stats = pool().stats();
  return stats.hot_bytes - stats.pinned_bytes;
}

uint64_t Simulation::HighMark() const {
  return pressure_bytes_ == 0 ? cache_bytes_ : std::min(cache_bytes_, pressure_bytes_);
}

void Simulation::CheckBounds() {
  const uint64_t load = Load();
  const uint64_t high = HighMark();
  if (load <= high) allowance_bytes_ = 0;
  SIM_EXPECT(load <= high + high / 10 + allowance_bytes_,
             "load %llu above the hard mark of %llu and %llu", Print(load), Print(high),
             Print(allowance_bytes_));
  const auto& store = world_->store().stats();
  SIM_EXPECT(store.used_bytes + store.free_bytes == store.capacity_bytes,
             "used %llu + free %llu is not the capacity", Print(store.used_bytes),
             Print(store.free_bytes));
  SIM_EXPECT(owner_.consistent, "the owner was told of a change that was none");
}

void Simulation::CheckEverything() {
  std::array<uint64_t, 5> by_state{};
  uint64_t hot_bytes = 0;
  uint64_t flash_bytes = 0;
  uint64_t cold_single = 0;
  uint64_t shared = 0;
  for (const Block& block : model_.blocks()) {
    const BlockState state = pool().StateOf(block.id);
    ++by_state[static_cast<size_t>(state)];
    SIM_EXPECT(state != BlockState::kFree, "block %llu is lost", Print(block.id));
    if (blocks::IsHot(state)) {
      hot_bytes += ChargeOf(block);
      ExpectContent(block, pool().Read(block.id), "check");
    }
    const bool cold = state == BlockState::kCold;
    if (const auto place = pool().PlaceOf(block.id)) flash_bytes += place->bytes();
    if (cold && !block.owned) cold_single += block.holders;
    if (block.holders > 1) ++shared;
    SIM_EXPECT(!block.owned || cold == owner_.cold.contains(block.id),
               "the owner of block %llu was not told", Print(block.id));
    SIM_EXPECT(pool().IsShared(block.id) == (block.holders > 1), "holders of block %llu",
               Print(block.id));
  }
  const auto& stats = pool().stats();
  for (size_t state = 1; state < by_state.size(); ++state) {
    SIM_EXPECT(stats.blocks[state] == by_state[state], "%llu blocks in state %zu, %llu counted",
               Print(by_state[state]), state, Print(stats.blocks[state]));
  }
  SIM_EXPECT(stats.hot_bytes == hot_bytes, "hot bytes %llu, counted %llu", Print(hot_bytes),
             Print(stats.hot_bytes));
  SIM_EXPECT(stats.cold_single_blocks == cold_single, "cold single blocks %llu, counted %llu",
             Print(cold_single), Print(stats.cold_single_blocks));
  SIM_EXPECT(stats.shared_blocks == shared, "shared blocks %llu, counted %llu", Print(shared),
             Print(stats.shared_blocks));
  const uint64_t used_bytes = world_->store().stats().used_bytes;
  SIM_EXPECT(used_bytes == flash_bytes, "records of %llu bytes, the store says %llu",
             Print(flash_bytes), Print(used_bytes));
  world_->store().CheckInvariants();
}

/// Has the child read what there was at the fork, past everything that the parent has done since.
void Simulation::CheckFork() {
  for (const Forked& forked : forked_) child_->Show(forked.place);
  SIM_EXPECT(child_->Judges(), "the child is not content");
  tally_.reads_verified += forked_.size();
  for (const Forked& forked : forked_) {
    const bool is_on_flash = world_->store().IsDurable(forked.place);
    if (forked.was_unwritten && is_on_flash) ++tally_.unwritten_verified;
  }
}

/// In the child.
void Simulation::JudgeFork(store::SnapshotSource& source) const {
  for (const Forked& forked : forked_) {
    const auto read = world_->store().ReadInChild(forked.id, forked.place, source);
    if (!read) {
      SIM_EXPECT(MayDamage(options_.profile), "the child cannot read block %llu", Print(forked.id));
      continue;
    }
    const uint32_t owner_bytes = forked.owned ? blocks::kOwnerBytes : 0;
    const Bytes bytes{read->memory + blocks::kHotHeaderBytes, read->payload_bytes - owner_bytes};
    SIM_EXPECT(forked.content.Matches(bytes), "the child reads wrong bytes of block %llu",
               Print(forked.id));
    base::Release(read->memory);
  }
}

// --- The end
// --------------------------------------------------------------------------------------------

void Simulation::Heal() {
  Trace("heal");
  world_->faults().SetEnabled(false);
  world_->faults().Release();
  if (frozen_) Fork();
  if (pressure_bytes_ != 0) ChangePressure();
  pool().SetDemotionLimits(0, 0);
}

void Simulation::AnswerEveryone() {
  Trace("answer everyone");
  uint64_t turns = 0;
  const auto waiting = [&] { return detached_ > 0 || !writers_.empty() || !fetches_.empty(); };
  for (; waiting() && turns < kTurnsMax; ++turns) {
    world_->clock().Advance(100);
    pool().Drive(Deliver::kCallbacks);
    Sweep();
    // One ready fetch at a time gives its pins back, as commands do once they ran.
    for (const auto& pending : fetches_) {
      if (!pending->called) continue;
      Finish(pending.get());
      break;
    }
    Sweep();
  }
  SIM_EXPECT(!waiting(), "not answered: %zu fetches, %zu writers, %llu detached reads",
             fetches_.size(), writers_.size(), Print(detached_));
}

/// A writer of a fifth of the cache, and four small ones in each turn that do not wait in line: on
/// a sound device it hears something, and soon unless the tier is full.
void Simulation::ServeOneInACrowd() {
  Trace("serve one in a crowd");
  constexpr uint64_t kTurnUs = 1000;
  constexpr uint64_t kFullTierUs = 11'000'000;  // Longer than anybody waits where nothing moves.
  const auto crowd = [&] {
    for (int i = 0; i < 4; ++i) TryCreate(1000);
    world_->clock().Advance(kTurnUs);
    pool().Drive(Deliver::kCallbacks);
    CheckBounds();
  };
  for (int i = 0; i < 100; ++i) crowd();
  Writer writer([] {});
  pool().WaitForRoom(cache_bytes_ / 5, &writer);
  const uint64_t since_us = world_->clock().NowUs();
  const auto waited_us = [&] { return world_->clock().NowUs() - since_us; };
  while (!writer.answered() && waited_us() < kFullTierUs) crowd();
  const bool full = !world_->store().HasRoomFor(cache_bytes_);
  SIM_EXPECT(writer.answered() && (full || waited_us() < 1'000'000),
             "a writer waited for %llu us beside a crowd", Print(waited_us()));
}

void Simulation::ReadEverything() {
  Trace("read everything");
  for (const Block& block : model_.blocks()) {
    std::vector<std::byte> bytes;
    const Result<void> copied = pool().CopyNow(block.id, blocks::WaitCause::kSave, &bytes);
    if (copied) {
      ExpectContent(block, bytes, "end");
      continue;
    }
    ++tally_.damaged;
    SIM_EXPECT(MayDamage(options_.profile) && copied.code() == Code::kCorrupt,
               "block %llu is lost: code %d", Print(block.id), static_cast<int>(copied.code()));
  }
}

void Simulation::FreeEverything() {
  Trace("free everything");
  while (!model_.empty()) FreeBlock(model_.blocks().back().serial);
  for (int i = 0; i < 10; ++i) {
    world_->clock().Advance(1000);
    pool().Drive(Deliver::kCallbacks);
  }
  CheckEverything();
  SIM_EXPECT(pool().stats().hot_bytes == 0, "hot bytes without blocks");
  SIM_EXPECT(pool().stats().pinned_bytes == 0, "pinned bytes without blocks");
}

}  // namespace flash::sim
