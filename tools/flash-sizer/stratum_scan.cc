// stratum_scan.cc: see stratum_scan.h.
//
// Why stretches of SCAN's order are random: docs/sizing.md. Thread: one owner.
#include "tools/flash-sizer/stratum_scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <span>
#include <string_view>

namespace flash::tools::sizer {
namespace {

constexpr uint32_t kPassCount = 200;       // Keys per SCAN of a whole pass.
constexpr uint32_t kStretchCountMax = 50;  // Keys per SCAN of a stretch.
constexpr uint32_t kStretchCountMin = 10;
constexpr uint64_t kStretchesMin = 50;  // Fewer would leave their differences a guess.
constexpr uint32_t kProbes = 8;
constexpr uint64_t kPassFactor = 4;  // A pass, if there are at most so many times the keys wanted.
constexpr uint32_t kCellBitsMax = 22;  // Four million cells are enough to choose 2,000 from.
constexpr int kScansOfSlotMax = 20;

uint64_t HashOf(std::string_view name) { return std::hash<std::string_view>()(name); }

}  // namespace

StratumScan::StratumScan(Probe& probe, Sample& sample, Options options)
    : probe_(probe), sample_(sample), options_(std::move(options)), random_(options_.seed) {
  for (const auto& [first, last] : options_.slots) {
    for (uint32_t slot = first; slot <= last; slot++) slots_.push_back(static_cast<uint16_t>(slot));
  }
  std::sort(slots_.begin(), slots_.end());
  if (slots_.empty()) {
    for (uint32_t slot = 0; slot < kSlots; slot++) slots_.push_back(static_cast<uint16_t>(slot));
  }
}

Result<void> StratumScan::Prepare() {
  if (options_.cluster) {
    if (auto found = FindCursorForm(); !found) return found;
  }
  if (stratum().keys_known) return {};
  return EstimateKeys();
}

Result<void> StratumScan::FindCursorForm() {
  // Where tables are per slot, a cursor with slot s leads to keys of s or of later slots only;
  // where there is one table, that would be a rare accident.
  uint32_t keys = 0;
  for (uint32_t i = 0; i < kProbes; i++) {
    const uint16_t slot = slots_[random_.Below(slots_.size())];
    uint64_t cursor = CursorForm::PerSlot().Begin(0, 0, slot);
    const auto names = probe_.Scan(cursor, kStretchCountMax);
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (SlotOf(name) < slot) return {};
      keys++;
    }
  }
  if (keys > 0) form_ = CursorForm::PerSlot();
  return {};
}

double StratumScan::Position(uint64_t cursor) const {
  if (cursor == 0) return 1;
  if (!form_.per_slot()) return Place(cursor);
  const auto slot = static_cast<uint16_t>(cursor & (kSlots - 1));
  const auto before = std::lower_bound(slots_.begin(), slots_.end(), slot) - slots_.begin();
  return (static_cast<double>(before) + Place(cursor >> 14)) / static_cast<double>(slots_.size());
}

Result<void> StratumScan::EstimateKeys() {
  double covered = 0;
  double keys = 0;
  for (uint64_t i = 0; i < kProbes; i++) {
    const uint64_t begin = form_.per_slot()
                               ? form_.Begin(0, 0, slots_[random_.Below(slots_.size())])
                               : form_.Begin(i, 3, 0);
    uint64_t cursor = begin;
    const auto names = probe_.Scan(cursor, kStretchCountMax);
    if (!names) return names.error();
    keys += static_cast<double>(names->size());
    covered += Position(cursor) - (begin == 0 ? 0 : Position(begin));
  }
  stratum().keys = std::round(keys / std::max(covered, 1e-12));
  return {};
}

void StratumScan::Want(uint64_t keys) {
  wanted_ = keys;
  stretch_count_ = static_cast<uint32_t>(
      std::clamp<uint64_t>(keys / kStretchesMin, kStretchCountMin, kStretchCountMax));
  // What stretches would make the server name, those of foreign slots included.
  double named = static_cast<double>(keys);
  if (form_.per_slot()) {
    const double keys_of_slot = std::max(stratum().keys / static_cast<double>(slots_.size()), 1e-3);
    named *= std::max(1.0, stretch_count_ / keys_of_slot);
  }
  whole_pass_ = stratum().keys <= static_cast<double>(kPassFactor) * named;
  choice_ = static_cast<double>(random_.Below(1 << 20)) / (1 << 20);
  if (!whole_pass_) LayOutCells();
}

void StratumScan::LayOutCells() {
  const double tables = form_.per_slot() ? static_cast<double>(slots_.size()) : 1;
  const double cells_wanted = stratum().keys / tables / (2.0 * stretch_count_);
  cell_bits_ = cells_wanted < 2 ? 0
                                : std::min<uint32_t>(
                                      kCellBitsMax, static_cast<uint32_t>(std::log2(cells_wanted)));
  const uint64_t cells = form_.per_slot() ? slots_.size() : uint64_t{1} << cell_bits_;
  cells_.resize(cells);
  for (uint32_t i = 0; i < cells; i++) cells_[i] = i;
  for (uint64_t i = cells; i > 1; i--) std::swap(cells_[i - 1], cells_[random_.Below(i)]);
}

