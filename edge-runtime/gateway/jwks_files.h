// The last good key set of each issuer on disk, so that a node that boots offline can check tokens.
//
// Reading happens in the caller's thread (one small file, once per issuer); writing waits for the disk and so has a
// thread of its own, which lives while there is something to write.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"

namespace mcpfleet::gateway {

class JwksFiles {
 public:
  // `directory` is made when the first file is.
  explicit JwksFiles(std::string directory);
  ~JwksFiles();  // waits until everything is written

  // What was written last for `uri`; nullopt when there is none or it can't be read.
  std::optional<std::string> Read(const std::string& uri) const;
  void Write(const std::string& uri, std::string body) LOCKS_EXCLUDED(mu_);

 private:
  void Run() LOCKS_EXCLUDED(mu_);
  std::string PathOf(const std::string& uri) const;
  Status WriteNow(const std::string& path, const std::string& body) const;
  void RemoveOldest() const;

  const std::string directory_;
  std::thread thread_;  // the caller's
  Mutex mu_;
  bool running_ GUARDED_BY(mu_) = false;
  std::map<std::string, std::string> waiting_ GUARDED_BY(mu_);  // path -> content; bounded by the cache's issuers
};

}  // namespace mcpfleet::gateway
