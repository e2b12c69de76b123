// main.cc: flash-bench: fills, runs, cleans up, reports; how it ends is options.h.
//
// Thread: main. The first SIGINT or SIGTERM ends the load with a report of what came before, a
// second one ends the process.
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "tools/common/stop_signal.h"
#include "tools/common/text.h"
#include "tools/flash-bench/control.h"
#include "tools/flash-bench/fio.h"
#include "tools/flash-bench/options.h"
#include "tools/flash-bench/render.h"

namespace flash::tools::bench {
namespace {

/// One line on a terminal, a line for each tenth elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what) : what_(std::move(what)) {}
  ~ProgressLine() {
    if (open_) std::fputc('\n', stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void operator()(double part) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const int step = static_cast<int>(part * (terminal ? 1000 : 10));
    if (step == last_) return;
    last_ = step;
    std::fprintf(stderr, "%sflash-bench: %s, %s%s", terminal ? "\r" : "", what_.c_str(),
                 PercentText(part).c_str(), terminal ? "   " : "\n");
    open_ = terminal;
  }

 private:
  std::string what_;
  int last_ = -1;
  bool open_ = false;
};

std::string MachineText() {
  std::string cpu = "unknown CPU";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    cpu = line.substr(line.find(':') + 2);
    break;
  }
  utsname system{};
  uname(&system);
  return "client: " + cpu + ", " + std::to_string(std::thread::hardware_concurrency()) + " CPUs, " +
         system.sysname + " " + system.release;
}

std::string NowText() {
  const std::time_t now = std::time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

std::string WorkloadText(const Options& options) {
  const WorkloadOptions& workload = options.workload;
  const LoadOptions& load = options.load;
  std::string text =
      CountText(static_cast<double>(workload.keys)) + " keys, " + NameOf(workload.type);
  if (workload.type != DataType::kString) {
    text += " of " + CountText(static_cast<double>(workload.elements)) + " elements";
  }
  text += ", values of " + BytesText(static_cast<double>(workload.value_bytes)) + " (" +
          PercentText(workload.compressible) + " compressible), " + NameOf(load.pattern) + ", " +
          PercentText(load.read_share) + " reads, ";
  text += load.rate_per_sec > 0 ? "open loop of " + CountText(load.rate_per_sec) + " a second, "
                                : std::string("closed loop, ");
  return text + std::to_string(load.connections) + " connections, depth " +
         std::to_string(load.depth) + ", " + std::to_string(load.threads) + " threads" +
         (load.verify ? ", every answer checked" : "");
}

Result<void> FillOrRemove(const Options& options, const Workload& workload, bool remove,
                          const std::atomic<bool>* stop) {
  ProgressLine progress(remove ? "deleting" : "filling");
  FillOptions fill{options.load.target, options.load.threads, remove, stop, {}};
  if (!options.quiet) fill.progress = [&](double part) { progress(part); };
  return Fill(fill, workload);
}

Result<Side> RunSide(const Options& options, bool native) {
  WorkloadOptions workload_options = options.workload;
  workload_options.native = native;
  const Workload workload(workload_options);
  const base::SystemClock clock;
  const uint64_t began_us = clock.NowUs();
  double fill_sec = 0;
  if (options.fill) {
    const auto filled = FillOrRemove(options, workload, false, &stop_requested);
    if (!filled) return filled.error();
    fill_sec = static_cast<double>(clock.NowUs() - began_us) / 1e6;
  }
  const char* const name = native ? "native" : "flash";
  Result<Side> side = Side{};
  {
    ProgressLine progress(std::string("running, ") + name);
    LoadOptions load = options.load;
    load.stop = &stop_requested;
    if (!options.quiet) load.progress = [&](double part) { progress(part); };
    side = RunLoad(load, workload);
  }
  if (!side) return side;
  side->name = name;
  side->native = native;
  side->fill_sec = fill_sec;
  if (!options.keep) {
    // Also after Ctrl-C: what it filled it takes away.
    static const std::atomic<bool> never{false};
    const auto removed = FillOrRemove(options, workload, true, &never);
    if (!removed && side->lost.empty()) side->lost = removed.error().message;
  }
  return side;
}

bool WriteFile(const std::string& name, const std::string& text) {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return true;
  std::fprintf(stderr, "flash-bench: cannot write %s\n", name.c_str());
  return false;
}

bool WriteReports(const Options& options, const Report& report) {
  const std::string text = Text(report);
  bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!options.html_file.empty()) written = WriteFile(options.html_file, Html(report)) && written;
  if (!options.json_file.empty()) written = WriteFile(options.json_file, Json(report)) && written;
  return written;
}

ExitCode ExitCodeOf(const Error& error) {
  std::fprintf(stderr, "flash-bench: %s\n", error.message.c_str());
  const bool refused = error.code == Code::kUnsupported || error.code == Code::kInvalid;
  return refused ? ExitCode::kRefused : ExitCode::kUnreachable;
}

ExitCode Run(Options options) {
  if (const Result<void> found = options.load.target.Find(); !found) {
    return ExitCodeOf(found.error());
  }
  Report report;
  report.command_line = options.command_line;
  report.machine = MachineText();
  report.began = NowText();
  report.workload = WorkloadText(options);
  auto control = Control::Open(options.load.target);
  if (!control) return ExitCodeOf(control.error());
  report.server = "server: " + (*control)->Describe();
  if (options.flash && !(*control)->HasModule()) {
    return ExitCodeOf({Code::kInvalid, "the server runs without valkey-flash: --commands native"});
  }
  bool lost = false;
  bool wrong = false;
  for (const bool native : {false, true}) {
    if (!(native ? options.native : options.flash) || stop_requested.load() || lost) continue;
    auto side = RunSide(options, native);
    if (!side) return ExitCodeOf(side.error());
    lost = !side->lost.empty();
    wrong = wrong || side->wrong > 0;
    report.sides.push_back(std::move(side).Take());
  }
  if (!options.fio_folder.empty() && !stop_requested.load()) {
    if (!options.quiet) std::fprintf(stderr, "flash-bench: fio for 10 s\n");
    auto figures = RunFio({options.fio_folder, options.load.connections, 10});
    if (figures) {
      report.fio = *figures;
    } else {
      std::fprintf(stderr, "flash-bench: %s\n", figures.error().message.c_str());
    }
  }
  if (!WriteReports(options, report)) return ExitCode::kOutput;
  if (wrong) return ExitCode::kWrong;
  if (lost) return ExitCode::kUnreachable;
  return stop_requested.load() ? ExitCode::kInterrupted : ExitCode::kDone;
}

}  // namespace
}  // namespace flash::tools::bench

int main(int argc, char** argv) {
  using flash::tools::bench::ExitCode;
  const auto parsed = flash::tools::bench::ParseCommandLine(argc, argv);
  if (!parsed.run) return static_cast<int>(parsed.code);
  flash::tools::CatchStopSignals();
  return static_cast<int>(flash::tools::bench::Run(parsed.options));
}
