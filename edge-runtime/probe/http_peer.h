// The peer behind a Streamable HTTP endpoint: an HTTP server in an instance, or a remote one. One long-lived session,
// so that probing leaves no sessions behind; a server that forgot it (404) gets a new one.
//
// Redirects are not followed and 401/403 say that credentials are missing: both are FailedPrecondition, a person must
// act. Requests of the server arrive inside the answers' streams and are answered; there is no GET stream.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/http/url.h"
#include "base/mutex.h"
#include "edge-runtime/mcp/handshake.h"
#include "edge-runtime/mcp/modern_headers.h"
#include "edge-runtime/probe/peer.h"

namespace mcpfleet {

struct HttpPeerOptions {
  mcp::ClientIdentity identity;
  std::function<StatusOr<UniqueFd>(int pid, const std::string& host, uint16_t port, Deadline)> connect_in_namespace;
  Duration discover_timeout = std::chrono::seconds(5);
  std::function<void()> on_catalog_dirty;  // as StdioPeerOptions'; on the thread that reads the answer
};

class HttpPeer final : public McpPeer {
 public:
  // InvalidArgument for a bad URL, Unimplemented for a network namespace without a way into it.
  static StatusOr<std::shared_ptr<HttpPeer>> Create(const ProbeTarget& target, const Clock& clock,
                                                    std::shared_ptr<EraMemory> eras, HttpPeerOptions options);

  bool Serves(const ProbeTarget& target) const override;
  StatusOr<mcp::PeerInfo> Ready(Deadline deadline) override;
  StatusOr<mcp::Message> Request(const std::string& method, const Json& params, Deadline deadline) override;
  MonoTime LastActivity() const override;
  bool CatalogDirty() const override;
  void ClearCatalogDirty() override;
  void NoteTool(const Json& tool) override;
  // Ends the session at the server (DELETE), best effort within a second.
  void Close() override;

 private:
  // What the server made of one POST.
  struct Reply {
    int status = 0;
    std::optional<mcp::Message> answer;  // to our request
    std::string session_id;              // header of the answer
    std::string excerpt;                 // start of a body that was no message, printable
  };
  // How requests are addressed now.
  struct Conversation {
    mcp::Era era = mcp::Era::kUnknown;
    std::string version, session_id;
  };

  HttpPeer(const ProbeTarget& target, OpenedHeaders headers, http::Url url, const Clock& clock,
           std::shared_ptr<EraMemory> eras, HttpPeerOptions options);

  Status Connect(Deadline deadline);
  Status Take(const Reply& reply, const mcp::Outgoing& message, mcp::Handshake* handshake, Conversation* conversation,
              std::vector<mcp::Outgoing>* next, uint64_t* next_id);
  StatusOr<Reply> Post(const mcp::Outgoing& message, const Json& params, const Conversation& conversation,
                       Deadline deadline);
  http::Request Build(const mcp::Outgoing& message, const Json& params, const Conversation& conversation) const;
  void AddModernHeaders(const mcp::Outgoing& message, const Json& params, http::Request* request) const;
  Status ReadJson(http::ResponseStream& stream, const std::string& id, Reply* reply, Deadline deadline);
  Status ReadEvents(http::ResponseStream& stream, const std::string& id, const Conversation& conversation, Reply* reply,
                    Deadline deadline);
  // A message that came in a stream; true when it is the answer to `id`.
  bool TakeStreamed(const std::string& text, const std::string& id, const Conversation& conversation, Reply* reply,
                    Deadline deadline);
  void Touch();
  uint64_t NextId();

  const std::string url_text_;
  const http::Url url_;
  const int network_pid_;
  const std::string revision_;
  const std::vector<HeaderValue> headers_;  // as the target has them
  const OpenedHeaders opened_;              // as they are sent
  const Clock& clock_;
  const std::shared_ptr<EraMemory> eras_;
  const HttpPeerOptions options_;
  std::unique_ptr<http::Client> client_;  // thread-safe
  mutable Mutex mu_;
  CondVar changed_;
  bool connecting_ GUARDED_BY(mu_) = false;
  bool ready_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
  bool catalog_dirty_ GUARDED_BY(mu_) = false;
  MonoTime last_activity_ GUARDED_BY(mu_){};
  uint64_t next_id_ GUARDED_BY(mu_) = 1;
  mcp::PeerInfo info_ GUARDED_BY(mu_);
  Conversation conversation_ GUARDED_BY(mu_);
  mcp::ToolHeaders tool_headers_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
