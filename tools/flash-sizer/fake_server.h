// fake_server.h: a server in memory for tests: a population of keys in a hash table that SCAN walks
// as a real server does, with or without a table for each slot, and an ACL.
//
// The hash depends on a seed, so that many samplings of one population are independent. Thread: one
// owner.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "tools/common/client.h"
#include "tools/flash-sizer/sampler.h"
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {

struct FakeKey {
  std::string name;
  std::string type = "string";
  uint64_t bytes = 100;
  uint32_t heat = 0;
};

class FakeServer {
 public:
  struct Options {
    uint64_t hash_seed = 1;
    bool cluster = false;            ///< With a table per slot.
    uint16_t slot_max = kSlots - 1;  ///< It owns the slots up to this one.
    bool lfu = false;
    std::set<std::string> forbidden;  ///< "INFO", "TYPE", "OBJECT ENCODING", …
    uint64_t used_memory_bytes = 0;
  };

  FakeServer(const std::vector<FakeKey>& keys, Options options);

  /// Gives the keys other places, as another server process would.
  void Rehash(uint64_t hash_seed);

  /// Answers one command.
  [[nodiscard]] Reply Answer(const Command& command);

  /// Connections to it, whatever the address.
  [[nodiscard]] Connect Connector();

  /// How often each command was sent.
  [[nodiscard]] const std::map<std::string, uint64_t>& commands() const { return commands_; }

 private:
  struct Table {
    std::vector<std::vector<uint32_t>> buckets;
  };

  [[nodiscard]] Reply Scan(const Command& command) const;
  [[nodiscard]] Reply AboutKey(const std::string& name, const Command& command) const;
  [[nodiscard]] std::string InfoText() const;
  [[nodiscard]] uint32_t NextTable(uint32_t table) const;

  const std::vector<FakeKey>& keys_;
  const Options options_;
  std::unordered_map<std::string, uint32_t> index_of_;
  std::vector<uint64_t> hashes_;
  std::vector<std::vector<uint32_t>> keys_of_table_;
  std::vector<Table> tables_;
  std::map<std::string, uint64_t> commands_;
};

/// Options of a run against a fake server: a clock that stands still, no pauses.
[[nodiscard]] SamplerOptions FakeRun(uint64_t keys_max, uint64_t seed);

}  // namespace flash::tools::sizer
