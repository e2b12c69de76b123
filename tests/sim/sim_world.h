// sim_world.h: the small world of one seed: disk with faults, backend, store, pool, all drawn from
// the seed.
//
// Everything is on one thread and on a clock that moves only when told to, so a seed decides all.
// Thread: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "blocks/tiered_pool.h"
#include "io/fault_injector.h"
#include "io/inline_backend.h"
#include "io/memory_device.h"
#include "store/record_store.h"

namespace flash::sim {

/// What the disk does wrong.
enum class FaultProfile : uint8_t {
  kNone,
  kEio,
  kNoSpace,
  kShort,
  kTorn,
  kLost,
  kMisdirected,
  kFlip,
  kSlow,
  kReorder,
  kHang,
  kMixed,
};
inline constexpr size_t kFaultProfiles = 12;

[[nodiscard]] std::string_view NameOf(FaultProfile profile);
[[nodiscard]] std::optional<FaultProfile> ProfileNamed(std::string_view name);

/// May a read fail, once? May a record be damaged for good? Elsewhere both are failures of ours.
[[nodiscard]] bool MayFailReads(FaultProfile profile);
[[nodiscard]] bool MayDamage(FaultProfile profile);

/// The sizes of this world.
struct Geometry {
  uint64_t cache_bytes = 0;
  uint32_t segment_bytes = 0;
  uint32_t write_buffers = 0;
  uint32_t alignment = 0;
  uint32_t device_entries = 0;
  uint32_t reads_max = 0;
  uint32_t background_max = 0;
  uint32_t inflight_read_bytes_max = 0;
  bool compress = false;
  bool hoard = false;  // Large blocks, made in bursts, so that the tier fills and compacts.

  static Geometry Draw(base::Random* random);
  [[nodiscard]] std::string Describe() const;
};

class World {
 public:
  World(const Geometry& geometry, FaultProfile profile, uint64_t seed);

  [[nodiscard]] blocks::TieredPool& pool() { return *pool_; }
  [[nodiscard]] store::RecordStore& store() { return pool_->store(); }
  [[nodiscard]] io::FaultInjector& faults() { return *faults_; }
  [[nodiscard]] base::ManualClock& clock() { return clock_; }
  [[nodiscard]] const io::MemoryFile& file() const { return *file_; }

 private:
  base::ManualClock clock_;
  std::shared_ptr<io::MemoryFile> file_;
  std::shared_ptr<io::FaultInjector> faults_;
  std::unique_ptr<io::InlineBackend> backend_;
  std::unique_ptr<blocks::TieredPool> pool_;
};

}  // namespace flash::sim
