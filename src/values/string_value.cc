// string_value.cc: see string_value.h. The root of a rope is one allocation: header and block ids.
//
// Thread: main.
#include "values/string_value.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/memory.h"

namespace flash::values {

/// Immutable once built but for the reference count; shared by COPY and by readers that freeze it.
struct Rope final : blocks::BlockOwner {
  ValueCounters* counters = nullptr;
  uint64_t bytes = 0;
  uint32_t refs = 1;
  uint32_t piece_bytes = 0;
  uint32_t count = 0;  // Blocks made so far; of a dying rope: not yet freed.
  uint32_t cold = 0;
  bool dying = false;

  /// Behind the header, in the same allocation.
  BlockId* ids() { return reinterpret_cast<BlockId*>(this + 1); }
  [[nodiscard]] const BlockId* ids() const { return reinterpret_cast<const BlockId*>(this + 1); }

  void OnTemperature(BlockId /*id*/, bool is_cold) override {
    if (dying) return;
    if (is_cold) {
      if (cold++ == 0) counters->tiered_multi_block_values += refs;
    } else {
      FLASH_DCHECK(cold > 0);
      if (--cold == 0) counters->tiered_multi_block_values -= refs;
    }
  }
};

namespace {

using Form = StringValue::Form;

/// Blocks of a rope that Free ends at once: 1 MiB.
constexpr uint32_t kFreeAtOnce = 4;

constexpr int kTinyLengthShift = 56;
constexpr int kBlockLengthShift = 39;
static_assert(kBlockLengthShift == kBlockIdBits + 3);
constexpr uint64_t kBlockLengthMax = (uint64_t{1} << (64 - kBlockLengthShift)) - 1;

uint32_t PiecesOf(uint64_t bytes, uint32_t piece_bytes) {
  return static_cast<uint32_t>((bytes + piece_bytes - 1) / piece_bytes);
}

Rope* NewRope(uint64_t bytes, uint32_t piece_bytes, ValueCounters* counters) {
  const size_t size = sizeof(Rope) + PiecesOf(bytes, piece_bytes) * sizeof(BlockId);
  Rope* rope = new (base::Allocate(size)) Rope;
  rope->counters = counters;
  rope->bytes = bytes;
  rope->piece_bytes = piece_bytes;
  return rope;
}

void DeleteRope(Rope* rope) {
  rope->~Rope();
  base::Release(rope);
}

}  // namespace

uint64_t StringValue::bytes() const {
  switch (form()) {
    case Form::kInline:
      return bits_ >> 3 & 7;
    case Form::kTiny:
      return bits_ >> kTinyLengthShift;
    case Form::kBlock:
      return bits_ >> kBlockLengthShift;
    case Form::kRope:
      return rope()->bytes;
  }
  FLASH_CHECK(false);
  return 0;
}

// --- Making and ending
// ------------------------------------------------------------------------------

StringValue Strings::MakeInline(Bytes bytes) {
  uint64_t word = 0;
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(&word) + 1);
  ++counters_->resident_tiny_values;
  return StringValue(word | bytes.size() << 3 | static_cast<uint64_t>(Form::kInline));
}

StringValue Strings::MakeTiny(Bytes bytes) {
  void* memory = base::Allocate(bytes.size());
  std::memcpy(memory, bytes.data(), bytes.size());
  const uint64_t address = reinterpret_cast<uintptr_t>(memory);
  FLASH_CHECK((address & 0xff00000000000007ULL) == 0);
  ++counters_->resident_tiny_values;
  counters_->resident_tiny_bytes += base::UsableSize(memory);
  return StringValue(address | static_cast<uint64_t>(bytes.size()) << kTinyLengthShift |
                     static_cast<uint64_t>(Form::kTiny));
}

StringValue Strings::MakeBlock(BlockId id, uint64_t bytes) {
  FLASH_CHECK(id != kNoBlock && id <= kBlockIdMax && bytes <= kBlockLengthMax);
  return StringValue(bytes << kBlockLengthShift | id << 3 | static_cast<uint64_t>(Form::kBlock));
}

uint32_t Strings::rope_piece_bytes() const {
  return std::min(kRopePieceBytes, pool_->block_bytes_max());
}

StringValue Strings::Create(Bytes bytes) {
  if (bytes.size() >= kBlockBytesMin && bytes.size() <= pool_->block_bytes_max()) {
    MutableBytes to_fill;
    const BlockId id = pool_->Create(static_cast<uint32_t>(bytes.size()), &to_fill);
    std::memcpy(to_fill.data(), bytes.data(), bytes.size());
    return MakeBlock(id, bytes.size());
  }
  StringBuilder builder(this, bytes.size());
  do {
    builder.AppendHot(bytes.subspan(builder.done_bytes(), builder.next_bytes()));
  } while (builder.next_bytes() != 0);
  return builder.Finish();
}

