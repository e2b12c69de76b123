// limbo.cc: see limbo.h.
//
// Thread: main.
#include "types/limbo.h"

#include <utility>

#include "vk/string.h"

namespace flash::types {
namespace {

struct LimboState {
  DroppedKey last;  // The last value loaded; without one: null.
  std::vector<DroppedKey> kept;
};

LimboState& State() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static LimboState* const state = new LimboState;
  return *state;
}

}  // namespace

void Limbo::Open() { open_ = true; }

void Limbo::Note(ValkeyModuleIO* io, ValkeyModuleType* type, void* value) {
  const ValkeyModuleString* const name = ValkeyModule_GetKeyNameFromIO(io);
  DroppedKey& last = State().last;
  last.value = name == nullptr ? nullptr : value;
  if (last.value == nullptr) return;
  last.name = vk::TextOf(name);
  last.db = ValkeyModule_GetDbIdFromIO(io);
  last.type = type;
}

bool Limbo::KeepIfLast(void* value) {
  DroppedKey& last = State().last;
  if (value == nullptr || value != last.value) return false;
  State().kept.push_back(std::exchange(last, {}));
  return true;
}

std::vector<DroppedKey> Limbo::Close() {
  open_ = false;
  State().last = {};
  return std::exchange(State().kept, {});
}

}  // namespace flash::types
