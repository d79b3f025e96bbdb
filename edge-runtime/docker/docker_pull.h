// The progress stream of POST /images/create: one JSON object a line, per layer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// Whether a registry's refusal says that it has no such image for us: trying again will not help.
bool MeansMissingImage(std::string_view message);

class DockerPullProgress {
 public:
  // Bytes as they arrive. An error line of the engine is returned as its status: NotFound for what the registry does
  // not have, Unavailable otherwise. The stream answers 200 before it knows, so this is where pulls fail.
  Status Feed(std::string_view bytes);
  // What is known after the lines so far.
  PullProgress Current() const;

 private:
  struct Layer {
    int64_t done = 0, total = 0;
  };
  Status Line(std::string_view line);

  std::string rest_;
  std::map<std::string, Layer> layers_;
  std::string phase_ = "resolving";
};

}  // namespace mcpfleet
