// sim_writer.h: a writer of the simulator that waits for room.
//
// Thread: one.
#pragma once

#include <functional>
#include <utility>

#include "tests/sim/simulation.h"
#include "tests/sim/trace.h"

namespace flash::sim {

class Simulation::Writer final : public blocks::RoomWaiter {
 public:
  explicit Writer(std::function<void()> then) : then_(std::move(then)) {}
  void OnRoom(Result<blocks::RoomGrant> outcome) override {
    SIM_EXPECT(!answered_, "a writer was answered twice");
    SIM_EXPECT(outcome || outcome.code() == Code::kNoSpace || outcome.code() == Code::kInvalid,
               "a writer was answered with code %d", static_cast<int>(outcome.code()));
    answered_ = true;
    if (!outcome) return;
    outcome->Release();  // Whoever creates a block asks anew.
    then_();
  }
  [[nodiscard]] bool answered() const { return answered_; }

 private:
  std::function<void()> then_;
  bool answered_ = false;
};

}  // namespace flash::sim
