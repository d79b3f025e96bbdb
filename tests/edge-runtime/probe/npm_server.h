// A real MCP server from npm as a child of the test: found in $MCPFLEET_TEST_NPM (a directory with node_modules), ended
// by pid. The channel is a plain one over two pipes.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/argv.h"
#include "base/fd.h"
#include "controller/ports/session_host.h"

namespace mcpfleet {

// "" when $MCPFLEET_TEST_NPM or the file in it is absent; *why then says what is missing.
inline std::string NpmScript(const std::string& path, std::string* why) {
  const char* root = std::getenv("MCPFLEET_TEST_NPM");
  if (root == nullptr) {
    *why = "MCPFLEET_TEST_NPM is not set: no real npm servers to test against";
    return "";
  }
  std::string script = std::string(root) + "/node_modules/" + path;
  if (access(script.c_str(), R_OK) == 0) return script;
  *why = script + " does not exist";
  return "";
}

// A child process with stdin and stdout on pipes, stderr to /dev/null.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& argv, const std::vector<std::string>& extra_env = {}) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    const std::vector<char*> arguments = ArgvOf(argv);
    std::vector<char*> environment = ArgvOf(extra_env);
    environment.pop_back();
    for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
    environment.push_back(nullptr);
    if (posix_spawnp(&pid_, argv[0].c_str(), &actions, nullptr, arguments.data(), environment.data()) != 0) pid_ = 0;
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    stdin_.Reset(in[1]);
    stdout_.Reset(out[0]);
  }
  ~ChildProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }
  int in() const { return stdin_.get(); }
  int out() const { return stdout_.get(); }

 private:
  pid_t pid_ = 0;
  UniqueFd stdin_, stdout_;
};

class PipeChannel : public StdioChannel {
 public:
  explicit PipeChannel(const std::vector<std::string>& argv) : child_(argv), reader_([this] { Read(); }) {}
  ~PipeChannel() override {
    ending_ = true;
    kill(child_.pid(), SIGKILL);
    reader_.join();
  }
  Status Send(std::string_view line, Deadline deadline) override {
    std::lock_guard<std::mutex> lock(send_mu_);
    if (std::string(line).find('\n') != std::string::npos) return InvalidArgument("newline");
    sent_lines_.emplace_back(line);
    return WriteAll(child_.in(), std::string(line) + "\n", deadline);
  }
  void SetReceiver(std::function<void(std::string)> receiver) override {
    std::lock_guard<std::recursive_mutex> lock(mu_);
    receiver_ = std::move(receiver);
    Deliver();
  }
  Status SaveNote(std::string_view note) override {
    std::lock_guard<std::recursive_mutex> lock(mu_);
    note_ = note;
    return OkStatus();
  }
  std::string LoadNote() const override {
    std::lock_guard<std::recursive_mutex> lock(mu_);
    return note_;
  }
  MonoTime last_activity() const override { return MonoTime(Duration(activity_.load())); }
  bool closed() const override { return closed_; }
  int CountSent(std::string_view text) {
    std::lock_guard<std::mutex> lock(send_mu_);
    int count = 0;
    for (const std::string& line : sent_lines_) count += line.find(text) != std::string::npos;
    return count;
  }

 private:
  void Read() {
    std::string buffer;
    char piece[65536];
    ssize_t n;
    while (!ending_ && (n = read(child_.out(), piece, sizeof piece)) > 0) {
      activity_ = std::chrono::steady_clock::now().time_since_epoch().count();
      buffer.append(piece, static_cast<size_t>(n));
      size_t end;
      while ((end = buffer.find('\n')) != std::string::npos) {
        std::lock_guard<std::recursive_mutex> lock(mu_);
        kept_.push_back(buffer.substr(0, end));
        buffer.erase(0, end + 1);
        Deliver();
      }
    }
    closed_ = true;
  }
  void Deliver() {
    while (receiver_ && !kept_.empty()) {
      std::string line = std::move(kept_.front());
      kept_.pop_front();
      receiver_(line);
    }
  }
  mutable std::recursive_mutex mu_;
  std::mutex send_mu_;
  std::vector<std::string> sent_lines_;
  std::function<void(std::string)> receiver_;
  std::deque<std::string> kept_;
  std::string note_;
  std::atomic<int64_t> activity_{0};
  std::atomic<bool> closed_{false}, ending_{false};
  ChildProcess child_;
  std::thread reader_;
};

}  // namespace mcpfleet
