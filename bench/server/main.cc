// The MCP server that the benches start by the dozen: static, one thread, no library, so that what is measured is
// mcpfleet and not the server. It answers initialize, ping, tools/list and tools/call of `echo` over stdio, and an
// error to everything else. It reads only what mcplet writes: one JSON object a line, no escapes in "method".
#include <string.h>
#include <unistd.h>

namespace {

constexpr size_t kMaxLine = 65536;
char line[kMaxLine];
char answer[kMaxLine + 512];

void Write(const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(1, data, size);
    if (n <= 0) _exit(0);
    data += n;
    size -= static_cast<size_t>(n);
  }
}

bool Contains(const char* text) { return strstr(line, text) != nullptr; }

void Answer() {
  // The first "id" of a request with sorted or usual keys is the request's own.
  const char* id = strstr(line, "\"id\":");
  if (id == nullptr || !Contains("\"method\"")) return;
  id += 5;
  const size_t id_size = strcspn(id, ",}");
  const char* result = "\"error\":{\"code\":-32601,\"message\":\"Method not found\"}";
  if (Contains("\"initialize\"")) {
    result =
        "\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":"
        "\"bench\","
        "\"version\":\"1.0\"}}";
  } else if (Contains("\"tools/list\"")) {
    result =
        "\"result\":{\"tools\":[{\"name\":\"echo\",\"description\":\"Says "
        "ok\",\"inputSchema\":{\"type\":\"object\",\"properties\":{}}}]}";
  } else if (Contains("\"tools/call\"")) {
    result = "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"ok\"}]}";
  } else if (Contains("\"ping\"")) {
    result = "\"result\":{}";
  }
  static const char begin[] = "{\"jsonrpc\":\"2.0\",\"id\":";
  char* out = answer;
  const auto add = [&out](const char* text, size_t size) {
    memcpy(out, text, size);
    out += size;
  };
  add(begin, sizeof begin - 1);
  add(id, id_size);
  add(",", 1);
  add(result, strlen(result));
  add("}\n", 2);
  Write(answer, static_cast<size_t>(out - answer));
}

}  // namespace

int main() {
  size_t have = 0;
  for (;;) {
    if (have == kMaxLine - 1) return 4;
    const ssize_t n = read(0, line + have, kMaxLine - 1 - have);
    if (n <= 0) return 0;
    have += static_cast<size_t>(n);
    line[have] = 0;
    for (char* end = strchr(line, '\n'); end != nullptr; end = strchr(line, '\n')) {
      *end = 0;
      Answer();
      have -= static_cast<size_t>(end + 1 - line);
      memmove(line, end + 1, have + 1);
    }
  }
}
