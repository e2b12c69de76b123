// read_permission.h: what the caller of a command may do beyond what its key specs say.
//
// Read a key that they only say it writes, for FLASH.SET with GET. The server's own SET says so by
// a callback that no module has, and the one that modules have (getkeys-api) makes cluster clients
// ask for the keys of every call. Knows no command. Thread: main.
#pragma once

#include "dispatch/context.h"
#include "vk/string.h"

namespace flash::dispatch {

/// True where the server would not check at all (replication, loading). One selector of the user's
/// rules must allow the command as well as reading and writing the key. A refusal is in ACL LOG.
[[nodiscard]] bool MayReadToo(const Context& ctx, int key);

/// The user for whom a command runs, for keys that it finds by itself, also when it goes on later.
class Caller {
 public:
  explicit Caller(ValkeyModuleCtx* ctx);
  /// May he run that command on that key by now? True where the server would not check at all.
  /// Nothing is noted in ACL LOG.
  [[nodiscard]] bool MayRun(const char* command, ValkeyModuleString* key) const;
  /// May he read and write that key by now? Otherwise as MayRun.
  [[nodiscard]] bool MayUse(ValkeyModuleString* key) const;

 private:
  vk::String name_;  // Empty: nobody is asked.
};

}  // namespace flash::dispatch
