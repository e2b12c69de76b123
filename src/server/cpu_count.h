// cpu_count.h: how many CPUs this process may use: affinity mask and cgroup quota, whichever is
// less.
//
// In a container the machine's number of CPUs says little. Thread: any; reads files, for load time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flash::server {

/// At least 1.
[[nodiscard]] uint32_t UsableCpus();

/// What flash.io-threads 0 stands for: usable CPUs, 1 to 8.
[[nodiscard]] uint32_t AutomaticIoThreads();

/// What flash.main-thread-reads 0 stands for on so many CPUs. Measured: docs/adr/0026.
[[nodiscard]] uint32_t AutomaticMainThreadReads(uint32_t cpus);

/// How many I/O threads write, compress and unpack at a time: the main thread keeps a CPU where
/// there are several.
[[nodiscard]] uint32_t BackgroundThreads(uint32_t cpus);

/// CPUs that "<quota> <period>" (cpu.max of cgroup v2) allows, rounded up; 0 where there is no
/// limit.
[[nodiscard]] uint32_t CpusOfQuota(std::string_view cpu_max);

/// The tightest quota from the cgroup named in `proc_cgroup` (text of /proc/self/cgroup) up to the
/// root, below `mount` (/sys/fs/cgroup); cgroup v2, or v1 at its usual place. 0 where there is
/// none.
[[nodiscard]] uint32_t CgroupCpus(const std::string& mount, std::string_view proc_cgroup);

}  // namespace flash::server
