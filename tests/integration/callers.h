// Clients that call without a break while something happens to the node or to its gateway.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {

// Each on a connection of its own, until they are stopped. Every answer must be the call's own, and no session is lost.
class Callers {
 public:
  enum class Kind { kBoth, kModern };  // both: every other one in a session
  Callers(const Behind& behind, const std::string& server, int count, Kind kind = Kind::kBoth) : kind_(kind) {
    for (int i = 0; i < count; ++i) {
      const bool session = kind == Kind::kBoth && i % 2 == 0;
      clients_.push_back(session ? behind.Session(server) : behind.Modern(server));
    }
    for (size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i] != nullptr) threads_.emplace_back([this, i] { Run(i); });
    }
  }
  ~Callers() { Stop(); }
  Callers(const Callers&) = delete;

  bool complete() const { return threads_.size() == clients_.size(); }
  // Until that many calls more for each client have ended, so that something was under load for certain.
  bool MakeCalls(int more) {
    const int until = calls_ + more * static_cast<int>(clients_.size());
    return WaitFor([&] { return calls_ >= until || !Failures().empty(); });
  }
  std::string Failures() {
    const std::lock_guard<std::mutex> lock(mu_);
    return failures_;
  }
  void Stop() {
    stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Those with sessions, once stopped.
  std::vector<McpClient*> Sessions() const {
    std::vector<McpClient*> found;
    for (size_t i = 0; kind_ == Kind::kBoth && i < clients_.size(); i += 2) found.push_back(clients_[i].get());
    return found;
  }

 private:
  void Run(size_t i) {
    for (int n = 0; !stopped_; ++n) {
      const std::string wanted = std::to_string(i) + "/" + std::to_string(n);
      const bool slow = n % 8 == 7;  // one that is under way when things change
      const std::string said = slow ? clients_[i]->Call("sleep", {{"ms", 300}, {"message", wanted}})
                                    : clients_[i]->Call("echo", {{"message", wanted}});
      ++calls_;
      if (said == wanted) continue;
      const std::lock_guard<std::mutex> lock(mu_);
      if (failures_.size() < 4096) failures_ += "call " + wanted + ": " + said + "\n";
    }
  }

  const Kind kind_;
  std::vector<std::unique_ptr<McpClient>> clients_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> calls_{0};
  std::mutex mu_;
  std::string failures_;
};

}  // namespace mcpfleet
