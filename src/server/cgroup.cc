// cgroup.cc: see cgroup.h.
//
// Thread: any.
#include "server/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "base/bytes.h"

namespace flash::server {
namespace {

/// v1 says "no limit" by a number that no machine has.
constexpr uint64_t kNoLimitFrom = uint64_t{1} << 60;

/// "max" and what is no number: 0.
uint64_t LimitIn(const std::string& path) {
  const std::string text = ReadTextFile(path);
  uint64_t bytes = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return failure == std::errc() && bytes < kNoLimitFrom ? bytes : 0;
}

uint64_t Tighter(uint64_t a, uint64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

std::string PathOf(std::string_view proc_cgroup, std::string_view marker) {
  const size_t at = proc_cgroup.find(marker);
  if (at == std::string_view::npos) return "/";
  const std::string_view path = proc_cgroup.substr(at + marker.size());
  return std::string(path.substr(0, path.find('\n')));
}

std::string InMegabytes(uint64_t bytes) { return std::to_string(bytes / kMiB) + "mb"; }

}  // namespace

std::string ReadTextFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

uint64_t TightestLimit(const std::string& mount, std::string_view proc_cgroup,
                       std::string_view marker,
                       const std::function<uint64_t(const std::string& folder)>& limit_of) {
  uint64_t limit = 0;
  std::string path = PathOf(proc_cgroup, marker);
  while (true) {
    if (path == "/") path.clear();
    limit = Tighter(limit, limit_of(mount + path));
    if (path.empty()) return limit;
    path.resize(std::min(path.rfind('/'), path.size()));
  }
}

uint64_t CgroupMemoryBytes(const std::string& mount, std::string_view proc_cgroup) {
  const uint64_t v2 = TightestLimit(mount, proc_cgroup, "0::", [](const std::string& folder) {
    return LimitIn(folder + "/memory.max");
  });
  const uint64_t v1 =
      TightestLimit(mount + "/memory", proc_cgroup, ":memory:", [](const std::string& folder) {
        return LimitIn(folder + "/memory.limit_in_bytes");
      });
  return Tighter(v2, v1);
}

uint64_t CgroupMemoryBytes() {
  return CgroupMemoryBytes("/sys/fs/cgroup", ReadTextFile("/proc/self/cgroup"));
}

std::string MemoryAdvice(const MemorySettings& settings) {
  if (settings.cgroup_bytes == 0) return {};
  const std::string limit = "this process may use " + InMegabytes(settings.cgroup_bytes) +
                            " of memory (its cgroup says so), ";
  if (settings.maxmemory > settings.cgroup_bytes / 10 * 9) {
    return limit + "and maxmemory " + InMegabytes(settings.maxmemory) +
           " leaves too little of it for buffers and fragmentation: it may be killed. Set "
           "maxmemory to nine tenths of the limit at most; the cache gives way by itself";
  }
  if (settings.maxmemory != 0) return {};
  if (settings.cache_bytes + settings.cache_bytes / 10 > settings.cgroup_bytes / 10 * 9) {
    return limit + "less than flash.cache-size-bytes " + InMegabytes(settings.cache_bytes) +
           " needs, and maxmemory is not set: it may be killed. Set maxmemory, to which the cache "
           "gives way by itself";
  }
  return limit +
         "and maxmemory is not set: keys may fill it until it is killed. Set maxmemory, to which "
         "the cache gives way by itself";
}

std::string TierlessAdvice(const MemoryUse& use) {
  constexpr uint64_t kShortPercent = 85;
  const uint64_t limit_bytes = Tighter(Tighter(use.machine_bytes, use.cgroup_bytes), use.maxmemory);
  if (limit_bytes == 0 || use.used_bytes / kShortPercent < limit_bytes / 100) return {};
  const std::string limit = "all values are in RAM, without a tier, and " +
                            InMegabytes(use.used_bytes) + " of " + InMegabytes(limit_bytes) +
                            " of memory are used";
  if (limit_bytes == use.maxmemory) {
    return limit +
           " (maxmemory): above it, a promoted server refuses writes or evicts keys until "
           "enough has left RAM. Raise maxmemory, or set flash.replica-tier-enabled yes";
  }
  return limit +
         ": beyond that the server may be killed. Give it more, or set "
         "flash.replica-tier-enabled yes";
}

}  // namespace flash::server
