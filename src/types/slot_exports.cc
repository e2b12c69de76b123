// slot_exports.cc: see slot_exports.h.
//
// Thread: as there.
#include "types/slot_exports.h"

#include <algorithm>
#include <utility>

#include "vk/server_events.h"

namespace flash::types {
namespace {

using Range = SlotExports::Range;

constinit SlotExports exports;

bool Meet(std::span<const Range> some, std::span<const Range> others) {
  return std::ranges::any_of(some, [others](const Range& one) {
    return std::ranges::any_of(others, [&one](const Range& other) {
      return one.first <= other.last && other.first <= one.last;
    });
  });
}

void OnMigration(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t sub, void* data) {
  const auto& info = *static_cast<const ValkeyModuleAtomicSlotMigrationInfo*>(data);
  switch (sub) {
    case VALKEYMODULE_SUBEVENT_ATOMIC_SLOT_MIGRATION_EXPORT_STARTED: {
      std::vector<Range> ranges;
      for (uint32_t i = 0; i < info.num_slot_ranges; ++i) {
        ranges.push_back({info.slot_ranges[i].start, info.slot_ranges[i].end});
      }
      return exports.Begin(info.job_name, std::move(ranges));
    }
    case VALKEYMODULE_SUBEVENT_ATOMIC_SLOT_MIGRATION_EXPORT_ABORTED:
    case VALKEYMODULE_SUBEVENT_ATOMIC_SLOT_MIGRATION_EXPORT_COMPLETED:
      return exports.End(info.job_name);
    default:
      return;
  }
}

}  // namespace

void SlotExports::Begin(std::string_view job, std::vector<Range> ranges) {
  std::erase_if(jobs_, [&ranges](const Job& other) { return Meet(other.ranges, ranges); });
  jobs_.push_back({std::string(job), std::move(ranges)});
}

void SlotExports::End(std::string_view job) {
  std::erase_if(jobs_, [job](const Job& other) { return other.name == job; });
}

std::span<const Range> SlotExports::With(int slot) const {
  const Range wanted{slot, slot};
  for (const Job& job : jobs_) {
    if (Meet(job.ranges, {&wanted, 1})) return job.ranges;
  }
  return {};
}

void FollowSlotExports(ValkeyModuleCtx* ctx) {
  // Before 9.0 there is no such event, and no such migration.
  (void)vk::Listen(ctx, {{ValkeyModuleEvent_AtomicSlotMigration, OnMigration}});
}

const SlotExports& TheSlotExports() { return exports; }

}  // namespace flash::types
