// transfers.cc: submit, reap, judge; see transfers.h.
// Completions of an earlier, late batch are told apart by their tokens, which never come twice.
// Thread: the one that made the device.
#include "log/transfers.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "log/left_behind.h"

namespace flash::log {

struct Transfers::Wait {
  std::span<io::Request> requests;
  uint64_t first_token = 0;
  size_t finished = 0;
  Error error;
  bool failed = false;
};

Transfers::~Transfers() {
  if (device_ != nullptr && !idle()) LeaveBehind(std::move(device_));
}

bool Transfers::idle() {
  Wait nobody;
  nobody.first_token = ~uint64_t{0};
  if (device_->inflight() > 0) Take(nobody, 0);
  return device_->inflight() == 0;
}

void Transfers::Take(Wait& wait, uint64_t wait_us) {
  io::Completion done[16];
  const size_t count = device_->Reap(done, wait_us);
  for (size_t i = 0; i < count; ++i) {
    if (done[i].token < wait.first_token) continue;
    const io::Request& request = wait.requests[done[i].token - wait.first_token];
    ++wait.finished;
    if (done[i].result == static_cast<int32_t>(request.bytes) || wait.failed) continue;
    wait.failed = true;
    const int error = done[i].result < 0 ? -done[i].result : 0;
    wait.error.code = error == ENOSPC || error == EDQUOT ? Code::kNoSpace : Code::kIo;
    wait.error.message =
        std::string(request.op == io::Op::kSync ? "a sync" : "a write") +
        " failed: " + (error != 0 ? std::strerror(error) : "only a part was written");
  }
}

Result<void> Transfers::Run(std::span<io::Request> requests, uint64_t timeout_us) {
  Wait wait = {.requests = requests, .first_token = tokens_ + 1, .finished = 0, .error = {}};
  const uint64_t began = clock_->NowUs();
  uint64_t waited = 0;
  for (size_t submitted = 0; wait.finished < requests.size();) {
    while (submitted < requests.size()) {
      io::Request& request = requests[submitted];
      request.token = wait.first_token + submitted;
#ifdef FLASH_LOG_BREAK_SYNC  // The simulator must notice when nothing is made durable.
      request.durable = false;
      if (request.op == io::Op::kSync) request.op = io::Op::kRead;
#endif
      if (!device_->Submit(request)) break;
      ++submitted;
    }
    tokens_ = wait.first_token + submitted;
    if (waited >= timeout_us) {
      return Error{Code::kTimeout,
                   "the device did not answer within " + std::to_string(timeout_us / 1000) + " ms"};
    }
    Take(wait, timeout_us - waited);
    waited = clock_->NowUs() - began;
  }
  if (wait.failed) return wait.error;
  return {};
}

Result<void> Transfers::Sync(uint64_t timeout_us) {
  io::Request request = {.op = io::Op::kSync};
  return Run({&request, 1}, timeout_us);
}

}  // namespace flash::log
