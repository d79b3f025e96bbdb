// A link with many callers: requests get ids of the lane's own, answers and progress find their caller again, with the
// caller's id and token. Ids and tokens are raw JSON tokens (1, 1.0 and "1" are three), rewritten in place.
//
// The lane answers the server's pings and hands on its other requests; nothing of the server is ever left unanswered.
// A call whose answer never comes ends with the lane (-32603), when its caller cancels it, or when FailAfter says so.
//
// On the gateway's loop only. No callback comes from inside a method but Fail, and none after the lane was destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/gateway/link.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {

// A message and its envelope.
struct Incoming {
  std::string text;
  mcp::Envelope envelope;

  std::string_view Part(mcp::Span span) const { return span.In(text); }
  // The text with another id.
  std::string WithId(std::string_view id) const&;
  std::string WithId(std::string_view id) &&;
};

struct CallEvents {
  // Progress, with the caller's token.
  std::function<void(std::string line)> progress;
  // The answer, with the lane's id; also an error that the lane makes when the server is gone. The call is over.
  std::function<void(Incoming answer)> answer;
};

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  struct Events {
    std::function<void(Incoming notification)> notification;  // all but progress of a call
    std::function<void(Incoming request)> request;            // all but ping; must be answered with Reply
    std::function<void(const Status& why)> closed;            // after every call got its error
  };
  static constexpr size_t kMaxCalls = 4096;

  // A call as it may go on after a restart of mcplet.
  struct Kept {
    uint64_t call = 0;
    std::string token;  // the caller's, raw; "" for none
  };

  Lane(Loop& loop, std::unique_ptr<Link> link, uint64_t first_id = 1)
      : loop_(loop), link_(std::move(link)), next_(first_id) {}
  ~Lane();
  void Start(Events events);

  // Sends a request of a caller: `edits` are made in the same pass as the id and the progress token. The call's number
  // is its id upstream. ResourceExhausted: too many wait; Unavailable: the server is gone.
  StatusOr<uint64_t> Request(std::string_view text, const mcp::Envelope& envelope, std::vector<mcp::Edit> edits,
                             CallEvents events);
  // A request of the gateway's own.
  StatusOr<uint64_t> Request(std::string_view method, const Json& params, CallEvents events);
  // A call of the mcplet before this one goes on.
  void Continue(const Kept& kept, CallEvents events);
  // Ends a call with an error as if the server had sent it.
  void Fail(uint64_t call, int64_t code, std::string_view message);
  // The same if the answer has not come by then.
  void FailAfter(Duration time, uint64_t call, std::string message);
  // Tells the server and forgets the call: a late answer is dropped. `reason` is a raw token or "".
  void Cancel(uint64_t call, std::string_view reason = "");
  // The caller goes on under another progress token (raw; "": it wants no progress any more).
  void SetToken(uint64_t call, std::string token);
  // Forgets a call without telling the server.
  void Forget(uint64_t call) { calls_.erase(call); }
  Status Send(std::string line);
  void Keep(std::string_view note);
  void SettleDoubt();
  void Pause(bool paused);
  void Release();

  size_t in_flight() const { return calls_.size(); }
  bool closed() const { return link_ == nullptr; }
  uint64_t next_id() const { return next_; }
  MonoTime last_used() const { return last_used_; }
  void Touch(MonoTime now) { last_used_ = now; }
  uint64_t stray_lines() const { return stray_lines_; }

 private:
  struct Call {
    std::string token;
    CallEvents events;
  };
  StatusOr<uint64_t> Dispatch(uint64_t id, const std::string& line, std::string token, CallEvents events);
  void OnLine(std::string line);
  void OnProgress(const Incoming& message);
  void OnAnswer(Incoming message);
  void OnClosed(const Status& why);
  void DropLink();

  Loop& loop_;
  std::unique_ptr<Link> link_;
  Events events_;
  uint64_t next_;
  std::map<uint64_t, Call> calls_;
  MonoTime last_used_{};
  uint64_t stray_lines_ = 0;
};

}  // namespace mcpfleet::gateway
