// value_chunk.cc: see value_chunk.h. Number plus one (so that 0 is the mark), kind, length, bytes.
//
// Thread: any.
#include "values/value_chunk.h"

#include "base/varint.h"

namespace flash::values {

void PackValue(const PackedValue& value, std::vector<std::byte>* chunk) {
  base::PutVarint(value.number + 1, chunk);
  chunk->push_back(static_cast<std::byte>(value.kind));
  base::PutVarint(value.bytes.size(), chunk);
  chunk->insert(chunk->end(), value.bytes.begin(), value.bytes.end());
}

void PackEnd(std::vector<std::byte>* chunk) { base::PutVarint(0, chunk); }

std::optional<PackedValue> ChunkOfValues::Next() {
  if (rest_.empty() || damaged_) return std::nullopt;
  damaged_ = true;  // Until all of the value was found.
  const std::optional<uint64_t> number = base::TakeVarint(&rest_);
  if (!number) return std::nullopt;
  if (*number == 0) {
    ended_ = rest_.empty();
    damaged_ = !ended_;
    return std::nullopt;
  }
  if (rest_.empty()) return std::nullopt;
  const auto kind = static_cast<PackedKind>(rest_.front());
  if (kind < PackedKind::kString || kind > PackedKind::kZSet) return std::nullopt;
  rest_ = rest_.subspan(1);
  const std::optional<uint64_t> length = base::TakeVarint(&rest_);
  if (!length || *length > rest_.size()) return std::nullopt;
  const Bytes bytes = rest_.first(*length);
  rest_ = rest_.subspan(*length);
  damaged_ = false;
  return PackedValue{*number - 1, kind, bytes};
}

}  // namespace flash::values
