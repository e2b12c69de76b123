// native_value.cc: see native_value.h.
//
// Thread: main.
#include "types/native_value.h"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "types/type_registry.h"
#include "vk/call_reply.h"
#include "vk/server_info.h"
#include "vk/string.h"

namespace flash::types {
namespace {

constexpr uint32_t kVersionWithFieldExpiry = 0x00090000;
/// Fields asked about by one command.
constexpr size_t kFieldsTogether = 256;

class ScanCursor {
 public:
  ScanCursor() : cursor_(ValkeyModule_ScanCursorCreate()) {}
  ~ScanCursor() { ValkeyModule_ScanCursorDestroy(cursor_); }
  ScanCursor(const ScanCursor&) = delete;
  ScanCursor& operator=(const ScanCursor&) = delete;
  [[nodiscard]] ValkeyModuleScanCursor* get() const { return cursor_; }

 private:
  ValkeyModuleScanCursor* cursor_;
};

struct FieldScan {
  const NativeValue::PairVisitor& visit;
  bool goes_on = true;
};

void OnField(ValkeyModuleKey* /*key*/, ValkeyModuleString* field, ValkeyModuleString* value,
             void* data) noexcept {
  auto* const scan = static_cast<FieldScan*>(data);
  if (scan->goes_on) scan->goes_on = scan->visit(vk::BytesOf(field), vk::BytesOf(value));
}

/// Does any of these fields expire?
bool AnyExpires(ValkeyModuleCtx* ctx, ValkeyModuleString* hash,
                const std::vector<vk::String>& fields) {
  std::vector<ValkeyModuleString*> views;
  views.reserve(fields.size());
  for (const vk::String& field : fields) views.push_back(field.get());
  const vk::CallReply reply(ValkeyModule_Call(ctx, "HPTTL", "sclv", hash, "FIELDS",
                                              static_cast<long long>(views.size()), views.data(),
                                              views.size()));
  // Whoever cannot tell must not lose an expiry.
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) return true;
  for (size_t i = 0; i < views.size(); ++i) {
    ValkeyModuleCallReply* const ttl = ValkeyModule_CallReplyArrayElement(reply.get(), i);
    if (ttl == nullptr || ValkeyModule_CallReplyInteger(ttl) != -1) return true;
  }
  return false;
}

}  // namespace

NativeShape ShapeOf(const vk::Key& key) {
  switch (key.type()) {
    case VALKEYMODULE_KEYTYPE_EMPTY:
      return NativeShape::kNone;
    case VALKEYMODULE_KEYTYPE_STRING:
      return NativeShape::kString;
    case VALKEYMODULE_KEYTYPE_HASH:
      return NativeShape::kHash;
    case VALKEYMODULE_KEYTYPE_LIST:
      return NativeShape::kList;
    case VALKEYMODULE_KEYTYPE_ZSET:
      return NativeShape::kZSet;
    default:
      return TypeRegistry::Find(key.module_type()) == nullptr ? NativeShape::kOther
                                                              : NativeShape::kNone;
  }
}

uint64_t ElementsOf(const vk::Key& key, NativeShape shape) {
  return shape == NativeShape::kString ? 1 : ValkeyModule_ValueLength(key.get());
}

Bytes NativeValue::String() const {
  size_t bytes = 0;
  const char* const text = ValkeyModule_StringDMA(key_, &bytes, VALKEYMODULE_READ);
  return base::AsBytes(std::string_view(text, bytes));
}

bool NativeValue::ForEachField(const PairVisitor& visit) const {
  const ScanCursor cursor;
  FieldScan scan{visit};
  while (scan.goes_on && ValkeyModule_ScanKey(key_, cursor.get(), OnField, &scan) != 0) {
  }
  return scan.goes_on;
}

bool NativeValue::ForEachElement(const ElementVisitor& visit) const {
  const auto count = static_cast<long>(ValkeyModule_ValueLength(key_));
  for (long i = 0; i < count; ++i) {
    const vk::String element = vk::String::Adopt(ValkeyModule_ListGet(key_, i));
    if (!element || !visit(vk::BytesOf(element.get()))) return false;
  }
  return true;
}

bool NativeValue::ForEachMember(const MemberVisitor& visit) const {
  if (ValkeyModule_ZsetFirstInScoreRange(key_, -INFINITY, INFINITY, 0, 0) != VALKEYMODULE_OK) {
    return false;
  }
  bool goes_on = true;
  while (goes_on && ValkeyModule_ZsetRangeEndReached(key_) == 0) {
    double score = 0;
    const vk::String member = vk::String::Adopt(ValkeyModule_ZsetRangeCurrentElement(key_, &score));
    goes_on = member && visit(score, vk::BytesOf(member.get()));
    ValkeyModule_ZsetRangeNext(key_);
  }
  ValkeyModule_ZsetRangeStop(key_);
  return goes_on;
}

bool HasFieldsThatExpire(ValkeyModuleCtx* ctx, ValkeyModuleString* hash) {
  if (vk::ServerVersion() < kVersionWithFieldExpiry) return false;
  {
    const std::string name = "db" + std::to_string(ValkeyModule_GetSelectedDb(ctx));
    const vk::ServerInfo info(ctx, "keyspace");
    if (info.Text(name.c_str()).ends_with("keys_with_volatile_items=0")) return false;
  }
  std::vector<vk::String> fields;
  bool found = false;
  vk::Key key(ctx, hash, vk::Key::kPeek);
  const bool whole = NativeValue(key).ForEachField([&](Bytes field, Bytes /*value*/) {
    fields.push_back(vk::String::Copy(base::AsText(field)));
    if (fields.size() == kFieldsTogether) {
      found = AnyExpires(ctx, hash, fields);
      fields.clear();
    }
    return !found;
  });
  key.Close();
  return found || !whole || (!fields.empty() && AnyExpires(ctx, hash, fields));
}

}  // namespace flash::types
