// client.cc: see client.h.
//
// hiredis is used for its protocol alone (redisFormatCommandArgv, redisReader): its own sockets
// know no TLS in the version that Debian 12 has.
#include "tools/common/client.h"

#include <hiredis/hiredis.h>

#include <array>
#include <cstring>

namespace flash::tools {
namespace {

Reply Converted(const redisReply& from) {
  Reply reply;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      reply.kind = Reply::Kind::kInteger;
      reply.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      reply.kind = Reply::Kind::kText;
      reply.text.assign(from.str, static_cast<size_t>(from.len));
      break;
    case REDIS_REPLY_ERROR:
      reply.kind = Reply::Kind::kError;
      reply.text.assign(from.str, static_cast<size_t>(from.len));
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = Reply::Kind::kArray;
      reply.items.reserve(static_cast<size_t>(from.elements));
      for (size_t i = 0; i < static_cast<size_t>(from.elements); i++) {
        reply.items.push_back(Converted(*from.element[i]));
      }
      break;
    default:
      break;
  }
  return reply;
}

void Append(const Command& command, std::string& bytes) {
  std::vector<const char*> words;
  std::vector<size_t> lengths;
  for (const std::string& word : command) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
  char* framed = nullptr;
  const auto length =
      redisFormatCommandArgv(&framed, static_cast<int>(words.size()), words.data(), lengths.data());
  FLASH_CHECK(length > 0);
  bytes.append(framed, static_cast<size_t>(length));
  redisFreeCommand(framed);
}

class RespClient final : public Client {
 public:
  explicit RespClient(std::unique_ptr<Transport> transport)
      : transport_(std::move(transport)), reader_(redisReaderCreate(), &redisReaderFree) {
    FLASH_CHECK(reader_ != nullptr);
  }

  Result<std::vector<Reply>> Run(std::span<const Command> commands) override {
    std::string request;
    for (const Command& command : commands) Append(command, request);
    if (const auto sent = transport_->Send(request); !sent) return sent.error();
    std::vector<Reply> replies;
    replies.reserve(commands.size());
    while (replies.size() < commands.size()) {
      void* parsed = nullptr;
      if (redisReaderGetReply(reader_.get(), &parsed) != REDIS_OK) {
        return Error{Code::kIo, std::string("not a Valkey server: ") + reader_->errstr};
      }
      if (parsed == nullptr) {
        if (const auto more = Feed(); !more) return more.error();
        continue;
      }
      const std::unique_ptr<void, decltype(&freeReplyObject)> owner(parsed, &freeReplyObject);
      replies.push_back(Converted(*static_cast<redisReply*>(parsed)));
    }
    return replies;
  }

 private:
  Result<void> Feed() {
    std::array<char, 16384> buffer;
    const auto got = transport_->Receive(buffer);
    if (!got) return got.error();
    redisReaderFeed(reader_.get(), buffer.data(), *got);
    return {};
  }

  std::unique_ptr<Transport> transport_;
  std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader_;
};

}  // namespace

Result<Reply> Client::Call(Command command) {
  const Command commands[] = {std::move(command)};
  auto replies = Run(commands);
  if (!replies) return replies.error();
  return std::move(replies->front());
}

std::unique_ptr<Client> MakeClient(std::unique_ptr<Transport> transport) {
  return std::make_unique<RespClient>(std::move(transport));
}

}  // namespace flash::tools
