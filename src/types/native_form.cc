// native_form.cc: see native_form.h.
//
// Thread: main.
#include "types/native_form.h"

#include <cerrno>
#include <string>
#include <vector>

#include "server/engine.h"
#include "server/value_env.h"
#include "types/key_facts.h"
#include "values/string_value.h"
#include "vk/call_reply.h"
#include "vk/log.h"
#include "vk/server_info.h"
#include "vk/string.h"

namespace flash::types {
namespace {

/// Bounds of one native command.
constexpr size_t kArgumentsMax = 256;
constexpr size_t kBytesMax = 256 * kKiB;

/// Runs native commands on one key, replicated; the server's commands cannot fail on a key that
/// was just deleted, and nothing could be undone if one did: loud, then.
class NativeCommands {
 public:
  NativeCommands(ValkeyModuleCtx* ctx, ValkeyModuleString* key) : ctx_(ctx), key_(key) {}

  template <typename... Arguments>
  void Call(const char* command, const char* format, Arguments... arguments) {
    const vk::CallReply reply(ValkeyModule_Call(ctx_, command, format, key_, arguments...));
    if (!reply.is_error()) return;
    static constinit vk::SeldomLog log;
    log.Warning(std::string("the server refused ") + command +
                " of a converted key: " + std::string(reply.text()));
  }

 private:
  ValkeyModuleCtx* ctx_;
  ValkeyModuleString* key_;
};

constinit ConversionHook conversion_hook = nullptr;
constinit bool converting = false;

/// The scope of a conversion.
class Conversion {
 public:
  Conversion(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
    if (conversion_hook != nullptr) conversion_hook(ctx, key);
    converting = true;
  }
  ~Conversion() { converting = false; }
  Conversion(const Conversion&) = delete;
  Conversion& operator=(const Conversion&) = delete;
};

/// Each of those that are asked about wants arguments: of one that is there the server finds too
/// few, and does nothing.
bool IsHidden(ValkeyModuleCtx* ctx, const char* command) {
  errno = 0;
  const vk::CallReply reply(ValkeyModule_Call(ctx, command, ""));
  return errno == ENOENT;
}

KeyFacts FactsOf(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  return types::FactsOf(vk::Key(ctx, name, vk::Key::kPeek));
}

/// It is no news that a value has another form.
void RestoreHistory(ValkeyModuleCtx* ctx, ValkeyModuleString* name, const KeyFacts& facts) {
  types::RestoreHistory(vk::Key(ctx, name, vk::Key::kPeek | VALKEYMODULE_WRITE), facts);
}

void SetString(ValkeyModuleCtx* ctx, ValkeyModuleString* key, ValkeyModuleString* value) {
  const KeyFacts facts = FactsOf(ctx, key);
  NativeCommands native(ctx, key);
  // SET replaces whatever is there.
  if (facts.expire_at_ms == VALKEYMODULE_NO_EXPIRE) {
    native.Call("SET", "!ss", value);
  } else {
    native.Call("SET", "!sscl", value, "PXAT", static_cast<long long>(facts.expire_at_ms));
  }
  RestoreHistory(ctx, key, facts);
}

/// Collects the arguments of one native command after the other.
class Pieces {
 public:
  Pieces(NativeCommands* native, const char* command) : native_(native), command_(command) {}

  void Add(std::span<const std::string> arguments) {
    for (const std::string& argument : arguments) {
      bytes_ += argument.size();
      owned_.push_back(vk::String::Copy(argument));
      views_.push_back(owned_.back().get());
    }
    if (views_.size() >= kArgumentsMax || bytes_ >= kBytesMax) Flush();
  }
  void Flush() {
    if (views_.empty()) return;
    native_->Call(command_, "!sv", views_.data(), views_.size());
    owned_.clear();
    views_.clear();
    bytes_ = 0;
  }

 private:
  NativeCommands* native_;
  const char* command_;
  std::vector<vk::String> owned_;
  std::vector<ValkeyModuleString*> views_;
  size_t bytes_ = 0;
};

}  // namespace

const char* HiddenCommand(ValkeyModuleCtx* ctx, const FlashType& type) {
  if (IsHidden(ctx, type.native_command)) return type.native_command;
  if (type.leaf_arguments == nullptr) return nullptr;  // SET does it all.
  for (const char* const command : {"DEL", "PEXPIREAT"}) {
    if (IsHidden(ctx, command)) return command;
  }
  return nullptr;
}

void SetConversionHook(ConversionHook hook) { conversion_hook = hook; }

bool IsConverting() { return converting; }

uint64_t NativeBytes(uint64_t bytes) { return bytes + bytes / 8; }

uint64_t Maxmemory(ValkeyModuleCtx* ctx) {
  // What was converted once is converted again when a log is replayed.
  if (server::Engine::Get().replaying()) return 0;
  // The flag is missing on a replica that ignores it.
  if ((vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_MAXMEMORY) == 0) return 0;
  return vk::ServerInfo(ctx, "memory").Unsigned("maxmemory");
}

bool Exceeds(uint64_t maxmemory, uint64_t bytes) {
  if (maxmemory == 0) return false;
  const auto whole = static_cast<double>(maxmemory);
  return static_cast<double>(ValkeyModule_GetUsedMemoryRatio()) +
             static_cast<double>(bytes) / whole >
         1.0;
}

bool IsResident(const FlashType& type, const void* value) {
  if (type.leaf_arguments != nullptr) return false;
  std::vector<BlockId> ids;
  type.append_content(value, &ids);
  return ids.empty();
}

void BecomeNativeResident(ValkeyModuleCtx* ctx, ValkeyModuleString* key, const void* value) {
  const auto string = values::StringValue::FromPointer(const_cast<void*>(value));  // NOLINT
  const Bytes bytes = server::TheStrings().View(string, values::Strings::Use::kPeek);
  const vk::String copy = vk::String::Copy(base::AsText(bytes));
  const Conversion conversion(ctx, key);
  SetString(ctx, key, copy.get());
}

void BecomeNative(ValkeyModuleCtx* ctx, ValkeyModuleString* key, Contents* contents) {
  const Conversion conversion(ctx, key);
  const FlashType& type = contents->type();
  if (type.leaf_arguments == nullptr) {
    const vk::String value = vk::String::Copy({});
    for (size_t i = 0; i < contents->size(); ++i) {
      const std::string_view piece = base::AsText(contents->At(i));
      FLASH_CHECK(ValkeyModule_StringAppendBuffer(nullptr, value.get(), piece.data(),
                                                  piece.size()) == VALKEYMODULE_OK);
      contents->Release(i);
    }
    return SetString(ctx, key, value.get());
  }
  const KeyFacts facts = FactsOf(ctx, key);
  NativeCommands native(ctx, key);
  native.Call("DEL", "!s");
  Pieces pieces(&native, type.native_command);
  const BlockBytes large = [contents](BlockId id) { return contents->Large(id); };
  for (size_t i = 0; i < contents->size(); ++i) {
    type.leaf_arguments(contents->At(i), large, [&pieces](std::span<const std::string> arguments) {
      pieces.Add(arguments);
    });
    contents->Release(i);
  }
  pieces.Flush();
  if (facts.expire_at_ms != VALKEYMODULE_NO_EXPIRE) {
    native.Call("PEXPIREAT", "!sl", static_cast<long long>(facts.expire_at_ms));
  }
  RestoreHistory(ctx, key, facts);
}

}  // namespace flash::types
