// A notebook of the controller as one small file with a checksum, replaced atomically: what a node shows of restarts,
// where their back-off stands, and what the previous revisions ran from is still so after a restart of mcplet. A file
// that is absent or damaged is an empty notebook. Written by a thread of its own, at most once a second and only when
// something changed: a crash of mcplet may lose the last second.
//
// Thread-safe. Stop writes what is due.
#pragma once

#include <map>
#include <set>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/notebook.h"

namespace mcpfleet {

class FileNotebook final : public Notebook {
 public:
  explicit FileNotebook(std::string path);
  ~FileNotebook() override;
  void Start();
  void Stop() LOCKS_EXCLUDED(mu_);

  std::string Read(const ServerKey& server) const override LOCKS_EXCLUDED(mu_);
  void Write(const ServerKey& server, std::string text) override LOCKS_EXCLUDED(mu_);
  void Retain(const std::set<ServerKey>& servers) override LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  const std::string path_;
  mutable Mutex mu_;
  CondVar wake_;
  std::map<std::string, std::string> pages_ GUARDED_BY(mu_);  // by "namespace/name"
  bool changed_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mcpfleet
