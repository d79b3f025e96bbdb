// A StdioChannel without a process: a script answers what the prober sends, on a thread of its own as a session host
// would. Refuses what the real one refuses: sending to a closed child, notes above 48 KiB.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controller/ports/session_host.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet {

class ScriptedChannel : public StdioChannel {
 public:
  // Called for each line sent; what it returns comes back as lines of stdout.
  using Script = std::function<std::vector<std::string>(const mcp::Message&, ScriptedChannel&)>;

  explicit ScriptedChannel(Script script, std::string note = "")
      : script_(std::move(script)), note_(std::move(note)), thread_([this] { Run(); }) {}
  ~ScriptedChannel() override { EndScript(); }
  // The script is called no more, also when somebody still has the channel.
  void EndScript() {
    {
      std::lock_guard<std::mutex> lock(mu_);
      ending_ = true;
    }
    cv_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  Status Send(std::string_view line, Deadline) override {
    std::lock_guard<std::mutex> lock(mu_);
    if (closed_) return Unavailable("closed");
    if (full_) return ResourceExhausted("full");
    sent_.emplace_back(line);
    to_script_.emplace_back(line);
    cv_.notify_all();
    return OkStatus();
  }
  void SetReceiver(std::function<void(std::string)> receiver) override {
    std::unique_lock<std::mutex> lock(mu_);
    receiver_ = std::move(receiver);
    cv_.notify_all();
    // As the shim's: the old receiver does not run any more when this returns.
    cv_.wait(lock, [&] { return !delivering_ || std::this_thread::get_id() == thread_.get_id(); });
  }
  Status SaveNote(std::string_view note) override {
    std::lock_guard<std::mutex> lock(mu_);
    if (note.size() > (48u << 10)) return ResourceExhausted("note");
    note_ = note;
    return OkStatus();
  }
  std::string LoadNote() const override {
    std::lock_guard<std::mutex> lock(mu_);
    return note_;
  }
  MonoTime last_activity() const override {
    std::lock_guard<std::mutex> lock(mu_);
    return last_activity_;
  }
  std::string DoubtfulLine() const override {
    std::lock_guard<std::mutex> lock(mu_);
    return doubtful_line_;
  }
  void SettleDoubt() override {
    std::lock_guard<std::mutex> lock(mu_);
    doubtful_line_.clear();
    cv_.notify_all();
  }
  bool closed() const override {
    std::lock_guard<std::mutex> lock(mu_);
    return closed_;
  }

  // The child's side.
  void Emit(std::string line) {
    std::lock_guard<std::mutex> lock(mu_);
    out_.push_back(std::move(line));
    cv_.notify_all();
  }
  void Die() {
    std::lock_guard<std::mutex> lock(mu_);
    closed_ = true;
  }
  // What the process before was sending when it died.
  void SetDoubtfulLine(std::string line) {
    std::lock_guard<std::mutex> lock(mu_);
    doubtful_line_ = std::move(line);
  }
  void SetFull(bool full) {
    std::lock_guard<std::mutex> lock(mu_);
    full_ = full;
  }
  // All lines ever sent, parsed.
  std::vector<mcp::Message> Sent() const {
    std::lock_guard<std::mutex> lock(mu_);
    std::vector<mcp::Message> messages;
    messages.reserve(sent_.size());
    for (const std::string& line : sent_) messages.push_back(*mcp::ParseMessage(line));
    return messages;
  }
  int CountSent(std::string_view method) const {
    int count = 0;
    for (const mcp::Message& message : Sent()) count += message.method == method;
    return count;
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mu_);
    while (true) {
      // As the shim's: nothing reaches the child while a line is in doubt.
      const auto reads = [&] { return !to_script_.empty() && doubtful_line_.empty(); };
      cv_.wait(lock, [&] { return ending_ || reads() || (!out_.empty() && receiver_); });
      if (ending_) return;
      if (reads()) {
        std::string line = std::move(to_script_.front());
        to_script_.pop_front();
        lock.unlock();
        std::vector<std::string> answers = script_(*mcp::ParseMessage(line), *this);
        lock.lock();
        for (std::string& answer : answers) out_.push_back(std::move(answer));
        continue;
      }
      std::string line = std::move(out_.front());
      out_.pop_front();
      last_activity_ = std::chrono::steady_clock::now();
      auto receiver = receiver_;
      delivering_ = true;
      lock.unlock();
      receiver(line);
      lock.lock();
      delivering_ = false;
      cv_.notify_all();
    }
  }

  const Script script_;
  mutable std::mutex mu_;
  std::condition_variable cv_;
  std::deque<std::string> to_script_, out_;
  std::vector<std::string> sent_;
  std::function<void(std::string)> receiver_;
  std::string note_, doubtful_line_;
  MonoTime last_activity_{};
  bool closed_ = false, full_ = false, ending_ = false, delivering_ = false;
  std::thread thread_;
};

// A legacy server with two tools over two pages, one resource and no prompts.
inline std::vector<std::string> LegacyServer(const mcp::Message& message, ScriptedChannel&) {
  auto result = [&](const char* text) {
    return std::vector<std::string>{mcp::SerializeResult(message.id, Json::parse(text))};
  };
  if (message.kind != mcp::MessageKind::kRequest) return {};
  if (message.method == "initialize") {
    return result(R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{}},
                      "serverInfo":{"name":"old","version":"1.2"}})");
  }
  if (message.method == "ping") return result("{}");
  if (message.method == "tools/list") {
    bool second = GetString(message.params, "cursor") == "p2";
    return second ? result(R"({"tools":[{"name":"alpha","inputSchema":{"type":"object"}}]})")
                  : result(R"({"tools":[{"name":"beta","inputSchema":{"type":"object"}}],"nextCursor":"p2"})");
  }
  if (message.method == "resources/list") return result(R"({"resources":[{"uri":"x:1","name":"one"}]})");
  if (message.method == "tools/call") {
    if (GetString(message.params, "name") == "beta") return result(R"({"content":[{"type":"text","text":"hi"}]})");
    return {mcp::SerializeError(message.id, -32602, "no such tool")};
  }
  return {mcp::SerializeError(message.id, -32601, "Method not found")};
}

// A modern one with one tool; refuses requests without `_meta`.
inline std::vector<std::string> ModernServer(const mcp::Message& message, ScriptedChannel&) {
  auto result = [&](const char* text) {
    return std::vector<std::string>{mcp::SerializeResult(message.id, Json::parse(text))};
  };
  if (message.kind != mcp::MessageKind::kRequest) return {};
  const Json& meta = GetMember(message.params, "_meta");
  if (GetString(meta, "io.modelcontextprotocol/protocolVersion") != "2026-07-28" ||
      !GetMember(meta, "io.modelcontextprotocol/clientCapabilities").is_object()) {
    return {mcp::SerializeError(message.id, -32602, "no _meta")};
  }
  if (message.method == "server/discover") {
    return result(R"({"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,
                      "cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"new","version":"9"}}})");
  }
  if (message.method == "tools/list") return result(R"({"resultType":"complete","tools":[{"name":"only"}],"ttlMs":0})");
  return {mcp::SerializeError(message.id, -32601, "Method not found")};
}

}  // namespace mcpfleet
