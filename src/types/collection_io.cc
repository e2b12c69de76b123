// collection_io.cc: see collection_io.h.
//
// Thread: main, or the only one of a forked child.
#include "types/collection_io.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/varint.h"
#include "server/engine.h"
#include "server/value_env.h"
#include "types/loading.h"

namespace flash::types {
namespace {

using values::Element;
using values::EntryView;

constexpr size_t kChunkBytes = 64 * kKiB;
constexpr size_t kPieceBytesMax = kMiB;
/// Leaves, of about 4 KiB, that are read together.
constexpr size_t kLeavesTogether = 512;

}  // namespace

// --- Buffers
// ----------------------------------------------------------------------------------------

LoadedBuffer::LoadedBuffer(ValkeyModuleIO* io) : data_(ValkeyModule_LoadStringBuffer(io, &size_)) {
  if (data_ != nullptr && ValkeyModule_IsIOError(io) != 0) {
    ValkeyModule_Free(data_);
    data_ = nullptr;
  }
}

LoadedBuffer::~LoadedBuffer() {
  if (data_ != nullptr) ValkeyModule_Free(data_);
}

void ChunkWriter::Flush() {
  if (chunk_.empty()) return;
  FLASH_CHECK(io_ != nullptr);
  ValkeyModule_SaveStringBuffer(io_, base::AsText(chunk_).data(), chunk_.size());
  chunk_.clear();
}

void ChunkWriter::Begin(uint64_t size) {
  if (chunk_.size() >= kChunkBytes) Flush();
  base::PutVarint(size, &chunk_);
  if (size <= kChunkBytes) return;
  Flush();
  long_left_ = size;
}

void ChunkWriter::Append(Bytes part) {
  if (long_left_ == 0) {
    chunk_.insert(chunk_.end(), part.begin(), part.end());
    return;
  }
  long_left_ -= part.size();
  while (!part.empty()) {
    const Bytes piece = part.first(std::min(part.size(), kPieceBytesMax));
    ValkeyModule_SaveStringBuffer(io_, base::AsText(piece).data(), piece.size());
    part = part.subspan(piece.size());
  }
}

void ChunkWriter::Add(Bytes element) {
  Begin(element.size());
  Append(element);
}

void ChunkWriter::AddScore(double score) {
  const size_t at = chunk_.size();
  chunk_.resize(at + sizeof(score));
  base::StoreLe(chunk_.data() + at, score);
}

void ChunkWriter::Finish() { Flush(); }

bool ChunkReader::NeedChunk() {
  if (!rest_.empty()) return true;
  if (io_ == nullptr) return false;
  LoadedBuffer chunk(io_);
  if (!chunk.ok() || chunk.bytes().empty()) return false;
  chunks_.push_back(std::move(chunk));
  rest_ = chunks_.back().bytes();
  return true;
}

void ChunkReader::Forget() {
  while (chunks_.size() > 1) chunks_.pop_front();
  long_elements_.clear();
}

std::optional<Bytes> ChunkReader::NextLong(uint64_t length) {
  if (io_ == nullptr || !rest_.empty() || length > kElementsMax) return std::nullopt;
  std::string& element = long_elements_.emplace_back();
  while (element.size() < length) {
    const LoadedBuffer piece(io_);
    if (!piece.ok() || piece.bytes().empty() || piece.bytes().size() > length - element.size()) {
      return std::nullopt;
    }
    element.append(base::AsText(piece.bytes()));
  }
  return base::AsBytes(element);
}

std::optional<Bytes> ChunkReader::Next() {
  if (!NeedChunk()) return std::nullopt;
  const std::optional<uint64_t> length = base::TakeVarint(&rest_);
  if (!length) return std::nullopt;
  if (*length > kChunkBytes) return NextLong(*length);
  if (*length > rest_.size()) return std::nullopt;
  const Bytes element = rest_.first(*length);
  rest_ = rest_.subspan(*length);
  return element;
}

std::optional<double> ChunkReader::NextScore() {
  if (!NeedChunk() || rest_.size() < sizeof(double)) return std::nullopt;
  const double score = base::LoadLe<double>(rest_.data());
  rest_ = rest_.subspan(sizeof(double));
  if (std::isnan(score)) return std::nullopt;
  return score;
}

// --- Entries of a value
// -----------------------------------------------------------------------------

Result<void> ForEachEntry(values::CollectionKind kind, uint64_t word,
                          const std::function<Result<void>(const EntryView&)>& visit) {
  std::vector<BlockId> leaves;
  values::Collection(server::TheEnv(), kind, &word).ForEachElementLeaf([&leaves](BlockId id) {
    leaves.push_back(id);
  });
  std::vector<std::vector<std::byte>> copies;
  for (std::span<const BlockId> left = leaves; !left.empty();) {
    const auto together = left.first(std::min(left.size(), kLeavesTogether));
    left = left.subspan(together.size());
    if (Result<void> done = CopyAllForSave(together, &copies); !done) return done;
    for (const std::vector<std::byte>& copy : copies) {
      const values::LeafView view(copy);
      for (uint32_t i = 0; i < view.count(); ++i) {
        if (Result<void> done = visit(view.At(i)); !done) return done;
      }
    }
  }
  return {};
}

Result<void> ForEachPart(const Element& element, const std::function<void(Bytes)>& visit) {
  if (!element.large) {
    visit(element.bytes);
    return {};
  }
  std::vector<BlockId> ids;
  values::ForEachLargeBlock(element.large_word(), [&ids](BlockId id) { ids.push_back(id); });
  return ForEachPieceForSave(ids, visit);
}

Result<void> SaveElement(const Element& element, ChunkWriter* writer) {
  if (!element.large) {
    writer->Add(element.bytes);
    return {};
  }
  writer->Begin(element.size());
  return ForEachPart(element, [writer](Bytes part) { writer->Append(part); });
}

Result<void> CopyElement(const Element& element, const PartReader& read, std::string* into) {
  return read(element, [into](Bytes part) { into->append(base::AsText(part)); });
}

// --- Loading
// ----------------------------------------------------------------------------------------

std::string LoadReasonOf(const Error& why) {
  if (!why.message.empty()) return why.message;
  if (why.code == Code::kNoSpace) return kNoRoomToLoad;
  return "what it had put on flash a moment ago could not be read";
}

void* FailLoad(ValkeyModuleIO* io, const char* type, const std::string& why) {
  ValkeyModule_LogIOError(io, VALKEYMODULE_LOGLEVEL_WARNING, "a %s value cannot be loaded: %s",
                          type, why.c_str());
  return nullptr;
}

}  // namespace flash::types
