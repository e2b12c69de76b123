// value_table.h: the values of one block that were cold, at the head of a snapshot in the order in
// which they lie on flash; their keys then refer to them by number.
//
// The server saves keys in the order of its hash table, which is random to the flash file: one read
// per value. The table is written before the first key and makes those reads sequential. Whatever
// is not in it is written with its key. Bytes: docs/format/rdb.md. Decision: docs/adr/0010.
// Thread: main; saving also in a forked child, its only one.
#pragma once

#include <optional>

#include "store/place.h"
#include "vk/api.h"

namespace flash::types {

/// In place of a value's length or count: the value is in the table, its number follows.
inline constexpr uint64_t kInTableMark = UINT64_MAX - 1;
/// In place of the table's size: the seed of the hashes follows, then the size, 0 for no table.
inline constexpr uint64_t kSeedMark = UINT64_MAX - 2;

// --- Saving

/// Writes how hashes are keyed here, and the table of what is cold now; nothing where there is no
/// value. From aux_save.
void SaveValueTable(ValkeyModuleIO* io);
/// Refers to the value of this block by its number in the table that was written before the keys.
/// False: it is not there, write it.
[[nodiscard]] bool SaveReference(ValkeyModuleIO* io, BlockId id);
/// The save ended, or another begins.
void ForgetValueTable();

// --- Loading

/// Reads the table; the values wait for their keys. False, after logging why: damaged or no room.
[[nodiscard]] bool LoadValueTable(ValkeyModuleIO* io);
/// Reads the number of a value of the type `handle` and hands the value over; null, after logging:
/// there is no such value, or it was handed over before.
[[nodiscard]] void* LoadReference(ValkeyModuleIO* io, const ValkeyModuleType* handle);
/// Ends the values that no key asked for.
void DropLoadedValues();

}  // namespace flash::types
