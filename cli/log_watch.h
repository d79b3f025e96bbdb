// Tells the store that somebody looks at a server's logs now, for as long as the object lives: its nodes then upload
// within seconds and not within minutes. A comfort: where the socket can't be had, the same lines come later. One
// thread.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http/websocket_client.h"
#include "cli/context.h"
#include "cli/stored_logs.h"

namespace mcpfleet::cli {

class LogWatch {
 public:
  LogWatch(const Context& context, const StoredQuery& query) : context_(context), query_(query) {}
  // Keeps the socket alive, connects again where it must. At most until the deadline.
  void Tend(Deadline deadline);
  // Why there is none; "": there is.
  const std::string& problem() const { return problem_; }

 private:
  Status Connect(Deadline deadline);

  const Context context_;
  const StoredQuery query_;
  std::unique_ptr<http::WebSocketClient> socket_;
  std::string problem_;
  MonoTime again_{}, pinged_{};
};

}  // namespace mcpfleet::cli
