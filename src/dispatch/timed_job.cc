// timed_job.cc: see timed_job.h.
//
// Thread: main.
#include "dispatch/timed_job.h"

#include <utility>

#include "dispatch/recheck.h"
#include "dispatch/waiting_clients.h"
#include "server/engine.h"
#include "vk/api.h"

namespace flash::dispatch {
namespace {

constexpr mstime_t kPeriodMs = 1;
constexpr uint64_t kSliceUs = 500;

}  // namespace

int TimedJob::Run(ValkeyModuleCtx* ctx, const std::shared_ptr<TimedJob>& job, const Reply& reply) {
  const auto step = [job](ValkeyModuleCtx* /*ctx*/) -> Answer {
    return job->done() ? "OK" : nullptr;
  };
  const auto answer = [reply](ValkeyModuleCtx* late, ValkeyModuleString** /*argv*/,
                              Answer /*answer*/) { return reply(late); };
  if (WaitingClients::Park(ctx, step, answer)) {
    job->OnStart();
    job->ArmTimer(ctx);
    return VALKEYMODULE_OK;
  }
  if (WriteRefusal() != nullptr) {
    job->EndWith(WriteRefusal());
  } else {
    job->RunNow(ctx);
  }
  return reply(ctx);
}

void TimedJob::RunNow(ValkeyModuleCtx* ctx) {
  waits_here_ = true;
  while (!done_) Step(ctx, UINT64_MAX);
  ValkeyModule_SelectDb(ctx, home_db_);
}

void TimedJob::ArmTimer(ValkeyModuleCtx* ctx) {
  // raw new: the timer's share, deleted when it fires.
  auto* const share = new std::shared_ptr<TimedJob>(shared_from_this());
  ValkeyModule_CreateTimer(ctx, kPeriodMs, OnTimer, share);
}

void TimedJob::OnTimer(ValkeyModuleCtx* ctx, void* data) noexcept {
  const std::unique_ptr<std::shared_ptr<TimedJob>> share(
      static_cast<std::shared_ptr<TimedJob>*>(data));
  if (server::Engine::IsOpen()) (*share)->Slice(ctx);
}

void TimedJob::Slice(ValkeyModuleCtx* ctx) {
  const bool replica = (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_REPLICA) != 0;
  const char* hindrance = replica ? ReplicaError() : Hindrance();
  if (hindrance == nullptr && !replica) hindrance = WriteRefusal();
  if (hindrance != nullptr) {
    EndWith(hindrance);
  } else if (ValkeyModule_AvoidReplicaTraffic() == 0) {  // Else: a pause of writes, a failover.
    ValkeyModule_SelectDb(ctx, home_db_);
    const base::Clock& clock = server::Engine::Get().clock();
    const uint64_t deadline_us = clock.NowUs() + kSliceUs;
    while (!done_ && Step(ctx, deadline_us) && clock.NowUs() < deadline_us) {
    }
  }
  if (!done_) ArmTimer(ctx);
}

}  // namespace flash::dispatch