Result<bool> StratumScan::Step() {
  if (taken_ >= wanted_) return false;
  return whole_pass_ ? StepOfPass() : StepOfStretches();
}

Result<bool> StratumScan::StepOfPass() {
  const auto names = probe_.Scan(cursor_, kPassCount);
  if (!names) return names.error();
  const double share = std::min(1.0, static_cast<double>(wanted_) / std::max(1.0, stratum().keys));
  std::vector<std::string> chosen;
  for (const std::string& name : *names) {
    if (!seen_.insert(HashOf(name)).second) continue;
    passed_++;
    choice_ += share;
    if (choice_ < 1) continue;
    choice_ -= 1;
    chosen.push_back(name);
  }
  if (chosen.size() > wanted_ - taken_) chosen.resize(wanted_ - taken_);
  if (const auto took = Take(chosen, std::nullopt); !took) return took.error();
  pass_done_ = cursor_ == 0;
  return !pass_done_;
}

Result<bool> StratumScan::StepOfStretches() {
  if (next_cell_ >= cells_.size()) return false;
  const uint32_t cell = cells_[next_cell_++];
  uint64_t begin = 0;
  uint16_t slot = 0;
  if (form_.per_slot()) {
    slot = slots_[cell];
    begin = form_.Begin(random_.Below(uint64_t{1} << cell_bits_), cell_bits_, slot);
  } else {
    begin = form_.Begin(cell, cell_bits_, 0);
  }
  uint64_t cursor = begin;
  std::vector<std::string> found;
  for (int scans = 0; scans < (cell_bits_ == 0 ? kScansOfSlotMax : 1); scans++) {
    const auto names = probe_.Scan(cursor, stretch_count_);
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (form_.per_slot() && SlotOf(name) != slot) continue;
      if (seen_.insert(HashOf(name)).second) found.push_back(name);
    }
    if (form_.AtEnd(begin, cursor)) break;
  }
  const double covered = form_.Covered(begin, cursor);
  covered_ += covered;
  keys_by_cover_ += form_.per_slot() ? static_cast<double>(found.size()) / std::max(covered, 1e-12)
                                     : static_cast<double>(found.size());
  const uint32_t stretch = AddStretch(form_.per_slot() ? 1 / std::max(covered, 1e-12) : 1);
  if (found.size() > wanted_ - taken_) found.resize(wanted_ - taken_);
  if (const auto took = Take(found, stretch); !took) return took.error();
  return taken_ < wanted_;
}

Result<void> StratumScan::Take(const std::vector<std::string>& names,
                               std::optional<uint32_t> stretch) {
  std::span<const std::string> rest = names;
  while (!rest.empty()) {
    const size_t count = std::min(rest.size(), Probe::kKeysMax);
    const size_t before = sample_.keys.size();
    if (auto done = probe_.Measure(rest.subspan(0, count), sample_.keys); !done) return done;
    for (size_t i = before; i < sample_.keys.size(); i++) {
      sample_.keys[i].stretch = stretch ? *stretch : AddStretch(1);
    }
    taken_ += sample_.keys.size() - before;
    rest = rest.subspan(count);
  }
  return {};
}

uint32_t StratumScan::AddStretch(double weight) {
  sample_.stretches.push_back({options_.stratum, weight});
  return static_cast<uint32_t>(sample_.stretches.size() - 1);
}

void StratumScan::Conclude() {
  Stratum& mine = stratum();
  mine.heat = probe_.heat();
  if (whole_pass_ && pass_done_) {
    mine.keys = static_cast<double>(passed_);
    mine.keys_known = true;
    mine.complete = passed_ == taken_;
  } else if (!mine.keys_known && whole_pass_ && passed_ > 0) {
    mine.keys = std::round(static_cast<double>(passed_) / Position(cursor_));
  } else if (!mine.keys_known && next_cell_ > 0) {
    mine.keys = form_.per_slot() ? keys_by_cover_ / static_cast<double>(next_cell_) *
                                       static_cast<double>(slots_.size())
                                 : keys_by_cover_ / std::max(covered_, 1e-12);
  }
  sample_.commands += probe_.commands();
  sample_.vanished_keys += probe_.vanished_keys();
}

double StratumScan::Progress() const {
  if (wanted_ == 0 || pass_done_) return 1;
  const auto keys = sample_.strata[options_.stratum].keys;
  const double by_pass = whole_pass_ && keys > 0 ? static_cast<double>(passed_) / keys : 0;
  return std::min(1.0,
                  std::max(by_pass, static_cast<double>(taken_) / static_cast<double>(wanted_)));
}

}  // namespace flash::tools::sizer
