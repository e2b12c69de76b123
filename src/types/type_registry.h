// type_registry.h: the data types of this module, for commands that take keys of any FLASH shape.
//
// Knows types by what each registers. Thread: main.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "store/place.h"
#include "values/value_chunk.h"
#include "vk/api.h"

namespace flash::types {

/// The bytes of a block of a large element.
using BlockBytes = std::function<Bytes(BlockId id)>;
/// The arguments of one entry, valid during the call.
using ArgumentVisitor = std::function<void(std::span<const std::string> arguments)>;

/// Where the blocks of a value are.
enum class Residence : uint8_t {
  kNoBlocks,  ///< It always lives in RAM.
  kHot,       ///< All are in RAM.
  kCold,      ///< Some are on flash only.
};

struct FlashType {
  const char* name = nullptr;  // As TYPE answers.
  int encoding = 0;            // The version of what its rdb_save writes.
  ValkeyModuleType* handle = nullptr;
  /// Appends the ids of all blocks of a value; none for one that always lives in RAM.
  void (*append_blocks)(void* value, std::vector<BlockId>* ids) = nullptr;

  /// O(1), or nearly so.
  Residence (*residence)(void* value) = nullptr;

  // For the table of a snapshot (value_table.h).
  values::PackedKind packed{};
  /// The one block of which a value consists, kNoBlock for all others.
  BlockId (*only_block)(void* value) = nullptr;
  /// About how many bytes that one has at most; of such a value alone.
  uint64_t (*only_block_bytes)(void* value) = nullptr;
  /// Appends such a value, given the bytes of its block, in a form that any process can load.
  void (*pack)(Bytes block, std::vector<std::byte>* to) = nullptr;
  /// Makes a value of that form, cold if that is possible. Null, after logging why not.
  void* (*unpack)(ValkeyModuleIO* io, Bytes packed) = nullptr;
  void (*free_now)(void* value) = nullptr;

  /// Emits the commands of a rewritten AOF that make the value. Fork-safe.
  void (*rewrite)(ValkeyModuleIO* io, ValkeyModuleString* key, void* value) = nullptr;

  // For reading a value whole (contents.h) and for its native form (native_form.h).
  /// Elements; of a string 1.
  uint64_t (*elements)(const void* value) = nullptr;
  /// A value of the same content that stays as it is while the key's changes; ended by free_now.
  /// O(1).
  void* (*freeze)(const void* value) = nullptr;
  /// A value of the same content for another key, or the same under another name. O(1).
  void* (*copy)(const void* value) = nullptr;
  /// Has a value still the content of one that was frozen from it?
  bool (*same)(const void* frozen, const void* value) = nullptr;
  /// Appends the blocks of the elements, in order: leaves, or the pieces of a string.
  void (*append_content)(const void* value, std::vector<BlockId>* ids) = nullptr;
  /// Appends the blocks of large elements that a leaf refers to. Null: there are none.
  void (*append_large)(Bytes leaf, std::vector<BlockId>* ids) = nullptr;
  /// The server's own command that makes such a value, element after element.
  const char* native_command = nullptr;
  /// Calls `visit` with the arguments that each entry of a leaf adds to that command. Null: the
  /// bytes of the blocks are the one argument.
  void (*leaf_arguments)(Bytes leaf, const BlockBytes& block_bytes,
                         const ArgumentVisitor& visit) = nullptr;
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
