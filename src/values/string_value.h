// string_value.h: a string as one 64-bit word: inside the word, in a small allocation, one block,
// or a rope.
//
// Strings are immutable but for TryOverwrite: a new value replaces the old one. The word is what
// the server keeps for the key, so it is never 0 and owns what it refers to; nothing here knows
// keys, Valkey or I/O. Forms and their bounds: docs/adr/0006 and below. Thread: main.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "blocks/tiered_pool.h"
#include "values/value_counters.h"

namespace flash::values {

/// Values up to this many bytes live in the word itself.
inline constexpr size_t kInlineBytesMax = 7;
/// Values below this many bytes stay in RAM: a block would cost more than it saves.
inline constexpr size_t kBlockBytesMin = 64;
/// Payload of a rope's blocks but the last: with the block's header, one allocation of 256 KiB.
inline constexpr uint32_t kRopePieceBytes = 256 * 1024 - 64;
/// Longest value; the server's own limit is below it.
inline constexpr uint64_t kStringBytesMax = uint64_t{1} << 40;

struct Rope;

/// The word. Copying it copies no bytes and takes no share: exactly one copy is the owner's.
///
///   inline  length << 3 | 1 in the lowest byte, up to 7 bytes above it
///   tiny    address | 2, length in the top byte
///   block   length << 39 | BlockId << 3 | 3
///   rope    address of the root | 4
class StringValue {
 public:
  enum class Form : uint8_t { kInline = 1, kTiny = 2, kBlock = 3, kRope = 4 };

  StringValue() = default;
  [[nodiscard]] static StringValue FromBits(uint64_t bits) { return StringValue(bits); }
  [[nodiscard]] static StringValue FromPointer(const void* pointer) {
    return StringValue(reinterpret_cast<uintptr_t>(pointer));
  }
  [[nodiscard]] uint64_t bits() const { return bits_; }
  [[nodiscard]] void* pointer() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): not an address; the server passes it through.
    return reinterpret_cast<void*>(static_cast<uintptr_t>(bits_));
  }
  [[nodiscard]] bool empty_handle() const { return bits_ == 0; }
  [[nodiscard]] Form form() const { return static_cast<Form>(bits_ & 7); }
  /// Bytes of the value; known without its blocks.
  [[nodiscard]] uint64_t bytes() const;
  bool operator==(const StringValue& other) const = default;

 private:
  friend class Strings;
  friend class StringBuilder;
  explicit StringValue(uint64_t bits) : bits_(bits) {}
  [[nodiscard]] BlockId block() const { return bits_ >> 3 & kBlockIdMax; }
  // NOLINTBEGIN(performance-no-int-to-ptr): addresses that were packed.
  [[nodiscard]] std::byte* tiny() const {
    return reinterpret_cast<std::byte*>(bits_ & 0x00fffffffffffff8ULL);
  }
  [[nodiscard]] Rope* rope() const { return reinterpret_cast<Rope*>(bits_ & ~uint64_t{7}); }
  // NOLINTEND(performance-no-int-to-ptr)

  uint64_t bits_ = 0;
};

/// All strings over one pool: makes, reads, shares and ends them.
class Strings {
 public:
  Strings(blocks::TieredPool* pool, ValueCounters* counters) : pool_(pool), counters_(counters) {}

  // --- Making and ending
  // --------------------------------------------------------------------------

  /// Hot bytes that Create adds to what the cache bound counts; what to ask Admit for.
  [[nodiscard]] static uint64_t HotBytesOf(uint64_t bytes) {
    return bytes < kBlockBytesMin ? 0 : bytes;
  }
  /// A new value with a copy of `bytes`, all hot. Room is the caller's business. For values of more
  /// than a few MiB use StringBuilder, which can pause.
  [[nodiscard]] StringValue Create(Bytes bytes);

  /// Gives a value that nobody shares, and that is hot and as long as `bytes`, this content in
  /// place: cheaper than another value. False: not such a value, and nothing happened.
  [[nodiscard]] bool TryOverwrite(StringValue value, Bytes bytes);
  /// Would it, with so many bytes? It needs no room.
  [[nodiscard]] bool CanOverwrite(StringValue value, uint64_t bytes) const;

  /// One more value with the same content. O(1): blocks and ropes are shared.
  [[nodiscard]] StringValue Share(StringValue value);

