// The lines of one server whose stdio goes through the engine: POST /containers/{id}/attach, one connection for all
// three streams. What the server writes comes framed (docker_frames.h): stdout is cut into lines, stderr goes to `log`.
// What we write goes as it is; the end of our half of the connection is the end of its stdin.
//
// Bounded both ways. A server that does not read fills its own queue and nobody else's: nothing here waits. Lines that
// nobody receives are kept up to one line's limit, then nothing is read and the server waits in its write. A line above
// the limit, or bytes that are no frames, break the channel: nothing sensible can follow.
//
// Unlike a shim's channel it keeps nothing over a restart of mcplet: the connection is the session.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io_loop.h"
#include "base/mutex.h"
#include "controller/ports/session_host.h"
#include "edge-runtime/docker/docker_frames.h"

namespace mcpfleet {

class AttachChannel final : public StdioChannel, public std::enable_shared_from_this<AttachChannel> {
 public:
  // More than this waiting for a server that does not read is refused (one line alone may be longer).
  static constexpr size_t kQueueBytes = size_t{8} << 20;

  struct Events {
    // Both on the loop's thread. Bytes of stderr, and the end of the channel with why; "" when the engine ended it, as
    // it does when the server ends. No call after `ended`.
    std::function<void(std::string_view bytes)> log;
    std::function<void(const std::string& why)> ended;
  };
  AttachChannel(std::shared_ptr<IoLoop> loop, const Clock& clock, UniqueFd connection, Events events);
  ~AttachChannel() override;

  // Reads from now on; `early` came with the answer that opened the connection. Once.
  void Begin(std::string early);

  Status Send(std::string_view line, Deadline deadline) override;
  // As with a shim's channel: after SetReceiver(nullptr) the old one is not running, unless it is the caller.
  void SetReceiver(std::function<void(std::string line)> receiver) override;
  // Unimplemented: there is no place that would outlive mcplet, and no child that would.
  Status SaveNote(std::string_view note) override;
  std::string LoadNote() const override { return ""; }
  MonoTime last_activity() const override { return MonoTime(Duration(last_activity_.load())); }
  bool closed() const override { return closed_; }

  // End of input for the server, behind what waits for it.
  void CloseInput();
  // The connection goes; `ended` is not called.
  void Drop();

 private:
  using Receiver = std::shared_ptr<std::function<void(std::string)>>;
  void OnEvents(uint32_t events);
  void ReadSome();
  void Take(std::string_view bytes);
  void End(const std::string& why);
  void Deliver();
  bool NextLine(Receiver* receiver, std::string_view* line);
  void WriteSome() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndInput() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the loop what to wait for now.
  void Watch() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Disconnect() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<IoLoop> loop_;
  const Clock& clock_;
  const Events events_;
  std::atomic<int64_t> last_activity_;
  std::atomic<bool> closed_{false};
  std::atomic<size_t> kept_{0};  // bytes of stdout that were not delivered

  // The loop's thread only.
  DockerFrameReader frames_;
  std::string out_;
  size_t delivered_ = 0, scanned_ = 0, line_end_ = 0;  // in out_

  mutable Mutex mu_;
  CondVar idle_;
  UniqueFd connection_ GUARDED_BY(mu_);
  uint64_t token_ GUARDED_BY(mu_) = 0;
  uint32_t watched_ GUARDED_BY(mu_) = 0;
  bool begun_ GUARDED_BY(mu_) = false;
  std::string in_ GUARDED_BY(mu_);
  size_t written_ GUARDED_BY(mu_) = 0;  // of in_
  bool close_input_ GUARDED_BY(mu_) = false, input_closed_ GUARDED_BY(mu_) = false;
  bool delivering_ GUARDED_BY(mu_) = false;
  Receiver receiver_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
