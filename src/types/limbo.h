// limbo.h: keys that the server drops while it loads an RDB, because their time was over, kept
// until it is known whether a log prolongs their lives.
//
// The loader frees such a value right after rdb_load returned it; so a value that is freed and is
// the last one loaded has never become a key. Knows nothing of logs. Thread: main; Keep any.
#pragma once

#include <string>
#include <vector>

#include "vk/api.h"

namespace flash::types {

struct DroppedKey {
  int db = 0;
  std::string name;
  ValkeyModuleType* type = nullptr;
  void* value = nullptr;
};

class Limbo {
 public:
  /// From now on dropped values are kept.
  static void Open();
  /// What every rdb_load returns passes through here.
  static void* Loaded(ValkeyModuleIO* io, ValkeyModuleType* type, void* value) {
    if (open_) [[unlikely]]
      Note(io, type, value);
    return value;
  }
  /// Asked by every `free` first: true, and the value lives on.
  [[nodiscard]] static bool Keep(void* value) {
    if (!open_) [[likely]]
      return false;
    return KeepIfLast(value);
  }
  /// The end: gives what was kept, whose values now belong to the caller.
  [[nodiscard]] static std::vector<DroppedKey> Close();

 private:
  static void Note(ValkeyModuleIO* io, ValkeyModuleType* type, void* value);
  static bool KeepIfLast(void* value);
  // Changed only at load and at the first turn, when nothing is freed on other threads.
  static constinit inline bool open_ = false;
};

}  // namespace flash::types
