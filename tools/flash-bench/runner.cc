// runner.cc: see runner.h: threads, their sums, and the server's figures beside them.
//
// Thread: Run's caller, which samples the server meanwhile.
#include "tools/flash-bench/runner.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "tools/flash-bench/control.h"
#include "tools/flash-bench/worker.h"

namespace flash::tools::bench {
namespace {

constexpr uint64_t kUsPerSec = 1'000'000;
constexpr uint64_t kFillTogether = 32;  // Keys in one round trip.

bool Stopped(const std::atomic<bool>* stop) { return stop->load(std::memory_order_relaxed); }

void Merge(Side from, Side* into) {
  into->reads.Add(from.reads);
  into->writes.Add(from.writes);
  into->wrong += from.wrong;
  into->checked += from.checked;
  into->unsent += from.unsent;
  for (const auto& [word, count] : from.errors) into->errors[word] += count;
  for (std::string& example : from.wrong_examples) {
    if (into->wrong_examples.size() < 5) into->wrong_examples.push_back(std::move(example));
  }
  if (into->lost.empty()) into->lost = from.lost;
  if (into->stretches.size() < from.stretches.size()) {
    for (size_t i = into->stretches.size(); i < from.stretches.size(); ++i) {
      Stretch& stretch = into->stretches.emplace_back();
      stretch.begin_sec = from.stretches[i].begin_sec;
      stretch.seconds = from.stretches[i].seconds;
    }
  }
  for (size_t i = 0; i < from.stretches.size(); ++i) {
    into->stretches[i].latency.Add(from.stretches[i].latency);
    into->stretches[i].errors += from.stretches[i].errors;
  }
}

/// Looks at the server once a stretch, until all workers have ended.
void Watch(const LoadOptions& options, uint64_t start_us, const std::atomic<uint64_t>& client_bytes,
           const std::atomic<uint32_t>& running, std::vector<Sample>* samples) {
  const base::SystemClock clock;
  auto control = Control::Open(options.target);
  const uint64_t counts_from_us = start_us + static_cast<uint64_t>(options.warm_up_sec * kUsPerSec);
  double due_sec = 0;
  while (running.load() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const uint64_t now_us = clock.NowUs();
    if (now_us < counts_from_us) continue;
    const double at_sec = static_cast<double>(now_us - counts_from_us) / kUsPerSec;
    if (at_sec < due_sec) continue;
    due_sec += options.stretch_sec;
    if (options.progress) options.progress(std::min(1.0, at_sec / options.seconds));
    if (!control) continue;
    auto sample = (*control)->Look();
    if (!sample) continue;
    sample->at_sec = at_sec;
    sample->client_written_bytes = client_bytes.load(std::memory_order_relaxed);
    samples->push_back(*sample);
  }
}

/// The keys of one thread: every `threads`-th. Returns what went wrong, if anything.
Result<void> FillPart(const FillOptions& options, const Workload& workload, uint32_t thread,
                      std::atomic<uint64_t>* done) {
  auto control = Control::Open(options.target);
  if (!control) return control.error();
  std::vector<Command> commands;
  const uint64_t keys = workload.options().keys;
  for (uint64_t key = thread; key < keys && !Stopped(options.stop);) {
    commands.clear();
    uint64_t together = 0;
    for (; key < keys && together < kFillTogether && commands.size() < 4 * kFillTogether;
         key += options.threads, ++together) {
      // Keys of an earlier run may be of another type.
      commands.push_back(workload.Delete(key));
      if (options.remove) continue;
      for (auto& words : workload.Fill(key)) commands.push_back(std::move(words));
    }
    if (Result<void> ran = (*control)->RunAll(std::move(commands)); !ran) return ran;
    done->fetch_add(together);
  }
  return {};
}

}  // namespace

Result<Side> RunLoad(const LoadOptions& options, const Workload& workload) {
  const base::SystemClock clock;
  std::vector<uint32_t> versions(options.verify ? workload.elements() : 0);
  std::atomic<uint64_t> client_bytes{0};
  std::vector<std::unique_ptr<Worker>> workers;
  workers.reserve(options.threads);
  // Connecting takes a moment; the schedule begins behind it.
  const uint64_t start_us = clock.NowUs() + kUsPerSec / 5 + options.connections * 1000ULL;
  uint32_t first = 0;
  for (uint32_t thread = 0; thread < options.threads; ++thread) {
    const uint32_t many = options.connections / options.threads +
                          (thread < options.connections % options.threads ? 1 : 0);
    workers.push_back(std::make_unique<Worker>(
        options, workload, Worker::Place{thread, first, start_us}, versions, &client_bytes));
    if (const Result<void> connected = workers.back()->Connect(many); !connected) {
      return connected.error();
    }
    first += many;
  }
  while (clock.NowUs() < start_us) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::atomic<uint32_t> running{options.threads};
  std::vector<std::thread> threads;
  threads.reserve(options.threads);
  for (const auto& worker : workers) {
    threads.emplace_back([&running, one = worker.get()] {
      one->Run();
      running.fetch_sub(1);
    });
  }
  Side side;
  Watch(options, start_us, client_bytes, running, &side.samples);
  for (std::thread& thread : threads) thread.join();
  for (const auto& worker : workers) Merge(std::move(worker->side()), &side);
  const double ran_sec = static_cast<double>(clock.NowUs() - start_us) / kUsPerSec;
  side.seconds = std::clamp(ran_sec - options.warm_up_sec, 0.001, options.seconds);
  return side;
}

Result<void> Fill(const FillOptions& options, const Workload& workload) {
  std::atomic<uint64_t> done{0};
  std::atomic<uint32_t> running{options.threads};
  std::vector<Result<void>> ends(options.threads);
  std::vector<std::thread> threads;
  threads.reserve(options.threads);
  for (uint32_t thread = 0; thread < options.threads; ++thread) {
    threads.emplace_back([&, thread] {
      ends[thread] = FillPart(options, workload, thread, &done);
      running.fetch_sub(1);
    });
  }
  while (running.load() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (options.progress) {
      options.progress(static_cast<double>(done.load()) /
                       static_cast<double>(workload.options().keys));
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (const Result<void>& end : ends) {
    if (!end) return end;
  }
  return {};
}

}  // namespace flash::tools::bench
