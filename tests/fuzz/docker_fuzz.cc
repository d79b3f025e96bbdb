// Whatever comes from an engine's socket: lists, inspects, events, frames and pull progress. First byte: which.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "edge-runtime/docker/docker_frames.h"
#include "edge-runtime/docker/docker_json.h"
#include "edge-runtime/docker/docker_pull.h"

namespace mcpfleet {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 8) {
    case 0: {
      auto list = ParseContainerList(text, "n");
      if (list.ok()) {
        for (const auto& container : *list) {
          if (!IsInstanceId(container.report.id)) abort();
        }
      }
      break;
    }
    case 1: {
      auto inspected = ParseInspect(text);
      if (inspected.ok() &&
          (inspected->report.pid < 0 || (inspected->report.exit && inspected->report.state != InstanceState::kExited)))
        abort();
      break;
    }
    case 2: {
      ParseImage(text).IgnoreError();
      ParseImageList(text).IgnoreError();
      const ImageReference image = ParseImageReference(text);
      if (image.tag.empty() && !text.empty() && text.back() != ':' && text.back() != '@') abort();
      break;
    }
    case 3: {
      ParseEvent(text);
      ParseStats(text).IgnoreError();
      ParseEngineTime(text);
      break;
    }
    case 4: {
      auto version = ParseVersion(text);
      if (version.ok()) NegotiateApi(*version).IgnoreError();
      ParseUnenforced(text);
      StatusOfEngine(500, text, "fuzz").IgnoreError();
      break;
    }
    case 5: {
      DockerPullProgress pull;
      for (size_t i = 0; i < text.size() && pull.Feed(text.substr(i, 13)).ok(); i += 13) {
      }
      if (pull.Current().done_bytes < 0) abort();
      break;
    }
    default: {
      DockerFrameReader frames;
      DockerLogLines lines;
      DockerFrame frame;
      for (size_t i = 0; i < text.size() && frames.Feed(text.substr(i, 29)).ok(); i += 29) {
        while (frames.Next(&frame)) lines.Feed(frame);
      }
      lines.Finish();
      for (std::string line; lines.Next(&line);) {
        if (line.empty() || line.back() != '\n') abort();
      }
    }
  }
  return 0;
}

}  // namespace mcpfleet
