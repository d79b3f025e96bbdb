// One JSON line per request in a file: who asked what of which server, how it went and how long it took. Results are
// not in it, arguments of tools where that was asked for. Used for the access log (every request) and the audit log
// (tool calls).
//
// A full file is renamed to NAME.1 and so on, the oldest goes. A disk that takes nothing costs lines, never requests:
// they are counted and the count is in the next line that fits. On the gateway's loop only; writing goes to the page
// cache, all lines of one turn of the loop at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/status.h"

namespace mcpfleet::gateway {

struct LoggedRequest {
  std::string server;   // "namespace/name"
  std::string method;   // of MCP, or of HTTP
  std::string subject;  // hash
  std::string peer;     // address
  std::string session;  // first characters of its hash
  int status = 0;
  Duration took{};
  struct Tool {
    std::string name;
    std::string arguments;  // raw JSON, or the beginning of it; "" unless asked for
  };
  std::vector<Tool> tools;  // of tools/call one; of a batch as many as it calls
};

class RequestLog {
 public:
  struct Options {
    std::string path;
    int64_t max_bytes = int64_t{10} << 20;
    int max_files = 5;  // with the current one
  };
  // Opens it for appending; mode 0600.
  static StatusOr<RequestLog> Open(Options options);
  RequestLog(RequestLog&&) = default;
  RequestLog& operator=(RequestLog&&) = default;
  ~RequestLog() { Flush(); }

  // Stands in the file after Flush.
  void Add(const LoggedRequest& request, WallTime now);
  void Flush();

 private:
  explicit RequestLog(Options options) : options_(std::move(options)) {}
  Status Reopen();
  void Rotate();
  const std::string& TimeText(WallTime now);

  Options options_;
  UniqueFd fd_;
  int64_t size_ = 0;
  std::string line_;     // being made
  std::string lines_;    // not written yet
  uint64_t count_ = 0;   // of them
  uint64_t lost_ = 0;    // before them
  int64_t second_ = -1;  // that time_ is the text of
  std::string time_;
};

}  // namespace mcpfleet::gateway
