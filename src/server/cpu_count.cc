// cpu_count.cc: see cpu_count.h.
//
// Thread: any.
#include "server/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>

#include "server/cgroup.h"

namespace flash::server {
namespace {

constexpr uint32_t kThreadsMax = 8;
constexpr uint32_t kMainThreadReads = 24;

/// The number at the start of `text`, which is advanced past it and the blank; 0 if there is none.
uint64_t TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  return failure == std::errc() ? number : 0;
}

uint64_t Tighter(uint64_t a, uint64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

}  // namespace

uint32_t CpusOfQuota(std::string_view cpu_max) {
  const uint64_t quota = TakeNumber(cpu_max);
  const uint64_t period = TakeNumber(cpu_max);
  if (quota == 0 || period == 0) return 0;  // "max 100000", or no such file.
  return static_cast<uint32_t>(std::min<uint64_t>((quota + period - 1) / period, UINT32_MAX));
}

uint32_t CgroupCpus(const std::string& mount, std::string_view proc_cgroup) {
  const uint64_t v2 =
      TightestLimit(mount, proc_cgroup, "0::", [](const std::string& folder) -> uint64_t {
        return CpusOfQuota(ReadTextFile(folder + "/cpu.max"));
      });
  const uint64_t v1 = TightestLimit(
      mount + "/cpu", proc_cgroup, ":cpu,cpuacct:", [](const std::string& folder) -> uint64_t {
        const std::string quota = ReadTextFile(folder + "/cpu.cfs_quota_us");  // -1: none.
        return CpusOfQuota(quota + " " + ReadTextFile(folder + "/cpu.cfs_period_us"));
      });
  return static_cast<uint32_t>(Tighter(v2, v1));
}

uint32_t UsableCpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  uint32_t cpus = 1;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
    cpus = static_cast<uint32_t>(CPU_COUNT(&mask));
  }
  cpus = static_cast<uint32_t>(
      Tighter(cpus, CgroupCpus("/sys/fs/cgroup", ReadTextFile("/proc/self/cgroup"))));
  return std::max(cpus, 1u);
}

uint32_t AutomaticIoThreads() { return std::min(UsableCpus(), kThreadsMax); }

uint32_t AutomaticMainThreadReads(uint32_t cpus) { return cpus <= 2 ? kMainThreadReads : 1; }

uint32_t BackgroundThreads(uint32_t cpus) { return std::max(cpus, 2u) - 1; }

}  // namespace flash::server
