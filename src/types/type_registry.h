// type_registry.h: the data types of this module, for commands that take keys of any FLASH shape.
//
// Knows types by what each registers. Thread: main.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "store/place.h"
#include "values/value_chunk.h"
#include "vk/api.h"

namespace flash::types {

struct FlashType {
  const char* name = nullptr;  // As TYPE answers.
  ValkeyModuleType* handle = nullptr;
  /// Appends the ids of all blocks of a value; none for one that always lives in RAM.
  void (*append_blocks)(void* value, std::vector<BlockId>* ids) = nullptr;

  // For the table of a snapshot (value_table.h).
  values::PackedKind packed{};
  /// The one block of which a value consists, kNoBlock for all others.
  BlockId (*only_block)(void* value) = nullptr;
  /// Appends such a value, given the bytes of its block, in a form that any process can load.
  void (*pack)(Bytes block, std::vector<std::byte>* to) = nullptr;
  /// Makes a value of that form, cold if that is possible. Null, after logging why not.
  void* (*unpack)(ValkeyModuleIO* io, Bytes packed) = nullptr;
  void (*free_now)(void* value) = nullptr;
};

class TypeRegistry {
 public:
  static void Add(const FlashType& type);
  /// Null if the handle (which may be null) is of no FLASH type.
  [[nodiscard]] static const FlashType* Find(const ValkeyModuleType* handle);
  [[nodiscard]] static const FlashType* Find(values::PackedKind packed);
  [[nodiscard]] static ValkeyModuleType* HandleOf(values::PackedKind packed) {
    const FlashType* const type = Find(packed);
    return type == nullptr ? nullptr : type->handle;
  }
  [[nodiscard]] static std::span<const FlashType> All();
};

}  // namespace flash::types
