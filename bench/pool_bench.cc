// pool_bench.cc: what puts and cold reads of blocks (1 KiB) cost the main thread, everything below
// the server included, on a disk in memory.
//
// bench_pool_bench puts|reads [--count=200000] [--per_turn=1] [--cache_mib=64] [--threads=1]
//   [--turn_us=0] [--block_bytes=1024]
// puts: a turn creates --per_turn blocks in a full cache and drives; reads: a turn keeps --per_turn
// fetches of cold blocks under way; the rest of a turn is
// --turn_us of other work, not counted. Prints CPU time of the main thread; for instructions run it
// under `valgrind --tool=callgrind --separate-threads=yes` with two counts and take the difference
// of the first thread's. Knows nothing of the server. Thread: its own as owner, and the backend's.
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "blocks/tiered_pool.h"
#include "io/memory_device.h"
#include "io/threaded_backend.h"

namespace flash {
namespace {

constexpr uint64_t kTierBytes = 4 * kGiB;
const base::SystemClock kClock;

struct Arguments {
  std::string what;
  uint64_t count = 200'000;
  uint64_t per_turn = 1;
  uint64_t cache_mib = 64;
  uint64_t threads = 1;
  uint64_t turn_us = 0;
  uint64_t block_bytes = 1024;
};

[[noreturn]] void Die(const char* line) {
  std::fprintf(stderr, "%s\n", line);
  std::exit(1);
}

uint64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : arguments_(arguments),
        factory_(std::make_shared<io::MemoryFile>(kTierBytes), {.alignment = 4096}) {
    auto started = io::ThreadedBackend::Start({.threads = static_cast<uint32_t>(arguments.threads)},
                                              &factory_, &kClock);
    if (!started) Die("the backend does not start");
    backend_ = std::move(*started);
    backend_->SetTimeoutMs(60'000);
    blocks::BlockPool::Options options;
    options.cache_bytes = arguments.cache_mib * kMiB;
    options.store.capacity_bytes = kTierBytes;
    auto opened = blocks::TieredPool::Open(options, backend_.get(), &kClock);
    if (!opened) Die("the pool does not open");
    pool_ = std::move(*opened);
  }

  void Run() {
    while (pool_->stats().demotions < arguments_.cache_mib * kMiB / arguments_.block_bytes)
      CreateSome();
    other_ns_ = 0;
    const uint64_t cpu_ns = ThreadCpuNs();
    const uint64_t began_us = kClock.NowUs();
    if (arguments_.what == "puts") {
      for (done_ = 0; done_ < arguments_.count; done_ += arguments_.per_turn) CreateSome();
    } else {
      ReadMany();
    }
    const auto count = static_cast<double>(arguments_.count);
    std::printf("%s, %llu a turn: %.2f us of the main thread each, %.0f a second\n",
                arguments_.what.c_str(), static_cast<unsigned long long>(arguments_.per_turn),
                static_cast<double>(ThreadCpuNs() - cpu_ns - other_ns_) / 1000 / count,
                count * 1e6 / static_cast<double>(kClock.NowUs() - began_us));
    const auto& stats = pool_->stats();
    std::printf("hot %llu of %llu KiB, %llu demotions, %llu stalls\n",
                static_cast<unsigned long long>(stats.hot_bytes / kKiB),
                static_cast<unsigned long long>(stats.cache_bytes / kKiB),
                static_cast<unsigned long long>(stats.demotions),
                static_cast<unsigned long long>(stats.stalls));
  }

 private:
  /// What a turn of the event loop does: looks at the descriptor, then drives.
  void Turn() {
    if (arguments_.turn_us != 0) WorkElsewhere();
    pollfd polled{.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    poll(&polled, 1, 0);
    pool_->Drive(blocks::BlockPool::Deliver::kCallbacks);
  }

  void WorkElsewhere() {
    const uint64_t began_ns = ThreadCpuNs();
    const uint64_t until_us = kClock.NowUs() + arguments_.turn_us;
    while (kClock.NowUs() < until_us) {
    }
    other_ns_ += ThreadCpuNs() - began_ns;
  }

  void CreateSome() {
    for (uint64_t i = 0; i < arguments_.per_turn; ++i) {
      if (!pool_->Admit(arguments_.block_bytes + 24) &&
          !pool_->AwaitRoom(arguments_.block_bytes + 24, blocks::WaitCause::kHardMark)) {
        Die("no room");
      }
      MutableBytes to_fill;
      ids_.push_back(pool_->Create(static_cast<uint32_t>(arguments_.block_bytes), &to_fill));
      for (size_t at = 0; at + 8 <= to_fill.size(); at += 8) {
        base::StoreLe<uint64_t>(to_fill.data() + at, random_.Next());
      }
    }
    Turn();
  }

  void StartOne() {
    BlockId id = kNoBlock;
    do {
      id = ids_[random_.Below(ids_.size())];
    } while (pool_->StateOf(id) != blocks::BlockState::kCold);
    const size_t slot = free_slots_.back();
    free_slots_.pop_back();
    fetches_[slot] = pool_->StartFetch({&id, 1}, [this, slot, id] {
      if (!pool_->IsHot(id)) Die("a read failed");
      sum_ += static_cast<uint64_t>(pool_->Touch(id)[0]);
      fetches_[slot].Release();
      free_slots_.push_back(slot);
      ++done_;
    });
    ++started_;
  }

  void ReadMany() {
    fetches_.resize(arguments_.per_turn);
    for (size_t slot = 0; slot < fetches_.size(); ++slot) free_slots_.push_back(slot);
    for (done_ = 0; done_ < arguments_.count;) {
      while (!free_slots_.empty() && started_ < arguments_.count) StartOne();
      Turn();
    }
  }

  const Arguments arguments_;
  io::MemoryDeviceFactory factory_;
  std::unique_ptr<io::ThreadedBackend> backend_;
  std::unique_ptr<blocks::TieredPool> pool_;
  base::Random random_{7};
  std::vector<BlockId> ids_;
  std::vector<blocks::Fetch> fetches_;
  std::vector<size_t> free_slots_;
  uint64_t started_ = 0;
  uint64_t done_ = 0;
  uint64_t sum_ = 0;
  uint64_t other_ns_ = 0;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t split = word.find('=');
    if (split == std::string::npos) {
      arguments.what = word;
      continue;
    }
    const std::string name = word.substr(0, split);
    const uint64_t value = std::strtoull(word.c_str() + split + 1, nullptr, 10);
    if (name == "--count") arguments.count = value;
    if (name == "--per_turn") arguments.per_turn = value;
    if (name == "--cache_mib") arguments.cache_mib = value;
    if (name == "--threads") arguments.threads = value;
    if (name == "--block_bytes") arguments.block_bytes = value;
    if (name == "--turn_us") arguments.turn_us = value;
  }
  if (arguments.what != "puts" && arguments.what != "reads") Die("puts or reads?");
  return arguments;
}

}  // namespace
}  // namespace flash

int main(int argc, char** argv) {
  flash::Bench(flash::Parse(argc, argv)).Run();
  return 0;
}
