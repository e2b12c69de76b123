// fault_injector.h: decides, by seed and by script, which transfers go wrong and how.
//
// One injector serves all devices of one file, so a test steers and counts in one place. It only
// decides; FaultyDevice carries out. A kind that does not fit a transfer (a torn read) is not drawn
// for it. Thread: any. Decision: docs/adr/0003.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/random.h"
#include "io/device.h"

namespace flash::io {

enum class Fault : uint8_t {
  kError,        ///< -EIO; of a write any part may have reached the disk; a sync did nothing.
  kNoSpace,      ///< -ENOSPC; nothing written.
  kShort,        ///< Transfers, and reports, less than asked.
  kTorn,         ///< Writes a part from the front, reports success.
  kLost,         ///< Writes or syncs nothing, reports success.
  kMisdirected,  ///< Writes at another aligned offset, reports success.
  kFlip,         ///< Reads with one bit changed.
  kSlow,         ///< Ends only after some Reaps and, with a clock, some time.
  kReordered,    ///< Overtaken by transfers that were started later.
  kHung,         ///< Never ends, until Release.
};
inline constexpr size_t kFaultKinds = 10;

struct FaultPlan {
  uint64_t seed = 1;
  std::array<uint32_t, kFaultKinds> per_million{};  // By kind, of the transfers that it fits.
  uint64_t file_bytes = 0;  // Where misdirected writes may go; needed for them.
  uint32_t slow_reaps_max = 8;
  uint64_t slow_us_max = 0;  // Only with a clock in the device.

  FaultPlan& Rate(Fault fault, uint32_t rate_per_million) {
    per_million[static_cast<size_t>(fault)] = rate_per_million;
    return *this;
  }
};

/// One fault at a chosen moment or place: of the transfers that match, `skip` pass and then `times`
/// fail.
struct ScriptedFault {
  Fault fault = Fault::kError;
  std::optional<Op> op = std::nullopt;  // None: both.
  uint64_t offset_from = 0;
  uint64_t offset_to = ~uint64_t{0};  // Exclusive; a transfer matches when it touches the range.
  uint64_t skip = 0;
  uint64_t times = 1;
};

/// What to do with one transfer.
struct FaultDecision {
  std::optional<Fault> effect;  // kError to kFlip.
  std::optional<Fault> delay;   // kSlow to kHung.
  uint32_t prefix_bytes = 0;    // kError, kShort, kTorn: what is transferred all the same.
  uint64_t other_offset = 0;    // kMisdirected.
  uint32_t flip_bit = 0;        // kFlip: which of the transfer's bits.
  uint32_t reaps = 0;           // kSlow, kReordered.
  uint64_t delay_us = 0;        // kSlow.
  bool delay_before = false;    // kSlow: held before the transfer instead of after it.
};

class FaultInjector {
 public:
  explicit FaultInjector(const FaultPlan& plan) : plan_(plan), random_(plan.seed) {}

  void Script(const ScriptedFault& fault);
  /// From now on only what is scripted or hung happens; or again with the plan's rates.
  void SetEnabled(bool enabled);
  /// Every transfer submitted from now on hangs, until Release.
  void HangAll();
  /// Lets everything that hangs go on, and wakes the devices that hold it.
  void Release();

  [[nodiscard]] uint64_t count(Fault fault) const;
  [[nodiscard]] uint64_t total() const;

  // For FaultyDevice.
  [[nodiscard]] FaultDecision Decide(const Request& request, uint32_t alignment);
  [[nodiscard]] uint64_t releases() const;
  void Register(Device* device);
  void Unregister(Device* device);

 private:
  [[nodiscard]] std::optional<Fault> Scripted(const Request& request);
  [[nodiscard]] bool Draw(Fault fault);
  void FillIn(FaultDecision& decision, const Request& request, uint32_t alignment);

  mutable std::mutex mutex_;
  FaultPlan plan_;
  base::Random random_;
  std::vector<ScriptedFault> script_;
  std::array<uint64_t, kFaultKinds> counts_{};
  std::vector<Device*> devices_;
  bool enabled_ = true;
  bool hang_all_ = false;
  uint64_t releases_ = 0;
};

}  // namespace flash::io
