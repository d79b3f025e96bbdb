#include "edge-runtime/log/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {
constexpr int kMaxFiles = 100;
}  // namespace

std::vector<LogFile> OpenLogFiles(const std::string& directory, const std::string& base) {
  std::vector<LogFile> files;
  int absent = 0;  // in a row; one may be a rotation under way
  for (int i = 0; i <= kMaxFiles && absent < 2; ++i) {
    const std::string name = i == 0 ? base : base + "." + std::to_string(i);
    UniqueFd fd(open((directory + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st;
    if (!fd.valid() || fstat(fd.get(), &st) != 0) {
      ++absent;
      continue;
    }
    absent = 0;
    const auto same = [&](const LogFile& file) { return file.inode == st.st_ino; };
    if (std::none_of(files.begin(), files.end(), same)) files.push_back({std::move(fd), st.st_ino});
  }
  std::reverse(files.begin(), files.end());
  return files;
}

std::optional<int64_t> LinesBefore(const std::string& directory, const LogFile& newest) {
  StatusOr<std::string> text = ReadFile(directory + "/" + kLogLinesFile, 4096);
  uint64_t inode = 0;
  int64_t lines = 0;
  if (!text.ok() || std::sscanf(text->c_str(), "%" SCNu64 " %" SCNd64, &inode, &lines) != 2) return std::nullopt;
  if (inode != newest.inode || lines < 0) return std::nullopt;
  return lines;
}

// By find, which takes many bytes at a time: std::count takes one.
int64_t CountLines(std::string_view text) {
  int64_t lines = 0;
  for (size_t at = 0; (at = text.find('\n', at)) != std::string_view::npos; ++at) ++lines;
  return lines;
}

int64_t CountLines(int fd) {
  std::vector<char> buffer(size_t{64} << 10);
  int64_t lines = 0;
  off_t at = 0;
  for (ssize_t n; (n = pread(fd, buffer.data(), buffer.size(), at)) > 0; at += n)
    lines += CountLines(std::string_view(buffer.data(), static_cast<size_t>(n)));
  return lines;
}

}  // namespace mcpfleet
