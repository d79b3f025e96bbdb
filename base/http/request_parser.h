// Turns the bytes of an HTTP/1.1 request into a Request, piece by piece, without I/O (Boost.Beast's parser inside, plus
// what a server must refuse: no Host, two lengths, another request form than /path). Not thread-safe.
#pragma once

#include <memory>
#include <string_view>

#include "base/http/message.h"

namespace mcpfleet::http {

class RequestParser {
 public:
  RequestParser(size_t max_header, size_t max_body);
  ~RequestParser();
  // Understands as much of `bytes` as it can and returns how much that was; the rest, if any, comes again in front of
  // the next bytes. Sets error_status() where the request cannot be served.
  size_t Put(std::string_view bytes);
  // 0, or the answer: 400, 413, 431, 501. Nothing behind it on the connection can be trusted.
  int error_status() const;
  bool head_done() const;
  bool done() const;
  bool expects_continue() const;  // the peer waits for 100 before it sends the body
  bool keep_alive() const;
  bool http10() const;
  Request Take();  // when done

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mcpfleet::http
