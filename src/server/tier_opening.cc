// tier_opening.cc: see tier_opening.h.
//
// The thread is detached, and may outlive whoever asked: what both know is shared. Thread: as
// there.
#include "server/tier_opening.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <utility>

namespace flash::server {

struct TierOpening::Shared {
  Options options;
  Result<std::unique_ptr<io::FlashFile>> file = Code::kIo;
  std::atomic<bool> done = false;
};

void* TierOpening::Main(void* argument) {
  const std::unique_ptr<std::shared_ptr<Shared>> own(
      static_cast<std::shared_ptr<Shared>*>(argument));
  Shared& shared = **own;
  shared.file = io::FlashFile::Open(shared.options.file);
  if (shared.file) {
    const Result<void> kept = (*shared.file)->KeepHashSeed(shared.options.hash_seed);
    if (!kept) shared.file = kept.error();
  }
  shared.done.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(shared.options.wake_fd, &one, sizeof(one));
  return nullptr;
}

Result<std::unique_ptr<TierOpening>> TierOpening::Start(const Options& options) {
  auto opening = std::make_unique<TierOpening>();
  opening->shared_ = std::make_shared<Shared>();
  opening->shared_->options = options;
  auto own = std::make_unique<std::shared_ptr<Shared>>(opening->shared_);
  // The server's signals are the main thread's; a new thread inherits the mask of its maker.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const int error = pthread_create(&thread, nullptr, &Main, own.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return Error{Code::kUnsupported,
                 std::string("a thread to open it cannot be started: ") + std::strerror(error)};
  }
  [[maybe_unused]] const auto* const threads = own.release();
  pthread_detach(thread);
  return opening;
}

bool TierOpening::done() const { return shared_->done.load(std::memory_order_acquire); }

Result<std::unique_ptr<io::FlashFile>> TierOpening::Take() { return std::move(shared_->file); }

}  // namespace flash::server
