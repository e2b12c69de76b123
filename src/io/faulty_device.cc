// faulty_device.cc: holds, bends and hides transfers; see faulty_device.h.
// A transfer passes waiting (slow or hung before it starts), the inner device, finished (held back)
// and ready; each Reap is one tick of those that count Reaps. Thread: one owner.
#include "io/faulty_device.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace flash::io {
namespace {

// While something is held that only Reaps can free, a waiting Reap returns after this time.
constexpr uint64_t kTickUs = 200;

}  // namespace

FaultyDevice::FaultyDevice(std::unique_ptr<Device> inner, std::shared_ptr<FaultInjector> injector,
                           const base::Clock* clock)
    : inner_(std::move(inner)), injector_(std::move(injector)), clock_(clock) {
  injector_->Register(this);
}

FaultyDevice::~FaultyDevice() { injector_->Unregister(this); }

bool FaultyDevice::Submit(const Request& request) {
  if (free_.empty()) {
    transfers_.emplace_back();
    free_.push_back(static_cast<uint32_t>(transfers_.size() - 1));
  }
  const uint32_t index = free_.back();
  Transfer& transfer = transfers_[index];
  transfer = {.asked = request};
  transfer.decision = injector_->Decide(request, alignment());
  free_.pop_back();
  ++inflight_;
  const FaultDecision& decision = transfer.decision;
  if (clock_ != nullptr) transfer.due_us = clock_->NowUs() + decision.delay_us;
  transfer.released_at = injector_->releases();
  const bool hung = decision.delay == Fault::kHung;
  if (hung || decision.delay_before || !Start(index)) waiting_.push_back(index);
  return true;
}

bool FaultyDevice::Start(uint32_t index) {
  Transfer& transfer = transfers_[index];
  Request request = transfer.asked;
  request.token = index;
  const auto full = static_cast<int32_t>(request.bytes);
  transfer.result = full;
  if (transfer.decision.effect) {
    switch (*transfer.decision.effect) {
      case Fault::kError:
        transfer.result = -EIO;
        request.bytes = transfer.decision.prefix_bytes;
        break;
      case Fault::kNoSpace:
        transfer.result = -ENOSPC;
        request.bytes = 0;
        break;
      case Fault::kShort:
        request.bytes = transfer.decision.prefix_bytes;
        transfer.result = static_cast<int32_t>(request.bytes);
        break;
      case Fault::kTorn:
        request.bytes = transfer.decision.prefix_bytes;
        break;
      case Fault::kLost:
        request.bytes = 0;
        break;
      case Fault::kMisdirected:
        request.offset = transfer.decision.other_offset;
        break;
      default:
        break;
    }
  }
  const bool syncs = request.op == Op::kSync && !transfer.decision.effect;
  if (syncs || request.bytes > 0) return inner_->Submit(request);
  finished_.push_back(index);
  return true;
}

void FaultyDevice::Flush() { inner_->Flush(); }

bool FaultyDevice::Held(Transfer& transfer) const {
  const FaultDecision& decision = transfer.decision;
  if (decision.delay == Fault::kHung) return injector_->releases() == transfer.released_at;
  if (transfer.decision.reaps > 0) {
    --transfer.decision.reaps;
    return true;
  }
  return clock_ != nullptr && decision.delay == Fault::kSlow && clock_->NowUs() < transfer.due_us;
}

void FaultyDevice::Tick() {
  std::deque<uint32_t> waiting;
  waiting.swap(waiting_);
  for (const uint32_t index : waiting) {
    if (Held(transfers_[index]) || !Start(index)) waiting_.push_back(index);
  }
  std::deque<uint32_t> finished;
  finished.swap(finished_);
  for (const uint32_t index : finished) {
    (Held(transfers_[index]) ? finished_ : ready_).push_back(index);
  }
}

void FaultyDevice::OnInner(const Completion& completion) {
  const auto index = static_cast<uint32_t>(completion.token);
  Transfer& transfer = transfers_[index];
  const FaultDecision& decision = transfer.decision;
  const bool shown =
      !decision.effect || decision.effect == Fault::kFlip || decision.effect == Fault::kShort;
  if (shown || (completion.result < 0 && decision.effect != Fault::kError)) {
    transfer.result = completion.result;
  }
  if (decision.effect == Fault::kFlip && completion.result > 0) {
    const uint32_t bit = decision.flip_bit % (static_cast<uint32_t>(completion.result) * 8);
    transfer.asked.data[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  finished_.push_back(index);
}

size_t FaultyDevice::Reap(std::span<Completion> out, uint64_t wait_us) {
  Tick();
  inner_->Flush();
  uint64_t wait_limit_us = wait_us;
  if (!ready_.empty()) {
    wait_limit_us = 0;
  } else {
    const auto ticks = [&](uint32_t index) {
      return transfers_[index].decision.delay != Fault::kHung;
    };
    const bool ticking = std::any_of(waiting_.begin(), waiting_.end(), ticks) ||
                         std::any_of(finished_.begin(), finished_.end(), ticks);
    if (ticking) wait_limit_us = std::min(wait_us, kTickUs);
  }
  std::array<Completion, 64> inner_done;
  const size_t inner_count = inner_->Reap(inner_done, wait_limit_us);
  for (size_t i = 0; i < inner_count; ++i) OnInner(inner_done[i]);
  for (auto entry = finished_.begin(); entry != finished_.end();) {
    if (transfers_[*entry].decision.delay) {
      ++entry;
    } else {
      ready_.push_back(*entry);
      entry = finished_.erase(entry);
    }
  }
  size_t count = 0;
  while (count < out.size() && !ready_.empty()) {
    const uint32_t index = ready_.front();
    ready_.pop_front();
    out[count++] = {.token = transfers_[index].asked.token, .result = transfers_[index].result};
    free_.push_back(index);
    --inflight_;
  }
  return count;
}

Result<std::unique_ptr<Device>> FaultyDeviceFactory::Make() {
  auto inner = inner_->Make();
  if (!inner) return inner.error();
  return std::unique_ptr<Device>(
      std::make_unique<FaultyDevice>(std::move(inner).Take(), injector_, clock_));
}

}  // namespace flash::io
