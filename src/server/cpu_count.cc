// cpu_count.cc: see cpu_count.h. Source: cgroups(7), Documentation/admin-guide/cgroup-v2.rst of
// Linux.
//
// Thread: any.
#include "server/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace flash::server {
namespace {

constexpr uint32_t kThreadsMax = 8;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The number at the start of `text`, which is advanced past it and the blank; 0 if there is none.
uint64_t TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  return failure == std::errc() ? number : 0;
}

uint32_t Tighter(uint32_t a, uint32_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

/// The path in the line "<id>:<controllers>:<path>" that is v2's ("0::") or names the v1
/// controller.
std::string PathOf(std::string_view proc_cgroup, std::string_view marker) {
  const size_t at = proc_cgroup.find(marker);
  if (at == std::string_view::npos) return "/";
  std::string_view path = proc_cgroup.substr(at + marker.size());
  return std::string(path.substr(0, path.find('\n')));
}

/// Calls `quota_of` with each folder from mount + path up to mount, keeping the tightest answer.
template <typename QuotaOf>
uint32_t TightestUpwards(const std::string& mount, std::string path, QuotaOf quota_of) {
  uint32_t cpus = 0;
  while (true) {
    if (path == "/") path.clear();
    cpus = Tighter(cpus, quota_of(mount + path));
    if (path.empty()) return cpus;
    path.resize(std::min(path.rfind('/'), path.size()));
  }
}

}  // namespace

uint32_t CpusOfQuota(std::string_view cpu_max) {
  const uint64_t quota = TakeNumber(cpu_max);
  const uint64_t period = TakeNumber(cpu_max);
  if (quota == 0 || period == 0) return 0;  // "max 100000", or no such file.
  return static_cast<uint32_t>(std::min<uint64_t>((quota + period - 1) / period, UINT32_MAX));
}

uint32_t CgroupCpus(const std::string& mount, std::string_view proc_cgroup) {
  const uint32_t v2 = TightestUpwards(
      mount, PathOf(proc_cgroup, "0::"),
      [](const std::string& folder) { return CpusOfQuota(ReadFile(folder + "/cpu.max")); });
  const uint32_t v1 = TightestUpwards(
      mount + "/cpu", PathOf(proc_cgroup, ":cpu,cpuacct:"), [](const std::string& folder) {
        const std::string quota = ReadFile(folder + "/cpu.cfs_quota_us");  // -1: none.
        return CpusOfQuota(quota + " " + ReadFile(folder + "/cpu.cfs_period_us"));
      });
  return Tighter(v2, v1);
}

uint32_t AutomaticIoThreads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  uint32_t cpus = 1;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
    cpus = static_cast<uint32_t>(CPU_COUNT(&mask));
  }
  cpus = Tighter(cpus, CgroupCpus("/sys/fs/cgroup", ReadFile("/proc/self/cgroup")));
  return std::clamp(cpus, 1u, kThreadsMax);
}

}  // namespace flash::server
