// Real shims for tests: each runs as PID 1 of a new pid and mount namespace, as in a container, with the instance's
// directory mounted read-only. The test program itself plays the servers: children are started as
//   StartMain(..., world.Child("echo"), ...)
// and tests/edge-runtime/shim/child_roles.cc says what "echo" does.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "edge-runtime/shim/shim_host.h"

namespace mcpfleet::shim_test {

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }
// Polls until `condition` holds; false after `limit`.
bool Eventually(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(20));

class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct ShimProcessOptions {
  int uid = 65534;
  std::vector<std::string> default_argv;
  int stderr_fd = -1;  // -1: the test's own
};
// Starts mcp-shim as PID 1 of new namespaces; its pid as seen here. `directory` is what Prepare returned.
int StartShimProcess(const std::string& instance, const std::string& directory, const ShimProcessOptions& options = {});
void KillAndReap(int pid);
// argv and environment that make this test program play `role`.
std::vector<std::string> ChildArgv(const std::string& role, const std::vector<std::string>& arguments = {});
// Where a shim of ours sees the test program and a writable directory.
inline constexpr char kInside[] = "/mnt";
// The pids (as seen here) of living processes whose NSpid ends in a namespace where `shim` is 1, without the shim.
std::vector<int> ProcessesBelow(int shim);

// Plays the gateway's thread: runs the I/O of clients' children.
class ClientIoThread {
 public:
  explicit ClientIoThread(ShimHost& host);
  ~ClientIoThread();

 private:
  UniqueFd stop_;
  std::thread thread_;
};

// A host, a directory and the shims started in it; everything ends with it.
class World {
 public:
  World();
  ~World();
  ShimHost& host() { return *host_; }
  const std::string& state() const { return directory_.path(); }
  // Prepare, start the shim, Expect, wait for the connection. Its pid.
  int Start(const std::string& instance, const ShimProcessOptions& options = {});
  // The agent goes without a word and another comes: adoption.
  void RestartHost();
  void StopHost() {
    client_io_.reset();
    host_.reset();
  }
  void StartHost();
  int pid(const std::string& instance) const { return pids_.at(instance); }

 private:
  TempDirectory directory_;
  SystemClock clock_;
  std::unique_ptr<ShimHost> host_;
  std::unique_ptr<ClientIoThread> client_io_;
  std::map<std::string, int> pids_;
};

// Collects the lines of a channel.
class Lines {
 public:
  explicit Lines(std::shared_ptr<StdioChannel> channel);
  ~Lines();
  // Waits for at least n lines.
  bool WaitFor(size_t n, Duration limit = std::chrono::seconds(20));
  std::vector<std::string> all();

 private:
  std::shared_ptr<StdioChannel> channel_;
  Mutex mu_;
  std::vector<std::string> lines_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::shim_test
