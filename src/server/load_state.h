// load_state.h: whether data is being loaded just now, and how long waiting makes sense then.
//
// Knows no file and no type. Thread: main.
#pragma once

#include <cstdint>

namespace flash::server {

/// Do the flags of the server's own context (VALKEYMODULE_CTX_FLAGS_*) hold any of these?
[[nodiscard]] bool HasAnyFlag(uint32_t flags);

/// The data set is being loaded on this thread: RDB, AOF, a synchronisation (instead of the data
/// there is, or beside it), or a log that is replayed.
[[nodiscard]] bool DataLoads();

/// For how long a wait on this thread may go on while data loads, beside or instead of everything
/// else; 0 if none does.
[[nodiscard]] uint64_t LoadPatienceUs();

}  // namespace flash::server
