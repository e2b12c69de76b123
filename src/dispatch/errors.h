// errors.h: the error replies that commands share; the native ones word for word.
//
// What each means for a client, and whether to retry: docs/commands.md. Thread: any.
#pragma once

namespace flash::dispatch::errors {

inline constexpr const char* kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr const char* kSyntax = "ERR syntax error";
inline constexpr const char* kNotInteger = "ERR value is not an integer or out of range";
inline constexpr const char* kOutOfMemory =
    "OOM command not allowed when used memory > 'maxmemory'.";
inline constexpr const char* kReadOnly = "READONLY You can't write against a read only replica.";
inline constexpr const char* kNoKeyPermission = "NOPERM No permissions to access a key";
inline constexpr const char* kSlotMoved =
    "TRYAGAIN The slot moved away while the command waited for flash; nothing was changed";
inline constexpr const char* kPaused =
    "TRYAGAIN Writes were paused while the command waited for flash; nothing was changed";
inline constexpr const char* kCannotWait =
    "ERR this server cannot make a client with subscriptions wait for a key of a module";
inline constexpr const char* kRecovering =
    "LOADING valkey-flash is recovering its data; try again later";
inline constexpr const char* kFailed =
    "ERR valkey-flash could not recover its data and answers no command; see the server's log";
inline constexpr const char* kIo =
    "FLASHIO the value could not be read from flash (device error); the key is kept";
inline constexpr const char* kCorrupt =
    "FLASHIO the value could not be read from flash (checksum mismatch); the key is kept";
inline constexpr const char* kTimeout =
    "FLASHIO the value could not be read from flash in time; the key is kept";
inline constexpr const char* kInChild =
    "FLASHIO a forked debugging session cannot use the flash tier; use SCRIPT DEBUG SYNC";
inline constexpr const char* kFull =
    "FLASHFULL no room in the cache and none on flash; nothing was changed";

}  // namespace flash::dispatch::errors
