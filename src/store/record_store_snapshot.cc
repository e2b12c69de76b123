// record_store_snapshot.cc: how a snapshot reads records: from its copy of the write buffers, or
// through a source of its own; see record_store.h. It does not know whether it is in a forked
// child. Thread: the child's only one, or the owner.
#include <utility>

#include "base/memory.h"
#include "store/bulk_read.h"
#include "store/record_reader.h"
#include "store/record_store_impl.h"

namespace flash::store {

Result<ReadBuffer> RecordStoreImpl::ReadInChild(BlockId id, Place place,
                                                SnapshotSource& source) const {
  if (const WriteBuffer* buffer = writer_.Find(place)) return ReadFromMemory(id, place, *buffer);
  const Extent extent = ExtentOf(place, alignment_);
  const MutableBytes into = child_scratch_.bytes().first(extent.bytes);
  if (auto read = source.ReadAt(extent.offset, into); !read) {
    if (read.code() == Code::kTimeout) {
      std::exchange(child_scratch_, PageMemory(child_scratch_.size())).Leak();
    }
    return read.error();
  }
  return UnpackRecord({.id = id, .place = place, .context = ContextOf(place)}, into, extent.offset,
                      options_.read_prefix_bytes);
}

void RecordStoreImpl::ReadManyInChild(std::span<const RecordRef> records, SnapshotSource& source,
                                      const VisitRecord& visit) const {
  std::vector<BulkItem> on_flash;
  on_flash.reserve(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    const auto& [id, place] = records[i];
    const WriteBuffer* buffer = writer_.Find(place);
    if (buffer == nullptr) {
      on_flash.push_back({.index = i, .expected = {id, place, ContextOf(place)}});
      continue;
    }
    const auto read = ReadFromMemory(id, place, *buffer);
    if (!read) {
      visit(i, read.error());
      continue;
    }
    visit(i, Bytes(read->memory + options_.read_prefix_bytes, read->payload_bytes));
    base::Release(read->memory);
  }
  BulkRead({.alignment = alignment_, .source = &source}, &on_flash, visit);
}

}  // namespace flash::store
