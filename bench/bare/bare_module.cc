// bare_module.cc: the least that a module with a data type of its own can do: what ours is measured
// by.
//
// BARE.SET, BARE.GET: a heap buffer as value, no tier, no options. BARE.INT: an integer in place of
// the pointer, for the server's own RAM per module key. BARE.BLOCK: parks its client and lets it
// go, the cheapest command that waits. BARE.HSET, HGET, LPUSH, LPOP, LRANGE, ZADD, ZRANK, ZPOPMIN:
// open a key of BARE.INT, do nothing to it, and reply in the shape of their namesakes; those that
// write replicate. Not part of the product. Thread: main.
#include <cstdint>
#include <cstring>

#include "vk/api.h"

namespace {

ValkeyModuleType* buffer_type = nullptr;
ValkeyModuleType* integer_type = nullptr;

struct Buffer {
  size_t bytes;
  char text[1];  // As long as the value.
};

Buffer* NewBuffer(const char* text, size_t bytes) {
  auto* buffer = static_cast<Buffer*>(ValkeyModule_Alloc(sizeof(size_t) + bytes + 1));
  buffer->bytes = bytes;
  std::memcpy(buffer->text, text, bytes);
  return buffer;
}

int Get(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (argc != 2) return ValkeyModule_WrongArity(ctx);
  ValkeyModuleKey* key = ValkeyModule_OpenKey(ctx, argv[1], VALKEYMODULE_READ);
  if (key == nullptr) return ValkeyModule_ReplyWithNull(ctx);
  if (ValkeyModule_ModuleTypeGetType(key) != buffer_type) {
    ValkeyModule_ReplyWithError(ctx, VALKEYMODULE_ERRORMSG_WRONGTYPE);
  } else {
    const auto* buffer = static_cast<const Buffer*>(ValkeyModule_ModuleTypeGetValue(key));
    ValkeyModule_ReplyWithStringBuffer(ctx, buffer->text, buffer->bytes);
  }
  ValkeyModule_CloseKey(key);
  return VALKEYMODULE_OK;
}

int Set(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (argc != 3) return ValkeyModule_WrongArity(ctx);
  ValkeyModuleKey* key = ValkeyModule_OpenKey(ctx, argv[1], VALKEYMODULE_READ | VALKEYMODULE_WRITE);
  size_t bytes = 0;
  const char* text = ValkeyModule_StringPtrLen(argv[2], &bytes);
  if (ValkeyModule_ModuleTypeGetType(key) == buffer_type) {
    void* old = nullptr;
    ValkeyModule_ModuleTypeReplaceValue(key, buffer_type, NewBuffer(text, bytes), &old);
    ValkeyModule_Free(old);
  } else {
    ValkeyModule_ModuleTypeSetValue(key, buffer_type, NewBuffer(text, bytes));
  }
  ValkeyModule_CloseKey(key);
  ValkeyModule_ReplicateVerbatim(ctx);
  return ValkeyModule_ReplyWithSimpleString(ctx, "OK");
}

int SetInteger(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  long long number = 0;
  if (argc != 3 || ValkeyModule_StringToLongLong(argv[2], &number) != VALKEYMODULE_OK ||
      number == 0) {
    return ValkeyModule_ReplyWithError(ctx, "ERR BARE.INT key number, other than 0");
  }
  ValkeyModuleKey* key = ValkeyModule_OpenKey(ctx, argv[1], VALKEYMODULE_READ | VALKEYMODULE_WRITE);
  ValkeyModule_ModuleTypeSetValue(key, integer_type,
                                  reinterpret_cast<void*>(static_cast<intptr_t>(number)));
  ValkeyModule_CloseKey(key);
  return ValkeyModule_ReplyWithSimpleString(ctx, "OK");
}

// --- Commands in the shape of others
// ----------------------------------------------------------------

constexpr char kElement[] = "element:000000000000";
constexpr size_t kElementBytes = sizeof(kElement) - 1;

/// Opens the key of a command that only has its shape; the number it holds, 0 if there is none.
template <int kMode>
long Open(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  ValkeyModuleKey* key = ValkeyModule_OpenKey(ctx, name, kMode);
  long number = 0;
  if (ValkeyModule_ModuleTypeGetType(key) == integer_type) {
    number = static_cast<long>(reinterpret_cast<intptr_t>(ValkeyModule_ModuleTypeGetValue(key)));
  }
  ValkeyModule_CloseKey(key);
  if (kMode != VALKEYMODULE_READ) ValkeyModule_ReplicateVerbatim(ctx);
  return number;
}
constexpr int kReads = VALKEYMODULE_READ;
constexpr int kWrites = VALKEYMODULE_READ | VALKEYMODULE_WRITE;

/// HSET, LPUSH, ZADD, ZRANK.
template <int kMode>
int InShapeOfInteger(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  return ValkeyModule_ReplyWithLongLong(ctx, Open<kMode>(ctx, argv[1]));
}

/// HGET, LPOP.
template <int kMode>
int InShapeOfBulk(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  Open<kMode>(ctx, argv[1]);
  return ValkeyModule_ReplyWithStringBuffer(ctx, kElement, kElementBytes);
}

/// As many elements as the key's number says.
int InShapeOfRange(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  const long count = Open<kReads>(ctx, argv[1]);
  ValkeyModule_ReplyWithArray(ctx, count);
  for (long i = 0; i < count; ++i) ValkeyModule_ReplyWithStringBuffer(ctx, kElement, kElementBytes);
  return VALKEYMODULE_OK;
}

int InShapeOfPopMin(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  Open<kWrites>(ctx, argv[1]);
  ValkeyModule_ReplyWithArray(ctx, 2);
  ValkeyModule_ReplyWithStringBuffer(ctx, kElement, kElementBytes);
  return ValkeyModule_ReplyWithDouble(ctx, 12345678);
}

int ReplyOk(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  return ValkeyModule_ReplyWithSimpleString(ctx, "OK");
}

int Block(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  ValkeyModuleBlockedClient* client = ValkeyModule_BlockClient(ctx, ReplyOk, nullptr, nullptr, 0);
  return ValkeyModule_UnblockClient(client, nullptr);
}

ValkeyModuleType* NewType(ValkeyModuleCtx* ctx, const char* name, ValkeyModuleTypeFreeFunc free) {
  ValkeyModuleTypeMethods methods{};
  methods.version = VALKEYMODULE_TYPE_METHOD_VERSION;
  methods.rdb_load = [](ValkeyModuleIO*, int) -> void* { return nullptr; };
  methods.rdb_save = [](ValkeyModuleIO*, void*) {};
  methods.aof_rewrite = [](ValkeyModuleIO*, ValkeyModuleString*, void*) {};
  methods.free = free;
  return ValkeyModule_CreateDataType(ctx, name, 0, &methods);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int ValkeyModule_OnLoad(
    ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  if (ValkeyModule_Init(ctx, "bare", 1, VALKEYMODULE_APIVER_1) != VALKEYMODULE_OK) {
    return VALKEYMODULE_ERR;
  }
  buffer_type = NewType(ctx, "bare-buff", [](void* value) { ValkeyModule_Free(value); });
  integer_type = NewType(ctx, "bare-int_", [](void* /*value*/) {});
  const struct {
    const char* name;
    ValkeyModuleCmdFunc function;
    const char* flags;
    int last_key;
  } commands[] = {{"BARE.GET", Get, "readonly fast", 1},
                  {"BARE.SET", Set, "write deny-oom", 1},
                  {"BARE.INT", SetInteger, "write deny-oom", 1},
                  {"BARE.BLOCK", Block, "readonly", 0},
                  {"BARE.HSET", InShapeOfInteger<kWrites>, "write deny-oom fast", 1},
                  {"BARE.HGET", InShapeOfBulk<kReads>, "readonly fast", 1},
                  {"BARE.LPUSH", InShapeOfInteger<kWrites>, "write deny-oom fast", 1},
                  {"BARE.LPOP", InShapeOfBulk<kWrites>, "write fast", 1},
                  {"BARE.LRANGE", InShapeOfRange, "readonly", 1},
                  {"BARE.ZADD", InShapeOfInteger<kWrites>, "write deny-oom fast", 1},
                  {"BARE.ZRANK", InShapeOfInteger<kReads>, "readonly fast", 1},
                  {"BARE.ZPOPMIN", InShapeOfPopMin, "write fast", 1}};
  for (const auto& command : commands) {
    if (ValkeyModule_CreateCommand(ctx, command.name, command.function, command.flags,
                                   command.last_key, command.last_key,
                                   command.last_key) != VALKEYMODULE_OK) {
      return VALKEYMODULE_ERR;
    }
  }
  return buffer_type != nullptr && integer_type != nullptr ? VALKEYMODULE_OK : VALKEYMODULE_ERR;
}
