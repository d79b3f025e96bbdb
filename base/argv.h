// Words as exec and posix_spawn take them.
#pragma once

#include <string>
#include <vector>

namespace mcpfleet {

// A pointer to each word, then a null; for arguments and environments. It points into `words`, which must stay
// unchanged as long as it is used.
inline std::vector<char*> ArgvOf(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

}  // namespace mcpfleet
