#include "edge-runtime/mcplet/admin_logs.h"

#include <algorithm>
#include <optional>

#include "edge-runtime/log/seam_filter.h"
#include "edge-runtime/mcplet/admin_http.h"

namespace mcpfleet::admin {
namespace {

// How long a client that went away, or a stopping mcplet, may keep a follow.
constexpr Duration kSlice = std::chrono::seconds(2);
// A log that does not follow is bounded by its files.
constexpr Duration kWholeLog = std::chrono::minutes(5);

http::Response LogHead() {
  http::Response head;
  head.headers.Set("Content-Type", "text/plain; charset=utf-8");
  head.headers.Set("Cache-Control", "no-store");
  return head;
}

}  // namespace

void SendLogs(AdminBackend& backend, const Clock& clock, const ServerKey& server, LogOptions options,
              std::shared_ptr<http::Responder> to, const std::function<bool()>& stop) {
  std::shared_ptr<http::StreamWriter> stream;
  SeamFilter seam;
  const WallTime begun = clock.Wall();
  const auto sink = [&](std::string_view line) {
    if (stop()) return false;
    if (options.follow && !seam.Take(line)) return true;
    if (!stream) stream = to->StartStream(LogHead());
    return stream->Write(line);
  };
  while (true) {
    Deadline deadline = Deadline::After(options.follow ? kSlice : kWholeLog);
    Status status = backend.Logs(server, options, sink, deadline);
    bool goes_on = options.follow && status.code() == StatusCode::kDeadlineExceeded && !stop();
    if (!status.ok() && !goes_on && !stream) return to->Send(ErrorResponse(status));
    if (!stream) stream = to->StartStream(LogHead());
    if (!goes_on || stream->closed()) break;
    options.tail_lines = -1;
    std::optional<WallTime> last = seam.last_time();
    options.since = last ? *last : std::max(options.since.value_or(begun), begun);
    seam.StartSlice();
  }
  stream->End();
}

}  // namespace mcpfleet::admin
