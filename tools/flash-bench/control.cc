// control.cc: see control.h.
//
// Thread: one owner.
#include "tools/flash-bench/control.h"

#include <algorithm>
#include <cstdlib>

#include "tools/common/text.h"
#include "tools/common/transport.h"

namespace flash::tools::bench {
namespace {

constexpr int kTimeoutMs = 120'000;  // A server that fills a tier may take its time.

std::string TextOf(const std::string& info, const std::string& name) {
  const std::string wanted = "\n" + name + ":";
  size_t at = info.find(wanted);
  if (at == std::string::npos) return "";
  at += wanted.size();
  return info.substr(at, info.find('\r', at) - at);
}

uint64_t BytesOf(const std::string& info, const std::string& name) {
  return std::strtoull(TextOf(info, name).c_str(), nullptr, 10);
}

}  // namespace

double FigureOf(const std::string& info, const std::string& name) {
  return std::strtod(TextOf(info, name).c_str(), nullptr);
}

Result<std::unique_ptr<Control>> Control::Open(const Target& target) {
  Access access = target.access();
  access.transport.timeout_ms = kTimeoutMs;
  std::unique_ptr<Control> control(new Control(target));  // raw new: private constructor
  for (const Endpoint& node : target.nodes()) {
    auto client = OpenClient(node, access);
    if (!client) return client.error();
    control->clients_.push_back(std::move(client).Take());
  }
  return control;
}

Result<void> Control::RunAll(std::vector<Command> commands) {
  std::vector<std::vector<Command>> of_node(clients_.size());
  for (Command& command : commands) {
    of_node[target_.NodeOf(command[1])].push_back(std::move(command));
  }
  for (size_t node = 0; node < clients_.size(); ++node) {
    if (of_node[node].empty()) continue;
    const auto replies = clients_[node]->Run(of_node[node]);
    if (!replies) return replies.error();
    for (size_t i = 0; i < replies->size(); ++i) {
      const Reply& reply = (*replies)[i];
      if (reply.IsError()) return Error{Code::kInvalid, of_node[node][i][0] + ": " + reply.text};
    }
  }
  return {};
}

std::string Control::Info(Client& client) {
  const auto reply = client.Call({"INFO", "everything"});
  return reply && !reply->IsError() ? reply->text : "";
}

Result<Sample> Control::Look() {
  Sample sample;
  for (const auto& client : clients_) {
    const std::string info = Info(*client);
    if (info.empty()) return Error{Code::kUnsupported, "INFO is not permitted"};
    sample.used_memory_bytes += BytesOf(info, "used_memory");
    sample.resident_bytes += BytesOf(info, "used_memory_rss");
    sample.cache_bytes += BytesOf(info, "flash_cache_size_bytes");
    sample.tier_used_bytes += BytesOf(info, "flash_storage_used_bytes");
    sample.tier_written_bytes += BytesOf(info, "flash_storage_device_bytes_written");
    sample.log_written_bytes += BytesOf(info, "flash_wal_device_bytes_written");
    sample.cpu_sec += FigureOf(info, "used_cpu_sys") + FigureOf(info, "used_cpu_user");
  }
  return sample;
}

bool Control::HasModule() {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) {
    return !TextOf(Info(*client), "flash_version").empty();
  });
}

std::string Control::Setting(const std::string& name) {
  const auto reply = clients_.front()->Call({"CONFIG", "GET", name});
  if (!reply || reply->items.size() != 2) return "";
  return reply->items[1].text;
}

std::string Control::Describe() {
  const std::string info = Info(*clients_.front());
  const std::string version = TextOf(info, "valkey_version");
  std::string text =
      version.empty() ? "redis " + TextOf(info, "redis_version") : "valkey " + version;
  const std::string module = TextOf(info, "flash_version");
  if (target_.is_cluster()) {
    text = "cluster of " + std::to_string(clients_.size()) + " primaries, " + text;
  }
  if (module.empty()) return text + ", without valkey-flash";
  text += ", valkey-flash " + module + " over " + TextOf(info, "flash_io_backend");
  for (const char* const name : {"flash.cache-size-bytes", "flash.capacity-bytes"}) {
    const double bytes = std::strtod(Setting(name).c_str(), nullptr);
    if (bytes > 0) text += ", " + std::string(name) + " " + BytesText(bytes);
  }
  for (const char* const name : {"flash.sync", "appendonly", "maxmemory"}) {
    const std::string value = Setting(name);
    if (!value.empty()) text += ", " + std::string(name) + " " + value;
  }
  return text;
}

}  // namespace flash::tools::bench
