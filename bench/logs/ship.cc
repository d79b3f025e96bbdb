// Log shipping under load: servers write their logs at a given rate (a process of its own, with the writer that
// mcp-sandbox has), and this process ships them: reads, formats, compresses, seals. Prints a JSON line.
//
//   bench_ship DIRECTORY MEGABYTES_PER_SECOND SECONDS
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/fd.h"
#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/logship/log_shipper.h"

namespace mcpfleet {
namespace {

constexpr int kServers = 4;
constexpr int64_t kFileBytes = int64_t{10} << 20;
constexpr int kFiles = 3;

struct Written {
  int64_t lines = 0, bytes = 0;
};

std::string DirectoryOf(const std::string& root, int server) { return root + "/logs/server-" + std::to_string(server); }

// Lines as servers write them: words, numbers, an id that is never the same.
std::vector<std::string> MakeLines() {
  std::mt19937_64 random(1);
  const char* tools[] = {"read_file", "list_directory", "search", "get_forecast", "query"};
  std::vector<std::string> lines;
  for (int i = 0; i < 50'000; ++i) {
    char line[256];
    snprintf(line, sizeof line, "INFO request %016llx tools/call name=%s subject=user-%03d took=%d.%03d ms bytes=%d\n",
             static_cast<unsigned long long>(random()), tools[random() % 5], static_cast<int>(random() % 200),
             static_cast<int>(random() % 40), static_cast<int>(random() % 1000), static_cast<int>(random() % 100'000));
    lines.emplace_back(line);
  }
  return lines;
}

// Writes `rate` bytes a second, as they are on disk, and tells at the end how much it was.
void Write(const std::string& root, double rate, int seconds, int result) {
  const std::vector<std::string> lines = MakeLines();
  std::vector<std::unique_ptr<LogRotate>> logs;
  for (int i = 0; i < kServers; ++i) {
    logs.push_back(std::make_unique<LogRotate>());
    logs.back()->Open(open(DirectoryOf(root, i).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), kFileBytes, kFiles);
  }
  Written written;
  size_t next = 0;
  const MonoTime begun = std::chrono::steady_clock::now();
  for (;;) {
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (passed >= seconds) break;
    while (static_cast<double>(written.bytes) < rate * passed) {
      LogRotate& log = *logs[next % kServers];
      for (int i = 0; i < 100; ++i) {
        const std::string& line = lines[next++ % lines.size()];
        log.Add(line.data(), line.size());
        written.bytes += static_cast<int64_t>(line.size()) + 25;  // and its time
        ++written.lines;
      }
      log.Flush(false);
    }
    poll(nullptr, 0, 10);
  }
  for (auto& log : logs) log->Close();
  (void)!write(result, &written, sizeof written);
}

class Logs final : public LogTails {
 public:
  explicit Logs(std::string root) : root_(std::move(root)) {}
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from, Deadline) override {
    return std::make_unique<FileTail>(root_ + "/logs/" + instance, from);
  }

 private:
  const std::string root_;
};

class Taker final : public logship::ChunkStore {
 public:
  StatusOr<bool> Takes(Deadline) override { return true; }
  logship::PutAnswer Put(const std::string&, std::string, WallTime, WallTime, Deadline) override { return {}; }
};

struct Counts final : LogMetrics {
  void LogChunkShipped(int64_t l, int64_t b) override {
    lines += l;
    bytes += b;
  }
  void LogLinesLost(std::string_view, int64_t l) override { lost += l; }
  void LogUploadFailed() override {}
  void LogSpool(int64_t, int64_t b, Duration) override { spooled = b; }
  std::atomic<int64_t> lines{0}, bytes{0}, lost{0}, spooled{0};
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int Run(const std::string& root, double rate, int seconds) {
  for (int i = 0; i < kServers; ++i) {
    if (!MakeDirectories(DirectoryOf(root, i)).ok()) return 1;
  }
  int result[2];
  if (pipe2(result, O_CLOEXEC) != 0) return 1;
  const pid_t writer = fork();
  if (writer == 0) {
    Write(root, rate, seconds, result[1]);
    _exit(0);
  }
  SystemClock clock;
  Logs logs(root);
  Taker taker;
  Counts counts;
  auto shipper = logship::LogShipper::Open({.directory = root + "/logship", .boot_id = "bench", .seed = 1},
                                           {.tails = {{RuntimeKind::kProcess, &logs}},
                                            .store = taker,
                                            .metrics = counts,
                                            .clock = clock,
                                            .event = nullptr,
                                            .live = nullptr});
  if (!shipper.ok()) return 1;
  std::vector<InstanceReport> instances(kServers);
  for (int i = 0; i < kServers; ++i) {
    instances[static_cast<size_t>(i)].id = "server-" + std::to_string(i);
    instances[static_cast<size_t>(i)].server = {"default", "server-" + std::to_string(i)};
    instances[static_cast<size_t>(i)].state = InstanceState::kRunning;
  }
  const double cpu = CpuSeconds();
  const MonoTime begun = std::chrono::steady_clock::now();
  (*shipper)->Start();
  (*shipper)->SetInstances(RuntimeKind::kProcess, instances);
  Written written;
  const bool told = read(result[0], &written, sizeof written) == static_cast<ssize_t>(sizeof written);
  waitpid(writer, nullptr, 0);
  const double used = CpuSeconds() - cpu;
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  (*shipper)->Stop();
  shipper->reset();
  // What is not uploaded yet is in the spool, with the number of its lines.
  int64_t lines = counts.lines, bytes = counts.bytes, waiting = 0;
  StatusOr<logship::Cursor> cursor = logship::LoadCursor(root + "/logship/cursor");
  auto spool = logship::Spool::Open(root + "/logship/spool", cursor.ok() ? cursor->counts : 0);
  if (!told || !spool.ok()) return 1;
  for (std::optional<logship::ChunkInfo> chunk; (chunk = (*spool)->Hold()); (*spool)->Release(true)) {
    lines += chunk->lines;
    bytes += chunk->bytes;
    waiting += chunk->bytes;
  }
  printf(
      "{\"written_lines\": %lld, \"sealed_lines\": %lld, \"lost_lines\": %lld, \"written_bytes\": %lld, "
      "\"sealed_bytes\": %lld, \"waiting_bytes\": %lld, \"seconds\": %.3f, \"cpu_seconds\": %.3f}\n",
      static_cast<long long>(written.lines), static_cast<long long>(lines), static_cast<long long>(counts.lost.load()),
      static_cast<long long>(written.bytes), static_cast<long long>(bytes), static_cast<long long>(waiting), took,
      used);
  return 0;
}

}  // namespace
}  // namespace mcpfleet

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: bench_ship DIRECTORY MEGABYTES_PER_SECOND SECONDS\n");
    return 2;
  }
  return mcpfleet::Run(argv[1], atof(argv[2]) * 1e6, atoi(argv[3]));
}
