// The server's side of one legacy session, whatever stands behind it: a child of its own, one that sessions share, or a
// server of the modern era behind a translation. LegacySession is the client's side.
//
// On the gateway's loop only. No event comes from inside a method, and none after destruction, which ends the server's
// side of the session.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/resume_buffer.h"

namespace mcpfleet::gateway {

// One request of the client.
struct SessionCall {
  uint64_t call = 0;    // unique in the session
  uint64_t stream = 0;  // that its answer goes to
  std::string id;       // the client's, raw
};

class Conversation {
 public:
  enum class About {
    kACall,       // caused by one of the calls under way, nobody knows which: logs, requests of the server
    kTheSession,  // list_changed, resource updates
  };
  using Placed = std::function<void(const EventId& at)>;
  struct Events {
    // Belongs to one call: progress, or what the server asks for its sake.
    std::function<void(uint64_t call, std::string line)> to_call;
    // The same of a question that must outlive mcplet. `call` 0: nobody knows for whose sake. `placed` is called before
    // anything is sent, with the event that it becomes.
    std::function<void(uint64_t call, std::string line, const Placed& placed)> question;
    // The answer, with the client's id. The call is over. `answer.envelope` is of the text as the server wrote it.
    std::function<void(uint64_t call, std::string line)> answer;
    std::function<void(std::string line, About about)> to_session;
    // The server's side is over, and every call got its error.
    std::function<void(const Status& why)> closed;
  };
  virtual ~Conversation() = default;
  virtual void Start(Events events) = 0;
  // Unavailable, ResourceExhausted: the call did not begin.
  virtual Status Request(const SessionCall& call, const Incoming& message) = 0;
  virtual void Notify(const Incoming& message) = 0;
  // The client's answer to something the server asked. One that nobody waits for is dropped.
  virtual void Reply(const Incoming& message) = 0;
  // The client gets no answer of the server any more. `reason`: raw token or "".
  virtual void Cancel(uint64_t call, std::string_view reason) = 0;
  // The client reads more slowly than its server writes: the server's turn to wait, where it is the client's alone.
  virtual void Pause(bool paused) { (void)paused; }
  // Every few seconds.
  virtual void Tick() {}
  // mcplet ends: what can go on with the next one is left alone.
  virtual void Release() {}
};

}  // namespace mcpfleet::gateway
