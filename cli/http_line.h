// One HTTP exchange at a time over a kept connection, which another thread can break off at any point: while it
// connects, while it waits for the head of an answer, and while the answer streams. (http::ResponseStream::Cancel comes
// too late for a tool call that is answered as one JSON body: its head comes with its end.)
//
// Open and what it returns belong to one thread; Cut, WasCut, Mend and Pause may be called from any.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/http/client.h"
#include "base/http/url.h"
#include "base/mutex.h"

namespace mcpfleet::cli {

class HttpLine {
 public:
  // `ca_file`: as http::ClientOptions has it.
  HttpLine(const http::Url& url, const std::string& ca_file);
  HttpLine(const HttpLine&) = delete;
  HttpLine& operator=(const HttpLine&) = delete;

  // As http::Client::Open; Cancelled once the line is cut. Connecting takes at most 10 s of the time. The line must
  // outlive the stream; a stream that is dropped before its end closes the connection.
  StatusOr<std::unique_ptr<http::ResponseStream>> Open(const http::Request& request, Deadline deadline);
  // What is under way fails, and all that follows until Mend.
  void Cut() LOCKS_EXCLUDED(mu_);
  void Mend() LOCKS_EXCLUDED(mu_);
  bool WasCut() const LOCKS_EXCLUDED(mu_);
  // Waits `most`; false at once when the line is cut.
  bool Pause(Duration most) LOCKS_EXCLUDED(mu_);

 private:
  StatusOr<UniqueFd> Connect(Deadline deadline) LOCKS_EXCLUDED(mu_);
  Status Hold(int fd) LOCKS_EXCLUDED(mu_);
  void Drop() LOCKS_EXCLUDED(mu_);
  void DropHeld() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  class Stream;

  const http::Url url_;
  mutable Mutex mu_;
  CondVar changed_;
  bool cut_ GUARDED_BY(mu_) = false;
  UniqueFd handle_ GUARDED_BY(mu_);  // a descriptor of our own for the connection's socket
  http::Client client_;              // last: its hook uses the members above
};

}  // namespace mcpfleet::cli
