// collection_io.h: elements of collections as RDB files, DUMP payloads and AOFs hold them.
//
// A run of elements is packed in chunks of about 64 KiB; longer elements follow in pieces of at
// most 1 MiB. Bytes: docs/format/rdb.md. Knows no value class. Thread: main, or the only one of a
// forked child.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "server/freeing.h"
#include "types/save_support.h"
#include "values/collection.h"

namespace flash::types {

/// A buffer that the server allocated for us.
class LoadedBuffer {
 public:
  /// Reads the next one of `io`.
  explicit LoadedBuffer(ValkeyModuleIO* io);
  LoadedBuffer(LoadedBuffer&& other) noexcept
      : size_(other.size_), data_(std::exchange(other.data_, nullptr)) {}
  LoadedBuffer& operator=(LoadedBuffer&&) = delete;
  ~LoadedBuffer();
  [[nodiscard]] bool ok() const { return data_ != nullptr; }
  [[nodiscard]] Bytes bytes() const { return base::AsBytes({data_, size_}); }

 private:
  size_t size_ = 0;
  char* data_;
};

/// Packs elements into chunks. Finish is to be called once, at the end.
class ChunkWriter {
 public:
  /// `io` null: holds elements of less than a chunk altogether.
  explicit ChunkWriter(ValkeyModuleIO* io) : io_(io) {}
  /// An element in one piece.
  void Add(Bytes element);
  /// An element of `size` bytes, which come by Append.
  void Begin(uint64_t size);
  void Append(Bytes part);
  void AddScore(double score);
  void Finish();
  /// What was not written yet.
  [[nodiscard]] Bytes held() const { return chunk_; }

 private:
  void Flush();
  ValkeyModuleIO* io_;
  std::vector<std::byte> chunk_;
  uint64_t long_left_ = 0;  // Bytes to come of an element that is too long for a chunk.
};

/// Reads them back. What it returns lives until Forget.
class ChunkReader {
 public:
  explicit ChunkReader(ValkeyModuleIO* io) : io_(io) {}
  /// Elements that lie in memory already.
  explicit ChunkReader(Bytes elements) : rest_(elements) {}
  /// Absent: the input is damaged or ended.
  [[nodiscard]] std::optional<Bytes> Next();
  [[nodiscard]] std::optional<double> NextScore();
  /// Nothing is left of the last chunk.
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// What was returned so far is not needed any more.
  void Forget();

 private:
  [[nodiscard]] bool NeedChunk();
  [[nodiscard]] std::optional<Bytes> NextLong(uint64_t length);
  ValkeyModuleIO* io_ = nullptr;
  std::deque<LoadedBuffer> chunks_;
  std::deque<std::string> long_elements_;
  Bytes rest_;
};

/// Calls `visit(const values::EntryView&)` for every entry of a collection in its order, hot or
/// cold. Errors: a block could not be read. Fork-safe.
[[nodiscard]] Result<void> ForEachEntry(
    values::CollectionKind kind, uint64_t word,
    const std::function<Result<void>(const values::EntryView&)>& visit);

/// Calls `visit(Bytes)` for the bytes of an element of such an entry, part by part. Fork-safe.
[[nodiscard]] Result<void> ForEachPart(const values::Element& element,
                                       const std::function<void(Bytes)>& visit);

/// Reads an element's bytes, part by part: ForEachPart, or from memory.
using PartReader = std::function<Result<void>(const values::Element& element,
                                              const std::function<void(Bytes)>& visit)>;

/// Writes an element. Errors: a block could not be read. Fork-safe.
[[nodiscard]] Result<void> SaveElement(const values::Element& element, ChunkWriter* writer);

/// Appends an element's bytes. Fork-safe if the reader is.
[[nodiscard]] Result<void> CopyElement(const values::Element& element, const PartReader& read,
                                       std::string* into);

/// Logs why a value cannot be loaded; null, for the callback to return.
void* FailLoad(ValkeyModuleIO* io, const char* type, const std::string& why);

/// For people: no room, a message that came with the error, or that flash could not be read.
[[nodiscard]] std::string LoadReasonOf(const Error& why);

/// The word of what `builder` built; or 0, after logging, where `outcome` or its end is an error,
/// and what there was is freed. `repeated`: what kInvalid means.
template <typename Builder>
[[nodiscard]] uint64_t FinishLoad(ValkeyModuleIO* io, const char* type, Builder* builder,
                                  const Result<void>& outcome, const char* repeated) {
  Result<uint64_t> word = outcome ? builder->Finish() : Result<uint64_t>(outcome.error());
  if (word) return *word;
  for (const uint64_t rest : builder->Abandon()) server::FreeCollection(builder->kind(), rest);
  const Error& why = word.error();
  FailLoad(io, type,
           why.code == Code::kInvalid && why.message.empty() ? repeated : LoadReasonOf(why));
  return 0;
}

/// In place of a number of elements: the value could not be read when it was saved.
inline constexpr uint64_t kUnreadableCount = UINT64_MAX;
/// Most elements of one collection.
inline constexpr uint64_t kElementsMax = uint64_t{1} << 40;

}  // namespace flash::types
