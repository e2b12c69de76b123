// settings.h: every setting of the module as a typed value.
//
// Names, defaults, bounds and words for each stand in one table (settings_table.h); how they come
// in, and who wins, in settings_registry.h; for operators: docs/settings.md. Thread: main.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "io/tier_devices.h"

namespace flash::server {

enum class SyncPolicy : uint8_t { kAlways, kEverySecond, kNo };
enum class ClusterMode : uint8_t { kAuto, kYes, kNo };
enum class WalMismatch : uint8_t { kRefuse, kArchive };

struct Settings {
  std::string path = "/tmp/valkey-flash.bin";
  uint64_t capacity_bytes = kGiB;
  uint64_t cache_size_bytes = 256 * kMiB;
  SyncPolicy sync = SyncPolicy::kEverySecond;
  uint32_t io_threads = 0;         // 0 until resolved at load; then the number in force.
  uint32_t main_thread_reads = 0;  // Likewise.
  uint32_t io_uring_entries = 256;
  io::DeviceChoice io_backend = io::DeviceChoice::kAuto;
  uint32_t compaction_interval_sec = 60;
  uint32_t demotion_batch = 0;
  uint32_t demotion_max_inflight = 0;
  bool replica_tier_enabled = false;
  ClusterMode cluster_mode = ClusterMode::kAuto;
  uint32_t migration_bandwidth_mbps = 100;
  uint64_t migration_max_key_bytes = 64 * kMiB;
  uint32_t migration_chunk_timeout_sec = 30;
  uint32_t migration_probe_cache_sec = 60;
  bool compression_lz4 = true;
  uint32_t io_timeout_ms = 5000;
  uint32_t max_parked_clients = 1024;
  uint64_t max_reply_bytes = 0;
  bool wal = true;
  std::string wal_dir;  // Empty: beside the tier.
  uint64_t wal_max_bytes = 4 * kGiB;
  WalMismatch wal_on_mismatch = WalMismatch::kRefuse;
  uint64_t drain_max_elements = 1'000'000;
  bool native_fallback = false;
};

}  // namespace flash::server
