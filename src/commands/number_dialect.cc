// number_dialect.cc: see number_dialect.h.
//
// Thread: main, at load.
#include "commands/number_dialect.h"

#include "commands/parse_number.h"
#include "vk/string.h"

namespace flash::commands {

void FollowNumberDialect() {
  const vk::String hexadecimal = vk::String::Copy("0x10");
  double value = 0;
  SetLenientDoubles(ValkeyModule_StringToDouble(hexadecimal.get(), &value) == VALKEYMODULE_OK);
}

}  // namespace flash::commands
