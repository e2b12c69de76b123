// type_registry.cc: a fixed array of at most a handful of types.
//
// Thread: main.
#include "types/type_registry.h"

#include <array>

#include "base/result.h"

namespace flash::types {
namespace {

constinit std::array<FlashType, 4> types{};
constinit size_t type_count = 0;

}  // namespace

void TypeRegistry::Add(const FlashType& type) {
  FLASH_CHECK(type_count < types.size());
  types[type_count++] = type;
}

const FlashType* TypeRegistry::Find(const ValkeyModuleType* handle) {
  if (handle == nullptr) return nullptr;
  for (const FlashType& type : All()) {
    if (type.handle == handle) return &type;
  }
  return nullptr;
}

const FlashType* TypeRegistry::Find(values::PackedKind packed) {
  for (const FlashType& type : All()) {
    if (type.packed == packed) return &type;
  }
  return nullptr;
}

std::span<const FlashType> TypeRegistry::All() { return {types.data(), type_count}; }

}  // namespace flash::types
