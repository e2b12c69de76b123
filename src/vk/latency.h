// latency.h: samples for the server's latency monitor (LATENCY LATEST, LATENCY HISTORY).
//
// The server keeps, for each event and second, the longest sample that reached
// latency-monitor-threshold. While that is 0, its default, it keeps nothing of its own events, but
// all of modules': so they are held back here. The events are listed in docs/monitoring.md.
// Thread: main.
#pragma once

#include <cstdint>

#include "vk/api.h"

namespace flash::vk {

/// Whether latency-monitor-threshold is set. server/events.cc keeps it current.
inline constinit bool latency_is_monitored = false;

/// `event` took `us` microseconds. Less than a millisecond is nothing to the monitor.
inline void AddLatency(const char* event, uint64_t us) {
  constexpr uint64_t kUsPerMs = 1000;
  if (!latency_is_monitored || us < kUsPerMs) return;
  ValkeyModule_LatencyAddSample(event, static_cast<mstime_t>(us / kUsPerMs));
}

}  // namespace flash::vk
