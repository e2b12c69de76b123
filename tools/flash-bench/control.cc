// control.cc: see control.h.
//
// Thread: one owner.
#include "tools/flash-bench/control.h"

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

Result<std::unique_ptr<Control>> Control::Open(const Url& url) {
  Transport::Options options;
  options.timeout_ms = kTimeoutMs;
  auto transport = Transport::Connect(url.endpoint, options);
  if (!transport) return transport.error();
  std::unique_ptr<Control> control(
      new Control(MakeClient(std::move(transport).Take())));  // raw new: private constructor
  std::vector<Command> commands;
  if (!url.password.empty() || !url.user.empty()) {
    Command& auth = commands.emplace_back(Command{"AUTH"});
    if (!url.user.empty()) auth.push_back(url.user);
    auth.push_back(url.password);
  }
  if (url.database.value_or(0) != 0) {
    commands.push_back({"SELECT", std::to_string(*url.database)});
  }
  if (!commands.empty()) {
    if (const Result<void> done = control->RunAll(commands); !done) {
      return Error{Code::kUnsupported, done.error().message};
    }
  }
  return control;
}

Result<void> Control::RunAll(std::span<const Command> commands) {
  const auto replies = client_->Run(commands);
  if (!replies) return replies.error();
  for (size_t i = 0; i < replies->size(); ++i) {
    const Reply& reply = (*replies)[i];
    if (reply.IsError()) return Error{Code::kInvalid, commands[i][0] + ": " + reply.text};
  }
  return {};
}

std::string Control::Info() {
  const auto reply = client_->Call({"INFO", "everything"});
  return reply && !reply->IsError() ? reply->text : "";
}

Result<Sample> Control::Look() {
  const std::string info = Info();
  if (info.empty()) return Error{Code::kUnsupported, "INFO is not permitted"};
  Sample sample;
  sample.used_memory_bytes = BytesOf(info, "used_memory");
  sample.resident_bytes = BytesOf(info, "used_memory_rss");
  sample.cache_bytes = BytesOf(info, "flash_cache_size_bytes");
  sample.tier_used_bytes = BytesOf(info, "flash_storage_used_bytes");
  sample.tier_written_bytes = BytesOf(info, "flash_storage_device_bytes_written");
  sample.log_written_bytes = BytesOf(info, "flash_wal_device_bytes_written");
  sample.cpu_sec = FigureOf(info, "used_cpu_sys") + FigureOf(info, "used_cpu_user");
  return sample;
}

bool Control::HasModule() { return !TextOf(Info(), "flash_version").empty(); }

std::string Control::Setting(const std::string& name) {
  const auto reply = client_->Call({"CONFIG", "GET", name});
  if (!reply || reply->items.size() != 2) return "";
  return reply->items[1].text;
}

std::string Control::Describe() {
  const std::string info = Info();
  const std::string version = TextOf(info, "valkey_version");
  std::string text =
      version.empty() ? "redis " + TextOf(info, "redis_version") : "valkey " + version;
  const std::string module = TextOf(info, "flash_version");
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
