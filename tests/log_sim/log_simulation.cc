// log_simulation.cc: steps, crashes and what must hold behind them; see log_simulation.h.
// After each recovery the run goes on in the same file, so that what an earlier opening left behind
// has every chance to come back. Thread: one.
#include "tests/log_sim/log_simulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace flash::log_sim {

using log::Lsn;

LogSimulation::LogSimulation(const Options& options, Tally* tally)
    : options_(options),
      tally_(tally),
      random_(options.seed),
      fate_(options.seed * 1'000'003 + options.cut_after),
      disk_(options.seed) {
  log_options_.thread = false;
  log_options_.segment_bytes = 64 * kKiB;
  log_options_.buffers = 2 + static_cast<uint32_t>(random_.Below(3));
  log_options_.file_bytes_max = 2 * kMiB;
  log_options_.sync = static_cast<log::SyncMode>(random_.Below(4) % 3);
  always_only_ = log_options_.sync == log::SyncMode::kAlways;
}

void LogSimulation::Expect(bool holds, const std::string& what) const {
  if (holds) return;
  std::fflush(stdout);
  std::fprintf(stderr,
               "log simulator: %s\nrepeat with: flash_log_sim --first %llu --seeds 1 --steps %llu "
               "--cut %llu\n",
               what.c_str(), static_cast<unsigned long long>(options_.seed),
               static_cast<unsigned long long>(options_.steps),
               static_cast<unsigned long long>(options_.cut_after));
  std::exit(1);
}

Result<void> LogSimulation::Open() {
  log_.reset();
  disk_.faults = std::make_shared<io::FaultInjector>(io::FaultPlan{});  // None left over.
  auto log =
      log::Log::Open(std::make_unique<log::MemoryStorage>(&disk_, &clock_), log_options_, &clock_);
  if (!log) return log.error();
  log_ = std::move(log).Take();
  return {};
}

uint64_t LogSimulation::Run() {
  constexpr uint64_t kNever = uint64_t{1} << 40;
  ++tally_->runs;
  disk_.file->LosePowerAfter(options_.cut_after > 0 ? options_.cut_after : kNever);
  Recover(0);
  for (uint64_t step = 0; step < options_.steps && !power_was_lost_; ++step) Step();
  const uint64_t writes = kNever - disk_.file->power_left();
  // Behind the cut: more of the same, and a second cut at a moment of its own.
  if (options_.cut_after > 0) {
    disk_.file->LosePowerAfter(1 + fate_.Below(30));
    for (uint64_t step = 0; step < options_.steps / 2; ++step) Step();
  }
  if (fate_.Chance(1, 2)) FlipAndLook();
  Crash();
  return writes;
}

void LogSimulation::Say(const char* what) const {
  if (!options_.verbose) return;
  const bool open = log_ != nullptr;
  std::fprintf(stderr, "%-12s last %llu appended %llu durable %llu cut %llu file %llu KiB%s\n",
               what, static_cast<unsigned long long>(open ? log_->last_lsn() : 0),
               static_cast<unsigned long long>(open ? log_->appended_lsn() : 0),
               static_cast<unsigned long long>(open ? log_->durable_lsn() : 0),
               static_cast<unsigned long long>(open ? log_->cut_lsn() : 0),
               static_cast<unsigned long long>(disk_.file->bytes() / kKiB),
               lost() ? ", power lost" : "");
}

void LogSimulation::Step() {
  Say("step");
  switch (random_.Below(16)) {
    case 0:
      return TakeSnapshot();
    case 1:
      return Discard();
    case 2:
      if (random_.Chance(1, 4)) return CloseAndOpen();
      return AddUnit();
    case 3:
      if (random_.Chance(1, 4)) return BeginAnew();
      return AddUnit();
    case 4:
      always_only_ = false;
      if (!log_->SetSync(static_cast<log::SyncMode>(random_.Below(3)))) return Crash();
      return Note();
    case 5:
      clock_.Advance(random_.Below(2'000'000));
      log_->Tick();
      return Note();
    case 6:
      // A device that fails once, now and then, while the power is there.
      if (!random_.Chance(1, 4)) return;
      disk_.faults->Script({.fault = io::Fault::kError});
      ++tally_->failures;
      return Commit();
    case 7:
    case 8:
    case 9:
      return Commit();
    default:
      return AddUnit();
  }
}

