// server_aof.h: what the server's own settings say about its AOF and RDB, and the three that are
// set from here: appendfsync, io-threads and rdb-del-sync-files.
//
// `appendfsync always` is set while flash.sync is always, with AOF off too, because the server's
// I/O threads hold replies back until the turn's end only then; the operator's value comes back
// when flash.sync is lowered. Valkey 9 does not quite keep to that, so there `io-threads 1` is set
// for as long as replies wait for a log of ours. `rdb-del-sync-files no` is set while there is a
// log of ours: a server without save points would delete the snapshot for a replica behind which
// the log was cut. Thread: main. Decision: docs/adr/0014.
#pragma once

#include <cstdint>
#include <string>

#include "durability/held_setting.h"
#include "vk/api.h"

namespace flash::durability {

class ServerAof {
 public:
  /// Asks the server anew; at load, and after each of its settings changed.
  void Ask(ValkeyModuleCtx* ctx);
  /// `appendonly yes`.
  [[nodiscard]] bool on() const { return on_; }
  /// On, and its first rewrite since it was switched on has ended well: it holds everything.
  [[nodiscard]] static bool Stands(ValkeyModuleCtx* ctx);
  [[nodiscard]] const std::string& rdb_name() const { return rdb_name_; }
  [[nodiscard]] uint64_t busy_threshold_ms() const { return busy_threshold_ms_; }

  /// Makes appendfsync what flash.sync demands. False: the server refused.
  bool Follow(ValkeyModuleCtx* ctx, bool always);
  /// Makes io-threads 1 where `needed` and where they answer early although. False: they still do.
  bool HoldThreads(ValkeyModuleCtx* ctx, bool needed);
  /// Makes rdb-del-sync-files what a log needs.
  void KeepSnapshots(ValkeyModuleCtx* ctx, bool needed);

 private:
  bool on_ = false;
  HeldSetting appendfsync_{"appendfsync", "always"};
  HeldSetting io_threads_{"io-threads", "1"};
  HeldSetting rdb_del_sync_files_{"rdb-del-sync-files", "no"};
  std::string rdb_name_;
  uint64_t busy_threshold_ms_ = 5000;
};

}  // namespace flash::durability
