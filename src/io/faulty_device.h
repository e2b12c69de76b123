// faulty_device.h: a Device that wraps another and makes the faults that a FaultInjector decides.
//
// Everything passes through it, so what is above sees one disk, lying or not. Transfers that are
// held count as in flight and keep their memory, as with a real device. Knows neither segments nor
// records. Thread: its owner, except Wake. Decision: docs/adr/0003.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "io/device.h"
#include "io/fault_injector.h"

namespace flash::io {

class FaultyDevice final : public Device {
 public:
  /// `clock` (may be null) decides how long slow transfers last beyond their number of Reaps.
  FaultyDevice(std::unique_ptr<Device> inner, std::shared_ptr<FaultInjector> injector,
               const base::Clock* clock = nullptr);
  ~FaultyDevice() override;

  [[nodiscard]] bool Submit(const Request& request) override;
  void Flush() override;
  size_t Reap(std::span<Completion> out, uint64_t wait_us) override;
  void Wake() override { inner_->Wake(); }
  [[nodiscard]] uint32_t alignment() const override { return inner_->alignment(); }
  [[nodiscard]] size_t inflight() const override { return inflight_; }
  void LendBuffers(MutableBytes memory) override { inner_->LendBuffers(memory); }

 private:
  struct Transfer {
    Request asked;
    FaultDecision decision = {};
    uint64_t due_us = 0;
    uint64_t released_at = 0;  // kHung: held while the injector counts no more releases.
    int32_t result = 0;
  };

  [[nodiscard]] bool Start(uint32_t index);
  [[nodiscard]] bool Held(Transfer& transfer) const;
  void OnInner(const Completion& completion);
  void Tick();

  std::unique_ptr<Device> inner_;
  std::shared_ptr<FaultInjector> injector_;
  const base::Clock* clock_;
  std::vector<Transfer> transfers_;  // The inner device's token = index.
  std::vector<uint32_t> free_;
  std::deque<uint32_t> waiting_;   // Not started yet.
  std::deque<uint32_t> finished_;  // Held back.
  std::deque<uint32_t> ready_;
  size_t inflight_ = 0;
};

/// Wraps the devices of another factory; all share one injector.
class FaultyDeviceFactory final : public DeviceFactory {
 public:
  FaultyDeviceFactory(DeviceFactory* inner, std::shared_ptr<FaultInjector> injector,
                      const base::Clock* clock = nullptr)
      : inner_(inner), injector_(std::move(injector)), clock_(clock) {}
  [[nodiscard]] Result<std::unique_ptr<Device>> Make() override;

 private:
  DeviceFactory* inner_;
  std::shared_ptr<FaultInjector> injector_;
  const base::Clock* clock_;
};

}  // namespace flash::io
