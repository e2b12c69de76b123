// work_placer.h: where long work that builds a value puts its blocks, and how much a step of it may
// still add.
//
// Never waits: the room for a step was made before it (LongWork::room_bytes). What is built beyond
// a quarter of the cache goes straight to flash. Knows no value class. Thread: main. Decision:
// docs/adr/0012.
#pragma once

#include <cstdint>

#include "values/block_placer.h"

namespace flash::dispatch {

/// What a work has added, for all of its placers.
class WorkMeter {
 public:
  /// What a step may add. A little more is added where it does not come in small pieces.
  [[nodiscard]] static uint64_t StepBytes();

  void BeginStep();
  [[nodiscard]] bool IsFull() const { return step_bytes_ >= step_bytes_max_; }

 private:
  friend class WorkPlacer;
  uint64_t step_bytes_ = 0;
  uint64_t step_bytes_max_ = 0;
  uint64_t hot_bytes_ = 0;  // Placed hot while there was room; they may have left since.
};

class WorkPlacer final : public values::BlockPlacer {
 public:
  /// `meter` outlives it.
  explicit WorkPlacer(WorkMeter* meter) : meter_(*meter) {}
  WorkPlacer(const WorkPlacer&) = delete;
  WorkPlacer& operator=(const WorkPlacer&) = delete;
  ~WorkPlacer() override { Hold(0, 0); }

  /// Fails never.
  [[nodiscard]] Result<BlockId> Place(Bytes payload, values::Family* family) override;
  [[nodiscard]] Result<void> AwaitRoom(uint64_t /*bytes*/) override { return {}; }
  [[nodiscard]] uint64_t memory_bytes_max() const override;
  void Hold(uint64_t bytes, uint64_t pinned_bytes) override;
  [[nodiscard]] blocks::WaitCause cause() const override { return blocks::WaitCause::kOther; }

 private:
  WorkMeter& meter_;
  uint64_t held_bytes_ = 0;
};

}  // namespace flash::dispatch
