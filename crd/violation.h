// One thing that is wrong with an object, said to the person who wrote it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mcpfleet {

struct Violation {
  std::string file;     // "" when the object did not come from a file
  int line = 0;         // 1-based; 0 when not known
  std::string path;     // "spec.source.image.ref", "spec.env[2].name"; "" for the document as a whole
  std::string problem;  // lower case, says what is wrong
  std::string allowed;  // what would be right; "" when `problem` says it
  int column = 0;       // 1-based, in characters; 0 when not known
};

// "weather.yaml:7: spec.transport: unknown value "http"; allowed: stdio, streamable-http". Control characters escaped.
std::string ToString(const Violation& violation);
// One a line.
std::string ToString(const std::vector<Violation>& violations);

// "spec" + "env" -> "spec.env"; keys with other characters go into brackets: "metadata.labels[a.b/c]".
std::string ChildPath(std::string_view parent, std::string_view key);
std::string ItemPath(std::string_view parent, size_t index);  // "spec.env[2]"

// From a path inside an object to its line; the nearest ancestor answers for a path that is not there.
using LineOf = std::function<int(std::string_view path)>;

}  // namespace mcpfleet
