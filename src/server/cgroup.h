// cgroup.h: what the control group of this process allows it; of v2, or of v1 at its usual place.
//
// In a container the machine's figures say little. Thread: any; reads files, for load time. Source:
// cgroups(7), Documentation/admin-guide/cgroup-v2.rst of Linux.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace flash::server {

/// The text of a file; empty where there is none.
[[nodiscard]] std::string ReadTextFile(const std::string& path);

/// The tightest limit that `limit_of` finds in the folders from the group down to `mount`; 0 where
/// none has one. `marker` begins the group's path in `proc_cgroup`, the text of /proc/self/cgroup:
/// "0::" for v2, ":<controller>:" for v1.
[[nodiscard]] uint64_t TightestLimit(
    const std::string& mount, std::string_view proc_cgroup, std::string_view marker,
    const std::function<uint64_t(const std::string& folder)>& limit_of);

/// Most bytes of memory that the group may use; 0: no limit.
[[nodiscard]] uint64_t CgroupMemoryBytes(const std::string& mount, std::string_view proc_cgroup);

/// Of this process.
[[nodiscard]] uint64_t CgroupMemoryBytes();

/// What an operator should know about a memory limit: empty where all is well.
struct MemorySettings {
  uint64_t cgroup_bytes = 0;  // 0: no limit.
  uint64_t maxmemory = 0;     // 0: no limit.
  uint64_t cache_bytes = 0;
};
[[nodiscard]] std::string MemoryAdvice(const MemorySettings& settings);

/// The same while nothing can leave RAM.
struct MemoryUse {
  uint64_t used_bytes = 0;     // Of the server.
  uint64_t machine_bytes = 0;  // Of these, 0: not known, or no limit.
  uint64_t cgroup_bytes = 0;
  uint64_t maxmemory = 0;
};
[[nodiscard]] std::string TierlessAdvice(const MemoryUse& use);

}  // namespace flash::server
