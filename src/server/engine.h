// engine.h: the parts of one running module, put together: settings, file, I/O threads, block pool.
//
// The only global of the module; everything in server/ and commands/ reaches the pool through it.
// Opened at load by module.cc, closed by the shutdown event. Knows no command.
// Thread: main.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "blocks/tiered_pool.h"
#include "io/backend.h"
#include "io/flash_file.h"
#include "server/settings.h"
#include "values/value_counters.h"

namespace flash::io {
class TierDevices;
}  // namespace flash::io

namespace flash::server {

enum class ModuleState : uint8_t { kRecovering, kReady, kError };

/// Counts that belong to no lower layer, and those of the values; shown by INFO.
struct ServerCounters : values::ValueCounters {
  uint64_t parked_now = 0;
  uint64_t parked_total = 0;
  uint64_t parked_disconnected = 0;  // Clients that left while parked.
  uint64_t flashio_errors = 0;       // FLASHIO replies.
  uint64_t flashfull_errors = 0;     // FLASHFULL replies.
  uint64_t replies_refused = 0;      // As too large.
  uint64_t converted = 0;            // Keys that became native ones.
  uint64_t adopted = 0;              // Native keys that became ours.
  uint64_t native_fallbacks = 0;     // Commands that ran on native keys.
  struct Drain {
    bool in_progress = false;
    uint64_t converted = 0;  // Of the last one, or the one in progress.
    uint64_t skipped = 0;
    uint64_t errors = 0;
    uint64_t scanned = 0;
  } drain;
  struct Migration {
    uint64_t in_progress = 0;
    uint64_t bytes_sent = 0;  // Payload, of FLASH values.
    uint64_t bytes_received = 0;
    uint64_t last_duration_ms = 0;
    uint64_t errors = 0;  // Commands that ended in one.
    uint64_t keys_migrated = 0;
    uint64_t keys_rejected = 0;
  } migration;
  /// Keys that left because the tier was full.
  struct Eviction {
    uint64_t keys = 0;
    uint64_t sampled = 0;     // Keys looked at for that.
    uint64_t us = 0;          // What it took of the main thread.
    uint64_t mark_bytes = 0;  // Above so many live bytes on flash; 0: never.
    bool exhausted = false;
  } eviction;
  uint64_t replication_effects_queued = 0;  // That waited for blocks, or behind others.
  uint64_t commanded_demotions = 0;         // Blocks that FLASH.DEBUG.DEMOTE sent to flash.
};

class Engine {
 public:
  /// The engine of this process; only while IsOpen, and afterwards for its counters.
  static Engine& Get() {
    FLASH_DCHECK(the_engine_ != nullptr);
    return *the_engine_;
  }
  /// Between Open and Close.
  [[nodiscard]] static bool IsOpen() { return is_open_; }

  /// Opens file, threads and pool as `settings` say and installs them as Get(). `with_tier` false:
  /// the pool alone, and a look whether the rest could be opened. Errors, one line for people:
  /// kUnsupported, kLocked, kForeign, kNoSpace (with a tier only), kIo, kInvalid; nothing stays
  /// open.
  [[nodiscard]] static Result<void> Open(const Settings& settings, bool with_tier);

  /// Ends the I/O threads, for good. The server exits next, or the load is given up.
  static void Close();

  /// Lets a setting that changed at run time take effect.
  void ApplySettings();

  /// Asks the store for a pass over segments with at least `dead_percent_min` percent of dead
  /// bytes. Returns a number for CompactionDone.
  uint64_t RequestCompaction(uint32_t dead_percent_min);
  /// Has a pass ended that began after the request which returned `pass`? Ask until it has.
  [[nodiscard]] bool CompactionDone(uint64_t pass);

  // --- The tier: file, I/O threads and store, there or not (docs/adr/0023) ---

  /// How its file is opened.
  [[nodiscard]] io::FlashFile::Options FileOptions() const;
  /// Starts I/O threads over `file` and puts a store in. Only while there is none. Errors:
  /// kUnsupported, kIo, kInvalid; then all is as before.
  [[nodiscard]] Result<void> OpenTier(std::unique_ptr<io::FlashFile> file);
  /// Ends all three; only when the pool allows it.
  void CloseTier();
  [[nodiscard]] bool has_tier() const { return backend_ != nullptr; }
  /// Tiers that were opened until now.
  [[nodiscard]] uint64_t tiers_opened() const { return tiers_opened_; }
  /// Null without a tier.
  [[nodiscard]] io::Backend* backend() { return backend_.get(); }
  /// The tier file; what a forked child reopens to read from. Only with a tier.
  [[nodiscard]] const io::FlashFile& file() const { return *file_; }
  /// What hashes are keyed by; see FlashFile::KeepHashSeed.
  [[nodiscard]] uint64_t hash_seed() const { return hash_seed_; }
  [[nodiscard]] Result<void> KeepHashSeed(uint64_t seed);

  /// The class itself, so that what commands ask of a hot block is called without a table.
  [[nodiscard]] blocks::TieredPool& pool() { return *pool_; }
  /// Makes further devices over that file, and tells which kind is in use.
  [[nodiscard]] io::TierDevices& devices() { return *devices_; }
  [[nodiscard]] Settings& settings() { return settings_; }
  [[nodiscard]] const base::Clock& clock() const { return clock_; }
  [[nodiscard]] ModuleState state() const { return state_; }
  void set_state(ModuleState state) { state_ = state; }
  /// What a log holds is being applied: as once acknowledged, whatever the clock says now.
  [[nodiscard]] bool replaying() const { return replaying_; }
  void set_replaying(bool replaying) { replaying_ = replaying; }
  [[nodiscard]] ServerCounters& counters() { return counters_; }
  /// Does the server run as part of a cluster?
  [[nodiscard]] bool cluster_enabled() const { return cluster_enabled_; }
  void set_cluster_enabled(bool enabled) { cluster_enabled_ = enabled; }

 private:
  Engine();
  ~Engine();
  [[nodiscard]] Result<void> OpenParts(bool with_tier);
  /// Could a tier be opened?
  [[nodiscard]] Result<void> CheckTier();
  [[nodiscard]] Result<void> StartBackend();

  Settings settings_;
  base::SystemClock clock_;
  ModuleState state_ = ModuleState::kRecovering;
  bool replaying_ = false;
  bool cluster_enabled_ = false;
  ServerCounters counters_;
  uint64_t hash_seed_ = 0;  // 0: not known before the file is opened.
  uint64_t tiers_opened_ = 0;
  uint64_t pass_requested_ = 0;  // The last answer of RequestCompaction.
  uint64_t pass_seen_ = 0;       // passes_done() when the store was last asked for one.
  std::unique_ptr<io::FlashFile> file_;
  std::unique_ptr<io::TierDevices> devices_;
  std::unique_ptr<io::Backend> backend_;
  std::unique_ptr<blocks::TieredPool> pool_;

  static constinit inline Engine* the_engine_ = nullptr;
  static constinit inline bool is_open_ = false;
};

}  // namespace flash::server
