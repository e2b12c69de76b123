// command_spec.h: one command described once: name, arity, flags, ACL categories, key specs, docs.
//
// Registration, COMMAND INFO / DOCS / GETKEYS and docs/commands.md all come from these tables,
// which live beside their handlers in commands/. The dispatcher (dispatcher.h) calls the handler.
// Knows no command. Thread: main, at load.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "vk/api.h"

namespace flash::dispatch {

class Context;

/// What a handler did. A handler may be run again from the top: it changes nothing before it
/// returns kDone (docs/adr/0006).
enum class Outcome : uint8_t {
  kDone,  ///< Replied; changes, if any, committed through the context.
  kPark,  ///< A gate of the context is closed; nothing changed, nothing replied.
  kWait,  ///< Waits for a key (Context::WaitForKeys); nothing changed, nothing replied.
};

using Handler = Outcome (*)(Context& ctx);

enum class KeyAccess : uint8_t { kReadOnly, kReadWrite, kOverwrite, kRemove };

/// Where a command's keys are, for redirects, ACL rules and the order of parked commands.
struct KeySpec {
  KeyAccess access = KeyAccess::kReadOnly;
  uint64_t flags = 0;  // VALKEYMODULE_CMD_KEY_ACCESS, _UPDATE, _INSERT, _DELETE.
  int begin = 1;       // Index of the first key.
  int last = 0;        // Relative to begin; negative counts from the end, as in COMMAND INFO.
  int step = 1;
  int keynum_index = -1;  // When >= 0: number of keys stands at begin + keynum_index (ZUNIONSTORE).
  int keynum_first = 0;
  /// When set: keys begin behind this word, looked for from argument `begin` on (negative: from the
  /// end, backwards).
  const char* keyword = nullptr;
};

enum class ArgType : uint8_t {
  kString,
  kInteger,
  kDouble,
  kKey,
  kPattern,
  kUnixTime,
  kPureToken,
  kOneOf,
  kBlock,
};

/// One argument for COMMAND DOCS, as the server's own tables describe theirs.
struct ArgSpec {
  const char* name = nullptr;
  ArgType type = ArgType::kString;
  const char* token = nullptr;
  bool optional = false;
  bool multiple = false;
  std::span<const ArgSpec> subargs = {};
  int key_spec = 0;           // Of a key: which of the command's key specs finds it.
  uint32_t server_since = 0;  // Older servers do not have it.
};

struct CommandSpec {
  const char* name = nullptr;  // "FLASH.GET"; registered in this case, matched in any.
  int arity = 0;               // As native: negative means at least.
  const char* flags = "";      // Module API flags: "readonly fast", "write deny-oom" ...
  const char* acl = "";        // Categories besides @flash: "read string fast".
  std::span<const KeySpec> keys = {};
  std::span<const ArgSpec> args = {};
  const char* summary = "";
  const char* complexity = "";
  const char* tips = nullptr;  // Space separated, as in COMMAND DOCS.
  const char* group = "";      // For docs/commands.md: "string", "generic", "admin".
  const char* since = "0.1.0";
  Handler handler = nullptr;
  /// Runs instead where keys are native ones of the command's shape (fallback.h); null: the
  /// server's own command with the same arguments does.
  Handler native = nullptr;

  /// Is `flag` among the flags?
  [[nodiscard]] constexpr bool Has(std::string_view flag) const {
    const std::string_view all = flags;
    for (size_t at = all.find(flag); at != all.npos; at = all.find(flag, at + 1)) {
      const size_t end = at + flag.size();
      if ((at == 0 || all[at - 1] == ' ') && (end == all.size() || all[end] == ' ')) return true;
    }
    return false;
  }
  /// May change the data set: checked again before a parked one runs.
  [[nodiscard]] constexpr bool writes() const { return Has("write"); }
  /// Refused when the server is out of memory.
  [[nodiscard]] constexpr bool denied_when_oom() const { return Has("deny-oom"); }
};

/// Does the number of keys, or a word before them, stand among the arguments? For such commands the
/// server asks the module itself where the keys are when it redirects clients (`getkeys-api`),
/// whatever the key specs say; and so do cluster clients, before every call. So no other command
/// has it.
constexpr bool HasMovableKeys(const CommandSpec& spec) {
  for (const KeySpec& keys : spec.keys) {
    if (keys.keynum_index >= 0 || keys.keyword != nullptr) return true;
  }
  return false;
}

/// A spec and the function that the server calls for it.
struct CommandEntry {
  const CommandSpec* spec = nullptr;
  ValkeyModuleCmdFunc function = nullptr;
};

/// Creates the ACL category @flash, which every command belongs to; before the first of them.
/// Errors: kInvalid, the server has the category already or no room for one more.
[[nodiscard]] Result<void> AddAclCategory(ValkeyModuleCtx* ctx);

/// Registers commands with everything their specs say. Errors: one line for people.
[[nodiscard]] Result<void> RegisterCommands(ValkeyModuleCtx* ctx,
                                            std::span<const CommandEntry> commands);

/// The registered command of this name, in any case; null: there is none.
[[nodiscard]] const CommandEntry* FindCommand(std::string_view name);

/// Calls `visit(index)` for the index of each argument that is a key.
template <typename Visit>
void ForEachKey(const CommandSpec& spec, ValkeyModuleString* const* argv, int argc, Visit visit) {
  for (const KeySpec& keys : spec.keys) {
    int first = keys.begin;
    int last = keys.last >= 0 ? keys.begin + keys.last : argc + keys.last;
    if (keys.keynum_index >= 0) {
      long long count = 0;
      const int at = keys.begin + keys.keynum_index;
      if (at >= argc || ValkeyModule_StringToLongLong(argv[at], &count) != VALKEYMODULE_OK ||
          count < 0 || count > argc) {
        continue;
      }
      first = keys.begin + keys.keynum_first;
      last = first + static_cast<int>(count - 1) * keys.step;
    }
    for (int i = first; i <= last && i < argc; i += keys.step) visit(i);
  }
}

/// Tells the server where the keys of a command are, when it asks; none if their number cannot be.
void ReportKeys(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString* const* argv,
                int argc);

}  // namespace flash::dispatch
