// effect.h: one change of the data set as bytes of the log, and back.
//
// A change by a command of ours is the command as replicas do it. Changes by the server's own
// commands are told by what happened to the key. Knows no key space and no log. Thread: any.
// Bytes: docs/format/effects.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace flash::durability {

enum class EffectKind : uint8_t {
  kOrigin = 1,    ///< Of what state the log is the continuation: texts: see position.h.
  kCommand = 2,   ///< texts: name and arguments.
  kDelete = 3,    ///< texts: key.
  kExpiry = 4,    ///< texts: key; number: 0, or the Unix time in milliseconds + 1.
  kRestore = 5,   ///< texts: key, payload of DUMP; number as for kExpiry.
  kRename = 6,    ///< texts: key, new key.
  kMove = 7,      ///< texts: key; number: the database it went to.
  kCopy = 8,      ///< texts: key, new key; number: the new key's database.
  kSwap = 9,      ///< number: the other database.
  kFlush = 10,    ///< number: 1: all databases.
  kDrained = 11,  ///< No key of ours is left.
};
inline constexpr uint8_t kEffectKinds = 11;

struct Effect {
  EffectKind kind{};
  uint64_t db = 0;
  uint64_t number = 0;
  std::vector<std::string_view> texts;
  /// To be encoded only: the last text comes as so many pieces, one behind the other.
  uint32_t last_in_pieces = 1;
};

[[nodiscard]] uint64_t EncodedBytes(const Effect& effect);

/// Calls `add(Bytes)` with the parts of the encoded effect; texts are not copied.
template <typename Add>
void EncodeParts(const Effect& effect, const Add& add);

/// Views into `bytes`; nothing if that is no effect.
[[nodiscard]] std::optional<Effect> DecodeEffect(Bytes bytes);

namespace internal {
inline constexpr uint32_t kVarintBytesMax = 9;
/// Returns how many bytes it wrote.
uint32_t PutVarint(uint64_t value, std::byte* to);
/// Of the last text, with all its pieces.
uint64_t LastBytes(const Effect& effect);
}  // namespace internal

template <typename Add>
void EncodeParts(const Effect& effect, const Add& add) {
  std::byte head[1 + 3 * internal::kVarintBytesMax];
  head[0] = static_cast<std::byte>(effect.kind);
  uint32_t at = 1;
  const size_t whole = effect.texts.size() - (effect.last_in_pieces - 1);
  for (const uint64_t value : {effect.db, effect.number, uint64_t{whole}}) {
    at += internal::PutVarint(value, head + at);
  }
  add(Bytes(head, at));
  for (size_t i = 0; i < effect.texts.size(); ++i) {
    if (i < whole) {
      const uint64_t bytes = i + 1 < whole ? effect.texts[i].size() : internal::LastBytes(effect);
      std::byte length[internal::kVarintBytesMax];
      add(Bytes(length, internal::PutVarint(bytes, length)));
    }
    add(base::AsBytes(effect.texts[i]));
  }
}

}  // namespace flash::durability
