// link_effect.cc: see link_effect.h.
//
// Thread: main.
#include "dispatch/link_effect.h"

#include <utility>

#include "dispatch/context.h"
#include "dispatch/dispatcher.h"
#include "server/engine.h"

namespace flash::dispatch {
namespace {

blocks::BlockPool& Pool() { return server::Engine::Get().pool(); }

}  // namespace

uint64_t LinkEffect::ArgumentBytes(ValkeyModuleString** argv, int argc) {
  uint64_t bytes = 0;
  for (int i = 0; i < argc; ++i) bytes += vk::TextOf(argv[i]).size();
  return bytes;
}

uint64_t LinkEffect::ReadBytes(const std::vector<BlockId>& blocks) {
  uint64_t bytes = 0;
  for (const BlockId id : blocks) {
    if (!Pool().IsHot(id)) bytes += Pool().FootprintOf(id);
  }
  return bytes;
}

void LinkEffect::ReadAhead(const std::vector<BlockId>& blocks) {
  looked_ = true;
  // Those of the round before stay: other effects may come in between.
  if (reads_.started() && reads_.ready() && reads_.outcome()) {
    bringer_.prepared()->pins = std::move(reads_);
  }
  reads_ = Pool().StartFetchAhead(blocks);
}

uint64_t LinkEffect::PlanAhead(uint64_t bytes_max) {
  if (plans_ == KeptCommand::kPlansMax) return 0;
  ++plans_;
  Need lacking;
  if (command_.Plan(bringer_.prepared(), &lacking) != Outcome::kPark) return 0;
  if (lacking.kind != Need::Kind::kBlocks) return 0;
  const uint64_t bytes = ReadBytes(lacking.blocks);
  if (bytes == 0 || bytes > bytes_max) return 0;
  const bool looked = looked_;
  ReadAhead(lacking.blocks);
  looked_ = looked;  // A plan is not noticed.
  return bytes;
}

LinkEffect::Applied LinkEffect::Apply(ValkeyModuleCtx* ctx) {
  Applied applied = Applied::kDone;
  InDatabase(ctx, command_.db(), [&] {
    const uint64_t errors_before = Context::errors_replied();
    const auto mode = looked_ ? Context::Mode::kLast : Context::Mode::kRun;
    looked_ = true;
    Context context(ctx, command_.argv(), command_.argc(), command_.spec(), mode,
                    bringer_.prepared());
    Outcome outcome = RunHandler(context);
    if (outcome == Outcome::kPark && context.need().kind == Need::Kind::kBlocks &&
        plans_ < KeptCommand::kPlansMax) {
      ++plans_;
      ReadAhead(context.need().blocks);
      applied = Applied::kLacks;
      return;
    }
    if (outcome == Outcome::kPark) {
      outcome =
          Dispatcher::RunNow(ctx, command_.argv(), command_.argc(), command_.spec(),
                             std::move(context.need()), &bringer_, blocks::WaitCause::kReplication);
    }
    FLASH_CHECK(outcome == Outcome::kDone);  // Blocking commands come in their plain form.
    if (Context::errors_replied() != errors_before) applied = Applied::kError;
  });
  return applied;
}

}  // namespace flash::dispatch