bool Strings::CanOverwrite(StringValue value, uint64_t bytes) const {
  if (value.bytes() != bytes) return false;
  if (value.form() != Form::kBlock) return value.form() == Form::kTiny;
  return pool_->IsHot(value.block()) && !pool_->IsShared(value.block());
}

bool Strings::TryOverwrite(StringValue value, Bytes bytes) {
  if (value.bytes() != bytes.size()) return false;
  if (value.form() == Form::kTiny) {
    std::memcpy(value.tiny(), bytes.data(), bytes.size());
    return true;
  }
  if (value.form() != Form::kBlock) return false;
  const BlockId id = value.block();
  if (!pool_->IsHot(id) || pool_->IsShared(id)) return false;
  std::memcpy(pool_->Write(id).data(), bytes.data(), bytes.size());
  return true;
}

StringValue Strings::Share(StringValue value) {
  switch (value.form()) {
    case Form::kInline:
    case Form::kTiny:
      return Create(View(value, Use::kPeek));
    case Form::kBlock:
      pool_->Share(value.block());
      return value;
    case Form::kRope:
      break;
  }
  Rope* rope = value.rope();
  ++rope->refs;
  if (rope->cold > 0) ++counters_->tiered_multi_block_values;
  return value;
}

Rope* Strings::Free(StringValue value) {
  switch (value.form()) {
    case Form::kInline:
      --counters_->resident_tiny_values;
      return nullptr;
    case Form::kTiny:
      --counters_->resident_tiny_values;
      counters_->resident_tiny_bytes -= base::UsableSize(value.tiny());
      base::Release(value.tiny());
      return nullptr;
    case Form::kBlock:
      pool_->Free(value.block());
      return nullptr;
    case Form::kRope:
      break;
  }
  Rope* rope = value.rope();
  if (rope->cold > 0) --counters_->tiered_multi_block_values;
  if (--rope->refs > 0) return nullptr;
  rope->dying = true;
  return FreeRest(rope, kFreeAtOnce);
}

Rope* Strings::FreeRest(Rope* rest, uint32_t blocks_max) {
  for (; blocks_max > 0 && rest->count > 0; --blocks_max) pool_->Free(rest->ids()[--rest->count]);
  if (rest->count > 0) return rest;
  DeleteRope(rest);
  return nullptr;
}

// --- Planning
// ---------------------------------------------------------------------------------------

uint32_t Strings::BlockCount(StringValue value) const {
  switch (value.form()) {
    case Form::kInline:
    case Form::kTiny:
      return 0;
    case Form::kBlock:
      return 1;
    case Form::kRope:
      break;
  }
  return value.rope()->count;
}

BlockId Strings::BlockAt(StringValue value, uint32_t index) const {
  if (value.form() == Form::kBlock) return value.block();
  FLASH_DCHECK(value.form() == Form::kRope && index < value.rope()->count);
  return value.rope()->ids()[index];
}

uint32_t Strings::BlockBytes(StringValue value, uint32_t index) const {
  if (value.form() == Form::kBlock) return static_cast<uint32_t>(value.bytes());
  const Rope* rope = value.rope();
  const uint64_t before = uint64_t{index} * rope->piece_bytes;
  return static_cast<uint32_t>(std::min<uint64_t>(rope->piece_bytes, rope->bytes - before));
}

bool Strings::IsHot(StringValue value) const {
  switch (value.form()) {
    case Form::kInline:
    case Form::kTiny:
      return true;
    case Form::kBlock:
      return pool_->IsHot(value.block());
    case Form::kRope:
      break;
  }
  return value.rope()->cold == 0 && ColdBlocks(value) == 0;
}

uint32_t Strings::ColdBlocks(StringValue value) const {
  uint32_t cold = 0;
  const uint32_t count = BlockCount(value);
  for (uint32_t i = 0; i < count; ++i) cold += pool_->IsHot(BlockAt(value, i)) ? 0U : 1U;
  return cold;
}

void Strings::AppendBlocks(StringValue value, std::vector<BlockId>* ids) const {
  const uint32_t count = BlockCount(value);
  for (uint32_t i = 0; i < count; ++i) ids->push_back(BlockAt(value, i));
}

void Strings::AppendMissing(StringValue value, std::vector<BlockId>* ids) const {
  const uint32_t count = BlockCount(value);
  for (uint32_t i = 0; i < count; ++i) {
    const BlockId id = BlockAt(value, i);
    if (!pool_->IsHot(id)) ids->push_back(id);
  }
}

// --- Reading
// ----------------------------------------------------------------------------------------

Bytes Strings::View(const StringValue& value, Use use) const {
  switch (value.form()) {
    case Form::kInline:
      return {reinterpret_cast<const std::byte*>(&value.bits_) + 1, value.bytes()};
    case Form::kTiny:
      return {value.tiny(), value.bytes()};
    case Form::kBlock:
      return use == Use::kTouch ? pool_->Touch(value.block()) : pool_->Read(value.block());
    case Form::kRope:
      break;
  }
  FLASH_CHECK(false);
  return {};
}

