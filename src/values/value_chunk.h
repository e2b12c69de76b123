// value_chunk.h: values of one block packed one after the other: the table at the head of a
// snapshot.
//
// Pure functions over bytes; what a value's own bytes mean is its type's business. A reader
// believes nothing. Bytes: docs/format/rdb.md. Thread: any.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"

namespace flash::values {

enum class PackedKind : uint8_t { kString = 1, kHash = 2, kList = 3, kZSet = 4 };

struct PackedValue {
  uint64_t number = 0;  ///< By which its key refers to it.
  PackedKind kind{};
  Bytes bytes;
};

/// Appends a value to a chunk.
void PackValue(const PackedValue& value, std::vector<std::byte>* chunk);
/// Appends the mark behind the last value of the last chunk.
void PackEnd(std::vector<std::byte>* chunk);

/// Reads a chunk. A view: valid as long as the bytes.
class ChunkOfValues {
 public:
  explicit ChunkOfValues(Bytes chunk) : rest_(chunk) {}
  /// Nullopt: nothing is left, or ended(), or damaged().
  [[nodiscard]] std::optional<PackedValue> Next();
  /// The mark was met, and nothing follows it.
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool damaged() const { return damaged_; }

 private:
  Bytes rest_;
  bool ended_ = false;
  bool damaged_ = false;
};

}  // namespace flash::values
