// fault_injector.cc: draws and scripts; see fault_injector.h.
// Everything is decided at submission from one generator, so one thread and one seed give one
// history. Thread: any, under one mutex; tests only, so its cost does not matter.
#include "io/fault_injector.h"

#include <algorithm>

namespace flash::io {
namespace {

constexpr std::array kEffects = {Fault::kError, Fault::kNoSpace,     Fault::kShort, Fault::kTorn,
                                 Fault::kLost,  Fault::kMisdirected, Fault::kFlip};
constexpr std::array kDelays = {Fault::kSlow, Fault::kReordered, Fault::kHung};

bool IsDelay(Fault fault) { return fault >= Fault::kSlow; }

bool Fits(Fault fault, const Request& request, uint32_t alignment, uint64_t file_bytes) {
  switch (fault) {
    case Fault::kLost:
      return request.op != Op::kRead;
    case Fault::kNoSpace:
    case Fault::kTorn:
      return request.op == Op::kWrite;
    case Fault::kMisdirected:
      return request.op == Op::kWrite && file_bytes > request.bytes;
    case Fault::kFlip:
      return request.op == Op::kRead;
    case Fault::kShort:
      return request.bytes > alignment;
    default:
      return true;
  }
}

}  // namespace

void FaultInjector::Script(const ScriptedFault& fault) {
  const std::lock_guard lock(mutex_);
  script_.push_back(fault);
}

void FaultInjector::SetEnabled(bool enabled) {
  const std::lock_guard lock(mutex_);
  enabled_ = enabled;
}

void FaultInjector::HangAll() {
  const std::lock_guard lock(mutex_);
  hang_all_ = true;
}

void FaultInjector::Release() {
  const std::lock_guard lock(mutex_);
  hang_all_ = false;
  ++releases_;
  for (Device* device : devices_) device->Wake();
}

uint64_t FaultInjector::count(Fault fault) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<size_t>(fault)];
}

uint64_t FaultInjector::total() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const uint64_t count : counts_) sum += count;
  return sum;
}

uint64_t FaultInjector::releases() const {
  const std::lock_guard lock(mutex_);
  return releases_;
}

void FaultInjector::Register(Device* device) {
  const std::lock_guard lock(mutex_);
  devices_.push_back(device);
}

void FaultInjector::Unregister(Device* device) {
  const std::lock_guard lock(mutex_);
  std::erase(devices_, device);
}

std::optional<Fault> FaultInjector::Scripted(const Request& request) {
  for (ScriptedFault& entry : script_) {
    if (entry.times == 0 || (entry.op && *entry.op != request.op)) continue;
    if (request.op != Op::kSync) {  // A sync is about the whole file.
      if (request.offset >= entry.offset_to) continue;
      if (request.offset + request.bytes <= entry.offset_from) continue;
    }
    if (entry.skip > 0) {
      --entry.skip;
      continue;
    }
    --entry.times;
    return entry.fault;
  }
  return std::nullopt;
}

bool FaultInjector::Draw(Fault fault) {
  const uint32_t rate = plan_.per_million[static_cast<size_t>(fault)];
  return enabled_ && rate > 0 && random_.Below(1'000'000) < rate;
}

FaultDecision FaultInjector::Decide(const Request& request, uint32_t alignment) {
  const std::lock_guard lock(mutex_);
  FaultDecision decision;
  if (const auto scripted = Scripted(request)) {
    (IsDelay(*scripted) ? decision.delay : decision.effect) = scripted;
    if (!Fits(*scripted, request, alignment, plan_.file_bytes)) decision = {};
  } else {
    for (const Fault fault : kEffects) {
      if (decision.effect || !Fits(fault, request, alignment, plan_.file_bytes)) continue;
      if (Draw(fault)) decision.effect = fault;
    }
    for (const Fault fault : kDelays) {
      if (!decision.delay && Draw(fault)) decision.delay = fault;
    }
  }
  if (hang_all_) decision.delay = Fault::kHung;
  FillIn(decision, request, alignment);
  return decision;
}

void FaultInjector::FillIn(FaultDecision& decision, const Request& request, uint32_t alignment) {
  const uint64_t sectors = request.bytes / alignment;
  if (decision.effect) {
    ++counts_[static_cast<size_t>(*decision.effect)];
    if (*decision.effect == Fault::kShort) {
      decision.prefix_bytes = static_cast<uint32_t>((1 + random_.Below(sectors - 1)) * alignment);
    } else if (*decision.effect == Fault::kTorn) {
      decision.prefix_bytes = static_cast<uint32_t>(random_.Below(sectors) * alignment);
    } else if (*decision.effect == Fault::kError) {
      decision.prefix_bytes = static_cast<uint32_t>(random_.Below(sectors + 1) * alignment);
    } else if (*decision.effect == Fault::kMisdirected) {
      const uint64_t places = (plan_.file_bytes - request.bytes) / alignment;
      const uint64_t place = random_.Below(places + 1) * alignment;
      decision.other_offset = place != request.offset ? place : places * alignment - place;
    } else if (*decision.effect == Fault::kFlip) {
      decision.flip_bit = static_cast<uint32_t>(random_.Below(uint64_t{request.bytes} * 8));
    }
  }
  if (decision.delay) {
    ++counts_[static_cast<size_t>(*decision.delay)];
    if (*decision.delay == Fault::kSlow) {
      decision.reaps = 1 + static_cast<uint32_t>(random_.Below(plan_.slow_reaps_max));
      decision.delay_us = plan_.slow_us_max > 0 ? random_.Below(plan_.slow_us_max) : 0;
      decision.delay_before = random_.Chance(1, 2);
    } else if (*decision.delay == Fault::kReordered) {
      decision.reaps = 1 + static_cast<uint32_t>(random_.Below(3));
    }
  }
}

}  // namespace flash::io
