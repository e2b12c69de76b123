// save_source.h: how this process reads the tier file in large portions while it saves.
//
// A forked child has a device of its own or, where it gets none, plain reads; the server has
// another one than its I/O threads. Nothing here is shared with a parent but the open file. Thread:
// main, or the only one of a forked child. Decision: docs/adr/0010.
#pragma once

#include <memory>

#include "io/flash_file.h"
#include "io/range_reader.h"
#include "store/record_store.h"

namespace flash::types {

class SaveSource final : public store::SnapshotSource {
 public:
  /// That of this process, made when first asked for. Null: the server got no device, and reads
  /// through the pool instead.
  [[nodiscard]] static SaveSource* Get(bool in_child);

  [[nodiscard]] Result<void> ReadAt(uint64_t offset, MutableBytes into) override;
  void Start(std::span<const Range> ranges) override;
  [[nodiscard]] Result<void> Finish() override;

 private:
  SaveSource() = default;
  [[nodiscard]] static std::unique_ptr<io::RangeReader> OpenReader();
  [[nodiscard]] bool hung() const;

  std::unique_ptr<io::RangeReader> batches_;  // Null in a child without a device.
  std::unique_ptr<io::RangeReader> single_;   // For ReadAt, while batches are under way.
  std::unique_ptr<io::ChildFile> file_;       // Instead of both.
  std::vector<io::RangeReader::Range> ranges_;
};

}  // namespace flash::types
