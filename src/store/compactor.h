// compactor.h: moves live records out of segments that are mostly dead, so that these can be
// reused.
//
// One victim at a time: read in pieces, two at once, verified on an I/O thread, its live records
// appended to the survivor stream. Decides when and which (the victim's choice itself is the
// table's). Knows neither puts nor reads of others. Thread: one owner; a piece's work on an I/O
// thread touches that piece alone. Decision: docs/adr/0002.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "base/clock.h"
#include "io/backend.h"
#include "store/bad_page.h"
#include "store/log_writer.h"
#include "store/page_memory.h"
#include "store/segment_table.h"
#include "store/segment_walk.h"

namespace flash::store {

class Compactor {
 public:
  struct Counters {
    uint64_t runs = 0;             // Victims walked to the end.
    uint64_t reclaimed_bytes = 0;  // Their dead records.
    uint64_t moved_records = 0, moved_bytes = 0;
    uint64_t quarantined = 0;  // Victims left with live records that cannot be read.
    uint64_t read_errors = 0;
    uint64_t unreadable_pages = 0;  // Stepped past.
    uint64_t passes_done = 0;
  };

  /// All outlive the compactor.
  struct Parts {
    SegmentTable* table = nullptr;
    LogWriter* writer = nullptr;
    io::Backend* backend = nullptr;
    const base::Clock* clock = nullptr;
    RecordOwner* owner = nullptr;
  };

  Compactor(const Parts& parts, uint64_t hash_seed);
  ~Compactor();
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;

  /// Asks for a pass (RecordStore::RequestCompaction).
  void Request(uint32_t dead_percent_min);

  /// Does what is due, until `deadline_us` or until it has to wait. The caller kicks if
  /// TakeSubmitted().
  void Run(uint64_t deadline_us);
  [[nodiscard]] bool TakeSubmitted() { return std::exchange(submitted_, false); }

  /// Lets go of the victim; what was moved stays moved. Before a fork's segments are frozen.
  void Abort();

  /// Will it make room by itself, or is something under way after which it may?
  [[nodiscard]] bool CanHelp() const;
  /// Would Run do something now?
  [[nodiscard]] bool WantsRun() const;

  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] uint32_t tasks_inflight() const { return inflight_; }
  [[nodiscard]] uint64_t buffer_bytes() const;
  void LeakInflight();

 private:
  struct Piece : io::Task {
    enum class State : uint8_t {
      kIdle,
      kReading,
      kArrived,  ///< Waits for those before it.
      kReady,    ///< Its records may be moved.
    };
    State state = State::kIdle;
    Compactor* compactor = nullptr;
    bool is_probe = false;  // Read to find a bad page, not for its records.
    bool is_guess = false;  // Begins where no record is known to begin.
    bool in_the_middle = false;
    uint64_t first_offset = 0;
    uint64_t segment_end = 0;
    uint32_t alignment = 0;
    ChecksumContext context;
    PageMemory copies;
    WalkOutput found;
    uint32_t at = 0;  // Next copy to look at.
  };
  struct Pass {
    uint32_t dead_percent_min = 0;
    SegmentIndex cursor = 0;
    uint64_t sequence_max = 0;  // Segments opened since are not part of it.
    bool tries_bad = false;     // Quarantined ones too.
  };
  /// The segment being emptied, and how far its reading has come.
  struct Victim {
    SegmentIndex segment = 0;
    uint64_t read_offset = 0;  // Where the next piece begins;
    uint64_t read_end = 0;     // up to where: what was written, or a page that cannot be read,
    uint64_t resume_at = 0;    // behind which it goes on here.
    bool in_the_middle = false;
    bool guesses = true;              // Pieces are read before their beginnings are known.
    uint32_t read_failures = 0;       // In a row.
    std::optional<BadPage> bad_page;  // Being looked for.
    uint32_t bad_pages = 0;           // Searches for one that was gone included.
    bool was_bad = false;             // In quarantine before: not counted again.
    uint64_t moved_units = 0;
  };
  /// What Run waits for, if anything.
  enum class Pause : uint8_t {
    kNone,
    kCompletion,  ///< Of a read or a write; nothing else can help.
    kBackoff,     ///< Until retry_at_us_: reads fail.
  };
  enum class Step : uint8_t { kGoOn, kWait };

  static void WalkPiece(io::Task& task, MutableBytes io_bytes) noexcept;
  static void OnPieceRead(io::Task& task) noexcept;

  [[nodiscard]] bool NeedsRoom() const;
  [[nodiscard]] bool Movable(SegmentIndex segment) const;
  [[nodiscard]] std::optional<SegmentIndex> NextVictim(uint64_t deadline_us);
  [[nodiscard]] std::optional<SegmentIndex> NextOfPass(uint64_t deadline_us);
  /// One step of Run. kWait: nothing to do, or not before a completion, or out of time.
  [[nodiscard]] Step Advance(uint64_t deadline_us);
  void BeginPass();
  void EndPass();
  /// The survivors found no segment, and none was freed since.
  [[nodiscard]] bool IsStuck() const;
  void BeginVictim(SegmentIndex segment);
  void EndVictim(bool complete);
  [[nodiscard]] Step ReadAhead();
  enum class Reason : uint8_t { kRecords, kGuess, kProbe };
  [[nodiscard]] Step SubmitPiece(uint64_t from, uint64_t to, Reason reason);
  void ReadGuess();
  void TakeArrived();
  void Accept(Piece& piece);
  [[nodiscard]] bool Fits(Piece& guess) const;
  void DropReads();
  [[nodiscard]] Step WaitUnlessReady();
  [[nodiscard]] Step MoveRecords(Piece& piece, uint64_t deadline_us);
  [[nodiscard]] AppendStatus MoveRecord(const std::byte* copy, const RecordHeader& header);
  void OnReadFailed(Piece& piece);
  void OnProbed(bool readable);

  Parts parts_;
  uint64_t hash_seed_;
  std::array<std::unique_ptr<Piece>, 3> pieces_;  // Two being read and one being moved.
  std::deque<Piece*> reading_;  // In file order, as is ready_. Others on their way are not wanted.
  std::deque<Piece*> ready_;

  std::optional<Victim> victim_;
  Pause pause_ = Pause::kNone;
  uint64_t try_bad_at_us_ = 0;  // When passes take quarantined segments again.
  uint64_t retry_at_us_ = 0;
  uint64_t backoff_us_ = 0;

  std::optional<Pass> pass_;
  std::deque<uint32_t> requests_;  // Minimum dead percent of passes to come; at most one.
  /// SegmentTable::Totals::freed when the survivors found no segment: nothing more until one is
  /// freed.
  std::optional<uint64_t> stuck_at_freed_;
  uint32_t inflight_ = 0;
  bool submitted_ = false;
  Counters counters_;
};

}  // namespace flash::store
