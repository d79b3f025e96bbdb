// The MCP server behind every gateway that is measured: static, one thread, no library and no JSON tree, so that what
// is measured is the gateway. A line in, a line out. It takes only what well-behaved gateways write: one object a line,
// compact, no member `id` inside `params`.
//
//   bench_echo legacy|modern [START_MS]
//
// Tools: `echo` answers "<mark of this process> <text>", so a client can count the processes that answered it; `big`
// answers `bytes` letters. START_MS is slept through before the first line is read, as real servers load before they
// answer.
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace {

constexpr size_t kRead = 65536;

struct Server {
  bool modern = false;
  std::string mark;
  std::string big;  // letters of the last `big`
  std::string out;
};

// The value after `key`, which is written with its quotes and colon: a number, or a string without its quotes.
std::string_view ValueOf(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  std::string_view rest = line.substr(at + key.size());
  if (rest.substr(0, 1) == "\"") return rest.substr(1, rest.find('"', 1) - 1);
  return rest.substr(0, rest.find_first_of(",}"));
}

std::string_view IdOf(std::string_view line) {
  const size_t at = line.find("\"id\":");
  if (at == std::string_view::npos) return {};
  std::string_view rest = line.substr(at + 5);
  return rest.substr(0, rest[0] == '"' ? rest.find('"', 1) + 1 : rest.find_first_of(",}"));
}

void AddCall(Server* server, std::string_view line) {
  std::string& out = server->out;
  out += "\"result\":{";
  if (server->modern) out += "\"resultType\":\"complete\",";
  out += "\"content\":[{\"type\":\"text\",\"text\":\"";
  if (line.find("\"name\":\"big\"") != std::string_view::npos) {
    const size_t bytes = strtoull(std::string(ValueOf(line, "\"bytes\":")).c_str(), nullptr, 10);
    if (server->big.size() != bytes) server->big.assign(bytes, 'x');
    out += server->big;
  } else {
    out += server->mark;
    out += ' ';
    out += ValueOf(line, "\"text\":");
  }
  out += "\"}]}";
}

void AddResult(Server* server, std::string_view line) {
  static constexpr std::string_view kTools =
      "\"tools\":[{\"name\":\"echo\",\"description\":\"Says it again\",\"inputSchema\":{\"type\":\"object\","
      "\"properties\":{\"text\":{\"type\":\"string\"}}}},{\"name\":\"big\",\"description\":\"Says much\","
      "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"bytes\":{\"type\":\"integer\"}}}}]";
  static constexpr std::string_view kModern = "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",";
  const std::string_view method = ValueOf(line, "\"method\":");
  std::string& out = server->out;
  if (method == "tools/call") {
    AddCall(server, line);
  } else if (method == "tools/list") {
    out += "\"result\":{";
    if (server->modern) out += kModern;
    (out += kTools) += '}';
  } else if (method == "initialize" && !server->modern) {
    out +=
        "\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
        "\"serverInfo\":{\"name\":\"echo\",\"version\":\"1.0\"}}";
  } else if (method == "ping" && !server->modern) {
    out += "\"result\":{}";
  } else if (method == "server/discover" && server->modern) {
    ((out += "\"result\":{") += kModern) +=
        "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},"
        "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"echo\",\"version\":\"1.0\"}}}";
  } else {
    out += "\"error\":{\"code\":-32601,\"message\":\"Method not found\"}";
  }
}

void Answer(Server* server, std::string_view line) {
  const std::string_view id = IdOf(line);
  if (id.empty()) return;
  ((server->out += "{\"jsonrpc\":\"2.0\",\"id\":") += id) += ',';
  AddResult(server, line);
  server->out += "}\n";
}

void Flush(std::string* out) {
  for (size_t sent = 0; sent < out->size();) {
    const ssize_t n = write(1, out->data() + sent, out->size() - sent);
    if (n <= 0) _exit(0);
    sent += static_cast<size_t>(n);
  }
  out->clear();
}

// Different for every process that ever ran, in whatever pid namespace.
std::string Mark() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return "c" + std::to_string(now.tv_sec * 1000000000LL + now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  Server server;
  server.modern = argc > 1 && argv[1] == std::string_view("modern");
  server.mark = Mark();
  if (argc > 2) usleep(static_cast<useconds_t>(atoi(argv[2])) * 1000);
  std::string in;
  for (char bytes[kRead];;) {
    const ssize_t n = read(0, bytes, sizeof bytes);
    if (n <= 0) return 0;
    in.append(bytes, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end = in.find('\n'); end != std::string::npos; end = in.find('\n', begin)) {
      Answer(&server, std::string_view(in).substr(begin, end - begin));
      begin = end + 1;
    }
    in.erase(0, begin);
    Flush(&server.out);
  }
}