  /// Ends a value. Of a large rope only the first blocks go at once: what is left is returned for
  /// FreeRest, null if nothing is.
  [[nodiscard]] Rope* Free(StringValue value);
  /// Ends up to `blocks_max` more blocks. Returns `rest` while some are left, null at the end.
  [[nodiscard]] Rope* FreeRest(Rope* rest, uint32_t blocks_max);

  // --- Planning
  // -----------------------------------------------------------------------------------

  /// Blocks of the value, 0 for those that live in RAM always.
  [[nodiscard]] uint32_t BlockCount(StringValue value) const;
  [[nodiscard]] BlockId BlockAt(StringValue value, uint32_t index) const;
  /// Bytes of the value that lie in block `index`.
  [[nodiscard]] uint32_t BlockBytes(StringValue value, uint32_t index) const;
  [[nodiscard]] bool IsHot(StringValue value) const;
  /// Blocks that are not in RAM.
  [[nodiscard]] uint32_t ColdBlocks(StringValue value) const;
  void AppendBlocks(StringValue value, std::vector<BlockId>* ids) const;
  /// Appends the ids of the blocks that are not in RAM.
  void AppendMissing(StringValue value, std::vector<BlockId>* ids) const;

  /// Asks the processor for what IsHot will look at, and for the first bytes; see BlockPool.
  void PrefetchEntry(StringValue value) const {
    if (value.form() == StringValue::Form::kBlock) pool_->PrefetchEntry(value.block());
  }
  void Prefetch(StringValue value) const {
    if (value.form() == StringValue::Form::kBlock) pool_->Prefetch(value.block());
  }

  // --- Reading, what is hot
  // -----------------------------------------------------------------------

  enum class Use : uint8_t {
    kTouch,  ///< A command's use: counts a hit, tells the eviction policy.
    kPeek,   ///< Nobody is told.
  };
  /// Is the value one run of bytes in memory when hot?
  [[nodiscard]] static bool IsContiguous(StringValue value) {
    return value.form() != StringValue::Form::kRope;
  }
  /// The bytes of a hot, contiguous value; of an inline one they lie in `value` itself. Valid until
  /// the next pool call that can evict.
  [[nodiscard]] Bytes View(const StringValue& value, Use use) const;
  /// Copies the whole of a hot value; `into` has value.bytes() bytes.
  void CopyTo(StringValue value, MutableBytes into, Use use) const;
  /// Is a hot value equal to `bytes`?
  [[nodiscard]] bool Equals(StringValue value, Bytes bytes, Use use) const;

  // --- Figures
  // ------------------------------------------------------------------------------------

  /// RAM of the value beside the word: hot blocks, root, small allocation.
  [[nodiscard]] uint64_t RamBytes(StringValue value) const;
  [[nodiscard]] blocks::BlockPool& pool() const { return *pool_; }

  /// Payload of each block of a rope but the last.
  [[nodiscard]] uint32_t rope_piece_bytes() const;

 private:
  friend class StringBuilder;
  [[nodiscard]] StringValue MakeInline(Bytes bytes);
  [[nodiscard]] StringValue MakeTiny(Bytes bytes);
  [[nodiscard]] static StringValue MakeBlock(BlockId id, uint64_t bytes);

  blocks::TieredPool* pool_;
  ValueCounters* counters_;
};

/// Makes one value piece by piece, so that a large one can be made in slices, hot or past the
/// cache.
class StringBuilder {
 public:
  StringBuilder(Strings* strings, uint64_t bytes);
  StringBuilder(const StringBuilder&) = delete;
  StringBuilder& operator=(const StringBuilder&) = delete;
  ~StringBuilder();

  /// Bytes that the next Append must bring; 0: complete.
  [[nodiscard]] uint32_t next_bytes() const;
  /// Bytes appended so far.
  [[nodiscard]] uint64_t done_bytes() const { return done_; }
  void AppendHot(Bytes piece);
  /// Sends the piece to flash without a stay in the cache; resident sizes stay in RAM. Errors,
  /// nothing appended: kBusy (drive, retry), kNoSpace.
  [[nodiscard]] Result<void> AppendCold(Bytes piece);
  /// Once, when complete: the value, which the caller owns.
  [[nodiscard]] StringValue Finish();
  /// Gives up what was appended. Like Strings::Free: what is left of a large rope is returned.
  [[nodiscard]] Rope* Abandon();

 private:
  [[nodiscard]] StringValue FinishRope();

  Strings* strings_;
  uint64_t bytes_;
  uint64_t done_ = 0;
  StringValue value_;     // Of the forms other than rope, once appended.
  Rope* rope_ = nullptr;  // While a rope is built.
};

}  // namespace flash::values
