// main.cc: flash-sizer: connects, samples, analyses, writes reports; how it ends is options.h.
//
// Thread: one. The first SIGINT or SIGTERM ends sampling with a report of what was seen so far, a
// second one ends the process.
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>

#include "tools/common/client.h"
#include "tools/common/stop_signal.h"
#include "tools/common/text.h"
#include "tools/flash-sizer/options.h"
#include "tools/flash-sizer/render.h"
#include "tools/flash-sizer/sampler.h"

namespace flash::tools::sizer {
namespace {

/// Ends early when a signal comes.
void SleepUs(uint64_t us) {
  const timespec time{static_cast<time_t>(us / 1'000'000),
                      static_cast<long>(us % 1'000'000) * 1000};
  nanosleep(&time, nullptr);
}

ExitCode ExitCodeOf(const Error& error) {
  switch (error.code) {
    case Code::kUnsupported:
      return ExitCode::kRefused;
    case Code::kInvalid:
      return ExitCode::kUsage;
    default:
      return ExitCode::kUnreachable;
  }
}

Result<void> Refused(const char* what, const Reply& reply) {
  if (!reply.IsError()) return {};
  return Error{Code::kUnsupported, std::string(what) + " was refused: " + reply.text};
}

Result<std::unique_ptr<Client>> Open(const Options& options, const Endpoint& endpoint,
                                     uint32_t database) {
  auto transport = Transport::Connect(endpoint, options.transport);
  if (!transport) return transport.error();
  auto client = MakeClient(std::move(transport).Take());
  const Url& url = options.url;
  if (!url.password.empty() || !url.user.empty()) {
    Command command{"AUTH"};
    if (!url.user.empty()) command.push_back(url.user);
    command.push_back(url.password);
    const auto reply = client->Call(std::move(command));
    if (!reply) return reply.error();
    if (const auto taken = Refused("the password", *reply); !taken) return taken.error();
  }
  if (database != 0) {
    const auto reply = client->Call({"SELECT", std::to_string(database)});
    if (!reply) return reply.error();
    if (const auto taken = Refused("SELECT", *reply); !taken) return taken.error();
  }
  return client;
}

/// One line on a terminal, a line for each tenth elsewhere.
class ProgressLine {
 public:
  void operator()(double part, uint64_t keys) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const int step = static_cast<int>(part * (terminal ? 1000 : 10));
    if (step == last_) return;
    last_ = step;
    std::fprintf(stderr, "%sflash-sizer: %s, %s keys sampled%s", terminal ? "\r" : "",
                 PercentText(part).c_str(), CountText(static_cast<double>(keys)).c_str(),
                 terminal ? "   " : "\n");
    open_ = terminal;
  }
  void End() {
    if (open_) std::fputc('\n', stderr);
  }

 private:
  int last_ = -1;
  bool open_ = false;
};

bool WriteFile(const std::string& name, const std::string& text) {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return true;
  std::fprintf(stderr, "flash-sizer: cannot write %s\n", name.c_str());
  return false;
}

bool WriteReports(const Options& options, const Report& report) {
  bool written = true;
  const std::string markdown = Markdown(report);
  if (options.markdown_file.empty()) {
    written = std::fwrite(markdown.data(), 1, markdown.size(), stdout) == markdown.size() &&
              std::fflush(stdout) == 0;
  } else {
    written = WriteFile(options.markdown_file, markdown);
  }
  if (!options.html_file.empty()) written = WriteFile(options.html_file, Html(report)) && written;
  if (!options.json_file.empty()) written = WriteFile(options.json_file, Json(report)) && written;
  return written;
}

ExitCode Run(Options& options) {
  static const base::SystemClock clock;
  ProgressLine progress;
  options.sampling.clock = &clock;
  options.sampling.sleep = &SleepUs;
  options.sampling.stop = &stop_requested;
  if (!options.quiet) {
    options.sampling.progress = [&](double part, uint64_t keys) { progress(part, keys); };
  }
  const auto outcome =
      TakeSample(options.sampling, [&](const Endpoint& endpoint, uint32_t database) {
        return Open(options, endpoint, database);
      });
  progress.End();
  if (!outcome) {
    std::fprintf(stderr, "flash-sizer: %s\n", outcome.error().message.c_str());
    return ExitCodeOf(outcome.error());
  }
  const Report report = Analyse(outcome->sample, options.analysis);
  if (!WriteReports(options, report)) return ExitCode::kOutput;
  if (outcome->connection_lost) return ExitCode::kUnreachable;
  return stop_requested.load() ? ExitCode::kInterrupted : ExitCode::kReport;
}

}  // namespace
}  // namespace flash::tools::sizer

int main(int argc, char** argv) {
  using flash::tools::sizer::ExitCode;
  auto parsed = flash::tools::sizer::ParseCommandLine(argc, argv);
  if (!parsed.run) return static_cast<int>(parsed.code);
  flash::tools::CatchStopSignals();
  return static_cast<int>(flash::tools::sizer::Run(parsed.options));
}
