// server_facts.cc: see server_facts.h.
//
// Fields that a server lacks are left at zero. Thread: one owner.
#include "tools/flash-sizer/server_facts.h"

#include <algorithm>
#include <charconv>

namespace flash::tools::sizer {
namespace {

uint64_t NumberAtStart(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// `db0:keys=3,expires=0,…`
void ParseKeyspace(std::string_view name, std::string_view value, Info& info) {
  if (!name.starts_with("db") || !value.starts_with("keys=")) return;
  info.keys_of_database[static_cast<uint32_t>(NumberAtStart(name.substr(2)))] =
      NumberAtStart(value.substr(5));
}

void ParseField(std::string_view name, std::string_view value, Info& info) {
  ServerFacts& facts = info.facts;
  if (name == "valkey_version") {
    facts.version = "Valkey " + std::string(value);
  } else if (name == "redis_version" && facts.version.empty()) {
    facts.version = "Redis " + std::string(value);
  } else if (name == "used_memory") {
    facts.used_memory_bytes = NumberAtStart(value);
  } else if (name == "maxmemory") {
    facts.maxmemory_bytes = NumberAtStart(value);
  } else if (name == "maxmemory_policy") {
    facts.policy = value;
  } else if (name == "uptime_in_seconds") {
    facts.uptime_sec = NumberAtStart(value);
  } else if (name == "cluster_enabled") {
    info.cluster = value == "1";
  } else if (name == "role") {
    info.replica = value == "slave";
  } else if (name == "module" && value.starts_with("name=flash,")) {
    facts.has_module = true;
  } else {
    ParseKeyspace(name, value, info);
  }
}

}  // namespace

Info ParseInfo(std::string_view text) {
  Info info;
  info.permitted = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t colon = line.find(':');
    if (line.starts_with('#') || colon == line.npos) continue;
    ParseField(line.substr(0, colon), line.substr(colon + 1), info);
  }
  return info;
}

Result<Info> AskInfo(Client& client) {
  const auto reply = client.Call({"INFO"});
  if (!reply) return reply.error();
  if (reply->kind != Reply::Kind::kText) return Info{};
  return ParseInfo(reply->text);
}

}  // namespace flash::tools::sizer
