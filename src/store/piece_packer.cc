// piece_packer.cc: see piece_packer.h. A block is a row of sequences: a token, literals, and, but
// for the last sequence, a match (two bytes of distance, then its length). A block's last match
// begins twelve bytes or more before its end and ends five or more before: true of each piece, and
// so of the whole. Source: lz4_Block_format.md of LZ4 1.9. Thread: one at a time.
#include "store/piece_packer.h"

#include <lz4.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "store/record_format.h"

namespace flash::store {
namespace {

constexpr uint8_t kNibbleMax = 15;
constexpr uint32_t kDistanceBytes = 2;

/// The rest of a length whose nibble is full.
uint32_t LengthBehind(const uint8_t*& at) {
  uint32_t length = 0;
  uint8_t byte = 255;
  while (byte == 255) length += byte = *at++;
  return length;
}

/// Literals of the sequence at `at`, whose distance or end `at` is then.
uint32_t PassLiterals(const uint8_t*& at) {
  const uint8_t token = *at++;
  uint32_t literals = token >> 4;
  if (literals == kNibbleMax) literals += LengthBehind(at);
  at += literals;
  return literals;
}

/// The distance at `at` and the rest of the match's length.
void PassMatch(uint8_t token, const uint8_t*& at) {
  at += kDistanceBytes;
  if ((token & kNibbleMax) == kNibbleMax) (void)LengthBehind(at);
}

}  // namespace

struct PiecePacker::State {
  LZ4_stream_t stream;
  std::array<uint8_t, LZ4_COMPRESSBOUND(kPieceBytes)> scratch;
};

PiecePacker::PiecePacker() : state_(std::make_unique<State>()) {
  LZ4_initStream(&state_->stream, sizeof(state_->stream));
}

PiecePacker::~PiecePacker() = default;

size_t PiecePacker::memory_bytes() { return sizeof(PiecePacker) + sizeof(State); }

void PiecePacker::Begin(Bytes raw, MutableBytes to) {
  FLASH_CHECK(to.size() >= raw.size());
  raw_ = raw;
  to_ = to.first(PackedBytesMax(raw.size()));
  next_ = literals_ = used_ = packed_bytes_ = 0;
  LZ4_resetStream_fast(&state_->stream);
}

bool PiecePacker::Step() {
  const auto bytes = static_cast<int>(std::min<uint64_t>(kPieceBytes, raw_.size() - next_));
  const int packed = LZ4_compress_fast_continue(&state_->stream,
                                                reinterpret_cast<const char*>(raw_.data() + next_),
                                                reinterpret_cast<char*>(state_->scratch.data()),
                                                bytes, static_cast<int>(state_->scratch.size()), 1);
  FLASH_CHECK(packed > 0);  // There is room for any piece.
  const uint64_t piece_end = next_ + static_cast<uint64_t>(bytes);
  if (!AppendSequences(static_cast<uint32_t>(packed), piece_end)) return true;
  next_ = piece_end;
  if (next_ < raw_.size()) return false;
  if (AppendLiterals(next_ - literals_, 0)) packed_bytes_ = used_;
  return true;
}

/// Takes over what LZ4 made of the piece up to `piece_end`, but for its last literals. False: no
/// room.
bool PiecePacker::AppendSequences(uint32_t scratch_bytes, uint64_t piece_end) {
  const uint8_t* const begin = state_->scratch.data();
  const uint8_t* const end = begin + scratch_bytes;
  const uint8_t* at = begin;
  const uint64_t first_literals = next_ - literals_ + PassLiterals(at);
  if (at == end) return true;  // Nothing but literals, which join those before.
  const uint8_t* const from = at;
  const uint8_t* sequence = begin;
  uint32_t literals = 0;
  while (at != end) {
    PassMatch(*sequence, at);
    sequence = at;
    literals = PassLiterals(at);
  }
  if (!AppendLiterals(first_literals, *begin & kNibbleMax)) return false;
  const auto rest = static_cast<uint32_t>(sequence - from);
  if (rest > to_.size() - used_) return false;
  std::memcpy(to_.data() + used_, from, rest);
  used_ += rest;
  literals_ = piece_end - literals;
  return true;
}

/// Emits a token and `count` literals from literals_ on. False: no room.
bool PiecePacker::AppendLiterals(uint64_t count, uint8_t match_nibble) {
  const uint64_t behind = count < kNibbleMax ? 0 : (count - kNibbleMax) / 255 + 1;
  if (1 + behind + count > to_.size() - used_) return false;
  std::byte* at = to_.data() + used_;
  *at++ = static_cast<std::byte>(std::min<uint64_t>(count, kNibbleMax) << 4 | match_nibble);
  if (behind > 0) {
    std::memset(at, 255, behind - 1);
    at[behind - 1] = static_cast<std::byte>((count - kNibbleMax) % 255);
    at += behind;
  }
  std::memcpy(at, raw_.data() + literals_, count);
  used_ += static_cast<uint32_t>(1 + behind + count);
  return true;
}

}  // namespace flash::store
