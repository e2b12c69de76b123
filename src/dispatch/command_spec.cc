// command_spec.cc: turns command specs into the server's structures, which it copies at once.
//
// Knows the shape of specs, no single command. Thread: main, at load.
#include "dispatch/command_spec.h"

#include <strings.h>

#include <deque>
#include <string>
#include <vector>

namespace flash::dispatch {
namespace {

constexpr const char* kAclCategory = "flash";

uint64_t AccessFlag(KeyAccess access) {
  switch (access) {
    case KeyAccess::kReadOnly:
      return VALKEYMODULE_CMD_KEY_RO;
    case KeyAccess::kReadWrite:
      return VALKEYMODULE_CMD_KEY_RW;
    case KeyAccess::kOverwrite:
      return VALKEYMODULE_CMD_KEY_OW;
    case KeyAccess::kRemove:
      return VALKEYMODULE_CMD_KEY_RM;
  }
  FLASH_CHECK(false);
  return 0;
}

ValkeyModuleCommandArgType ArgTypeOf(ArgType type) {
  switch (type) {
    case ArgType::kString:
      return VALKEYMODULE_ARG_TYPE_STRING;
    case ArgType::kInteger:
      return VALKEYMODULE_ARG_TYPE_INTEGER;
    case ArgType::kDouble:
      return VALKEYMODULE_ARG_TYPE_DOUBLE;
    case ArgType::kKey:
      return VALKEYMODULE_ARG_TYPE_KEY;
    case ArgType::kPattern:
      return VALKEYMODULE_ARG_TYPE_PATTERN;
    case ArgType::kUnixTime:
      return VALKEYMODULE_ARG_TYPE_UNIX_TIME;
    case ArgType::kPureToken:
      return VALKEYMODULE_ARG_TYPE_PURE_TOKEN;
    case ArgType::kOneOf:
      return VALKEYMODULE_ARG_TYPE_ONEOF;
    case ArgType::kBlock:
      return VALKEYMODULE_ARG_TYPE_BLOCK;
  }
  FLASH_CHECK(false);
  return VALKEYMODULE_ARG_TYPE_STRING;
}

std::vector<ValkeyModuleCommandKeySpec> KeySpecsOf(const CommandSpec& spec) {
  std::vector<ValkeyModuleCommandKeySpec> result;
  for (const KeySpec& keys : spec.keys) {
    ValkeyModuleCommandKeySpec out{};
    out.flags = AccessFlag(keys.access) | keys.flags;
    if (keys.keyword != nullptr) {
      out.begin_search_type = VALKEYMODULE_KSPEC_BS_KEYWORD;
      out.bs.keyword = {keys.keyword, keys.begin};
    } else {
      out.begin_search_type = VALKEYMODULE_KSPEC_BS_INDEX;
      out.bs.index.pos = keys.begin;
    }
    if (keys.keynum_index >= 0) {
      out.find_keys_type = VALKEYMODULE_KSPEC_FK_KEYNUM;
      out.fk.keynum = {keys.keynum_index, keys.keynum_first, keys.step};
    } else {
      out.find_keys_type = VALKEYMODULE_KSPEC_FK_RANGE;
      out.fk.range = {keys.last, keys.step, 0};
    }
    result.push_back(out);
  }
  result.push_back({});  // The end of the list.
  return result;
}

/// Lists of arguments in the server's form; a deque keeps them in place while more are made.
using ArgLists = std::deque<std::vector<ValkeyModuleCommandArg>>;

ValkeyModuleCommandArg* ArgsOf(std::span<const ArgSpec> args, ArgLists* lists) {
  if (args.empty()) return nullptr;
  std::vector<ValkeyModuleCommandArg> result;
  for (const ArgSpec& arg : args) {
    if (arg.server_since > vk::ServerVersion()) continue;
    ValkeyModuleCommandArg out{};
    out.name = arg.name;
    out.type = ArgTypeOf(arg.type);
    out.key_spec_index = arg.type == ArgType::kKey ? arg.key_spec : -1;
    out.token = arg.token;
    out.flags = (arg.optional ? VALKEYMODULE_CMD_ARG_OPTIONAL : 0) |
                (arg.multiple ? VALKEYMODULE_CMD_ARG_MULTIPLE : 0);
    out.subargs = ArgsOf(arg.subargs, lists);
    result.push_back(out);
  }
  result.push_back({});
  return lists->emplace_back(std::move(result)).data();
}

/// Where a number of keys is given: there are so many arguments, one at least.
bool NumberFits(const KeySpec& keys, ValkeyModuleString* const* argv, int argc) {
  if (keys.keynum_index < 0) return true;
  const int at = keys.begin + keys.keynum_index;
  long long count = 0;
  return at < argc && ValkeyModule_StringToLongLong(argv[at], &count) == VALKEYMODULE_OK &&
         count >= 1 && count <= (argc - keys.begin - keys.keynum_first) / keys.step;
}

std::vector<const CommandEntry*>& Registered() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static auto* const entries = new std::vector<const CommandEntry*>;
  return *entries;
}

Result<void> Register(ValkeyModuleCtx* ctx, const CommandEntry& entry) {
  const CommandSpec& spec = *entry.spec;
  const auto failed = [&spec](const char* what) {
    return Error{Code::kInvalid, std::string("cannot ") + what + " " + spec.name};
  };
  const std::string flags = std::string(spec.flags) + (HasMovableKeys(spec) ? " getkeys-api" : "");
  if (ValkeyModule_CreateCommand(ctx, spec.name, entry.function, flags.c_str(), 0, 0, 0) !=
      VALKEYMODULE_OK) {
    return failed("register command");
  }
  ValkeyModuleCommand* command = ValkeyModule_GetCommand(ctx, spec.name);
  if (command == nullptr) return failed("find command");

  ArgLists lists;
  std::vector<ValkeyModuleCommandKeySpec> keys = KeySpecsOf(spec);
  ValkeyModuleCommandInfo info{};
  info.version = VALKEYMODULE_COMMAND_INFO_VERSION;
  info.summary = spec.summary;
  info.complexity = spec.complexity;
  info.since = spec.since;
  info.tips = spec.tips;
  info.arity = spec.arity;
  info.key_specs = keys.data();
  info.args = ArgsOf(spec.args, &lists);
  if (ValkeyModule_SetCommandInfo(command, &info) != VALKEYMODULE_OK) {
    return failed("describe command");
  }
  const std::string categories = std::string(kAclCategory) + " " + spec.acl;
  if (ValkeyModule_SetCommandACLCategories(command, categories.c_str()) != VALKEYMODULE_OK) {
    return failed("set the ACL categories of");
  }
  return {};
}

}  // namespace

