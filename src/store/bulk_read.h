// bulk_read.h: many records read in the order in which they lie, with few large reads.
//
// What snapshots use: neighbours come by one read, gaps that cost less than another read are read
// over, two batches of reads overlap. Knows neither segments nor write buffers. Thread: one, also
// the only one of a forked child. Decision: docs/adr/0010.
#pragma once

#include <vector>

#include "store/record_reader.h"
#include "store/record_store.h"

namespace flash::store {

struct BulkItem {
  size_t index = 0;  ///< What the visitor is told.
  RecordExpectation expected;
};

struct BulkOptions {
  uint32_t alignment = 0;
  SnapshotSource* source = nullptr;
  uint32_t run_bytes_max = 1u << 20;    ///< One read, unless a single record needs more.
  uint32_t gap_bytes_max = 32u << 10;   ///< Read over rather than left out.
  uint32_t batch_bytes_max = 4u << 20;  ///< Reads under way together.
  uint32_t batch_runs_max = 64;
};

/// Visits each item once; sorts `items`. Errors, to `visit`: kCorrupt, kIo, kTimeout.
void BulkRead(const BulkOptions& options, std::vector<BulkItem>* items,
              const RecordStore::VisitRecord& visit);

}  // namespace flash::store
