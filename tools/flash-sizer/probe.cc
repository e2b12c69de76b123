// probe.cc: see probe.h.
//
// Names of types are those that TYPE and OBJECT ENCODING answer. Thread: one owner.
#include "tools/flash-sizer/probe.h"

#include <charconv>
#include <string_view>

namespace flash::tools::sizer {
namespace {

Kind KindOfType(std::string_view type) {
  if (type == "string") return Kind::kString;
  if (type == "hash") return Kind::kHash;
  if (type == "list") return Kind::kList;
  if (type == "zset") return Kind::kSortedSet;
  if (type == "set") return Kind::kSet;
  if (type == "stream") return Kind::kStream;
  if (type == "flashstr1" || type == "flashhsh1" || type == "flashlst1" || type == "flashzst1") {
    return Kind::kFlash;
  }
  return Kind::kModule;
}

/// Small hashes, lists, sets and sorted sets share an encoding, as do large hashes and sets.
Kind KindOfEncoding(std::string_view encoding) {
  if (encoding == "raw" || encoding == "embstr" || encoding == "int") return Kind::kString;
  if (encoding == "quicklist") return Kind::kList;
  if (encoding == "skiplist") return Kind::kSortedSet;
  if (encoding == "intset") return Kind::kSet;
  if (encoding == "stream") return Kind::kStream;
  return Kind::kUnknown;
}

bool SpeaksOfLfu(const Reply& reply) {
  return reply.IsError() && reply.text.find("LFU") != reply.text.npos;
}

Error Refused(const Reply& reply, std::string_view command) {
  return {Code::kUnsupported, std::string(command) + " was refused: " + reply.text};
}

}  // namespace

Result<std::vector<Reply>> Probe::Run(std::span<const Command> commands) {
  pace_.Await(commands.size());
  const uint64_t begin_us = clock_.NowUs();
  auto replies = client_.Run(commands);
  pace_.Took(commands.size(), clock_.NowUs() - begin_us);
  commands_ += commands.size();
  return replies;
}

Result<std::vector<std::string>> Probe::Scan(uint64_t& cursor, uint32_t count) {
  const Command command[] = {{"SCAN", std::to_string(cursor), "COUNT", std::to_string(count)}};
  auto replies = Run(command);
  if (!replies) return replies.error();
  const Reply& reply = replies->front();
  if (reply.IsError()) return Refused(reply, "SCAN");
  if (reply.items.size() != 2) return Error{Code::kIo, "SCAN gave a reply of another form"};
  const std::string& next = reply.items[0].text;
  std::from_chars(next.data(), next.data() + next.size(), cursor);
  std::vector<std::string> names;
  for (const Reply& name : reply.items[1].items) names.push_back(name.text);
  return names;
}

Result<void> Probe::Measure(std::span<const std::string> names, std::vector<KeySample>& keys) {
  if (names.empty()) return {};
  while (true) {
    std::vector<Command> commands;
    for (const std::string& name : names) {
      commands.push_back({"MEMORY", "USAGE", name});
      commands.push_back({"OBJECT", heat_ == Heat::kIdleSeconds ? "IDLETIME" : "FREQ", name});
      if (type_source_ == TypeSource::kType) commands.push_back({"TYPE", name});
      if (type_source_ == TypeSource::kEncoding) commands.push_back({"OBJECT", "ENCODING", name});
    }
    const auto replies = Run(commands);
    if (!replies) return replies.error();
    const auto stands = Learn(*replies);
    if (!stands) return stands.error();
    if (!*stands) continue;
    Take(names, *replies, keys);
    return {};
  }
}

Result<bool> Probe::Learn(std::span<const Reply> replies) {
  const size_t each = type_source_ == TypeSource::kNone ? 2 : 3;
  for (size_t i = 0; i < replies.size(); i += each) {
    const Reply& memory = replies[i];
    const Reply& heat = replies[i + 1];
    if (memory.IsError()) return Refused(memory, "MEMORY USAGE");
    if (SpeaksOfLfu(heat)) {
      if (heat_is_sure_) {
        return Error{Code::kUnsupported, "maxmemory-policy was changed while keys were sampled"};
      }
      heat_is_sure_ = true;
      heat_ = heat_ == Heat::kIdleSeconds ? Heat::kFrequency : Heat::kIdleSeconds;
      return false;
    }
    if (heat.IsError() && !heat.text.starts_with("ERR no such key")) {
      return Refused(heat, heat_ == Heat::kIdleSeconds ? "OBJECT IDLETIME" : "OBJECT FREQ");
    }
    if (each == 3 && replies[i + 2].IsForbidden()) {
      type_source_ = type_source_ == TypeSource::kType ? TypeSource::kEncoding : TypeSource::kNone;
      return false;
    }
  }
  return true;
}

void Probe::Take(std::span<const std::string> names, std::span<const Reply> replies,
                 std::vector<KeySample>& keys) {
  const size_t each = type_source_ == TypeSource::kNone ? 2 : 3;
  heat_is_sure_ = true;
  for (size_t i = 0; i < names.size(); i++) {
    const Reply& memory = replies[i * each];
    const Reply& heat = replies[i * each + 1];
    if (memory.kind != Reply::Kind::kInteger || heat.kind != Reply::Kind::kInteger) {
      vanished_keys_++;
      continue;
    }
    KeySample key;
    key.bytes = static_cast<uint64_t>(memory.integer);
    key.heat = static_cast<uint32_t>(heat.integer);
    key.name = names[i];
    if (each == 3) {
      const std::string& text = replies[i * each + 2].text;
      key.kind = type_source_ == TypeSource::kType ? KindOfType(text) : KindOfEncoding(text);
    }
    keys.push_back(std::move(key));
  }
}

}  // namespace flash::tools::sizer
