// The one link to a modern server, shared by all of its clients: modern servers keep no state between requests, so one
// child is enough. Opened when somebody asks, and again after it closed.
//
// What the server says beside answers finds its caller by the subscription's id, or, for logs, by the one call that
// asked for logs; nothing is ever shown to a caller that may not be the right one. Modern servers may not send
// requests: those are refused.
//
// On the gateway's loop only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/self.h"

namespace mcpfleet::gateway {

// Gives a fresh link to the server, or says why there is none; `done` once, never from inside.
using NewLink = std::function<void(std::function<void(StatusOr<std::unique_ptr<Link>>)> done)>;

class ModernHub {
 public:
  struct Caller {
    std::string id;  // of the request, raw, as the client sent it
    bool listens = false, wants_logs = false;
    // A notification for this call, with the client's id and token in it.
    std::function<void(std::string line)> message;
    // The answer, with the lane's id; an error when the server is gone.
    std::function<void(Incoming answer)> answer;
  };
  static constexpr size_t kMaxWaiting = 256;

  ModernHub(Loop& loop, NewLink new_link) : loop_(loop), new_link_(std::move(new_link)) {}

  // Sends a request once the link stands. Its number is for Cancel; `edits` as Lane::Request. When it can't be sent the
  // caller gets an error as its answer. Never calls back from inside.
  uint64_t Request(Incoming message, std::vector<mcp::Edit> edits, Caller caller);
  void Cancel(uint64_t number, std::string_view reason = "");
  size_t calls() const { return calls_.size() + waiting_.size(); }
  bool open() const { return lane_ != nullptr; }
  MonoTime last_used() const { return last_used_; }
  void Touch(MonoTime now) { last_used_ = now; }
  // Lets the link go when nobody uses it.
  void CloseIdle();

 private:
  struct Waiting {
    uint64_t number = 0;
    Incoming message;
    std::vector<mcp::Edit> edits;
    Caller caller;
  };
  struct Call {
    uint64_t lane_call = 0;
    Caller caller;
  };
  void Open();
  void OnLink(StatusOr<std::unique_ptr<Link>> link);
  void SendNow(Waiting waiting);
  void Refuse(uint64_t number, const Caller& caller, const Status& why);
  void OnNotification(Incoming message);

  const Self<ModernHub> self_{this};
  Loop& loop_;
  const NewLink new_link_;
  std::shared_ptr<Lane> lane_;
  bool opening_ = false;
  std::deque<Waiting> waiting_;
  std::map<uint64_t, Call> calls_;
  std::map<uint64_t, uint64_t> by_lane_call_;
  uint64_t next_ = 1;
  MonoTime last_used_{};
};

}  // namespace mcpfleet::gateway
