// room_gate.cc: admission and the end of waits; see room_gate.h.
//
// All bounds are on the load: hot bytes without a pin. Thread: main.
#include "blocks/room_gate.h"

#include <algorithm>

namespace flash::blocks {

// --- Writers
// --------------------------------------------------------------------------------------

RoomGate::First& RoomGate::TheFirst() {
  const uint64_t number = line_.head().number;
  if (first_.number != number) first_ = {.number = number};
  return first_;
}

bool RoomGate::Fits(uint64_t bytes, uint64_t kept_bytes) const {
  if (!tiering_) return true;
  // Under pressure the bound may be below one block: that runs alone.
  const auto fits = [this, bytes](uint64_t load) {
    return load + bytes <= bound_.hard_mark() || load == 0;
  };
  const uint64_t load = core_.sums().load;
  if (fits(load + line_.promised_bytes() + kept_bytes)) return true;
  return waits_here_ > 0 && health_.NothingMoreLeaves() && fits(load);
}

Result<void> RoomGate::AdmitBesideOthers(uint64_t bytes) {
  if (!tiering_) return {};
  if (bytes > bound_.cache_bytes()) return Code::kInvalid;
  const bool behind_others = waits_here_ == 0 && line_.head().bytes != 0;
  if (behind_others) return Hopeless(bytes) ? Code::kNoSpace : Code::kBusy;
  if (LetIn(bytes)) return {};
  return Refuse(bytes);
}

Result<void> RoomGate::AdmitCold(uint64_t bytes) {
  if (LetIn(bytes)) return {};
  return Refuse(bytes);
}

bool RoomGate::LetIn(uint64_t bytes) {
  First& first = TheFirst();
  if (!Fits(bytes, first.kept_bytes)) return false;
  if (first.number != 0) {
    first.kept_bytes = std::min(first.kept_bytes + bytes, line_.head().bytes);
  }
  return true;
}

Code RoomGate::Refuse(uint64_t bytes) {
  if (Hopeless(bytes)) return Code::kNoSpace;
  refused_bytes_ = std::max(refused_bytes_, bytes);
  return Code::kBusy;
}

void RoomGate::WaitForRoom(uint64_t bytes, RoomWaiter* waiter) {
  ++stalls_;
  line_.Add(waiter, std::max<uint64_t>(bytes, 1), clock_.NowUs());
}

void RoomGate::ServeLine() {
  health_.NoteDepartures();
  if (waits_here_ > 0) return;
  for (RoomQueue::Head head = line_.head(); head.bytes != 0; head = line_.head()) {
    if (head.bytes > bound_.cache_bytes()) {
      line_.AnswerHead(Code::kInvalid);
    } else if (Fits(head.bytes, 0)) {
      line_.AnswerHead({});
    } else if (WaitsInVain(head)) {
      line_.AnswerHead(Code::kNoSpace);
    } else {
      break;
    }
  }
}

bool RoomGate::WaitsInVain(const RoomQueue::Head& head) const {
  if (Hopeless(head.bytes)) return true;
  if (!health_.Stalled(head.since_us, health_.PatienceUs(head.bytes))) return false;
  return health_.Stalled(head.since_us, health_.patience_us_max()) || !frees_pending_();
}

bool RoomGate::Hopeless(uint64_t bytes) const {
  return !health_.frozen() && health_.NothingCanBePut(bytes) &&
         core_.table().counts()[static_cast<size_t>(BlockState::kHotClean)] == 0 &&
         (waits_here_ > 0 || !frees_pending_());
}

bool RoomGate::HopelessToAwait(uint64_t bytes) const {
  return health_.NothingCanBePut(bytes) && core_.sums().clean == 0;
}

RoomGate::WaitHere::WaitHere(RoomGate* gate, uint64_t bytes, uint64_t patience_us)
    : gate_(*gate), bytes_(bytes), patience_us_(patience_us), since_us_(gate->clock_.NowUs()) {
  ++gate_.waits_here_;
}

bool RoomGate::WaitHere::InVain() {
  PutHealth& health = gate_.health_;
  if (gate_.HopelessToAwait(bytes_)) return true;
  if (std::exchange(turned_, true) && health.WaitsAgainInVain(patience_us_)) return true;
  health.NoteDepartures();
  const uint64_t patience_us = std::max(patience_us_, health.PatienceUs(bytes_));
  if (!health.Stalled(since_us_, patience_us)) return false;
  health.NoteWaitInVain(patience_us);
  return true;
}

// --- What is wanted
// -------------------------------------------------------------------------------

uint64_t RoomGate::WantedBytes() {
  const First& first = TheFirst();
  if (refused_bytes_ != 0 && Fits(refused_bytes_, first.kept_bytes)) refused_bytes_ = 0;
  // Who passes the line needs room beside what is kept for the first in it.
  const uint64_t in_line = line_.head().bytes;
  const uint64_t wanted =
      waits_here_ > 0 ? in_line + refused_bytes_ : std::max(in_line, refused_bytes_);
  return wanted == 0 ? 0 : wanted + first.overtaken_bytes + line_.promised_bytes();
}

void RoomGate::OnRoomUnderWay() {
  First& first = TheFirst();
  if (first.number == 0) return;
  if (first.under_way && !health_.Ended(first.last_ticket)) return;
  // What should have made the room has left, and it was not enough.
  if (first.under_way) {
    first.overtaken_bytes = std::max(first.overtaken_bytes, core_.sums().demoting);
  }
  first.under_way = true;
  first.last_ticket = health_.last_ticket();
}

}  // namespace flash::blocks
