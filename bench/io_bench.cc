// io_bench.cc: 4 KiB random reads through the devices and through the I/O threads, at depth 1
// and 50; io_uring and threads side by side. Or large transfers in ordinary and in huge pages.
//
// bench_io_bench --file=PATH [--bytes=2147483648] [--seconds=3] [--threads=1] [--rounds=1]
//   [--large=1]
// With more rounds only the two backends run, in turns. --large: transfers of 256 KiB and 1 MiB.
// PATH becomes a tier file filled with random bytes; it is kept, so that fio can read the same
// file:
//   fio --name=r --filename=PATH --size=2g --rw=randread --bs=4k --ioengine=io_uring --direct=1
//   --iodepth=D
// Knows nothing above io/. Thread: its own as owner, and the backend's. Figures: docs/adr/0003.
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/pages.h"
#include "base/random.h"
#include "io/flash_file.h"
#include "io/read_buffers.h"
#include "io/threads_device.h"
#include "io/tier_devices.h"
#include "io/uring_device.h"

namespace flash {
namespace {

constexpr uint32_t kReadBytes = 4096;
const base::SystemClock kClock;

struct Arguments {
  std::string file;
  uint64_t bytes = 2 * kGiB;
  uint64_t seconds = 3;
  uint32_t threads = 1;
  uint32_t rounds = 1;
  bool large = false;
};

uint64_t CpuUs(int who) {
  rusage usage{};
  getrusage(who, &usage);
  return static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/// Latencies and CPU of one run; prints its line when it ends.
class Run {
 public:
  explicit Run(uint64_t seconds)
      : start_us_(kClock.NowUs()),
        end_us_(start_us_ + seconds * 1'000'000),
        cpu_us_(CpuUs(RUSAGE_SELF)),
        owner_cpu_us_(CpuUs(RUSAGE_THREAD)) {
    latencies_us_.reserve(1 << 20);
  }
  [[nodiscard]] bool over() const { return kClock.NowUs() >= end_us_; }
  void Note(uint64_t submitted_us) { latencies_us_.push_back(kClock.NowUs() - submitted_us); }

  void Print(const char* name, size_t depth) {
    const double reads = static_cast<double>(std::max<size_t>(latencies_us_.size(), 1));
    const double seconds = static_cast<double>(kClock.NowUs() - start_us_) / 1e6;
    const double cpu_us = static_cast<double>(CpuUs(RUSAGE_SELF) - cpu_us_) / reads;
    const double owner_us = static_cast<double>(CpuUs(RUSAGE_THREAD) - owner_cpu_us_) / reads;
    std::sort(latencies_us_.begin(), latencies_us_.end());
    std::printf(
        "%-42s depth %2zu: %8.0f IOPS  p50 %4llu us  p99 %4llu us  CPU %5.1f us each"
        " (owner %4.1f)\n",
        name, depth, reads / seconds, At(50), At(99), cpu_us, owner_us);
    std::fflush(stdout);
  }

 private:
  [[nodiscard]] unsigned long long At(size_t percent) const {
    if (latencies_us_.empty()) return 0;
    return latencies_us_[(latencies_us_.size() - 1) * percent / 100];
  }

  uint64_t start_us_;
  uint64_t end_us_;
  uint64_t cpu_us_;
  uint64_t owner_cpu_us_;
  std::vector<uint64_t> latencies_us_;
};

[[noreturn]] void Die(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
  std::exit(1);
}

std::unique_ptr<io::Device> OpenThreads(const io::FlashFile& file) {
  auto threads = io::TransferThreads::Start({});
  if (!threads) Die(threads.error().message);
  return std::make_unique<io::ThreadsDevice>(file.target(), io::ThreadsDevice::Options{}, *threads);
}

std::unique_ptr<io::Device> OpenUring(const io::FlashFile& file,
                                      const io::UringDevice::Options& options) {
  auto device = io::UringDevice::Open(file, options);
  if (!device) Die(device.error().message);
  return std::move(device).Take();
}

void FillFile(const io::FlashFile& file) {
  auto device = OpenThreads(file);
  io::ReadBuffers buffers({.small_count = 1, .large_count_max = 1});
  std::byte* data = buffers.Take(kMiB);
  base::Random random(1);
  for (size_t i = 0; i < kMiB; i += 8) base::StoreLe<uint64_t>(data + i, random.Next());
  io::Completion done;
  for (uint64_t offset = 0; offset + kMiB <= file.capacity_bytes(); offset += kMiB) {
    base::StoreLe<uint64_t>(data, offset);
    const io::Request request{.op = io::Op::kWrite, .offset = offset, .data = data, .bytes = kMiB};
    if (!device->Submit(request)) Die("full");
    while (device->Reap({&done, 1}, 1'000'000) == 0) {
    }
    if (done.result != static_cast<int32_t>(kMiB)) Die("the file cannot be filled");
  }
}

uint64_t RandomOffset(base::Random& random, uint64_t bytes) {
  return random.Below(bytes / kReadBytes) * kReadBytes;
}

/// `submit(slot)` for each of `depth` slots, and again for each that ends, until the run is over.
template <typename Submit>
void KeepBusy(io::Device* device, Run* run, const std::vector<uint64_t>& submitted_us, size_t depth,
              uint32_t bytes, const Submit& submit) {
  for (uint64_t slot = 0; slot < depth; ++slot) submit(slot);
  std::vector<io::Completion> done(64);
  while (device->inflight() > 0) {
    const size_t count = device->Reap(done, 1'000'000);
    const bool over = run->over();
    for (size_t i = 0; i < count; ++i) {
      if (done[i].result != static_cast<int32_t>(bytes)) Die("a transfer failed");
      run->Note(submitted_us[done[i].token]);
      if (!over) submit(done[i].token);
    }
  }
}

/// `device` goes before the buffers that it may still read into.
void BenchDevice(const Arguments& arguments, const char* name, std::unique_ptr<io::Device> opened,
                 size_t depth) {
  io::ReadBuffers buffers({.small_count = 64, .large_count_max = 1});
  const std::unique_ptr<io::Device> device = std::move(opened);
  device->LendBuffers(buffers.small_memory());
  base::Random random(2);
  std::vector<uint64_t> submitted_us(depth);
  std::vector<std::byte*> memory(depth);
  for (std::byte*& buffer : memory) buffer = buffers.Take(kReadBytes);
  Run run(arguments.seconds);
  const auto submit = [&](uint64_t slot) {
    submitted_us[slot] = kClock.NowUs();
    if (!device->Submit({.op = io::Op::kRead,
                         .offset = RandomOffset(random, arguments.bytes),
                         .data = memory[slot],
                         .bytes = kReadBytes,
                         .token = slot})) {
      Die("full");
    }
  };
  KeepBusy(device.get(), &run, submitted_us, depth, kReadBytes, submit);
  run.Print(name, depth);
}

/// Random transfers of `bytes` each, kLargeDepth at a time, in memory of `pages`.
void BenchLarge(const Arguments& arguments, const io::FlashFile& file, io::Op op, uint32_t bytes,
                base::PageKind pages) {
  constexpr size_t kLargeDepth = 4;
  const MutableBytes memory = base::MapPages(kLargeDepth * kMiB, pages);
  std::memset(memory.data(), 7, memory.size());
  auto device = OpenUring(file, {});
  base::Random random(4);
  std::vector<uint64_t> submitted_us(kLargeDepth);
  Run run(arguments.seconds);
  const auto submit = [&](uint64_t slot) {
    submitted_us[slot] = kClock.NowUs();
    // Behind the superblock.
    const uint64_t offset = (1 + random.Below(arguments.bytes / bytes - 1)) * bytes;
    std::byte* const data = memory.data() + slot * kMiB;
    if (!device->Submit(
            {.op = op, .offset = offset, .data = data, .bytes = bytes, .token = slot})) {
      Die("full");
    }
  };
  KeepBusy(device.get(), &run, submitted_us, kLargeDepth, bytes, submit);
  device.reset();
  base::UnmapPages(memory);
  const std::string name = std::string(op == io::Op::kRead ? "read " : "write ") +
                           std::to_string(bytes / kKiB) + " KiB, " +
                           (pages == base::PageKind::kHuge ? "huge" : "ordinary") + " pages";
  run.Print(name.c_str(), kLargeDepth);
}

void BenchAllLarge(const Arguments& arguments, const io::FlashFile& file) {
  for (const uint32_t bytes : {uint32_t{256 * kKiB}, uint32_t{kMiB}}) {
    for (const io::Op op : {io::Op::kWrite, io::Op::kRead}) {
      for (const auto pages : {base::PageKind::kOrdinary, base::PageKind::kHuge}) {
        BenchLarge(arguments, file, op, bytes, pages);
      }
    }
  }
}

struct ReadTask : io::Task {
  Run* run = nullptr;
  std::vector<ReadTask*>* finished = nullptr;
};

void BenchBackend(const Arguments& arguments, const io::FlashFile& file, io::DeviceChoice choice,
                  size_t depth) {
  io::TierDevices devices(&file);
  auto started = devices.Start(choice, {.threads = arguments.threads}, &kClock);
  if (!started) Die(started.error().message);
  io::Backend& backend = **started;
  backend.SetTimeoutMs(5000);
  base::Random random(3);
  std::vector<ReadTask> tasks(depth);
  std::vector<ReadTask*> finished;
  Run run(arguments.seconds);
  for (ReadTask& task : tasks) {
    task.kind = io::Task::Kind::kRead;
    task.bytes = kReadBytes;
    task.run = &run;
    task.finished = &finished;
    task.done = [](io::Task& base) noexcept {
      auto& self = static_cast<ReadTask&>(base);
      if (self.result != 0) Die("a read failed");
      self.run->Note(self.submitted_us);
      self.finished->push_back(&self);
    };
    finished.push_back(&task);
  }
  while (!finished.empty() || backend.inflight() > 0) {
    if (!run.over()) {
      for (ReadTask* task : finished) {
        task->offset = RandomOffset(random, arguments.bytes);
        if (!backend.Submit(task)) Die("busy");
      }
    }
    finished.clear();
    backend.Kick();
    backend.Wait(1'000'000);
    backend.Reap(1000);
  }
  const std::string name = std::string("backend over ") +
                           (devices.uses_uring() ? "io_uring" : "threads") + ", " +
                           std::to_string(arguments.threads) + " I/O thread(s)";
  run.Print(name.c_str(), depth);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t split = word.find('=');
    const std::string name = word.substr(0, split);
    const std::string value = split == std::string::npos ? "" : word.substr(split + 1);
    if (name == "--file") arguments.file = value;
    if (name == "--bytes") arguments.bytes = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--seconds") arguments.seconds = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--large") arguments.large = value == "1";
    if (name == "--rounds") {
      arguments.rounds = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    }
    if (name == "--threads") {
      arguments.threads = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    }
  }
  if (arguments.file.empty()) Die("usage: bench_io_bench --file=PATH [--bytes=] [--seconds=] ...");
  return arguments;
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  auto file = io::FlashFile::Open({.path = arguments.file, .capacity_bytes = arguments.bytes});
  if (!file) Die(file.error().message);
  if ((*file)->created()) FillFile(**file);
  for (uint32_t round = 0; arguments.large && round < arguments.rounds; ++round) {
    BenchAllLarge(arguments, **file);
  }
  if (arguments.large) return 0;
  const struct {
    const char* name;
    io::UringDevice::Options options;
  } kDevices[] = {
      {"device, nothing registered",
       {.register_file = false, .register_buffers = false, .defer_work = false}},
      {"device, deferred work", {.register_file = false, .register_buffers = false}},
      {"device, deferred, file", {.register_file = true, .register_buffers = false}},
      {"device, deferred, file and buffers", {}},
  };
  for (const size_t depth : {size_t{1}, size_t{50}}) {
    if (arguments.rounds == 1) {
      for (const auto& device : kDevices) {
        BenchDevice(arguments, device.name, OpenUring(**file, device.options), depth);
      }
      BenchDevice(arguments, "device, threads", OpenThreads(**file), depth);
    }
    for (uint32_t round = 0; round < arguments.rounds; ++round) {
      BenchBackend(arguments, **file, io::DeviceChoice::kUring, depth);
      BenchBackend(arguments, **file, io::DeviceChoice::kThreads, depth);
    }
  }
  return 0;
}

}  // namespace
}  // namespace flash

int main(int argc, char** argv) { return flash::Main(argc, argv); }
