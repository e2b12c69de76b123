// memory_map.h: what the kernel knows of a mapping: the flags of /proc/self/smaps and the bytes in
// RAM.
//
// Nothing of the project. Thread: any.
#pragma once

#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace flash::testing {

struct MappingFacts {
  uint64_t resident_bytes = 0;
  std::string flags;  // Two letters each with a blank behind: "hg" huge pages wanted, "dc" no fork.
  [[nodiscard]] bool Has(const std::string& flag) const {
    return flags.find(flag + " ") != std::string::npos;
  }
};

/// Of the mapping that `address` lies in, which the kernel may have joined with its neighbours.
inline MappingFacts FactsOf(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  MappingFacts facts;
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first.back() != ':') {
      if (inside) break;
      const size_t dash = first.find('-');
      inside = wanted >= std::stoull(first.substr(0, dash), nullptr, 16) &&
               wanted < std::stoull(first.substr(dash + 1), nullptr, 16);
    } else if (inside && first == "Rss:") {
      words >> facts.resident_bytes;
      facts.resident_bytes *= 1024;
    } else if (inside && first == "VmFlags:") {
      std::getline(words, facts.flags);
    }
  }
  return facts;
}

/// Can mappings be of huge pages here at all, if they ask for it?
inline bool HaveHugePages() {
  return access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
}

}  // namespace flash::testing
