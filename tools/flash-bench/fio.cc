// fio.cc: see fio.h.
//
// Arguments go to fio as words, through no shell. Thread: one.
#include "tools/flash-bench/fio.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

extern char** environ;  // NOLINT(readability-redundant-declaration): not in every libc's header.

namespace flash::tools::bench {
namespace {

/// What the program writes to its standard output. Errors: kUnsupported, kIo.
Result<std::string> OutputOf(std::vector<std::string> words) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Error{Code::kIo, std::strerror(errno)};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int started =
      posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  std::array<char, 65536> buffer;
  ssize_t got = 0;
  while (started == 0 && (got = read(ends[0], buffer.data(), buffer.size())) != 0) {
    if (got > 0) output.append(buffer.data(), static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  if (started != 0) {
    return Error{Code::kUnsupported, words[0] + ": " + std::strerror(started)};
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return Error{Code::kIo, words[0] + " failed: " + output.substr(0, 300)};
  return output;
}

}  // namespace

Result<FioFigures> ParseFio(const std::string& json) {
  // fio writes warnings before its JSON.
  const size_t begin = json.find('{');
  if (begin == std::string::npos) return Error{Code::kCorrupt, "fio gave no JSON"};
  const auto parsed =
      nlohmann::json::parse(json.substr(begin), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return Error{Code::kCorrupt, "fio's JSON cannot be read"};
  const nlohmann::json::json_pointer read("/jobs/0/read");
  if (!parsed.contains(read)) return Error{Code::kCorrupt, "fio's JSON has no reads"};
  const auto number = [&](const char* path) {
    const nlohmann::json::json_pointer at = read / nlohmann::json::json_pointer(path);
    return parsed.contains(at) && parsed[at].is_number() ? parsed[at].get<double>() : 0.0;
  };
  FioFigures figures;
  figures.reads_per_sec = number("/iops");
  figures.p50_us = number("/clat_ns/percentile/50.000000") / 1000;
  figures.p99_us = number("/clat_ns/percentile/99.000000") / 1000;
  figures.p999_us = number("/clat_ns/percentile/99.900000") / 1000;
  return figures;
}

Result<FioFigures> RunFio(const FioOptions& options) {
  const std::string file = options.folder + "/flash-bench-fio.tmp";
  const auto output = OutputOf(
      {"fio", "--name=reads", "--filename=" + file, "--rw=randread", "--bs=4k", "--direct=1",
       "--size=1g", "--ioengine=psync", "--thread", "--numjobs=" + std::to_string(options.depth),
       "--group_reporting", "--time_based", "--runtime=" + std::to_string(options.seconds),
       "--percentile_list=50:99:99.9", "--output-format=json"});
  unlink(file.c_str());
  if (!output) return output.error();
  auto figures = ParseFio(*output);
  if (!figures) return figures;
  figures->folder = options.folder;
  figures->depth = options.depth;
  return figures;
}

}  // namespace flash::tools::bench
