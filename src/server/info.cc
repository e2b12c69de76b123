// info.cc: reads the statistics of all layers into INFO fields.
//
// The server puts "flash_" before each name. Fields of features that are not built yet show their
// true value: 0, no, idle. Thread: main.
#include "server/info.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <span>

#include "io/tier_devices.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/tier_keeper.h"
#include "values/family.h"

namespace flash::server {
namespace {

/// Adds fields; numbers, words, and fractions with four decimals.
class Fields {
 public:
  explicit Fields(ValkeyModuleInfoCtx* info) : info_(info) {}
  void Add(const char* name, uint64_t value) {
    ValkeyModule_InfoAddFieldULongLong(info_, name, value);
  }
  void Add(const char* name, const char* word) {
    ValkeyModule_InfoAddFieldCString(info_, name, word);
  }
  void AddYesNo(const char* name, bool value) { Add(name, value ? "yes" : "no"); }
  /// part / whole; 0.0000 while there is no whole.
  void AddRatio(const char* name, uint64_t part, uint64_t whole) {
    const double ratio = whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.4f", ratio);
    Add(name, text.data());
  }

 private:
  ValkeyModuleInfoCtx* info_;
};

constexpr std::array<const char*, 3> kStateNames = {"recovering", "ready", "error"};

constexpr std::array<const char*, static_cast<size_t>(blocks::WaitCause::kCount)> kWaitNames = {
    "sync_waits_multi",        "sync_waits_script",         "sync_waits_replication",
    "sync_waits_loading",      "sync_waits_deny_blocking",  "sync_waits_tracking",
    "sync_waits_parked_limit", "sync_waits_memory",         "sync_waits_callback_miss",
    "sync_waits_replan_limit", "sync_waits_save",           "sync_waits_dump",
    "sync_waits_hard_mark",    "sync_waits_demote_command", "sync_waits_shutdown",
    "sync_waits_other"};

void AddCache(Fields& fields, const blocks::BlockPool::Stats& pool,
              const ServerCounters& counters) {
  fields.Add("cache_hits", pool.hits);
  fields.Add("cache_misses", pool.misses);
  fields.AddRatio("cache_hit_ratio", pool.hits, pool.hits + pool.misses);
  fields.Add("cache_size_bytes", pool.hot_bytes);
  fields.Add("held_bytes", pool.held_bytes);
  fields.Add("hot_bytes_peak", pool.hot_bytes_peak);
  fields.Add("cache_capacity_bytes", pool.cache_bytes);
  fields.Add("cache_pressure_limit_bytes", PressureLimitInForce());
  fields.Add("cache_pinned_bytes", pool.pinned_bytes);
  fields.Add("eviction_count", pool.evictions);
  fields.Add("tiered_keys", pool.cold_single_blocks + counters.tiered_multi_block_values);
  fields.Add("resident_tiny_values", counters.resident_tiny_values);
  fields.Add("resident_tiny_bytes", counters.resident_tiny_bytes);
  fields.Add("blocks_hot_dirty", pool.blocks[1]);
  fields.Add("blocks_hot_clean", pool.blocks[2]);
  fields.Add("blocks_demoting", pool.blocks[3]);
  fields.Add("blocks_cold", pool.blocks[4]);
  fields.Add("blocks_shared", pool.shared_blocks);
  fields.Add("block_table_bytes", pool.table_bytes);
  fields.Add("cache_policy_bytes", pool.policy_bytes);
}

void AddDemotion(Fields& fields, const blocks::BlockPool::Stats& pool,
                 const ServerCounters& counters) {
  fields.Add("auto_demotions_total", pool.demotions);
  fields.Add("auto_demotions_inflight", pool.demotions_inflight);
  fields.Add("commanded_demotions_total", counters.commanded_demotions);
  fields.Add("demotion_effective_batch", pool.demotion_batch_effective);
  fields.Add("demotion_tick_last_us", pool.tick_last_us);
  fields.Add("demotion_tick_max_us", pool.tick_us_max);
  fields.Add("demotion_stall_events_total", pool.stalls);
  fields.Add("room_waiters", pool.room_waiters);
  fields.Add("deferred_frees", DeferredFree::Pending());
}

void AddStorage(Fields& fields, const store::RecordStore::Stats& store) {
  fields.Add("storage_used_bytes", store.used_bytes);
  fields.Add("storage_free_bytes", store.free_bytes);
  fields.Add("storage_capacity_bytes", store.capacity_bytes);
  fields.Add("storage_dead_bytes", store.dead_bytes);
  fields.Add("storage_reserved_bytes", store.reserved_bytes);
  fields.Add("storage_frozen_bytes", store.frozen_bytes);
  fields.Add("storage_prepared_bytes", store.prepared_bytes);
  fields.Add("storage_device_bytes_written", store.device_bytes_written);
  fields.AddRatio("storage_write_amplification", store.device_bytes_written,
                  store.put_stored_bytes);
  fields.AddRatio("storage_compression_ratio", store.put_stored_bytes, store.put_raw_bytes);
  fields.Add("compaction_runs", Engine::Get().pool().passes_done());
  fields.Add("compaction_segments", store.compaction_runs);
  fields.Add("compaction_bytes_reclaimed", store.compaction_bytes_reclaimed);
  fields.Add("compaction_bytes_moved", store.moved_bytes);
  fields.Add("compaction_unreadable_pages", store.unreadable_pages);
  fields.Add("segments_free", store.segments_free);
  fields.Add("segments_open", store.segments_open);
  fields.Add("segments_sealed", store.segments_sealed);
  fields.Add("segments_waiting", store.segments_waiting);
  fields.Add("segments_bad", store.segments_bad);
}

void AddKeyEviction(Fields& fields, const ServerCounters::Eviction& eviction) {
  fields.Add("evicted_keys", eviction.keys);
  fields.Add("key_eviction_mark_bytes", eviction.mark_bytes);
  fields.Add("key_eviction_sampled", eviction.sampled);
  fields.Add("key_eviction_us_total", eviction.us);
  fields.AddYesNo("key_eviction_exhausted", eviction.exhausted);
}

void AddErrors(Fields& fields, const store::RecordStore::Stats& store,
               const ServerCounters& counters) {
  fields.Add("checksum_errors", store.checksum_errors);
  fields.Add("read_errors", store.read_errors);
  fields.Add("read_timeouts", store.read_timeouts);
  fields.Add("write_errors", store.write_errors);
  fields.AddYesNo("writes_failing", store.writes_failing);
  fields.Add("flashio_replies", counters.flashio_errors);
  fields.Add("flashfull_replies", counters.flashfull_errors);
  fields.Add("replies_refused", counters.replies_refused);
}

void AddReads(Fields& fields, const blocks::BlockPool::Stats& pool,
              const ServerCounters& counters) {
  fields.Add("block_fetches", pool.fetches);
  fields.Add("block_fetch_errors", pool.fetch_errors);
  fields.Add("block_reads_dropped", pool.dropped_reads);
  fields.Add("block_reads_inflight", pool.reads_inflight);
  fields.Add("read_latency_p50_us", pool.read_us[0]);
  fields.Add("read_latency_p90_us", pool.read_us[1]);
  fields.Add("read_latency_p99_us", pool.read_us[2]);
  fields.Add("read_latency_p999_us", pool.read_us[3]);
  fields.Add("parked_clients", counters.parked_now);
  fields.Add("parked_clients_total", counters.parked_total);
  fields.Add("parked_clients_disconnected", counters.parked_disconnected);
  uint64_t waits = 0;
  uint64_t wait_us = 0;
  for (size_t i = 0; i < kWaitNames.size(); ++i) {
    fields.Add(kWaitNames[i], pool.waits[i]);
    waits += pool.waits[i];
    wait_us += pool.wait_us[i];
  }
  fields.Add("replication_effects_queued", counters.replication_effects_queued);
  fields.Add("sync_waits_total", waits);
  fields.Add("sync_wait_us_total", wait_us);
}

/// Asks the I/O threads' counters, which a crash report must not.
void AddDevice(Fields& fields, Engine& engine, uint64_t store_buffer_bytes) {
  const io::Backend::Stats device =
      engine.has_tier() ? engine.backend()->stats() : io::Backend::Stats();
  fields.Add("io_backend", engine.devices().uses_uring() ? "uring" : "threads");
  fields.Add("io_transfer_threads", uint64_t{engine.devices().transfer_threads()});
  fields.Add("device_reads", device.device_reads);
  fields.Add("device_read_bytes", device.device_read_bytes);
  fields.Add("device_writes", device.device_writes);
  fields.Add("device_coalesced_reads", device.coalesced_reads);
  fields.Add("io_buffer_bytes", device.buffer_bytes + store_buffer_bytes);
}

void AddMigration(Fields& fields, const Settings& settings,
                  const ServerCounters::Migration& migration) {
  fields.Add("migration_bandwidth_mbps", uint64_t{settings.migration_bandwidth_mbps});
  fields.Add("migration_slots_in_progress", migration.in_progress);
  fields.Add("migration_bytes_sent", migration.bytes_sent);
  fields.Add("migration_bytes_received", migration.bytes_received);
  fields.Add("migration_last_duration_ms", migration.last_duration_ms);
  fields.Add("migration_errors", migration.errors);
  fields.Add("migration_keys_migrated", migration.keys_migrated);
  fields.Add("migration_keys_rejected", migration.keys_rejected);
}

void AddLeaving(Fields& fields, const ServerCounters& counters) {
  fields.Add("convert_total", counters.converted);
  fields.Add("adopt_total", counters.adopted);
  fields.Add("native_fallback_total", counters.native_fallbacks);
  fields.AddYesNo("drain_in_progress", counters.drain.in_progress);
  fields.Add("drain_last_converted", counters.drain.converted);
  fields.Add("drain_last_skipped", counters.drain.skipped);
  fields.Add("drain_last_errors", counters.drain.errors);
  fields.Add("drain_last_scanned", counters.drain.scanned);
}

constinit LogFigureSource log_figures = nullptr;

void AddLog(Fields& fields, const LogFigures& log) {
  fields.Add("wal_size_bytes", log.used_bytes);
  fields.Add("wal_device_bytes_written", log.bytes_written);
  fields.Add("wal_appended_lsn", log.appended_lsn);
  fields.Add("wal_durable_lsn", log.durable_lsn);
  fields.Add("wal_base", log.base);
  fields.Add("wal_trouble", log.trouble.empty() ? "none" : log.trouble.c_str());
  fields.Add("wal_recovered_records", log.recovered_records);
  fields.Add("wal_recovery_percent", log.recovery_percent);
}

void WriteInfo(ValkeyModuleInfoCtx* info, int for_crash_report) {
  if (ValkeyModule_InfoAddSection(info, "") != VALKEYMODULE_OK || !Engine::IsOpen()) return;
  Engine& engine = Engine::Get();
  Fields fields(info);
  const bool crashed_elsewhere = for_crash_report != 0 && gettid() != getpid();
  fields.Add("version", FLASH_VERSION);
  fields.Add("module_state", kStateNames[static_cast<size_t>(engine.state())]);
  fields.AddYesNo("cluster_mode", engine.cluster_enabled());
  if (crashed_elsewhere) return;  // All that follows belongs to the main thread.
  fields.Add("tier_state", TierStateName());
  const blocks::BlockPool::Stats& pool = engine.pool().stats();
  const store::RecordStore::Stats& store = engine.pool().store_stats();
  if (for_crash_report == 0) values::SettleTiered(&engine.pool(), &engine.counters());
  AddCache(fields, pool, engine.counters());
  AddDemotion(fields, pool, engine.counters());
  AddStorage(fields, store);
  AddKeyEviction(fields, engine.counters().eviction);
  AddErrors(fields, store, engine.counters());
  AddReads(fields, pool, engine.counters());
  if (for_crash_report == 0) AddDevice(fields, engine, store.buffer_bytes);
  AddLeaving(fields, engine.counters());
  AddMigration(fields, engine.settings(), engine.counters().migration);
  AddLog(fields, for_crash_report == 0 && log_figures != nullptr ? log_figures() : LogFigures());
}

}  // namespace

void SetLogFigures(LogFigureSource source) { log_figures = source; }

void RegisterInfo(ValkeyModuleCtx* ctx) { ValkeyModule_RegisterInfoFunc(ctx, WriteInfo); }

}  // namespace flash::server
