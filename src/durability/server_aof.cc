// server_aof.cc: see server_aof.h.
//
// Thread: main.
#include "durability/server_aof.h"

#include <cstdlib>

#include "vk/log.h"
#include "vk/server_info.h"
#include "vk/server_setting.h"

namespace flash::durability {
namespace {

/// When a thread has written an answer, the server gives it the client's next one at once, also
/// under `appendfsync always` (handleWriteJobs of io_threads.c).
constexpr uint32_t kAnswersAgainFrom = 0x00090000;

}  // namespace

void ServerAof::Ask(ValkeyModuleCtx* ctx) {
  on_ = vk::ServerSetting(ctx, "appendonly") == "yes";
  appendfsync_.Ask(ctx);
  io_threads_.Ask(ctx);
  rdb_del_sync_files_.Ask(ctx);
  rdb_name_ = vk::ServerSetting(ctx, "dbfilename");
  const std::string threshold = vk::ServerSetting(ctx, "busy-reply-threshold");
  if (!threshold.empty()) busy_threshold_ms_ = std::strtoull(threshold.c_str(), nullptr, 10);
}

bool ServerAof::Stands(ValkeyModuleCtx* ctx) {
  const vk::ServerInfo info(ctx, "persistence");
  return info.Unsigned("aof_enabled") == 1 && info.Unsigned("aof_rewrite_in_progress") == 0 &&
         info.Unsigned("aof_rewrite_scheduled") == 0 &&
         info.Text("aof_last_bgrewrite_status") == "ok";
}

bool ServerAof::Follow(ValkeyModuleCtx* ctx, bool always) {
  const HeldSetting::Change change = appendfsync_.Follow(ctx, always);
  const std::string& before = appendfsync_.operators_value();
  if (change == HeldSetting::Change::kHeld) {
    vk::LogNotice("flash.sync is always: appendfsync was " + before +
                  " and is always until flash.sync is lowered");
  } else if (change == HeldSetting::Change::kGivenBack) {
    vk::LogNotice("flash.sync was lowered: appendfsync is " + before + " again");
  } else if (change == HeldSetting::Change::kRefused && always) {
    static constinit vk::SeldomLog log;
    log.Warning("flash.sync is always, but the server refuses appendfsync always");
  }
  return change != HeldSetting::Change::kRefused;
}

bool ServerAof::HoldThreads(ValkeyModuleCtx* ctx, bool needed) {
  const HeldSetting::Change change =
      io_threads_.Follow(ctx, needed && vk::ServerVersion() >= kAnswersAgainFrom);
  const std::string& before = io_threads_.operators_value();
  if (change == HeldSetting::Change::kHeld) {
    vk::LogNotice(
        "flash.sync is always, and threads of this server may answer before a commit: "
        "io-threads was " +
        before + " and is 1 until flash.sync is lowered");
  } else if (change == HeldSetting::Change::kGivenBack) {
    vk::LogNotice("replies wait for no commit any more: io-threads is " + before + " again");
  }
  return change != HeldSetting::Change::kRefused;
}

void ServerAof::KeepSnapshots(ValkeyModuleCtx* ctx, bool needed) {
  switch (rdb_del_sync_files_.Follow(ctx, needed)) {
    case HeldSetting::Change::kHeld:
      return vk::LogNotice(
          "the log goes on from an RDB, which must not be deleted: rdb-del-sync-files was yes and "
          "is no for as long as there is a log");
    case HeldSetting::Change::kGivenBack:
      return vk::LogNotice("there is no log any more: rdb-del-sync-files is yes again");
    case HeldSetting::Change::kRefused: {
      static constinit vk::SeldomLog log;
      return log.Warning("the server refuses to change rdb-del-sync-files");
    }
    case HeldSetting::Change::kNone:
      return;
  }
}

}  // namespace flash::durability
