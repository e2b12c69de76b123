// sample.h: what was seen of the keys, as plain data: the only thing that leads from the sampler to
// the analysis, and what tests make by hand.
//
// Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flash::tools::sizer {

/// What a key holds, as far as it matters for tiering.
enum class Kind : uint8_t {
  kString,
  kHash,
  kList,
  kSortedSet,  // Have a FLASH counterpart.
  kSet,
  kStream,
  kModule,   // Have none.
  kFlash,    // Is on the tier already.
  kUnknown,  // TYPE is not permitted, and OBJECT ENCODING cannot tell.
};
inline constexpr size_t kKinds = 9;

/// How a key's heat is known: which of the two depends on maxmemory-policy.
enum class Heat : uint8_t {
  kIdleSeconds,  ///< OBJECT IDLETIME.
  kFrequency,    ///< OBJECT FREQ: a decaying, logarithmic counter, 0 to 255.
};

struct KeySample {
  uint32_t stretch = 0;  ///< Index into Sample::stretches.
  Kind kind = Kind::kUnknown;
  uint64_t bytes = 0;  ///< MEMORY USAGE: name, value, bookkeeping.
  uint32_t heat = 0;   ///< In the unit of its stratum's Heat.
  std::string name;
};

/// Keys that came to hand together: neighbours in the hash table.
struct Stretch {
  uint32_t stratum = 0;
  double weight = 1;  ///< 1 / the part of its slot that was covered; 1 where there are no slots.
};

/// One database of one primary: keys are drawn from each on their own.
struct Stratum {
  std::string name;  ///< host:port, with /db where there are several.
  Heat heat = Heat::kIdleSeconds;
  double keys = 0;          ///< How many it holds.
  bool keys_known = false;  ///< By INFO or a full scan; else estimated from the cursors.
  bool complete = false;    ///< Every key is in the sample.
};

/// What the server says of itself, where it may be asked; zero where not.
struct ServerFacts {
  std::string name;
  std::string version;
  std::string policy;
  uint64_t used_memory_bytes = 0;
  uint64_t maxmemory_bytes = 0;
  uint64_t uptime_sec = 0;
  bool has_module = false;
};

struct Sample {
  std::vector<ServerFacts> servers;
  std::vector<Stratum> strata;
  std::vector<Stretch> stretches;
  std::vector<KeySample> keys;
  std::vector<std::string> notes;  ///< What could not be known and why, one sentence each.
  uint64_t commands = 0;
  uint64_t vanished_keys = 0;  ///< Expired or deleted between SCAN and MEMORY USAGE.
  uint64_t slowdowns = 0;
  bool interrupted = false;
};

}  // namespace flash::tools::sizer
