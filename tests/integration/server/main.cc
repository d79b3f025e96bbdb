#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <poll.h>
#include <unistd.h>

#include "tests/integration/server/test_server.h"

namespace mcpfleet::test_server {
namespace {

constexpr size_t kMaxLine = size_t{8} << 20;

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

// What lines there are of `buffer`, answered.
void TakeLines(const Options& options, Conversation& conversation, std::string* buffer) {
  size_t end;
  while ((end = buffer->find('\n')) != std::string::npos) {
    const Json message = Json::parse(buffer->substr(0, end), nullptr, false);
    buffer->erase(0, end + 1);
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

int ServeStdio(const Options& options) {
  Conversation conversation(options, Print);
  std::string buffer;
  char bytes[65536];
  for (;;) {
    pollfd input{.fd = 0, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, conversation.WakeUp()) <= 0) continue;
    const ssize_t n = read(0, bytes, sizeof bytes);
    if (n <= 0 && options.ignore_sigterm) pause();
    if (n <= 0) return 0;
    buffer.append(bytes, static_cast<size_t>(n));
    if (buffer.size() > kMaxLine) return 4;
    TakeLines(options, conversation, &buffer);
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

}  // namespace mcpfleet::test_server

int main(int argc, char** argv) {
  mcpfleet::test_server::Options options;
  if (!mcpfleet::test_server::ParseOptions(argc, argv, &options)) {
    fprintf(stderr, "usage: see tests/integration/server/test_server.h\n");
    return 2;
  }
  return mcpfleet::test_server::Run(options);
}
