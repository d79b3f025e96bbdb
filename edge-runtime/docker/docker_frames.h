// Container output as the engine frames it: {stream, 0, 0, 0, length (4 bytes, big endian)} then that many bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

struct DockerFrame {
  int stream = 0;      // 0 stdin, 1 stdout, 2 stderr
  bool begins = true;  // false: goes on with the frame before
  std::string bytes;
};

// Feed it pieces of any size; take frames. A frame is passed on in pieces of at most 64 KiB, so that a length that
// somebody made up costs no memory.
class DockerFrameReader {
 public:
  // InvalidArgument once the stream is no framing at all (a container with a terminal sends raw bytes).
  Status Feed(std::string_view bytes);
  // False when nothing is complete.
  bool Next(DockerFrame* frame);

 private:
  std::string header_;
  uint32_t left_ = 0;  // of the frame under way
  int stream_ = 0;
  bool begins_ = false;
  std::deque<DockerFrame> ready_;
};

// Timestamped frames of GET /containers/{id}/logs -> whole lines "<time> <text>\n". A line above 16 KiB comes in
// several frames, each with a time of its own: the later times are dropped.
class DockerLogLines {
 public:
  void Feed(const DockerFrame& frame);
  bool Next(std::string* line);
  // The last line of a stream that ended without a newline.
  void Finish();

 private:
  void Cut(std::string& partial);
  std::string partial_[3];  // by stream
  std::deque<std::string> ready_;
};

}  // namespace mcpfleet
