// effect.cc: see effect.h.
//
// Thread: any.
#include "durability/effect.h"

#include "base/varint.h"

namespace flash::durability {
namespace {

uint64_t VarintBytes(uint64_t value) {
  uint64_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

}  // namespace

uint32_t internal::PutVarint(uint64_t value, std::byte* to) {
  uint32_t bytes = 0;
  for (; value >= 0x80; value >>= 7) to[bytes++] = static_cast<std::byte>((value & 0x7f) | 0x80);
  to[bytes++] = static_cast<std::byte>(value);
  return bytes;
}

uint64_t internal::LastBytes(const Effect& effect) {
  uint64_t bytes = 0;
  const size_t count = effect.texts.size();
  for (size_t i = count - effect.last_in_pieces; i < count; ++i) bytes += effect.texts[i].size();
  return bytes;
}

uint64_t EncodedBytes(const Effect& effect) {
  const size_t whole = effect.texts.size() - (effect.last_in_pieces - 1);
  uint64_t bytes = 1 + VarintBytes(effect.db) + VarintBytes(effect.number) + VarintBytes(whole);
  for (size_t i = 0; i + 1 < whole; ++i) {
    bytes += VarintBytes(effect.texts[i].size()) + effect.texts[i].size();
  }
  if (whole == 0) return bytes;
  const uint64_t last_bytes = internal::LastBytes(effect);
  return bytes + VarintBytes(last_bytes) + last_bytes;
}

std::optional<Effect> DecodeEffect(Bytes bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto kind = static_cast<uint8_t>(bytes.front());
  if (kind == 0 || kind > kEffectKinds) return std::nullopt;
  bytes = bytes.subspan(1);
  Effect effect;
  effect.kind = static_cast<EffectKind>(kind);
  const auto db = base::TakeVarint(&bytes);
  const auto number = db ? base::TakeVarint(&bytes) : std::nullopt;
  const auto count = number ? base::TakeVarint(&bytes) : std::nullopt;
  if (!count || *count > bytes.size()) return std::nullopt;
  effect.db = *db;
  effect.number = *number;
  effect.texts.reserve(*count);
  for (uint64_t i = 0; i < *count; ++i) {
    const auto length = base::TakeVarint(&bytes);
    if (!length || *length > bytes.size()) return std::nullopt;
    effect.texts.push_back(base::AsText(bytes.first(*length)));
    bytes = bytes.subspan(*length);
  }
  if (!bytes.empty()) return std::nullopt;
  return effect;
}

}  // namespace flash::durability
