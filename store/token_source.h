// The bearer token of a store, which may change while a program runs: `mcplet join` again, or a rotation, by this
// process or another. Whoever sends it asks for it each time, and reports one that the store refused.
// Thread-safe. No message carries a token.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"
#include "base/status.h"

namespace mcpfleet {

class TokenSource {
 public:
  // One that stays as it is; "": requests carry no credential. InvalidArgument: it has a line break.
  static StatusOr<std::shared_ptr<TokenSource>> Fixed(std::string token);
  // The content of a file, without the white space around it.
  static StatusOr<std::shared_ptr<TokenSource>> OfFile(std::string path);

  std::string Get() const LOCKS_EXCLUDED(mu_);
  // The store does not accept `refused`: reads the file again. True when there is another token now.
  bool Renew(std::string_view refused) LOCKS_EXCLUDED(mu_);
  // Written to the file (0600, atomically) before anybody gets it. FailedPrecondition without a file.
  Status Replace(std::string token) LOCKS_EXCLUDED(mu_);
  // "": a fixed one.
  const std::string& path() const { return path_; }

 private:
  TokenSource(std::string path, std::string token) : path_(std::move(path)), token_(std::move(token)) {}

  const std::string path_;
  mutable Mutex mu_;
  std::string token_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