void Strings::CopyTo(StringValue value, MutableBytes into, Use use) const {
  FLASH_DCHECK(into.size() == value.bytes());
  if (IsContiguous(value)) {
    const Bytes bytes = View(value, use);
    std::copy(bytes.begin(), bytes.end(), into.begin());
    return;
  }
  std::byte* to = into.data();
  const Rope* rope = value.rope();
  for (uint32_t i = 0; i < rope->count; ++i) {
    const Bytes piece =
        use == Use::kTouch ? pool_->Touch(rope->ids()[i]) : pool_->Read(rope->ids()[i]);
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
}

bool Strings::Equals(StringValue value, Bytes bytes, Use use) const {
  if (value.bytes() != bytes.size()) return false;
  if (IsContiguous(value)) {
    const Bytes own = View(value, use);
    return std::equal(own.begin(), own.end(), bytes.begin());
  }
  const Rope* rope = value.rope();
  for (uint32_t i = 0; i < rope->count; ++i) {
    const Bytes piece =
        use == Use::kTouch ? pool_->Touch(rope->ids()[i]) : pool_->Read(rope->ids()[i]);
    if (std::memcmp(piece.data(), bytes.data(), piece.size()) != 0) return false;
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

uint64_t Strings::RamBytes(StringValue value) const {
  uint64_t ram = 0;
  if (value.form() == Form::kTiny) ram = base::UsableSize(value.tiny());
  if (value.form() == Form::kRope) ram = base::UsableSize(value.rope());
  const uint32_t count = BlockCount(value);
  for (uint32_t i = 0; i < count; ++i) {
    const BlockId id = BlockAt(value, i);
    if (pool_->IsHot(id)) ram += pool_->FootprintOf(id);
  }
  return ram;
}

// --- StringBuilder
// ----------------------------------------------------------------------------------

StringBuilder::StringBuilder(Strings* strings, uint64_t bytes) : strings_(strings), bytes_(bytes) {
  FLASH_CHECK(bytes <= kStringBytesMax);
  if (bytes > strings->pool_->block_bytes_max() && bytes >= kBlockBytesMin) {
    rope_ = NewRope(bytes, strings->rope_piece_bytes(), strings->counters_);
  }
}

StringBuilder::~StringBuilder() {
  Rope* rest = Abandon();
  while (rest != nullptr) rest = strings_->FreeRest(rest, kFreeAtOnce);
}

Rope* StringBuilder::Abandon() {
  StringValue made = std::exchange(value_, StringValue());
  if (rope_ != nullptr) made = FinishRope();
  return made.empty_handle() ? nullptr : strings_->Free(made);
}

StringValue StringBuilder::FinishRope() {
  const auto address = reinterpret_cast<uintptr_t>(std::exchange(rope_, nullptr));
  return StringValue(address | static_cast<uint64_t>(Form::kRope));
}

uint32_t StringBuilder::next_bytes() const {
  const uint64_t left = bytes_ - done_;
  return static_cast<uint32_t>(rope_ == nullptr ? left
                                                : std::min<uint64_t>(rope_->piece_bytes, left));
}

void StringBuilder::AppendHot(Bytes piece) {
  FLASH_CHECK(piece.size() == next_bytes());
  done_ += piece.size();
  if (rope_ == nullptr && piece.size() < kBlockBytesMin) {
    value_ =
        piece.size() <= kInlineBytesMax ? strings_->MakeInline(piece) : strings_->MakeTiny(piece);
    return;
  }
  MutableBytes to_fill;
  const auto bytes = static_cast<uint32_t>(piece.size());
  const BlockId id = strings_->pool_->Create(bytes, &to_fill, rope_);
  std::memcpy(to_fill.data(), piece.data(), piece.size());
  if (rope_ == nullptr) {
    value_ = Strings::MakeBlock(id, piece.size());
  } else {
    rope_->ids()[rope_->count++] = id;
  }
}

Result<void> StringBuilder::AppendCold(Bytes piece) {
  FLASH_CHECK(piece.size() == next_bytes());
  if (rope_ == nullptr && piece.size() < kBlockBytesMin) {
    AppendHot(piece);
    return {};
  }
  const Result<BlockId> id = strings_->pool_->CreateCold(piece, rope_);
  if (!id) return id.code();
  done_ += piece.size();
  if (rope_ == nullptr) {
    value_ = Strings::MakeBlock(*id, piece.size());
  } else {
    rope_->ids()[rope_->count++] = *id;
  }
  return {};
}

StringValue StringBuilder::Finish() {
  FLASH_CHECK(next_bytes() == 0);
  if (rope_ != nullptr) return FinishRope();
  if (value_.empty_handle()) AppendHot({});  // The empty string has no piece to bring it.
  return std::exchange(value_, StringValue());
}

}  // namespace flash::values
