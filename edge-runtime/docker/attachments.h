// The stdio of the instances that run without the shim: one engine connection each, held by this mcplet (see
// attach_channel.h), and the log of their stderr.
//
// The engine can log both outputs or none. With both, every JSON-RPC byte would be written to its disk and push the
// stderr lines out of the rotated files; so it logs none, and stderr is kept here, in
// <state>/attach/<instance>/log, like the log of a sandboxed process.
//
// Sessions end with mcplet: the engine closes the server's stdin when our connection goes. The file `ended` beside the
// log says that the server ended first, so that the next mcplet does not take a server that was done for one that lost
// its session.
//
// Thread-safe; one I/O thread for all.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/io_loop.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "controller/ports/session_host.h"
#include "edge-runtime/docker/attach_channel.h"

namespace mcpfleet {

struct LogSizes {
  int64_t max_bytes = int64_t{10} << 20;
  int max_files = 1;
};

class DockerAttachments {
 public:
  static StatusOr<std::unique_ptr<DockerAttachments>> Create(const std::string& state_directory, const Clock& clock);
  ~DockerAttachments();

  // --- for the runtime ---
  // Takes over the connection of an instance that is about to start; one that it had before goes.
  Status Attach(const std::string& instance, http::Upgraded connection, const LogSizes& sizes);
  // The instance did not start.
  void Drop(const std::string& instance);
  // End of input for the server; waits until its outputs end or the deadline.
  void EndInput(const std::string& instance, Deadline deadline);
  Status Logs(const std::string& instance, const LogOptions& options, const std::function<bool(std::string_view)>& sink,
              Deadline deadline) const;
  std::unique_ptr<LogTail> OpenTail(const std::string& instance, const TailFrom& from) const;
  // The container is gone: so are its log and the rest.
  void Remove(const std::string& instance);

  // --- for the session host ---
  // kRunning while the connection stands; kExited since it ended (`failure`: why, "" when the engine ended it, as it
  // does for a server that ended). kAbsent when this mcplet never had it and nothing says that the server ended by
  // itself.
  MainState Main(const std::string& instance) const;
  std::shared_ptr<StdioChannel> Channel(const std::string& instance) const;
  // Called from the I/O thread when a connection ends. Must not block.
  void SetListener(std::function<void(const std::string& instance)> changed);

 private:
  struct Log;
  struct Attachment {
    std::shared_ptr<AttachChannel> channel;
    MainState state;
  };
  DockerAttachments(std::string directory, const Clock& clock, std::shared_ptr<IoLoop> loop)
      : directory_(std::move(directory)), clock_(clock), loop_(std::move(loop)) {}
  std::string DirectoryOf(const std::string& instance) const { return directory_ + "/" + instance; }
  void Ended(const std::string& instance, const AttachChannel* channel, const std::string& why);

  const std::string directory_;
  const Clock& clock_;
  const std::shared_ptr<IoLoop> loop_;
  mutable Mutex mu_;
  CondVar moved_;
  std::map<std::string, Attachment> attachments_ GUARDED_BY(mu_);
  std::shared_ptr<std::function<void(const std::string&)>> listener_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
