// fake_server.cc: see fake_server.h.
//
// The walk over buckets is that of the servers' dictScan(): add one to the reversed index.
// Thread: one owner.
#include "tools/flash-sizer/fake_server.h"

#include <bit>

#include "base/random.h"
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {
namespace {

Reply Integer(int64_t number) {
  return {.kind = Reply::Kind::kInteger, .integer = number, .text = {}, .items = {}};
}
Reply Text(std::string text) {
  return {.kind = Reply::Kind::kText, .text = std::move(text), .items = {}};
}
Reply Failure(std::string text) {
  return {.kind = Reply::Kind::kError, .text = std::move(text), .items = {}};
}
Reply Array(std::vector<Reply> items) {
  return {.kind = Reply::Kind::kArray, .text = {}, .items = std::move(items)};
}

/// The same on every platform (FNV-1a), so that reports made from a seed are, too.
uint64_t Hash(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

class FakeClient final : public Client {
 public:
  explicit FakeClient(FakeServer& server) : server_(server) {}

  Result<std::vector<Reply>> Run(std::span<const Command> commands) override {
    std::vector<Reply> replies;
    for (const Command& command : commands) replies.push_back(server_.Answer(command));
    return replies;
  }

 private:
  FakeServer& server_;
};

}  // namespace

FakeServer::FakeServer(const std::vector<FakeKey>& keys, Options options)
    : keys_(keys),
      options_(std::move(options)),
      keys_of_table_(options_.cluster ? kSlots : 1),
      tables_(keys_of_table_.size()) {
  for (uint32_t i = 0; i < keys.size(); i++) {
    index_of_[keys[i].name] = i;
    hashes_.push_back(Hash(keys[i].name));
    keys_of_table_[options_.cluster ? SlotOf(keys[i].name) : 0].push_back(i);
  }
  Rehash(options_.hash_seed);
}

void FakeServer::Rehash(uint64_t hash_seed) {
  for (size_t i = 0; i < tables_.size(); i++) {
    const auto& keys = keys_of_table_[i];
    if (keys.empty()) continue;
    auto& buckets = tables_[i].buckets;
    buckets.assign(std::bit_ceil(keys.size()), {});
    for (const uint32_t key : keys) {
      const uint64_t hash = base::Random(hashes_[key] ^ hash_seed).Next();
      buckets[hash & (buckets.size() - 1)].push_back(key);
    }
  }
}

uint32_t FakeServer::NextTable(uint32_t table) const {
  do {
    table++;
  } while (table < tables_.size() && tables_[table].buckets.empty());
  return table;
}

Reply FakeServer::Scan(const Command& command) const {
  const unsigned shift = options_.cluster ? 14 : 0;
  const uint64_t cursor = std::stoull(command[1]);
  const uint64_t count = std::stoull(command[3]);
  auto table = static_cast<uint32_t>(cursor & ((uint64_t{1} << shift) - 1));
  uint64_t place = cursor >> shift;
  std::vector<Reply> names;
  uint64_t visits = 0;
  bool end = false;
  while (names.size() < count && visits++ < count * 10 && !end) {
    const auto& buckets = tables_[table].buckets;
    const unsigned bits =
        buckets.empty() ? 0 : static_cast<unsigned>(std::bit_width(buckets.size()) - 1);
    uint64_t next = 0;
    if (!buckets.empty()) {
      const uint64_t bucket = place & (buckets.size() - 1);
      for (const uint32_t key : buckets[bucket]) names.push_back(Text(keys_[key].name));
      // Add one to the reversed index: the next bucket in the order of the hash's reversed bits.
      const uint64_t reversed = CellCursor(bucket, bits) + 1;
      next = reversed == buckets.size() ? 0 : CellCursor(reversed, bits);
    }
    place = next;
    if (next == 0) {
      table = NextTable(table);
      end = table >= tables_.size();
    }
  }
  const uint64_t returned = end ? 0 : place << shift | (options_.cluster ? table : 0);
  return Array({Text(std::to_string(returned)), Array(std::move(names))});
}

Reply FakeServer::AboutKey(const std::string& name, const Command& command) const {
  const auto found = index_of_.find(command.back());
  if (found == index_of_.end()) return name == "TYPE" ? Text("none") : Reply{};
  const FakeKey& key = keys_[found->second];
  if (name == "TYPE") return Text(key.type);
  if (name == "MEMORY USAGE") return Integer(static_cast<int64_t>(key.bytes));
  if (name == "OBJECT ENCODING") return Text(key.type == "string" ? "raw" : "listpack");
  if (name == "OBJECT IDLETIME" && options_.lfu) {
    return Failure("ERR An LFU maxmemory policy is selected, idle time not tracked.");
  }
  if (name == "OBJECT FREQ" && !options_.lfu) {
    return Failure("ERR An LFU maxmemory policy is not selected, access frequency not tracked.");
  }
  return Integer(key.heat);
}

std::string FakeServer::InfoText() const {
  return "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nuptime_in_seconds:8640000\r\n"
         "# Memory\r\nused_memory:" +
         std::to_string(options_.used_memory_bytes) +
         "\r\nmaxmemory:0\r\nmaxmemory_policy:" + (options_.lfu ? "allkeys-lfu" : "allkeys-lru") +
         "\r\n# Replication\r\nrole:master\r\n# Cluster\r\ncluster_enabled:" +
         (options_.cluster ? "1" : "0") +
         "\r\n# Keyspace\r\ndb0:keys=" + std::to_string(keys_.size()) + ",expires=0,avg_ttl=0\r\n";
}

Reply FakeServer::Answer(const Command& command) {
  std::string name = command[0];
  if (name == "MEMORY" || name == "OBJECT" || name == "CLUSTER") name += " " + command[1];
  commands_[name]++;
  if (options_.forbidden.contains(name)) {
    return Failure("NOPERM User someone has no permissions to run the '" + name + "' command");
  }
  if (name == "SCAN") return Scan(command);
  if (name == "INFO") return Text(InfoText());
  if (name == "CLUSTER SLOTS") {
    if (!options_.cluster) return Failure("ERR This instance has cluster support disabled");
    return Array({Array({Integer(0), Integer(options_.slot_max),
                         Array({Text("127.0.0.1"), Integer(6379), Text("id")})})});
  }
  return AboutKey(name, command);
}

Connect FakeServer::Connector() {
  return [this](const Endpoint&, uint32_t) -> Result<std::unique_ptr<Client>> {
    return std::unique_ptr<Client>(std::make_unique<FakeClient>(*this));
  };
}

SamplerOptions FakeRun(uint64_t keys_max, uint64_t seed) {
  static const base::ManualClock clock;
  static const std::atomic<bool> stop{false};
  SamplerOptions options;
  options.url.endpoint = {"cache.example", 6379};
  options.keys_max = keys_max;
  options.seed = seed;
  options.clock = &clock;
  options.sleep = [](uint64_t) {};
  options.stop = &stop;
  return options;
}

}  // namespace flash::tools::sizer