void LogSimulation::AddUnit() {
  const uint64_t count = 1 + random_.Below(4);
  const bool large = random_.Chance(1, 12);
  if (!log_->MakeRoom(200 * kKiB)) {
    TakeSnapshot();
    if (log_ == nullptr || !log_->MakeRoom(200 * kKiB)) return lost() ? Crash() : BeginAnew();
  }
  for (uint64_t i = 0; i < count; ++i) {
    AddedEffect effect = {.bytes = random_.Below(large && i == 0 ? 150'000 : 400), .salt = ++salt_};
    effect.ends_unit = i + 1 == count;
    const Lsn lsn = log_->last_lsn() + 1;
    if (options_.verbose) {
      std::fprintf(stderr, "  %llu: %llu bytes\n", static_cast<unsigned long long>(lsn),
                   static_cast<unsigned long long>(effect.bytes));
    }
    model().effects[lsn] = effect;
    const auto bytes = log::EffectBytes(lsn, effect.bytes, effect.salt);
    const bool grouped = count == 1 && !large && random_.Chance(2, 3);
    Expect((grouped ? log_->AddGrouped(bytes) : log_->Add(bytes)) == lsn, "a wrong number");
    if (grouped) {
      ++tally_->units;
      ++tally_->grouped;
      return;
    }
    // Somebody else's turn may end within a unit.
    if (i + 1 < count && random_.Chance(1, 8)) Commit();
    if (log_->last_lsn() != lsn) return;  // Which ended in a crash, or a new log.
  }
  log_->EndUnit();
  ++tally_->units;
}

/// Learns what the log says is durable.
void LogSimulation::Note() {
  if (log_->state() == log::State::kFailed) {
    if (lost()) return Crash();
    return BeginAnew();
  }
  Model& now = model();
  now.written = std::max(now.written, log_->appended_lsn());
  if (log_->durable_lsn() <= now.acknowledged) return;
  now.acknowledged_before = now.acknowledged;
  now.acknowledged = log_->durable_lsn();
}

void LogSimulation::Commit() {
  // What it answers shows in what it says is durable.
  [[maybe_unused]] const bool committed = log_->Commit().ok();
  if (random_.Chance(1, 2)) log_->Tick();
  Note();
}

void LogSimulation::Discard() {
  Say("discard");
  ++tally_->discards;
  if (!log_->Discard()) return Note();
  Model& now = model();
  now.effects.erase(now.effects.upper_bound(log_->last_lsn()), now.effects.end());
  Note();
}

void LogSimulation::TakeSnapshot() {
  Say("snapshot");
  // At the end of a turn: everything committed, the data in memory is that of last_lsn().
  Commit();
  if (log_->state() != log::State::kOpen) return;
  const auto at = model().effects.find(log_->last_lsn());
  if (at != model().effects.end() && !at->second.ends_unit) return;
  snapshot_ = {.id = log_->id(), .lsn = log_->last_lsn()};
  if (random_.Chance(1, 6)) return Crash();  // The server dies before it can tell.
  log_->Cut(snapshot_.lsn);
  for (int i = 0; i < 2 && log_->state() == log::State::kOpen; ++i) {
    clock_.Advance(1'100'000);
    log_->Tick();
  }
  ++tally_->cuts;
  Note();
}

void LogSimulation::BeginAnew() {
  Say("begin");
  ++tally_->begins;
  const Lsn base = log_->last_lsn();
  if (!log_->Begin(base)) {
    if (lost()) return Crash();
    // The file has no room for two: the snapshot's log is given up with the snapshot.
    return Crash();
  }
  Model& begun = model();
  begun.acknowledged = begun.acknowledged_before = begun.written = base;
  if (random_.Chance(1, 2)) TakeSnapshot();
}

void LogSimulation::CloseAndOpen() {
  Say("close");
  Commit();
  if (log_->state() != log::State::kOpen || !log_->Close()) return lost() ? Crash() : Note();
  Note();
  ++tally_->closes;
  Recover(models_[snapshot_.id].acknowledged);
}

void LogSimulation::Crash() {
  Say("crash");
  const Lsn at_least = models_[snapshot_.id].acknowledged;
  // The process dies; the power only sometimes.
  power_was_lost_ = power_was_lost_ || lost();
  const bool power = lost() || fate_.Chance(1, 2);
  const Lsn written = models_[snapshot_.id].written;
  log_.reset();
  if (options_.verbose && power) std::fprintf(stderr, "power cut\n");
  if (power) {
    disk_.file->CutPower(fate_);
    ++tally_->power_cuts;
  }
  disk_.file->LosePowerAfter(uint64_t{1} << 40);
  Recover(power ? at_least : std::max(at_least, written));
}

/// Opens, verifies and goes on, however often the power goes meanwhile.
void LogSimulation::Recover(Lsn at_least) {
  while (!TryRecover(at_least)) {
    Expect(lost(), "cannot be opened or continued");
    power_was_lost_ = true;
    log_.reset();
    disk_.file->CutPower(fate_);
    ++tally_->power_cuts;
  }
}

bool LogSimulation::TryRecover(Lsn at_least) {
  const auto opened = Open();
  if (!opened) {
    if (lost()) return false;
    Expect(false, "refused: " + opened.error().message);
  }
  if (log_->found().empty()) {
    Expect(models_.empty(), "the file is empty");
    if (!log_->Begin(0)) return false;
    models_[log_->id()] = {};
    snapshot_ = {.id = log_->id(), .lsn = 0};
    return true;
  }
  if (snapshot_.id == log::LogId{}) {
    // The very first one, begun when the power went: a server without an RDB takes it as it is.
    snapshot_ = {.id = log_->found()[0].id, .lsn = 0};
    models_[snapshot_.id] = {};
  }
  const log::Found* ours = nullptr;
  for (const log::Found& found : log_->found()) {
    if (found.torn_bytes > 0) ++tally_->torn;
    if (options_.verbose) {
      std::fprintf(stderr, "found: up to %llu, torn %llu, base %s, at least %llu\n",
                   static_cast<unsigned long long>(found.last_lsn),
                   static_cast<unsigned long long>(found.torn_bytes),
                   found.awaited_base ? "awaited" : "stands",
                   static_cast<unsigned long long>(at_least));
    }
    const bool is_ours = found.id == snapshot_.id;
    if (is_ours) ours = &found;
    // Of the other one, too, only what was once added may be seen.
    Verify(found, is_ours ? snapshot_.lsn : found.cut_lsn, is_ours ? at_least : 0);
  }
  if (ours == nullptr) {
    Expect(false, "the log of the snapshot is gone");
    return false;
  }
  const Lsn last = std::max(ours->last_lsn, snapshot_.lsn);
  Model& now = models_[snapshot_.id];
  now.effects.erase(now.effects.upper_bound(last), now.effects.end());
  now.acknowledged = now.acknowledged_before = now.written = last;
  const bool resumed = log_->Resume(snapshot_.id, snapshot_.lsn).ok();
  Say("resumed");
  return resumed;
}

void LogSimulation::Verify(const log::Found& found, Lsn from, Lsn at_least) {
  const auto at = models_.find(found.id);
  if (at == models_.end()) return;  // Begun when the power went: nothing was added.
  const Model& known = at->second;
  Expect(std::max(found.last_lsn, from) >= at_least,
         "acknowledged up to " + std::to_string(at_least) + ", found up to " +
             std::to_string(found.last_lsn));
  auto seen = log::ReadEffects(*log_, found.id, from);
  if (!seen && lost()) return;
  Expect(seen.ok(), "cannot be read: " + (seen ? "" : seen.error().message));
  Lsn lsn = from;
  for (const log::SeenEffect& effect : *seen) {
    Expect(effect.lsn == ++lsn, "a number is missing or comes twice");
    const auto added = known.effects.find(lsn);
    Expect(added != known.effects.end(), "LSN " + std::to_string(lsn) + " was never added");
    Expect(effect.bytes == log::EffectBytes(lsn, added->second.bytes, added->second.salt),
           "LSN " + std::to_string(lsn) +
               " is not what was added last: " + std::to_string(effect.bytes.size()) +
               " bytes, not " + std::to_string(added->second.bytes));
    tally_->units_verified += added->second.ends_unit ? 1 : 0;
  }
  Expect(lsn == std::max(found.last_lsn, from), "ends elsewhere than it says");
  if (!seen->empty()) {
    Expect(known.effects.at(lsn).ends_unit, "half a unit");
  }
}

/// One bit of the disk changes while the server is down: told, or of no consequence.
void LogSimulation::FlipAndLook() {
  if (lost() || log_->state() != log::State::kOpen || log_->id() != snapshot_.id) return;
  // Pieces claim what was durable when they were added: in other modes that says little.
  const Lsn before = always_only_ ? model().acknowledged_before : 0;
  log_.reset();
  const uint64_t at = fate_.Below(disk_.file->bytes());
  std::byte byte{};
  Expect(disk_.file->ReadAt(at, {&byte, 1}) == 1, "cannot be read");
  const std::byte flipped = byte ^ static_cast<std::byte>(1U << fate_.Below(8));
  disk_.file->WriteAt(at, {&flipped, 1}, true);
  const auto opened = Open();
  if (!opened) {
    Expect(opened.code() == Code::kCorrupt || opened.code() == Code::kForeign,
           "refused for another reason: " + opened.error().message);
    ++tally_->damaged;
  } else {
    ++tally_->harmless;
    for (const log::Found& found : log_->found()) {
      if (found.id == snapshot_.id) Verify(found, snapshot_.lsn, before);
    }
  }
  log_.reset();
  disk_.file->WriteAt(at, {&byte, 1}, true);
}

}  // namespace flash::log_sim
