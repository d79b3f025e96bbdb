#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "bench/gateway/client.h"
#include "bench/gateway/load_modes.h"

namespace mcpfleet::bench {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr size_t kRead = size_t{256} << 10;
char bytes[kRead];

double MicrosecondsSince(SteadyTime begun) { return duration<double, std::micro>(steady_clock::now() - begun).count(); }

// A process and the pipes to and from it. Ended with the object.
class PipeChild {
 public:
  explicit PipeChild(const std::vector<std::string>& command) {
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) return;
    std::vector<char*> argv(command.size() + 1, nullptr);
    for (size_t i = 0; i < command.size(); ++i) argv[i] = const_cast<char*>(command[i].c_str());
    pid_ = fork();
    if (pid_ == 0) {
      dup2(down[0], 0);
      dup2(up[1], 1);
      for (const int fd : {down[0], down[1], up[0], up[1]}) close(fd);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    close(down[0]);
    close(up[1]);
    in_ = down[1];
    out_ = up[0];
  }
  ~PipeChild() {
    close(in_);
    close(out_);
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  PipeChild(const PipeChild&) = delete;
  PipeChild& operator=(const PipeChild&) = delete;

  bool WriteLine(std::string line) const {
    line += '\n';
    return write(in_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  }
  // One line, the only one that is owed.
  bool ReadLine(std::string* line) const {
    line->clear();
    while (line->empty() || line->back() != '\n') {
      const ssize_t n = read(out_, bytes, kRead);
      if (n <= 0) return false;
      line->append(bytes, static_cast<size_t>(n));
    }
    return true;
  }
  size_t ReadToEnd() const {
    size_t total = 0;
    for (ssize_t n = read(out_, bytes, kRead); n > 0; n = read(out_, bytes, kRead)) total += static_cast<size_t>(n);
    return total;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
};

bool Open(const PipeChild& child) {
  std::string line;
  return child.WriteLine(InitializeBody()) && child.ReadLine(&line) && IsResult(line, 0) &&
         child.WriteLine(InitializedBody());
}

// Calls until `until`; false when one went wrong.
bool Call(const PipeChild& child, SteadyTime until, uint64_t* id, Latencies* latencies) {
  std::string line;
  while (steady_clock::now() < until) {
    const std::string text = "0-" + std::to_string(++*id);
    const std::string request = CallBody(Era::kLegacy, *id, "echo", "\"text\":\"" + text + "\"");
    const SteadyTime begun = steady_clock::now();
    if (!child.WriteLine(request) || !child.ReadLine(&line)) return false;
    latencies->microseconds.push_back(MicrosecondsSince(begun));
    const auto answer = TextOf(line, *id);
    if (!answer || answer->substr(answer->find(' ') + 1) != text) return false;
  }
  return true;
}

SteadyTime In(double seconds) {
  return steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(duration<double>(seconds));
}

void Print(Latencies* latencies, int errors) {
  std::printf("{\"calls\":%zu,\"errors\":%d,%s}\n", latencies->microseconds.size(), errors, latencies->Json().c_str());
}

}  // namespace

int RunStdio(const LoadOptions& options) {
  const PipeChild child(options.command);
  Latencies latencies;
  uint64_t id = 0;
  if (!Open(child) || !Call(child, In(options.warm), &id, &latencies)) return 1;
  latencies.microseconds.clear();
  const bool fine = Call(child, In(options.seconds), &id, &latencies);
  Print(&latencies, fine ? 0 : 1);
  return 0;
}

int RunPipe(const LoadOptions& options) {
  const PipeChild child(options.command);
  Latencies latencies;
  if (!Open(child)) return 1;
  const std::string argument = "\"bytes\":" + std::to_string(options.bytes);
  std::string line;
  for (int i = 0; i <= options.count; ++i) {  // the first warms up
    const uint64_t id = static_cast<uint64_t>(i) + 1;
    const SteadyTime begun = steady_clock::now();
    if (!child.WriteLine(CallBody(Era::kLegacy, id, "big", argument)) || !child.ReadLine(&line)) return 1;
    const double took = MicrosecondsSince(begun);
    const auto text = TextOf(line, id);
    if (!text || text->size() != options.bytes) return 1;
    if (i > 0) latencies.microseconds.push_back(took);
  }
  Print(&latencies, 0);
  return 0;
}

int RunCat(const LoadOptions& options) {
  Latencies latencies;
  for (int i = 0; i <= options.count; ++i) {  // the first fills the page cache
    const SteadyTime begun = steady_clock::now();
    const PipeChild child({"cat", options.command[0]});
    if (child.ReadToEnd() == 0) return 1;
    if (i > 0) latencies.microseconds.push_back(MicrosecondsSince(begun));
  }
  Print(&latencies, 0);
  return 0;
}

}  // namespace mcpfleet::bench
