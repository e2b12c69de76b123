// stratum_scan.h: draws random keys from one database of one primary, a step at a time.
//
// Few keys are all scanned and evenly chosen from; of many, random stretches of the hash table are
// scanned and every key in them is taken (docs/sizing.md says why that is a random sample). A step
// is one stretch, or one SCAN of a whole pass, so that whoever calls may stop between any two and
// has a sound sample. Knows neither sockets nor what is made of the sample. Thread: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "tools/flash-sizer/probe.h"
#include "tools/flash-sizer/sample.h"
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {

class StratumScan {
 public:
  struct Options {
    uint32_t stratum = 0;  ///< Index into Sample::strata, whose entry exists.
    bool cluster = false;
    std::vector<std::pair<uint16_t, uint16_t>> slots;  ///< Owned; empty: all.
    uint64_t seed = 0;
  };

  StratumScan(Probe& probe, Sample& sample, Options options);

  /// Finds out how cursors are to be read and, if it is not known, about how many keys there are.
  /// Errors: those of Probe.
  [[nodiscard]] Result<void> Prepare();

  /// Sets how many keys are wanted; before the first Step.
  void Want(uint64_t keys);

  /// Draws some more; false when there are enough, or no more. Errors: those of Probe.
  [[nodiscard]] Result<bool> Step();

  /// Brings the stratum's entry up to date with what was seen; after the last Step.
  void Conclude();

  /// From 0 to 1.
  [[nodiscard]] double Progress() const;

 private:
  [[nodiscard]] Result<void> FindCursorForm();
  [[nodiscard]] Result<void> EstimateKeys();
  /// The part of all tables that lies before `cursor`, which a SCAN returned: 0 is the end.
  [[nodiscard]] double Position(uint64_t cursor) const;
  [[nodiscard]] Result<bool> StepOfPass();
  [[nodiscard]] Result<bool> StepOfStretches();
  void LayOutCells();
  /// Without a stretch, each key is one of its own: keys of a pass are chosen one by one.
  [[nodiscard]] Result<void> Take(const std::vector<std::string>& names,
                                  std::optional<uint32_t> stretch);
  uint32_t AddStretch(double weight);
  [[nodiscard]] Stratum& stratum() { return sample_.strata[options_.stratum]; }

  Probe& probe_;
  Sample& sample_;
  const Options options_;
  base::Random random_;
  CursorForm form_ = CursorForm::Whole();
  std::vector<uint16_t> slots_;

  uint64_t wanted_ = 0;
  uint64_t taken_ = 0;
  bool whole_pass_ = true;
  uint32_t stretch_count_ = 0;  // COUNT of a stretch's SCAN.

  // A pass over all keys.
  uint64_t cursor_ = 0;
  uint64_t passed_ = 0;
  double choice_ = 0;  // Grows by the share wanted; a key is chosen at each whole number.
  bool pass_done_ = false;

  // Stretches: cells in random order, the next one to visit, what they covered.
  std::vector<uint32_t> cells_;
  size_t next_cell_ = 0;
  unsigned cell_bits_ = 0;
  double covered_ = 0;
  double keys_by_cover_ = 0;

  std::unordered_set<uint64_t> seen_;  // Hashes of names: SCAN may return a key twice.
};

}  // namespace flash::tools::sizer
