// log_faults.cc: see log_faults.h.
//
// Thread: as there.
#include "durability/log_faults.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <string>
#include <utility>

namespace flash::durability {
namespace {

/// How soon a waiting device notices that the files changed.
constexpr uint64_t kLookUs = 5'000;

class SteeredDevice final : public io::Device {
 public:
  SteeredDevice(std::unique_ptr<io::Device> inner, const char* folder)
      : inner_(std::move(inner)), folder_(folder) {}

  [[nodiscard]] bool Submit(const io::Request& request) override {
    if (request.op == io::Op::kRead) return inner_->Submit(request);
    if (Says("hang") || !held_.empty()) {
      held_.push_back(request);
    } else if (const int error = Says("error") ? EIO : Says("nospace") ? ENOSPC : 0; error != 0) {
      failed_.push_back({request.token, -error});
    } else {
      return inner_->Submit(request);
    }
    return true;
  }

  void Flush() override { inner_->Flush(); }

  size_t Reap(std::span<io::Completion> out, uint64_t wait_us) override {
    while (true) {
      LetGo();
      size_t count = 0;
      for (; count < out.size() && !failed_.empty(); ++count) {
        out[count] = failed_.front();
        failed_.pop_front();
      }
      const uint64_t slice_us = count != 0 ? 0 : std::min(wait_us, kLookUs);
      if (held_.empty()) return count + inner_->Reap(out.subspan(count), count != 0 ? 0 : wait_us);
      count += inner_->Reap(out.subspan(count), 0);
      if (count != 0 || wait_us == 0) return count;
      usleep(static_cast<useconds_t>(slice_us));
      wait_us -= slice_us;
    }
  }

  void Wake() override { inner_->Wake(); }
  [[nodiscard]] uint32_t alignment() const override { return inner_->alignment(); }
  [[nodiscard]] size_t inflight() const override {
    return inner_->inflight() + held_.size() + failed_.size();
  }

 private:
  [[nodiscard]] bool Says(const char* word) const {
    return access((folder_ + "/" + word).c_str(), F_OK) == 0;
  }

  void LetGo() {
    while (!held_.empty() && !Says("hang") && inner_->Submit(held_.front())) held_.pop_front();
  }

  std::unique_ptr<io::Device> inner_;
  std::string folder_;
  std::deque<io::Request> held_;
  std::deque<io::Completion> failed_;
};

}  // namespace

std::unique_ptr<io::Device> WithLogFaults(std::unique_ptr<io::Device> device) {
  const char* const folder = std::getenv("FLASH_TEST_LOG_FAULT");
  if (folder == nullptr) return device;
  return std::make_unique<SteeredDevice>(std::move(device), folder);
}

}  // namespace flash::durability
