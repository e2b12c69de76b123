// log_scan.h: what is in the file, read once from front to end and changed nowhere.
//
// Tells a torn tail, which was never known to be durable, from damage in the middle: by what later
// pieces, segment headers and the superblock say was durable when they were written. Knows neither
// threads nor appending. Thread: one. Bytes and rules: docs/format/log.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "log/log_format.h"
#include "log/page_source.h"
#include "log/piece_cursor.h"

namespace flash::log {

struct Scanned {
  Chain chain;
  std::vector<ScannedSegment> segments;  // Up to the one that holds `end`.
  uint64_t end = 0;                      // Position where the last whole unit ends.
  Lsn last_lsn = 0;
  uint64_t units = 0;
  uint64_t bytes = 0;
  uint64_t torn_bytes = 0;  // Of pieces that hold behind `end`.
};

/// The superblock that counts; nothing if the file is new. Errors: kForeign (another file, or a
/// newer version), kCorrupt, kIo, kTimeout.
[[nodiscard]] Result<std::optional<LogSuperblock>> ReadSuperblocks(PageSource* source,
                                                                   const std::string& name);

/// Walks `chain`, which is of `superblock`. Errors: kCorrupt (damage in the middle, or a gap), kIo,
/// kTimeout.
[[nodiscard]] Result<Scanned> ScanChain(PageSource* source, const LogSuperblock& superblock,
                                        const Chain& chain, const std::string& name);

}  // namespace flash::log
