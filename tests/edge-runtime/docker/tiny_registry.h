// An image registry (the read half of the Docker Registry HTTP API V2) on 127.0.0.1, where most engines accept plain
// HTTP; the others get TLS.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http/server.h"
#include "base/mutex.h"

namespace mcpfleet {

struct TinyImage {
  std::vector<std::string> entrypoint, cmd;
  std::string content;  // of its one file
};

// Thread-safe.
class TinyRegistry {
 public:
  explicit TinyRegistry(const http::TlsFiles& tls = {});
  std::string host() const;
  void Add(const std::string& name, const std::string& tag, const TinyImage& image) LOCKS_EXCLUDED(mu_);
  int64_t requests() const { return requests_; }
  // From now on a blob of a megabyte or more comes late by that: an engine's progress can be seen.
  void SetSlow(Duration slow) LOCKS_EXCLUDED(mu_);
  // From now on only who sends "user:password" (Basic) gets anything.
  void Require(const std::string& user_and_password) LOCKS_EXCLUDED(mu_);

 private:
  void Handle(const http::Request& request, http::Responder& to) LOCKS_EXCLUDED(mu_);
  mutable Mutex mu_;
  std::map<std::string, std::string> blobs_ GUARDED_BY(mu_);      // by "sha256:…"
  std::map<std::string, std::string> manifests_ GUARDED_BY(mu_);  // by "name:tag" and "name:digest"
  Duration slow_ GUARDED_BY(mu_){};
  std::string required_ GUARDED_BY(mu_);  // the header Authorization; "": none
  std::atomic<int64_t> requests_{0};
  std::unique_ptr<http::Server> server_;
};

}  // namespace mcpfleet
