// Text to documents: YAML through yaml-cpp's events (so that no tree of its own is ever built), JSON through
// nlohmann's. Plain YAML scalars are read by the YAML 1.2 core schema: `no`, `on`, `yes` are text. Internal to crd/.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "crd/violation.h"

namespace mcpfleet {

struct Document {
  Json value;
  std::map<std::string, int> lines, columns;
  int line = 1;
};

// All documents that are not empty. Violations (without file) are appended; after the first syntax error nothing more
// is read.
std::vector<Document> ReadDocuments(std::string_view bytes, std::vector<Violation>* violations);

// What the YAML 1.2 core schema makes of a plain scalar.
Json ResolvePlainScalar(const std::string& text);

}  // namespace mcpfleet
