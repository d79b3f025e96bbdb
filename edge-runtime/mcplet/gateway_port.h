// The node's gateway as the agent has it: open, or not open yet because its port is taken. The controller talks to it
// all the time; once it opens it learns of every server.
//
// Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/http/client.h"
#include "base/mutex.h"
#include "controller/core/controller.h"
#include "edge-runtime/gateway/gateway.h"
#include "edge-runtime/mcplet/config.h"

namespace mcpfleet {

class GatewayPort final : public GatewayNews, public Traffic {
 public:
  explicit GatewayPort(const Config& config) : config_(config) {}
  ~GatewayPort() override { Close(); }

  // Opens it, when it is wanted and not open. `deps` outlive it; `controller` tells which servers there are.
  Status Open(const gateway::GatewayDeps& deps, const Controller& controller);
  void Close();
  // Why the last Open failed; "" when it is open or not wanted.
  std::string problem() const;
  bool wanted() const { return config_.gateway.enabled; }
  // Why the renewed certificate is not used; "": there is none, or it is.
  std::string certificate_problem() const;
  std::string address() const;  // "127.0.0.1:8700"; "" when it is not open
  uint16_t port() const;        // 0 when it is not open
  // Where this machine reaches it without TLS; nullopt while it is not open, and where it has a certificate.
  std::optional<http::Endpoint> PlainEndpoint() const;
  // Where clients reach a server; "" while it is not open.
  std::string EndpointOf(const ServerKey& server) const;

  void ServerChanged(const ServerKey& key) override;
  int Conversations(const std::string& instance) const override;
  std::optional<MonoTime> LastUsed(const ServerKey& server) const override;
  void SetListener(std::function<void(const ServerKey& server)> changed) override;

 private:
  // shared: callers use it without our lock.
  std::shared_ptr<gateway::Gateway> Current() const;

  const Config& config_;
  mutable Mutex mu_;
  std::shared_ptr<gateway::Gateway> gateway_ GUARDED_BY(mu_);
  std::function<void(const ServerKey&)> listener_ GUARDED_BY(mu_);
  std::string problem_ GUARDED_BY(mu_) = "not open yet";
};

}  // namespace mcpfleet
