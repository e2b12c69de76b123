// last_copy.cc: see last_copy.h.
//
// Thread: main.
#include "types/last_copy.h"

#include "vk/string.h"

namespace flash::types {
namespace {

LastCopy& State() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static LastCopy* const state = new LastCopy;
  return *state;
}

std::string NameOf(const ValkeyModuleString* name) {
  return name == nullptr ? std::string() : std::string(vk::TextOf(name));
}

}  // namespace

void NoteCopy(ValkeyModuleKeyOptCtx* ctx) {
  LastCopy& copy = State();
  copy.from = NameOf(ValkeyModule_GetKeyNameFromOptCtx(ctx));
  copy.to = NameOf(ValkeyModule_GetToKeyNameFromOptCtx(ctx));
  copy.from_db = ValkeyModule_GetDbIdFromOptCtx(ctx);
  copy.to_db = ValkeyModule_GetToDbIdFromOptCtx(ctx);
}

const LastCopy& TheLastCopy() { return State(); }

}  // namespace flash::types
