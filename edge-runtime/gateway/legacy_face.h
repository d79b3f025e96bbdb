// A legacy session before a modern server: the gateway plays the legacy server.
//
// initialize is answered from server/discover; ping, logging/setLevel and subscriptions are the gateway's; every other
// request goes on with version, capabilities, client and log level in its _meta. `input_required` becomes requests to
// the client on the call's stream; with its answers the call is made again. list_changed and resource updates come over
// one subscription of the session's own.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "edge-runtime/gateway/conversation.h"
#include "edge-runtime/gateway/modern_hub.h"

namespace mcpfleet::gateway {

class LegacyFace final : public Conversation {
 public:
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  static constexpr int kMaxRounds = 16;  // of input_required for one call
  static constexpr size_t kMaxSubscriptions = 256;

  LegacyFace(Loop& loop, std::shared_ptr<ModernHub> hub, Inspect inspect)
      : loop_(loop), hub_(std::move(hub)), inspect_(std::move(inspect)) {}
  ~LegacyFace() override;

  void Start(Events events) override { events_ = std::move(events); }
  Status Request(const SessionCall& call, const Incoming& message) override;
  void Notify(const Incoming& message) override;
  void Reply(const Incoming& message) override;
  void Cancel(uint64_t call, std::string_view reason) override;

 private:
  struct Call {
    SessionCall call;
    Incoming message;
    uint64_t hub_call = 0;  // 0: waits for the client
    int rounds = 0;
    std::map<std::string, std::string> inputs;   // key -> our id, while not answered
    std::map<std::string, std::string> answers;  // key -> raw result
    std::string state;                           // requestState, raw
  };
  void Answer(const SessionCall& call, std::string_view result);
  void Refuse(const SessionCall& call, int64_t code, std::string_view message);
  void BeginSession(const SessionCall& call, const Incoming& message);
  void Send(uint64_t call, const Incoming& message);
  void OnAnswer(uint64_t call, Incoming answer);
  bool AskClient(Call* call, const Incoming& answer);
  void Retry(uint64_t call);
  void Subscribe(const SessionCall& call, const Incoming& message, bool on);
  void Listen();
  void OnListened(const std::string& line);
  void OnListenEnded();

  const Self<LegacyFace> self_{this};
  Loop& loop_;
  const std::shared_ptr<ModernHub> hub_;
  const Inspect inspect_;
  Events events_;
  std::string capabilities_ = "{}", client_info_, log_level_, version_;  // raw; version_ as asked for
  bool lists_change_ = false;
  std::map<uint64_t, Call> calls_;
  std::map<std::string, uint64_t> asked_;  // our id of a request to the client -> the call
  uint64_t next_asked_ = 1;
  std::set<std::string> subscriptions_;
  uint64_t listening_ = 0;
  bool acknowledged_ = false;  // that subscription
  bool lost_ = false;          // it ended by itself: with the client's next request there is another
};

}  // namespace mcpfleet::gateway
