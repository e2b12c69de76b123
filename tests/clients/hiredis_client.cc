// hiredis_client.cc: a C client's view of the module: requests as lines of JSON on stdin, what
// hiredis made of the replies as lines of JSON on stdout (tests/integration/harness/clients.py).
//
// hiredis knows neither commands nor clusters: words go out as they are, and this program follows
// MOVED and ASK as an application on top of it would. RESP3 needs hiredis 1.0.
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using nlohmann::json;

struct Freer {
  void operator()(redisContext* context) const { redisFree(context); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, Freer>;
using Reply = std::unique_ptr<redisReply, Freer>;

std::string TextOf(const redisReply& reply) { return {reply.str, reply.len}; }

json ListOf(const redisReply& reply);

json ValueOf(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return nullptr;
    case REDIS_REPLY_INTEGER:
      return reply.integer;
    case REDIS_REPLY_ARRAY:
      return ListOf(reply);
    case REDIS_REPLY_ERROR:
      return {{"error", TextOf(reply)}};
#if HIREDIS_MAJOR >= 1
    case REDIS_REPLY_DOUBLE:
      return reply.dval;
    case REDIS_REPLY_BOOL:
      return reply.integer != 0;
    case REDIS_REPLY_MAP:
      return {{"map", ListOf(reply)}};
    case REDIS_REPLY_SET:
      return {{"set", ListOf(reply)}};
#endif
    default:
      return TextOf(reply);
  }
}

json ListOf(const redisReply& reply) {
  json items = json::array();
  for (size_t i = 0; i < reply.elements; ++i) items.push_back(ValueOf(*reply.element[i]));
  return items;
}

json AnswerOf(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_ERROR) return {{"error", TextOf(reply)}};
  return {{"reply", ValueOf(reply)}};
}

std::vector<std::string> WordsOf(const json& args) {
  std::vector<std::string> words;
  for (const json& arg : args) {
    words.push_back(arg.is_string() ? arg.get<std::string>() : arg.dump());
  }
  return words;
}

// One connection to each node that was needed.
class Client {
 public:
  explicit Client(const json& request)
      : port_(request["port"]),
        cluster_(request.value("cluster", false)),
        resp_(request.value("resp", 2)),
        timeout_ms_(request.contains("timeout_ms") && !request["timeout_ms"].is_null()
                        ? request["timeout_ms"].get<int>()
                        : 0) {}

  json Call(const json& args) {
    const std::vector<std::string> words = WordsOf(args);
    int port = port_;
    bool asking = false;
    for (int hop = 0; hop < 5; ++hop) {
      if (asking) Run(port, {"ASKING"});
      json answer = Run(port, words);
      if (!cluster_ || !answer.contains("error")) return answer;
      std::istringstream error(answer["error"].get<std::string>());
      std::string kind, slot, address;
      error >> kind >> slot >> address;
      if (kind != "MOVED" && kind != "ASK") return answer;
      asking = kind == "ASK";
      port = std::stoi(address.substr(address.rfind(':') + 1));
    }
    return {{"failure", "too many redirections"}};
  }

  json Pipeline(const json& commands) {
    redisContext* to = ContextOf(port_);
    for (const json& args : commands) Append(to, WordsOf(args));
    json replies = json::array();
    for (size_t i = 0; i < commands.size(); ++i) replies.push_back(Next(port_));
    return {{"replies", std::move(replies)}};
  }

 private:
  redisContext* ContextOf(int port) {
    Context& context = contexts_[port];
    if (context == nullptr) {
      context.reset(redisConnect("127.0.0.1", port));
      if (timeout_ms_ > 0) {
        redisSetTimeout(context.get(), timeval{timeout_ms_ / 1000, timeout_ms_ % 1000 * 1000});
      }
      if (resp_ == 3) Run(port, {"HELLO", "3"});
    }
    return context.get();
  }

  static void Append(redisContext* to, const std::vector<std::string>& words) {
    std::vector<const char*> data;
    std::vector<size_t> sizes;
    for (const std::string& word : words) {
      data.push_back(word.data());
      sizes.push_back(word.size());
    }
    redisAppendCommandArgv(to, static_cast<int>(data.size()), data.data(), sizes.data());
  }

  json Run(int port, const std::vector<std::string>& words) {
    Append(ContextOf(port), words);
    return Next(port);
  }

  // A context that failed, by a time-out too, is of no more use: what comes late on it would be
  // taken for the reply to the next command.
  json Next(int port) {
    redisContext* from = ContextOf(port);
    void* raw = nullptr;
    if (redisGetReply(from, &raw) != REDIS_OK) {
      json failure = {{"failure", std::string(from->errstr)}};
      contexts_.erase(port);
      return failure;
    }
    return AnswerOf(*Reply(static_cast<redisReply*>(raw)));
  }

  int port_;
  bool cluster_;
  int resp_;
  int timeout_ms_;
  std::map<int, Context> contexts_;
};

json Answer(const json& request, std::unique_ptr<Client>& client) {
  const std::string verb = request["do"];
  if (verb == "facts") {
    json resp = json::array({2});
    if (HIREDIS_MAJOR >= 1) resp.push_back(3);
    return {{"resp", resp}, {"cluster", true}};
  }
  if (verb == "open") client = std::make_unique<Client>(request);
  if (verb == "close") client.reset();
  if (verb == "call") return client->Call(request["args"]);
  if (verb == "pipeline") return client->Pipeline(request["commands"]);
  return {{"reply", verb}};
}

}  // namespace

int main() {
  std::unique_ptr<Client> client;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Answer(json::parse(line), client).dump() << std::endl;
  }
  return 0;
}
