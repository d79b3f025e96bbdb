// A LogTail over the engine's stream of a container's output. It follows: the engine would read its files from the
// beginning for each new question. One connection for each container that runs, and no thread: what has arrived is
// taken when it is asked for.
//
// Its place is the time of the last line and how many lines had that time. The engine gives lines from a time on, that
// one included: when it has none of that time any more, its files were rotated meanwhile and something is lost; how
// much, nobody can tell.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/client.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/docker/docker_frames.h"

namespace mcpfleet {

class DockerLogTail final : public LogTail {
 public:
  // Opens the stream of lines from `since` on ("": all; else RFC 3339), followed where the container runs.
  using Open = std::function<StatusOr<std::unique_ptr<http::ResponseStream>>(const std::string& since, Deadline)>;
  DockerLogTail(Open open, const TailFrom& from);

  StatusOr<LogPiece> Read(std::string* out, size_t max, Deadline deadline) override;
  std::string Place() const override;

 private:
  // Whether the line is new; counts what is missing before it.
  bool IsNew(std::string_view line, LogPiece* piece);
  StatusOr<bool> Fill(Deadline deadline);

  const Open open_;
  std::string since_;  // while there was no line yet
  std::unique_ptr<http::ResponseStream> stream_;
  DockerFrameReader frames_;
  DockerLogLines lines_;
  // The stream of a container that has ended ends at once, and the engine reads its files each time: asked for again
  // with growing pauses, until lines come.
  static constexpr Duration kLeastPause = std::chrono::seconds(1), kMostPause = std::chrono::seconds(10);
  MonoTime ask_at_{};
  Duration pause_ = kLeastPause;
  std::string last_time_;
  int64_t seen_ = 0;  // lines of that time
  bool at_seam_ = false;
  int64_t skip_ = 0;  // of them, still to be dropped
};

}  // namespace mcpfleet