Result<void> AddAclCategory(ValkeyModuleCtx* ctx) {
  if (ValkeyModule_AddACLCategory(ctx, kAclCategory) == VALKEYMODULE_OK) return {};
  return Error{Code::kInvalid, "the server refused the ACL category @flash"};
}

Result<void> RegisterCommands(ValkeyModuleCtx* ctx, std::span<const CommandEntry> commands) {
  for (const CommandEntry& entry : commands) {
    if (Result<void> done = Register(ctx, entry); !done) return done;
    Registered().push_back(&entry);
  }
  return {};
}

const CommandEntry* FindCommand(std::string_view name) {
  for (const CommandEntry* entry : Registered()) {
    const std::string_view known = entry->spec->name;
    if (known.size() == name.size() && strncasecmp(known.data(), name.data(), name.size()) == 0) {
      return entry;
    }
  }
  return nullptr;
}

void ReportKeys(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString* const* argv,
                int argc) {
  for (const KeySpec& keys : spec.keys) {
    if (!NumberFits(keys, argv, argc)) return;
  }
  for (const KeySpec& keys : spec.keys) {
    CommandSpec one;
    one.keys = {&keys, 1};
    const uint64_t flags = AccessFlag(keys.access) | keys.flags;
    ForEachKey(one, argv, argc, [ctx, flags](int index) {
      ValkeyModule_KeyAtPosWithFlags(ctx, index, static_cast<int>(flags));
    });
  }
}

}  // namespace flash::dispatch
