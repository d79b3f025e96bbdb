// Runs the `git` program: argv only, an environment of its own, a deadline after which its whole process group is
// killed, bounded output, bounded files. Nothing of the machine's or the user's git configuration is read, no hook
// runs, nothing asks for a password, and no other transport is spoken than the one that was allowed.
//
// Thread-safe; calls block. The process must ignore SIGPIPE.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::gitsync {

struct GitOptions {
  std::string program;    // "": git in the usual directories
  std::string directory;  // for its home and its repository; made with mode 0700
  std::string protocols;  // GIT_ALLOW_PROTOCOL: "https", "ssh", "file", joined by ':'
  // Further variables: credentials go here, never into argv, which every user of the machine can read.
  std::vector<std::string> env;
  size_t max_file = size_t{512} << 20;  // of any file that it writes (RLIMIT_FSIZE)
};

struct GitResult {
  int code = -1;
  std::string out, err;  // err: at most 8 KiB of it
};

class GitProgram {
 public:
  // NotFound when there is no git; an error of the file system.
  static StatusOr<GitProgram> Create(GitOptions options);

  // `config`: pairs for `git -c`, over what is always set. DeadlineExceeded: it was killed. ResourceExhausted: more
  // output than `max_output`. A code other than 0 is no error here.
  StatusOr<GitResult> Run(const std::vector<std::string>& args, Deadline deadline,
                          const std::vector<std::string>& config = {}, std::string_view input = "",
                          size_t max_output = size_t{1} << 20) const;
  // The same, where a code other than 0 is FailedPrecondition with what git said.
  StatusOr<std::string> Out(const std::vector<std::string>& args, Deadline deadline,
                            const std::vector<std::string>& config = {}, std::string_view input = "",
                            size_t max_output = size_t{1} << 20) const;
  const std::string& directory() const { return options_.directory; }

 private:
  explicit GitProgram(GitOptions options) : options_(std::move(options)) {}
  GitOptions options_;
};

// What git printed about a failure, for people: its last lines, printable, without the "fatal: " before them.
std::string GitSaid(const GitResult& result);

}  // namespace mcpfleet::gitsync
