// simulation.h: one seed: random operations on a block pool, judged against a model after each.
//
// What must hold: every read gives the right bytes or an error that the injected faults explain;
// nothing is lost; the accounting is exact; hot bytes stay bounded; every waiter is answered; what
// was on flash or in a write buffer at a fork can be read by the child as it was until the thaw.
// Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "blocks/block_pool.h"
#include "tests/sim/sim_child.h"
#include "tests/sim/sim_model.h"
#include "tests/sim/sim_world.h"

namespace flash::sim {

class Simulation {
 public:
  struct Options {
    uint64_t seed = 1;
    uint64_t steps = 300;
    FaultProfile profile = FaultProfile::kNone;
  };
  struct Tally {
    uint64_t operations = 0;
    uint64_t reads_verified = 0;
    uint64_t reads_failed = 0;
    /// By a child, of records that the parent has meanwhile written, or moved, from its write
    /// buffer.
    uint64_t unwritten_verified = 0;
    uint64_t demotions = 0;
    uint64_t moved_records = 0;
    uint64_t forks = 0;
    uint64_t faults = 0;
    uint64_t damaged = 0;  // Blocks that ended unreadable, where the faults allow it.
  };

  explicit Simulation(const Options& options);
  ~Simulation();

  /// Exits the process with a report when something is wrong.
  Tally Run();

  [[nodiscard]] const Geometry& geometry() const { return geometry_; }

 private:
  /// A fetch, and what it must have brought.
  struct PendingFetch {
    blocks::Fetch fetch;
    std::vector<uint64_t> serials;
    std::vector<BlockId> ids;
    bool called = false;
    bool finished = false;
  };
  class Writer;
  struct Forked {
    BlockId id = kNoBlock;
    store::Place place;
    Content content;
    bool owned = false;
    bool was_unwritten = false;  // In a write buffer.
  };
  struct Operation {
    const char* name;
    uint32_t weight;
    void (Simulation::*run)();
  };

  // --- Operations (simulation_operations.cc) ---
  void Create();
  void CreateCold();
  void Touch();
  void Write();
  void Resize();
  void Share();
  void Free();
  void ChangeOwner();
  void StartFetch();
  void ReleaseFetch();
  void FetchNow();
  void ReadDetached();
  void CopyNow();
  void Demote();
  void Compact();
  void ChangeCache();
  void ChangePressure();
  void ChangeLimits();
  void ChangeCompression();
  void WaitForRoom();
  void ForgetWriter();
  void Fork();
  void ChangeFaults();
  void Drive();
  void DriveLong();
  [[nodiscard]] static const std::array<Operation, 25>& Operations();

  // --- Helpers of the operations ---
  [[nodiscard]] uint32_t DrawSize();
  [[nodiscard]] Content DrawContent(uint32_t size) { return {random_.Next(), size}; }
  bool TryCreate(uint32_t size);
  bool TryCreateCold(Content content);
  void NoteAdded(uint64_t load_before);
  void FreeBlock(uint64_t serial);
  void OnReady(PendingFetch* pending);
  void Finish(PendingFetch* pending);
  void VerifyFetch(const PendingFetch& pending);
  void Sweep();
  void Rewrite(Block* block);

  // --- Judging (simulation.cc) ---
  void ExpectContent(const Block& block, Bytes bytes, const char* where);
  void ExpectError(Code code, const char* where);
  void CheckBounds();
  void CheckEverything();
  void CheckFork();
  void JudgeFork(store::SnapshotSource& source) const;
  void Heal();
  void AnswerEveryone();
  void ServeOneInACrowd();
  void ReadEverything();
  void FreeEverything();
  [[nodiscard]] uint64_t Load();
  [[nodiscard]] uint64_t HighMark() const;

  [[nodiscard]] blocks::TieredPool& pool() { return world_->pool(); }

  Options options_;
  base::Random random_;
  Geometry geometry_;
  std::unique_ptr<World> world_;
  SimOwner owner_;
  Model model_;
  std::vector<std::unique_ptr<PendingFetch>> fetches_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<Forked> forked_;
  std::unique_ptr<ForkedChild> child_;  // While frozen.
  std::vector<std::byte> cold_bytes_;
  bool frozen_ = false;
  uint64_t detached_ = 0;  // Not answered yet.
  uint64_t cache_bytes_ = 0;
  uint64_t pressure_bytes_ = 0;
  uint64_t allowance_bytes_ = 0;  // Load beyond the hard mark that has an excuse.
  Tally tally_;
};

}  // namespace flash::sim
