// What a server shows its clients over TLS: a certificate and its key from two PEM files, which may be renewed while
// the server runs. A pair that can't be used leaves the one before it in place. Private to base/http.
//
// One thread at a time. Connections keep the context that they began with.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/http/server.h"
#include "base/http/tls.h"

namespace mcpfleet::http {

// Of a file behind its links: a renewal changes at least one of these, be it written in place, renamed over or, as
// Kubernetes does it, behind a link that now points elsewhere.
struct FileMark {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{}, changed{};
  bool operator==(const FileMark& other) const;
};

class ServerIdentity {
 public:
  // InvalidArgument names the field ("certFile", "keyFile") and the file that can't be used.
  static StatusOr<std::unique_ptr<ServerIdentity>> Load(const TlsFiles& files);

  // Looks at the files. nullopt: nothing is new (or what is new may still be being written: the next look takes it);
  // else whether the new pair is used from now on.
  std::optional<Status> Look();

  const TlsContext& context() const { return context_; }
  WallTime expires() const { return expires_; }

 private:
  using Marks = std::pair<FileMark, FileMark>;
  explicit ServerIdentity(TlsFiles files) : files_(std::move(files)) {}
  Marks MarksNow() const;
  Status Read();

  const TlsFiles files_;
  TlsContext context_;
  WallTime expires_{};
  Marks read_, seen_;  // of the pair that was read last, good or not; of the last look
};

}  // namespace mcpfleet::http
