// sim_world.cc: draws the sizes and builds the layers; see sim_world.h.
//
// Thread: one.
#include "tests/sim/sim_world.h"

#include <array>
#include <cstdio>
#include <utility>

#include "io/faulty_device.h"

namespace flash::sim {
namespace {

constexpr uint64_t kCapacityBytes = 16 * kMiB;
constexpr uint32_t kTimeoutMs = 50;

constexpr std::array<std::string_view, kFaultProfiles> kNames = {
    "none",        "eio",  "enospc", "short",   "torn", "lost",
    "misdirected", "flip", "slow",   "reorder", "hang", "mixed"};

io::FaultPlan PlanOf(FaultProfile profile, uint64_t seed) {
  using io::Fault;
  io::FaultPlan plan;
  plan.seed = seed;
  plan.file_bytes = kCapacityBytes;
  switch (profile) {
    case FaultProfile::kNone:
      return plan;
    case FaultProfile::kEio:
      return plan.Rate(Fault::kError, 100'000);
    case FaultProfile::kNoSpace:
      return plan.Rate(Fault::kNoSpace, 300'000);
    case FaultProfile::kShort:
      return plan.Rate(Fault::kShort, 300'000);
    case FaultProfile::kTorn:
      return plan.Rate(Fault::kTorn, 100'000);
    case FaultProfile::kLost:
      return plan.Rate(Fault::kLost, 100'000);
    case FaultProfile::kMisdirected:
      return plan.Rate(Fault::kMisdirected, 50'000);
    case FaultProfile::kFlip:
      return plan.Rate(Fault::kFlip, 100'000);
    case FaultProfile::kSlow:
      return plan.Rate(Fault::kSlow, 400'000);
    case FaultProfile::kReorder:
      return plan.Rate(Fault::kReordered, 400'000);
    case FaultProfile::kHang:
      return plan.Rate(Fault::kHung, 50'000);
    case FaultProfile::kMixed:
      break;
  }
  for (size_t fault = 0; fault < io::kFaultKinds; ++fault) {
    plan.Rate(static_cast<Fault>(fault), 15'000);
  }
  return plan;
}

}  // namespace

std::string_view NameOf(FaultProfile profile) { return kNames[static_cast<size_t>(profile)]; }

std::optional<FaultProfile> ProfileNamed(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<FaultProfile>(i);
  }
  return std::nullopt;
}

bool MayFailReads(FaultProfile profile) {
  switch (profile) {
    case FaultProfile::kNone:
    case FaultProfile::kNoSpace:
    case FaultProfile::kShort:
    case FaultProfile::kSlow:
    case FaultProfile::kReorder:
      return false;
    default:
      return true;
  }
}

bool MayDamage(FaultProfile profile) {
  return profile == FaultProfile::kTorn || profile == FaultProfile::kLost ||
         profile == FaultProfile::kMisdirected || profile == FaultProfile::kMixed;
}

Geometry Geometry::Draw(base::Random* random) {
  const auto one_of = [random](auto... values) {
    const std::array choices = {static_cast<uint64_t>(values)...};
    return choices[random->Below(choices.size())];
  };
  Geometry geometry;
  geometry.hoard = random->Chance(1, 6);
  geometry.cache_bytes =
      geometry.hoard ? one_of(256 * kKiB, kMiB) : one_of(16 * kKiB, 32 * kKiB, 100'000, 256 * kKiB);
  geometry.segment_bytes = static_cast<uint32_t>(one_of(64 * kKiB, 128 * kKiB, 256 * kKiB, kMiB));
  geometry.write_buffers = static_cast<uint32_t>(one_of(1, 2, 4));
  geometry.alignment = static_cast<uint32_t>(one_of(512, 4096));
  geometry.device_entries = static_cast<uint32_t>(one_of(2, 8, 256));
  geometry.reads_max = static_cast<uint32_t>(one_of(2, 16, 1024));
  geometry.background_max = static_cast<uint32_t>(one_of(8, 256));
  geometry.inflight_read_bytes_max = static_cast<uint32_t>(one_of(16 * kKiB, 32 * kMiB));
  geometry.compress = !geometry.hoard && random->Chance(1, 2);
  return geometry;
}

std::string Geometry::Describe() const {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(),
                "cache %llu segment %u write-buffers %u alignment %u entries %u reads %u "
                "background %u read-bytes %u%s%s",
                static_cast<unsigned long long>(cache_bytes), segment_bytes, write_buffers,
                alignment, device_entries, reads_max, background_max, inflight_read_bytes_max,
                compress ? " lz4" : "", hoard ? " hoard" : "");
  return text.data();
}

World::World(const Geometry& geometry, FaultProfile profile, uint64_t seed)
    : file_(std::make_shared<io::MemoryFile>(kCapacityBytes)),
      faults_(std::make_shared<io::FaultInjector>(PlanOf(profile, seed))) {
  auto disk = std::make_unique<io::MemoryDevice>(
      file_, io::MemoryDevice::Options{.entries = geometry.device_entries,
                                       .alignment = geometry.alignment});
  auto device = std::make_unique<io::FaultyDevice>(std::move(disk), faults_, &clock_);
  io::InlineBackend::Options backend;
  backend.seed = seed;
  backend.reads_max = geometry.reads_max;
  backend.background_max = geometry.background_max;
  backend.on_idle = [this](uint64_t wait_us) { clock_.Advance(wait_us); };
  backend_ = std::make_unique<io::InlineBackend>(std::move(device), &clock_, backend);
  // Elsewhere a read waits as long as it takes: simulated time passes in leaps.
  const bool hangs = profile == FaultProfile::kHang || profile == FaultProfile::kMixed;
  backend_->SetTimeoutMs(hangs ? kTimeoutMs : 0);

  blocks::BlockPool::Options options;
  options.cache_bytes = geometry.cache_bytes;
  options.room_wait_us_max = 100'000;
  options.store.capacity_bytes = kCapacityBytes;
  options.store.segment_bytes = geometry.segment_bytes;
  options.store.write_buffers_per_stream = geometry.write_buffers;
  options.store.inflight_read_bytes_max = geometry.inflight_read_bytes_max;
  options.store.compression = geometry.compress ? store::RecordStore::Compression::kLz4
                                                : store::RecordStore::Compression::kNone;
  options.store.hash_seed = seed;
  if (seed % 2 == 0) options.store.late_copy_bytes_min = 16;  // Else few batches have so much.
  options.store.retry_backoff_us_max = 200'000;
  pool_ = std::make_unique<blocks::TieredPool>(options, &clock_);
  const Result<void> opened =
      pool_->OpenStore(backend_.get(), blocks::BlockPool::RealStore(backend_.get(), &clock_));
  FLASH_CHECK(opened.ok());
}

}  // namespace flash::sim
