// The peer behind a stdio child: mcp::Session plus the channel. Lines come in on the session host's I/O thread, calls
// from any; whoever finds messages to send and nobody sending does the sending, in order.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/session_host.h"
#include "edge-runtime/mcp/session.h"
#include "edge-runtime/probe/peer.h"

namespace mcpfleet {

struct StdioPeerOptions {
  mcp::ClientIdentity identity;
  Duration discover_timeout = std::chrono::seconds(5);
  std::string revision;
  // The server said that its lists changed and CatalogDirty was false until then. On the I/O thread; must not block.
  std::function<void()> on_catalog_dirty;
};

class StdioPeer final : public McpPeer, public std::enable_shared_from_this<StdioPeer> {
 public:
  // Continues what the channel's note tells, and becomes its receiver.
  static std::shared_ptr<StdioPeer> Create(std::shared_ptr<StdioChannel> channel, std::shared_ptr<EraMemory> eras,
                                           StdioPeerOptions options);

  bool Serves(const ProbeTarget& target) const override { return target.stdio == channel_; }
  StatusOr<mcp::PeerInfo> Ready(Deadline deadline) override;
  StatusOr<mcp::Message> Request(const std::string& method, const Json& params, Deadline deadline) override;
  MonoTime LastActivity() const override { return channel_->last_activity(); }
  bool CatalogDirty() const override;
  void ClearCatalogDirty() override;
  void NoteTool(const Json&) override {}
  void Close() override;

 private:
  StdioPeer(std::shared_ptr<StdioChannel> channel, std::shared_ptr<EraMemory> eras, StdioPeerOptions options);

  void OnLine(std::string_view line);
  void Queue(std::vector<mcp::Outgoing> messages) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Saves the note when it changed and sends what is queued; returns at once when another thread is doing it.
  void Flush() LOCKS_EXCLUDED(mu_);
  Status SaveNote() LOCKS_EXCLUDED(mu_);
  Status SendFront() LOCKS_EXCLUDED(mu_);
  Status StartHandshake() LOCKS_EXCLUDED(mu_);
  // Gives up on a call: takes it back when it has not left, else tells the server.
  void Abandon(const std::string& id, bool tell) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why the child can't be talked to, or OK.
  void SettleDoubt();
  Status Health() const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Status HandshakeTimeout() const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  StatusOr<mcp::PeerInfo> Finished() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<StdioChannel> channel_;
  const std::shared_ptr<EraMemory> eras_;
  const StdioPeerOptions options_;
  mutable Mutex mu_;
  CondVar changed_;
  mcp::Session session_ GUARDED_BY(mu_);
  std::deque<mcp::Outgoing> outbox_ GUARDED_BY(mu_);
  bool flushing_ GUARDED_BY(mu_) = false;
  bool begun_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;  // by us
  MonoTime discover_until_ GUARDED_BY(mu_) = MonoTime::max();
  Status note_failure_ GUARDED_BY(mu_);
  std::atomic<bool> doubt_{false};  // the channel waits to hear that the line in doubt was seen to
};

}  // namespace mcpfleet
