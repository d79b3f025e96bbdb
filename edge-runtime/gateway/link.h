// One conversation with an upstream server as JSON-RPC lines, whatever carries them: the pipes of a stdio child, a
// Streamable HTTP session, or the old HTTP+SSE transport. What is above (lanes, sessions, translation) does not know
// the difference.
//
// On the gateway's loop only. Nothing is called back from inside Send, nor after the link was destroyed; destroying it
// ends the conversation with the server (a child is ended, an HTTP session is deleted).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet::gateway {

class Link {
 public:
  struct Events {
    // One JSON-RPC message of the server without a newline (or what a broken server sent instead of one).
    std::function<void(std::string line)> on_line;
    // Once, after the last line: the server is gone, or forgot the session. The link is of no more use.
    std::function<void(const Status& why)> on_closed;
  };
  virtual ~Link() = default;
  // Before the first Send. May call back from the loop from then on.
  virtual void Start(Events events) = 0;
  // One message, without a newline inside. Unavailable: the server is gone; ResourceExhausted: it does not read.
  virtual Status Send(std::string_view line) = 0;
  // Whether it is known to be of no more use; so before Start, too.
  virtual bool closed() const { return false; }
  // Bytes that stay with the server over a restart of mcplet, at most 48 KiB, where there is a place for them.
  virtual void Keep(std::string_view note) { (void)note; }
  // Whoever waited for the line that was being sent when the mcplet before ended knows now that it failed: only then
  // is anything sent again.
  virtual void SettleDoubt() {}
  // Reads nothing of the server for a while, which then waits in its write, where the transport can do that.
  virtual void Pause(bool paused) { (void)paused; }
  // mcplet ends: let go without ending the conversation, so that the next one finds it. Destroy it afterwards.
  virtual void Release() {}
};

}  // namespace mcpfleet::gateway
