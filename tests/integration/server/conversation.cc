#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/integration/server/test_server.h"

namespace mcpfleet::test_server {
namespace {

constexpr char kSubscription[] = "io.modelcontextprotocol/subscriptionId";
constexpr char kQuestion[] = "one";

Json Tool(const char* name, const char* description, const Json& properties = Json::object()) {
  return {
      {"name", name}, {"description", description}, {"inputSchema", {{"type", "object"}, {"properties", properties}}}};
}

Json Text(const std::string& text) { return {{"content", Json::array({{{"type", "text"}, {"text", text}}})}}; }

Json MemberOf(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}
std::string StringOf(const Json& object, const char* key) {
  const Json value = MemberOf(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}
int64_t IntOf(const Json& object, const char* key) {
  const Json value = MemberOf(object, key);
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// What secrets reached this process as; backwards, so that a search for the value does not find the answer.
std::string Reveal(const std::string& variable, const std::string& file) {
  std::string text;
  if (const char* value = getenv(variable.c_str()); !variable.empty() && value != nullptr) text = value;
  if (std::ifstream stream(file); !file.empty() && stream) text.assign(std::istreambuf_iterator<char>(stream), {});
  std::reverse(text.begin(), text.end());
  return text;
}

std::string Nonce() {
  uint64_t random = 0;
  (void)!getrandom(&random, sizeof random, 0);
  return std::to_string(random);
}

}  // namespace

Conversation::Conversation(const Options& options, Say say)
    : options_(options), say_(std::move(say)), nonce_(Nonce()) {}

Json Conversation::AnswerTo(const Json& id, Json result) const {
  if (options_.modern && !result.contains("resultType")) result["resultType"] = "complete";
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

void Conversation::Notify(const std::string& method, const Json& params) const {
  if (say_) say_({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

// --- tools ----------------------------------------------------------------------------------------------------------

Json Conversation::Tools() const {
  Json tools = {Tool("echo", "Says it again", {{"message", {{"type", "string"}}}}),
                Tool("who", "The name of this server"),
                Tool("stats", "What this process has seen"),
                Tool("exit", "Ends the process", {{"code", {{"type", "integer"}}}}),
                Tool("oom", "Takes all memory it can get"),
                Tool("fork_bomb", "Forks until the kernel refuses"),
                Tool("grandchildren", "Forks daemons", {{"count", {{"type", "integer"}}}}),
                Tool("nonce", "Text of this process alone"),
                Tool("reveal", "A variable or a file, backwards",
                     {{"env", {{"type", "string"}}}, {"file", {{"type", "string"}}}}),
                Tool("client", "What the client says of itself"),
                Tool("sleep", "Answers later", {{"ms", {{"type", "integer"}}}, {"message", {{"type", "string"}}}}),
                Tool("ask", "Asks the client", {{"method", {{"type", "string"}}}, {"params", {{"type", "object"}}}}),
                Tool("progress", "Tells of its progress", {{"count", {{"type", "integer"}}}}),
                Tool("log", "Writes to the log", {{"message", {{"type", "string"}}}}),
                Tool("change_tools", "One tool more", {{"ms", {{"type", "integer"}}}})};
  for (int64_t i = 1; i <= more_tools_; ++i) tools.push_back(Tool(("more_" + std::to_string(i)).c_str(), "One more"));
  return tools;
}

Json Conversation::Stats() const {
  return {{"initialized", initialized_},  {"calls", calls_}, {"messages", messages_},         {"cancelled", cancelled_},
          {"sleeping", sleepers_.size()}, {"level", level_}, {"listeners", listeners_.size()}};
}

Json Conversation::CallTool(const Json& id, const Json& params) {
  ++calls_;
  const std::string tool = StringOf(params, "name");
  const Json arguments = MemberOf(params, "arguments");
  if (tool == "echo") return Text(StringOf(arguments, "message"));
  if (tool == "who") return Text(options_.name);
  if (tool == "stats") return Text(Stats().dump());
  if (tool == "exit") _exit(static_cast<int>(IntOf(arguments, "code")));
  if (tool == "oom") EatMemory();
  if (tool == "fork_bomb") return Text(std::to_string(ForkUntilRefused()));
  if (tool == "grandchildren") {
    SpawnGrandchildren(static_cast<int>(IntOf(arguments, "count")));
    return Text("forked");
  }
  if (tool == "nonce") return Text(nonce_);
  if (tool == "reveal") return Text(Reveal(StringOf(arguments, "env"), StringOf(arguments, "file")));
  if (tool == "client") return Text((options_.modern ? MemberOf(params, "_meta") : client_).dump());
  if (tool == "sleep") return Sleep(id, arguments);
  if (tool == "ask") return Ask(id, params, arguments);
  if (tool == "progress") return Progress(params, arguments);
  if (tool == "log") {
    Notify("notifications/message", {{"level", "info"}, {"data", StringOf(arguments, "message")}});
    return Text("logged");
  }
  if (tool == "change_tools") {
    const int64_t ms = IntOf(arguments, "ms");
    if (ms > 0) sleepers_.push_back({id, NowMs() + ms, "", true});
    if (ms == 0) ChangeTools();
    return Text("changed");
  }
  Json result = Text("no such tool");
  result["isError"] = true;
  return result;
}

Json Conversation::Sleep(const Json& id, const Json& arguments) {
  const int64_t ms = IntOf(arguments, "ms");
  if (say_ == nullptr) {
    poll(nullptr, 0, static_cast<int>(ms));
    return Text(StringOf(arguments, "message"));
  }
  sleepers_.push_back({id, NowMs() + ms, StringOf(arguments, "message"), false});
  return nullptr;
}

int Conversation::WakeUp() {
  const int64_t now = NowMs();
  int64_t next = -1;
  for (const Sleeper& sleeper : sleepers_) {
    if (sleeper.due_ms <= now && sleeper.changes_tools) {
      ChangeTools();
    } else if (sleeper.due_ms <= now) {
      say_(AnswerTo(sleeper.id, Text(sleeper.message)));
    } else if (next < 0 || sleeper.due_ms - now < next) {
      next = sleeper.due_ms - now;
    }
  }
  std::erase_if(sleepers_, [now](const Sleeper& sleeper) { return sleeper.due_ms <= now; });
  return static_cast<int>(next);
}

Json Conversation::Ask(const Json& id, const Json& params, const Json& arguments) {
  const std::string method = StringOf(arguments, "method");
  Json asked = MemberOf(arguments, "params");
  if (asked.is_null()) asked = Json::object();
  if (options_.modern) {
    if (params.contains("inputResponses")) return Text(MemberOf(params["inputResponses"], kQuestion).dump());
    return {{"resultType", "input_required"},
            {"inputRequests", {{kQuestion, {{"method", method}, {"params", asked}}}}},
            {"requestState", nonce_}};
  }
  const std::string ours = "ask-" + std::to_string(++asks_);
  asked_[ours] = id;
  if (say_) say_({{"jsonrpc", "2.0"}, {"id", ours}, {"method", method}, {"params", asked}});
  return nullptr;
}

Json Conversation::Progress(const Json& params, const Json& arguments) {
  const Json token = MemberOf(MemberOf(params, "_meta"), "progressToken");
  const int64_t count = IntOf(arguments, "count");
  for (int64_t i = 1; i <= count && !token.is_null(); ++i) {
    Notify("notifications/progress", {{"progressToken", token}, {"progress", i}, {"total", count}});
  }
  return Text(std::to_string(count));
}

void Conversation::ChangeTools() {
  ++more_tools_;
  if (!options_.modern) return Notify("notifications/tools/list_changed", Json::object());
  for (const Json& id : listeners_) Notify("notifications/tools/list_changed", {{"_meta", {{kSubscription, id}}}});
}

// --- messages -------------------------------------------------------------------------------------------------------

Json Conversation::Listen(const Json& id, const Json& params) {
  listeners_.insert(id);
  Notify("notifications/subscriptions/acknowledged",
         {{"_meta", {{kSubscription, id}}}, {"notifications", MemberOf(params, "notifications")}});
  return nullptr;
}

std::optional<Json> Conversation::Result(const Json& message) {
  const std::string method = StringOf(message, "method");
  const Json params = MemberOf(message, "params");
  const Json info = {{"name", options_.name}, {"version", "1.0"}};
  const Json features = {{"tools", {{"listChanged", true}}}, {"logging", Json::object()}};
  if (method == "tools/list") return Json{{"tools", Tools()}};
  if (method == "tools/call") return CallTool(message["id"], params);
  if (options_.modern && method == "subscriptions/listen") return Listen(message["id"], params);
  if (options_.modern && method == "server/discover") {
    return Json{{"supportedVersions", {"2026-07-28"}},
                {"capabilities", features},
                {"serverInfo", info},
                {"_meta", {{"io.modelcontextprotocol/serverInfo", info}}}};
  }
  if (options_.modern) return std::nullopt;
  if (method == "ping") return Json::object();
  if (method == "initialize") {
    ++initialized_;
    client_ = params;
    const std::string version = StringOf(params, "protocolVersion");
    return Json{{"protocolVersion", version < "2025-11-25" ? version : "2025-11-25"},
                {"capabilities", features},
                {"serverInfo", info}};
  }
  if (method == "logging/setLevel") {
    level_ = StringOf(params, "level");
    return Json::object();
  }
  return std::nullopt;
}

void Conversation::TakeAnswer(const Json& message) {
  auto it = asked_.find(StringOf(message, "id"));
  if (it == asked_.end()) return;
  const Json call = it->second;
  asked_.erase(it);
  const Json said = message.contains("result") ? message["result"] : Json{{"error", MemberOf(message, "error")}};
  say_(AnswerTo(call, Text(said.dump())));
}

void Conversation::TakeNotification(const Json& message) {
  if (StringOf(message, "method") != "notifications/cancelled") return;
  const Json id = MemberOf(MemberOf(message, "params"), "requestId");
  ++cancelled_;
  listeners_.erase(id);
  std::erase_if(sleepers_, [&](const Sleeper& sleeper) { return sleeper.id == id; });
}

Json Conversation::Answer(const Json& message) {
  ++messages_;
  if (!message.is_object()) return nullptr;
  if (!message.contains("id")) return TakeNotification(message), nullptr;
  if (!message.contains("method")) return TakeAnswer(message), nullptr;
  std::optional<Json> result = Result(message);
  if (result && result->is_null()) return nullptr;
  if (result) return AnswerTo(message["id"], *std::move(result));
  return {{"jsonrpc", "2.0"}, {"id", message["id"]}, {"error", {{"code", -32601}, {"message", "Method not found"}}}};
}

}  // namespace mcpfleet::test_server
