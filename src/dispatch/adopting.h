// adopting.h: a native key becomes a FLASH key, and everybody is told.
//
// For FLASH.ADOPT, FLASH.ADOPT.SCAN and commands that find native and FLASH keys among theirs.
// Thread: main. Decision: docs/adr/0019.
#pragma once

#include <optional>
#include <string>

#include "dispatch/long_work.h"
#include "types/adoption.h"
#include "vk/string.h"

namespace flash::dispatch {

/// Adopts the key, as types::Adopt; signals it, replicates FLASH.ADOPT, sends `flash.adopt`, and
/// counts. `ctx` is one whose changes form a unit. Errors: as types::Adopt.
[[nodiscard]] Result<bool> AdoptKey(ValkeyModuleCtx* ctx, ValkeyModuleString* key);

/// The same of a value that takes long (types::Adoption::TakesLong): reads it in one stretch, and
/// puts it in order in parts.
class AdoptWork final : public LongWork {
 public:
  AdoptWork(ValkeyModuleCtx* ctx, ValkeyModuleString* key);

  [[nodiscard]] Progress Step(uint64_t deadline_us, values::Missing* missing) override;
  [[nodiscard]] std::optional<Code> failure() const override;

  // Of a work that is done.

  /// Is there something to be put in the key's place? Else what AdoptKey would have returned.
  [[nodiscard]] const Result<bool>& outcome() const { return *outcome_; }
  /// Has the value changed since it was read? Reads it once more.
  [[nodiscard]] bool HasChanged(ValkeyModuleCtx* ctx) const;
  /// Puts what has not changed in the native value's place, and tells everybody; see AdoptKey.
  [[nodiscard]] Result<bool> Install(ValkeyModuleCtx* ctx);

 private:
  const vk::String key_;
  const int db_;
  types::Adoption adoption_{types::Adoption::Room::kAsked};
  bool read_ = false;
  std::optional<Result<bool>> outcome_;
};

/// The reply to an error of AdoptKey; counts it.
[[nodiscard]] std::string AdoptErrorText(const Error& error);

}  // namespace flash::dispatch
