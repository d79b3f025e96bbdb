#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "tests/integration/server/test_server.h"

namespace mcpfleet::test_server {
namespace {

constexpr size_t kMaxLine = size_t{8} << 20;

Json Tool(const char* name, const char* description, const Json& properties = Json::object()) {
  return {
      {"name", name}, {"description", description}, {"inputSchema", {{"type", "object"}, {"properties", properties}}}};
}

Json Tools() {
  return Json::array({Tool("echo", "Says it again", {{"message", {{"type", "string"}}}}),
                      Tool("who", "The name of this server"), Tool("stats", "What this process has seen"),
                      Tool("exit", "Ends the process", {{"code", {{"type", "integer"}}}}),
                      Tool("oom", "Takes all memory it can get"), Tool("fork_bomb", "Forks until the kernel refuses"),
                      Tool("grandchildren", "Forks daemons", {{"count", {{"type", "integer"}}}})});
}

Json Text(const std::string& text) { return {{"content", Json::array({{{"type", "text"}, {"text", text}}})}}; }

std::string StringOf(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}
int64_t IntOf(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number_integer() ? object[key].get<int64_t>() : 0;
}

bool* FlagOf(const std::string& word, Options* out) {
  if (word == "--modern") return &out->modern;
  if (word == "--ignore-sigterm") return &out->ignore_sigterm;
  if (word == "--garbage") return &out->garbage;
  if (word == "--mute") return &out->mute;
  return nullptr;
}

bool ParseOptions(int argc, char** argv, Options* out) {
  const auto number = [](const char* text) { return atoi(text); };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (bool* const flag = FlagOf(word, out)) {
      *flag = true;
      continue;
    }
    if (++i == argc) return false;
    const char* const value = argv[i];
    if (word == "--name") {
      out->name = value;
    } else if (word == "--http") {
      out->http_port = number(value);
    } else if (word == "--port-file") {
      out->port_file = value;
    } else if (word == "--crash-after") {
      out->crash_after_ms = number(value);
    } else if (word == "--grandchildren") {
      out->grandchildren = number(value);
    } else if (word == "--flood-stdout") {
      out->flood_stdout_mb = number(value);
    } else if (word == "--flood-stderr") {
      out->flood_stderr_mb = number(value);
    } else {
      return false;
    }
  }
  return true;
}

void Print(const Json& message) {
  const std::string line = message.dump() + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = write(1, line.data() + done, line.size() - done);
    if (n <= 0) _exit(0);
    done += static_cast<size_t>(n);
  }
}

int ServeStdio(const Options& options) {
  Conversation conversation(options);
  std::string buffer;
  char bytes[65536];
  for (;;) {
    const ssize_t n = read(0, bytes, sizeof bytes);
    if (n <= 0 && options.ignore_sigterm) pause();
    if (n <= 0) return 0;
    buffer.append(bytes, static_cast<size_t>(n));
    if (buffer.size() > kMaxLine) return 4;
    size_t end;
    while ((end = buffer.find('\n')) != std::string::npos) {
      const Json message = Json::parse(buffer.substr(0, end), nullptr, false);
      buffer.erase(0, end + 1);
      if (options.mute) continue;
      if (options.garbage) {
        for (int i = 0; i < 2000; ++i) puts("I am no MCP server {");
        fflush(stdout);
        continue;
      }
      const Json answer = conversation.Answer(message);
      if (!answer.is_null()) Print(answer);
    }
  }
}

int Run(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  if (options.ignore_sigterm) signal(SIGTERM, SIG_IGN);
  fprintf(stderr, "%s starts\n", options.name.c_str());
  SpawnGrandchildren(options.grandchildren);
  if (options.crash_after_ms >= 0) StartCrashTimer(options.crash_after_ms);
  if (options.flood_stderr_mb > 0) FloodStderr(options.flood_stderr_mb);
  if (options.flood_stdout_mb > 0) FloodStdout(options.flood_stdout_mb);
  return options.http_port >= 0 ? ServeHttp(options) : ServeStdio(options);
}

}  // namespace

Json Conversation::CallTool(const Json& params) {
  ++calls_;
  const std::string tool = StringOf(params, "name");
  const Json arguments = params.is_object() && params.contains("arguments") ? params["arguments"] : Json::object();
  if (tool == "echo") return Text(StringOf(arguments, "message"));
  if (tool == "who") return Text(options_.name);
  if (tool == "stats")
    return Text(Json{{"initialized", initialized_}, {"calls", calls_}, {"messages", messages_}}.dump());
  if (tool == "exit") _exit(static_cast<int>(IntOf(arguments, "code")));
  if (tool == "oom") EatMemory();
  if (tool == "fork_bomb") return Text(std::to_string(ForkUntilRefused()));
  if (tool == "grandchildren") {
    SpawnGrandchildren(static_cast<int>(IntOf(arguments, "count")));
    return Text("forked");
  }
  Json result = Text("no such tool");
  result["isError"] = true;
  return result;
}

// Null for a method that there is not.
Json Conversation::Result(const Json& message) {
  const std::string method = StringOf(message, "method");
  const Json params = message.contains("params") ? message["params"] : Json::object();
  const Json info = {{"name", options_.name}, {"version", "1.0"}};
  if (method == "server/discover" && options_.modern) {
    return {{"resultType", "complete"},
            {"supportedVersions", {"2026-07-28"}},
            {"capabilities", {{"tools", Json::object()}}},
            {"serverInfo", info},
            {"_meta", {{"io.modelcontextprotocol/serverInfo", info}}}};
  }
  if (method == "initialize" && !options_.modern) {
    ++initialized_;
    return {{"protocolVersion", "2025-11-25"}, {"capabilities", {{"tools", Json::object()}}}, {"serverInfo", info}};
  }
  Json result;
  if (method == "ping") result = Json::object();
  if (method == "tools/list") result = {{"tools", Tools()}};
  if (method == "tools/call") result = CallTool(params);
  if (options_.modern && result.is_object()) result["resultType"] = "complete";
  return result;
}

Json Conversation::Answer(const Json& message) {
  ++messages_;
  if (!message.is_object() || !message.contains("id") || !message.contains("method")) return nullptr;
  const Json result = Result(message);
  Json answer = {{"jsonrpc", "2.0"}, {"id", message["id"]}};
  if (result.is_null()) {
    answer["error"] = {{"code", -32601}, {"message", "Method not found"}};
  } else {
    answer["result"] = result;
  }
  return answer;
}

}  // namespace mcpfleet::test_server

int main(int argc, char** argv) {
  mcpfleet::test_server::Options options;
  if (!mcpfleet::test_server::ParseOptions(argc, argv, &options)) {
    fprintf(stderr, "usage: see tests/integration/server/test_server.h\n");
    return 2;
  }
  return mcpfleet::test_server::Run(options);
}
