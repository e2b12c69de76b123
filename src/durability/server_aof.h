// server_aof.h: what the server's own settings say about its AOF, and the one that is set from
// here: appendfsync.
//
// `appendfsync always` is set while flash.sync is always, with AOF off too, because the server's
// I/O threads hold replies back until the turn's end only then; the operator's value comes back
// when flash.sync is lowered. Thread: main. Decision: docs/adr/0014.
#pragma once

#include <cstdint>
#include <string>

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

 private:
  bool on_ = false;
  bool held_ = false;  // appendfsync is ours.
  std::string appendfsync_;
  std::string operators_value_;
  std::string rdb_name_;
  uint64_t busy_threshold_ms_ = 5000;
};

}  // namespace flash::durability
