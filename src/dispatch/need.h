// need.h: what a command lacks, and what was brought for it: the two sides of a closed gate.
//
// A gate of the context fills a Need; the bringer turns it into parts of the Prepared, which the
// command's next run finds. Know no command. Thread: main. Decision: docs/adr/0006.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "blocks/block_pool.h"
#include "dispatch/long_work.h"
#include "dispatch/string_jobs.h"
#include "types/contents.h"
#include "values/string_value.h"

namespace flash::dispatch {

/// What a command lacks; filled by a closed gate.
struct Need {
  enum class Kind : uint8_t { kNothing, kBlocks, kGather, kBuild, kRoom, kContents, kWork };
  Kind kind = Kind::kNothing;
  std::vector<BlockId> blocks;
  std::vector<values::StringValue> values;
  std::vector<BuildJob::Source> sources;
  uint64_t room_bytes = 0;
  const types::FlashType* type = nullptr;  ///< Of contents, with the value to be read whole.
  const void* value = nullptr;
  std::shared_ptr<LongWork> work;
  /// Of blocks: with them in RAM the command lacks nothing, as its keys are now.
  bool all_for_reading = false;
};

/// What was brought for a command meanwhile; used up by its last run.
struct Prepared {
  blocks::Fetch pins;  // One set at a time: who waits for another must not hold a first.
  std::shared_ptr<GatherJob> gathered;
  std::shared_ptr<BuildJob> built;
  std::shared_ptr<types::Contents> contents;
  std::shared_ptr<LongJob> work;     // Done.
  blocks::RoomGrant room;            // Likewise.
  std::optional<Code> read_failure;  // A block could not be read.
  bool full = false;                 // Room was waited for in vain.
};

}  // namespace flash::dispatch
