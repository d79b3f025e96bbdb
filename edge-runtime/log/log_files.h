// The files of one instance's rotated log (log_rotate.h), for those who read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace mcpfleet {

struct LogFile {
  UniqueFd fd;
  uint64_t inode = 0;
};

// `base`, `base`.1 … in the directory, oldest first, each once. The newest is opened first, so that a rotation in
// between hides none.
std::vector<LogFile> OpenLogFiles(const std::string& directory, const std::string& base);
// Lines that were written before the first one of `newest`, as the writer noted; nullopt when it didn't, or not yet.
std::optional<int64_t> LinesBefore(const std::string& directory, const LogFile& newest);
// Each ends with its newline; of a file from its beginning.
int64_t CountLines(std::string_view text);
int64_t CountLines(int fd);

}  // namespace mcpfleet
