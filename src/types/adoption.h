// adoption.h: a native value becomes one of ours of the same content.
//
// Built element by element in bounded memory first, then put in the native one's place. What has
// to be put in order can be so in parts, while others are served: then the value is compared before
// it takes the place. Knows no command; whoever adopts tells replicas, clients and events.
// Thread: main.
// Decision: docs/adr/0019.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "values/collection.h"
#include "vk/api.h"

namespace flash::types {

/// True: the key holds the FLASH form now; time to live and access history stayed. False: there is
/// no such key, or it is one of ours. Errors, the key is untouched: kUnsupported, a value that has
/// no counterpart here, the message is the reply; kNoSpace; of reads while a large value is put in
/// order: kIo, kCorrupt, kTimeout.
/// With `must` it was acknowledged once, elsewhere: no error of flash stands in its way.
[[nodiscard]] Result<bool> Adopt(ValkeyModuleCtx* ctx, ValkeyModuleString* name, bool must);

/// The same in parts.
class Adoption {
 public:
  enum class Room : uint8_t {
    kAsked,  ///< Fails where there is none.
    kTaken,  ///< Was acknowledged once, elsewhere: goes beyond the bound where there is none.
    kHot,    ///< The same, and nothing is written to flash or read back meanwhile.
  };
  explicit Adoption(Room room);
  ~Adoption();
  Adoption(const Adoption&) = delete;
  Adoption& operator=(const Adoption&) = delete;

  /// Would most of the work be to put the value of this key in order, and more than a moment's?
  [[nodiscard]] static bool TakesLong(ValkeyModuleCtx* ctx, ValkeyModuleString* name);

  /// Reads the native value, in one stretch. False, and errors: as Adopt's.
  [[nodiscard]] Result<bool> Read(ValkeyModuleCtx* ctx, ValkeyModuleString* name);
  /// A part of putting it in order; see values::SortedBuilder. Errors: kNoSpace, of reads.
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, values::Missing* missing);
  /// What is left of it. Errors: as FinishSome.
  [[nodiscard]] Result<void> Finish();
  /// Has the key still the value that was read? Reads it once more.
  [[nodiscard]] bool IsStill(ValkeyModuleCtx* ctx, ValkeyModuleString* name) const;
  /// Of what is finished, and is still the value: puts it in the native one's place, once. False:
  /// the key's time has come.
  [[nodiscard]] bool Install(ValkeyModuleCtx* ctx, ValkeyModuleString* name);

 private:
  class Building;
  std::unique_ptr<Building> building_;
  const Room room_;
};

/// A log that cannot see native values: what would make the adopted one from nothing. At load.
struct AdoptionLog {
  /// A value is about to be adopted; false: nobody needs to know how it is made.
  bool (*begin)(ValkeyModuleCtx* ctx) = nullptr;
  void (*command)(ValkeyModuleCtx* ctx, std::span<const std::string_view> words) = nullptr;
  void (*expiry)(ValkeyModuleCtx* ctx, std::string_view key, mstime_t at_ms) = nullptr;
};
void SetAdoptionLog(const AdoptionLog& log);

}  // namespace flash::types
