// What several of containerd's services speak of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mcpfleet::containerd {

// Content by its hash: a manifest, a configuration, a layer.
struct Descriptor {
  std::string media_type;
  std::string digest;  // "sha256:…"
  int64_t size = 0;
};

// A step of mounting a snapshot; mcplet hands them on and never mounts.
struct Mount {
  std::string type, source, target;
  std::vector<std::string> options;
};

// A value in a containerd filter, quoted.
inline std::string Quoted(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace mcpfleet::containerd
