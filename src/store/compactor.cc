// compactor.cc: see compactor.h. Why one free segment always suffices to end a victim, and why
// compaction without frees ends: docs/adr/0002. Thread: one owner; WalkPiece on an I/O thread.
//
#include "store/compactor.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/leave_behind.h"

namespace flash::store {
namespace {

/// Compaction begins when no more segments than the reserve and this are free.
constexpr uint32_t kLowWaterSegments = 1;
constexpr uint32_t kClockCheckRecords = 16;
constexpr uint32_t kClockCheckSegments = 256;
constexpr uint32_t kReadFailuresMax = 3;
constexpr size_t kReadsMax = 2;
/// A guess reaches back into the piece before it by an eighth of a piece, at most this: records up
/// to that size that begin there and end in the guess are whole in it.
constexpr uint64_t kOverlapBytesMax = 64 * kKiB;
/// A victim with more is given up as a whole.
constexpr uint32_t kBadPagesMax = 16;
/// Quarantined segments are tried again no sooner; each try costs the device many a failing read.
constexpr uint64_t kTryBadAgainUs = 3'600'000'000;
constexpr uint64_t kBackoffUsMin = 100'000;
constexpr uint64_t kBackoffUsMax = 5'000'000;

}  // namespace

Compactor::Compactor(const Parts& parts, uint64_t hash_seed)
    : parts_(parts), hash_seed_(hash_seed) {
  const uint32_t alignment = parts.backend->alignment();
  // A record is no larger than half a segment, and a piece holds any that begins in its first page.
  const uint32_t piece_bytes =
      std::min(kRecordBytesMax, parts.table->segment_bytes() / 2) + alignment;
  for (auto& piece : pieces_) {
    piece = std::make_unique<Piece>();
    piece->kind = io::Task::Kind::kRead;
    piece->work = &WalkPiece;
    piece->done = &OnPieceRead;
    piece->compactor = this;
    piece->alignment = alignment;
    piece->copies = PageMemory(piece_bytes);
  }
}

Compactor::~Compactor() { FLASH_CHECK(inflight_ == 0); }

void Compactor::Request(uint32_t dead_percent_min) {
  if (requests_.empty()) {
    requests_.push_back(dead_percent_min);
  } else {
    requests_.front() = std::min(requests_.front(), dead_percent_min);
  }
}

bool Compactor::NeedsRoom() const {
  return parts_.table->free_count() <= parts_.table->reserve() + kLowWaterSegments;
}

bool Compactor::Movable(SegmentIndex segment) const {
  if (parts_.table->free_count() > 0) return true;
  // The slack is for the ends of chunks.
  const uint64_t live = parts_.table->live(segment) * kUnitBytes;
  const uint64_t slack = 2 * uint64_t{kRecordBytesMax / 256};
  return live + slack <= parts_.writer->stream(StreamKind::kSurvivor).RemainingBytes();
}

bool Compactor::CanHelp() const {
  if (victim_) return true;
  if (parts_.table->AnyHeldByUsers() &&
      (parts_.writer->CanProgress() || parts_.table->readers() > 0)) {
    return true;
  }
  if (IsStuck()) return false;
  const auto next = parts_.table->PickVictim();
  return next && Movable(*next);
}

bool Compactor::WantsRun() const {
  if (victim_ && parts_.table->live(victim_->segment) == 0) return true;
  if (pause_ == Pause::kBackoff && parts_.clock->NowUs() < retry_at_us_) return false;
  if (victim_) return pause_ != Pause::kCompletion;
  if (pass_ || !requests_.empty()) return true;
  if (IsStuck()) return false;
  if (!NeedsRoom()) return false;
  const auto next = parts_.table->PickVictim();
  return next && Movable(*next);
}

void Compactor::Run(uint64_t deadline_us) {
  if (victim_ && parts_.table->live(victim_->segment) == 0) EndVictim(true);
  if (pause_ == Pause::kBackoff && parts_.clock->NowUs() < retry_at_us_) return;
  pause_ = Pause::kNone;
  while (Advance(deadline_us) == Step::kGoOn) {
    if (parts_.clock->NowUs() >= deadline_us) return;
  }
}

Compactor::Step Compactor::Advance(uint64_t deadline_us) {
  if (!victim_) {
    const auto next = NextVictim(deadline_us);
    if (!next) return Step::kWait;
    BeginVictim(*next);
  }
  if (parts_.table->live(victim_->segment) == 0) {
    EndVictim(true);
    return Step::kGoOn;
  }
  if (ReadAhead() == Step::kWait) return Step::kWait;
  if (!ready_.empty()) return MoveRecords(*ready_.front(), deadline_us);
  if (!reading_.empty()) {
    pause_ = Pause::kCompletion;
    return Step::kWait;
  }
  EndVictim(true);
  return Step::kGoOn;
}

std::optional<SegmentIndex> Compactor::NextVictim(uint64_t deadline_us) {
  if (IsStuck()) {
    // A pass that cannot go on is over: who asked for it would wait for ever.
    if (pass_ || !requests_.empty()) EndPass();
    return std::nullopt;
  }
  stuck_at_freed_.reset();
  if (NeedsRoom()) {
    const auto next = parts_.table->PickVictim();
    if (next && Movable(*next)) return next;
  }
  if (!pass_ && requests_.empty()) return std::nullopt;
  if (!pass_) BeginPass();
  return NextOfPass(deadline_us);
}

void Compactor::BeginPass() {
  pass_ = Pass{.dead_percent_min = requests_.front(),
               .cursor = 0,
               .sequence_max = parts_.table->last_sequence(),
               .tries_bad = parts_.clock->NowUs() >= try_bad_at_us_};
  requests_.pop_front();
}

std::optional<SegmentIndex> Compactor::NextOfPass(uint64_t deadline_us) {
  const SegmentTable& table = *parts_.table;
  for (; pass_->cursor < table.count(); ++pass_->cursor) {
    const SegmentIndex segment = pass_->cursor;
    if (segment % kClockCheckSegments == 0 && parts_.clock->NowUs() >= deadline_us && segment > 0) {
      return std::nullopt;
    }
    const uint64_t dead = table.dead(segment);
    const uint64_t appended = dead + table.live(segment);
    if (!table.CanBeVictim(segment) || table.sequence(segment) > pass_->sequence_max) continue;
    if (table.state(segment) == SegmentState::kBad && !pass_->tries_bad) continue;
    if (dead == 0 || dead * 100 < appended * pass_->dead_percent_min) continue;
    if (!Movable(segment)) continue;
    ++pass_->cursor;
    return segment;
  }
  EndPass();
  return std::nullopt;
}

void Compactor::EndPass() {
  if (!pass_) requests_.clear();
  pass_.reset();
  ++counters_.passes_done;
}

bool Compactor::IsStuck() const { return stuck_at_freed_ == parts_.table->totals().freed; }

void Compactor::BeginVictim(SegmentIndex segment) {
  victim_ = Victim{.segment = segment,
                   .read_offset = parts_.table->BeginOf(segment),
                   .read_end = parts_.table->WrittenEnd(segment),
                   .bad_page = std::nullopt,
                   .was_bad = parts_.table->state(segment) == SegmentState::kBad};
  parts_.table->BeginVictim(segment);
  backoff_us_ = 0;
}

void Compactor::EndVictim(bool complete) {
  SegmentTable& table = *parts_.table;
  const Victim ended = *std::exchange(victim_, std::nullopt);
  const SegmentIndex segment = ended.segment;
  for (Piece* piece : ready_) piece->state = Piece::State::kIdle;
  ready_.clear();
  DropReads();
  if (complete) {
    ++counters_.runs;
    counters_.reclaimed_bytes += (table.dead(segment) - ended.moved_units) * kUnitBytes;
    if (table.live(segment) > 0) {
      if (!ended.was_bad) ++counters_.quarantined;
      try_bad_at_us_ = parts_.clock->NowUs() + kTryBadAgainUs;
    }
  }
  table.EndVictim(segment, complete);
}

void Compactor::Abort() {
  if (victim_) EndVictim(false);
  pause_ = Pause::kNone;
}

Compactor::Step Compactor::ReadAhead() {
  Victim& victim = *victim_;
  if (!reading_.empty()) {
    ReadGuess();
    return Step::kGoOn;
  }
  if (const auto& page = victim.bad_page) {
    return SubmitPiece(page->begin(), page->probe_end(), Reason::kProbe);
  }
  const uint64_t written_end = parts_.table->WrittenEnd(victim.segment);
  if (victim.read_offset >= victim.read_end && victim.read_end < written_end) {  // Past the page.
    victim.read_offset = victim.resume_at;
    victim.read_end = written_end;
    victim.in_the_middle = true;
  }
  if (victim.read_offset >= victim.read_end) return Step::kGoOn;
  const Step step = SubmitPiece(victim.read_offset, victim.read_end, Reason::kRecords);
  if (!reading_.empty()) ReadGuess();
  return step;
}

/// Where the next piece begins is known when the one before it was walked. Not to have the device
/// wait meanwhile, the next is read from a little before the end of that one: if a record of it
/// begins where that one's walk ends, it is the next. Large records make guesses wrong; then, and
/// where reads fail, the rest of the victim is read without.
void Compactor::ReadGuess() {
  const Victim& victim = *victim_;
  const Piece& last = *reading_.back();
  const uint64_t last_end = last.offset + last.bytes;
  if (!victim.guesses || reading_.size() >= kReadsMax || last.is_probe ||
      last_end >= victim.read_end) {
    return;
  }
  const uint64_t overlap_bytes = std::min<uint64_t>(last.copies.size() / 8, kOverlapBytesMax);
  const uint64_t from = base::AlignDown(last_end - overlap_bytes, last.alignment);
  if (from > last.first_offset) (void)SubmitPiece(from, victim.read_end, Reason::kGuess);
}

Compactor::Step Compactor::SubmitPiece(uint64_t from, uint64_t to, Reason reason) {
  const auto idle = std::find_if(pieces_.begin(), pieces_.end(), [](const auto& piece) {
    return piece->state == Piece::State::kIdle;
  });
  // All may still be on their way for an earlier victim, or hold what is to be moved first.
  if (idle == pieces_.end()) return WaitUnlessReady();
  Piece& piece = **idle;
  piece.is_probe = reason == Reason::kProbe;
  piece.is_guess = reason == Reason::kGuess;
  piece.in_the_middle = victim_->in_the_middle || piece.is_guess;
  piece.first_offset = from;
  piece.segment_end = to;
  piece.context = {.hash_seed = hash_seed_, .sequence = parts_.table->sequence(victim_->segment)};
  piece.offset = base::AlignDown(from, piece.alignment);
  const uint64_t to_end = base::AlignUp(to, piece.alignment) - piece.offset;
  piece.bytes = static_cast<uint32_t>(std::min<uint64_t>(to_end, piece.copies.size()));
  piece.at = 0;
  if (!parts_.backend->Submit(&piece)) return WaitUnlessReady();
  piece.state = Piece::State::kReading;
  reading_.push_back(&piece);
  submitted_ = true;
  ++inflight_;
  return Step::kGoOn;
}

Compactor::Step Compactor::WaitUnlessReady() {
  if (!ready_.empty()) return Step::kGoOn;
  pause_ = Pause::kCompletion;
  return Step::kWait;
}

void Compactor::WalkPiece(io::Task& task, MutableBytes io_bytes) noexcept {
  auto& piece = static_cast<Piece&>(task);
  if (piece.is_probe) return;
  piece.found = CollectRecords({.bytes = io_bytes,
                                .offset = piece.offset,
                                .first_offset = piece.first_offset,
                                .segment_end = piece.segment_end,
                                .alignment = piece.alignment,
                                .in_the_middle = piece.in_the_middle,
                                .context = piece.context},
                               piece.copies.bytes());
}

void Compactor::OnPieceRead(io::Task& task) noexcept {
  auto& piece = static_cast<Piece&>(task);
  Compactor& self = *piece.compactor;
  --self.inflight_;
  const bool is_wanted =
      std::find(self.reading_.begin(), self.reading_.end(), &piece) != self.reading_.end();
  piece.state = is_wanted ? Piece::State::kArrived : Piece::State::kIdle;
  if (is_wanted) self.TakeArrived();
}

void Compactor::TakeArrived() {
  while (!reading_.empty() && reading_.front()->state == Piece::State::kArrived) {
    Piece& piece = *reading_.front();
    reading_.pop_front();
    pause_ = Pause::kNone;
    if (piece.is_guess && !Fits(piece)) {
      piece.state = Piece::State::kIdle;
      victim_->guesses = false;
      DropReads();
    } else {
      Accept(piece);
    }
  }
}

/// Does the walk of the piece before end where a record of this one begins? That record is then its
/// first.
bool Compactor::Fits(Piece& guess) const {
  if (guess.result != 0) return false;
  const Bytes copies = guess.copies.bytes().first(guess.found.copied_bytes);
  while (guess.at < copies.size() &&
         OffsetOfCopy(copies.data() + guess.at) < victim_->read_offset) {
    guess.at += ReadHeader(copies.subspan(guess.at))->record_bytes();
  }
  return guess.at < copies.size() && OffsetOfCopy(copies.data() + guess.at) == victim_->read_offset;
}

/// They are read again if they are wanted after all.
void Compactor::DropReads() {
  for (Piece* piece : reading_) {
    if (piece->state == Piece::State::kArrived) piece->state = Piece::State::kIdle;
  }
  reading_.clear();
}

void Compactor::Accept(Piece& piece) {
  piece.state = Piece::State::kIdle;
  if (piece.result != 0) {
    victim_->guesses = false;
    DropReads();
    return OnReadFailed(piece);
  }
  backoff_us_ = 0;
  if (piece.is_probe) return OnProbed(true);
  victim_->read_failures = 0;
  victim_->read_offset = piece.found.next_offset;
  victim_->in_the_middle = false;
  piece.state = Piece::State::kReady;
  ready_.push_back(&piece);
}

void Compactor::OnReadFailed(Piece& piece) {
  ++counters_.read_errors;
  // A device that hangs comes back; one that says EIO again and again for these bytes does not.
  if (piece.result != -ETIMEDOUT) {
    if (piece.is_probe) return OnProbed(false);
    if (++victim_->read_failures >= kReadFailuresMax) {
      victim_->bad_page.emplace(piece.offset, piece.offset + piece.bytes, piece.alignment);
      return;
    }
  }
  backoff_us_ = std::clamp(backoff_us_ * 2, kBackoffUsMin, kBackoffUsMax);
  retry_at_us_ = parts_.clock->NowUs() + backoff_us_;
  pause_ = Pause::kBackoff;
}

void Compactor::OnProbed(bool readable) {
  Victim& victim = *victim_;
  BadPage& page = *victim.bad_page;
  page.OnProbe(readable);
  if (!page.found() && !page.gone()) return;
  victim.read_failures = 0;
  backoff_us_ = 0;
  if (page.found()) {  // What lies before it is walked, then what lies behind it.
    ++counters_.unreadable_pages;
    victim.read_end = page.begin();
    victim.resume_at = page.end();
  }
  victim.bad_page.reset();
  if (++victim.bad_pages <= kBadPagesMax) return;
  victim.read_end = victim.read_offset;
  victim.resume_at = parts_.table->WrittenEnd(victim.segment);
}

Compactor::Step Compactor::MoveRecords(Piece& piece, uint64_t deadline_us) {
  const Bytes copies = piece.copies.bytes().first(piece.found.copied_bytes);
  for (uint32_t count = 1; piece.at < copies.size(); ++count) {
    const auto header = ReadHeader(copies.subspan(piece.at));
    FLASH_CHECK(header);
    switch (MoveRecord(copies.data() + piece.at, *header)) {
      case AppendStatus::kOk:
        break;
      case AppendStatus::kNoBuffer:
        pause_ = Pause::kCompletion;
        return Step::kWait;
      case AppendStatus::kNoSegment:
        stuck_at_freed_ = parts_.table->totals().freed;
        EndVictim(false);
        return Step::kWait;
    }
    piece.at += header->record_bytes();
    if (count % kClockCheckRecords == 0 && parts_.clock->NowUs() >= deadline_us) {
      return Step::kWait;
    }
  }
  piece.state = Piece::State::kIdle;
  ready_.pop_front();
  return Step::kGoOn;
}

AppendStatus Compactor::MoveRecord(const std::byte* copy, const RecordHeader& header) {
  const Place from(OffsetOfCopy(copy) / kUnitBytes,
                   header.record_bytes() / static_cast<uint32_t>(kUnitBytes));
  if (!parts_.owner->IsLive(header.id(), from)) return AppendStatus::kOk;
  if (parts_.owner->GiveUp(header.id(), from)) return AppendStatus::kOk;
  WriteStream& survivors = parts_.writer->stream(StreamKind::kSurvivor);
  Place to;
  const AppendStatus status = survivors.Append(header, copy + kRecordHeaderBytes, &to);
  if (status != AppendStatus::kOk) return status;
  if (!parts_.owner->OnMoved(header.id(), from, to)) {
    survivors.RollBack(to);
    return status;
  }
  parts_.table->Free(victim_->segment, from.units());
  victim_->moved_units += from.units();
  ++counters_.moved_records;
  counters_.moved_bytes += from.bytes();
  return status;
}

uint64_t Compactor::buffer_bytes() const {
  uint64_t bytes = 0;
  for (const auto& piece : pieces_) bytes += piece->copies.size();
  return bytes;
}

void Compactor::LeakInflight() {
  for (auto& piece : pieces_) {
    if (piece->state != Piece::State::kReading) continue;
    piece->done = nullptr;  // Read by the owner thread alone, when it reaps.
    base::LeaveBehind(std::move(piece));
  }
  inflight_ = 0;
}

}  // namespace flash::store
