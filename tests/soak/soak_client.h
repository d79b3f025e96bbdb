// A client of the soak: it calls in every way there is, loses its connection, comes back, and knows which answers are
// its own. Each text that it sends carries its mark; a text with another client's mark is the worst that can happen.
//
// What a client may see of a server or of mcplet that is killed: its own answer, an error, a lost connection before the
// gateway had said anything, 404 for its session. What it may not see is silence for longer than kSilence.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "tests/integration/mcp_client.h"

namespace mcpfleet {

// The gateway gives up a call without a sign of life after 300 s (docs/gateway.md).
inline constexpr Duration kSilence = std::chrono::seconds(330);

// What became of the calls of all clients. Thread-safe.
struct SoakTally {
  std::atomic<int64_t> own{0}, errors{0}, refused{0}, unsure{0}, cancelled{0}, resumed{0}, lost_sessions{0}, slow{0};
  void Wrong(const std::string& what);
  std::string wrong();
  std::string Text() const;

 private:
  std::mutex mu_;
  std::string wrong_;
};

struct SoakClientOptions {
  int number = 0;
  std::string url, token;
  McpClient::Era era = McpClient::Era::kLegacy;
  bool is_asked = true;        // nobody asks the clients of a shared server anything
  bool keeps_session = false;  // over an end of mcplet: a session that is lost counts
  uint64_t seed = 0;
};

// One thread.
class SoakClient {
 public:
  SoakClient(SoakClientOptions options, SoakTally& tally);
  // One call, or what else a client does.
  void Step();
  // Own answers again, when nothing is killed any more.
  bool Recovers(Duration timeout);
  void Leave();

 private:
  enum class Outcome { kOwn, kError, kRefused, kUnsure, kSilent };

  bool EnsureSession();
  void LoseSession();
  void CallOnce(const std::string& tool, Json arguments, const std::string& wanted);
  void Ask();
  void AskModern();
  void Cancel();
  void LeaveHalfWay();
  std::string Mark(const std::string& text = "");
  // The final answer on `stream`, or on what takes its place.
  Outcome Follow(std::unique_ptr<McpStream> stream, int64_t id, const std::string& wanted);
  std::optional<Outcome> Read(McpStream& stream, Deadline deadline, int64_t id, const std::string& wanted);
  std::optional<Outcome> Resume(std::string* last_id, Deadline deadline, int64_t id, const std::string& wanted);
  void Reply(const Json& request);
  void Count(Outcome outcome, MonoTime began);
  bool Foreign(const std::string& text) const;
  bool modern() const { return options_.era == McpClient::Era::kModern; }
  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

  const SoakClientOptions options_;
  SoakTally& tally_;
  std::mt19937_64 random_;
  std::unique_ptr<McpClient> client_;
  int64_t texts_ = 0;
};

}  // namespace mcpfleet
