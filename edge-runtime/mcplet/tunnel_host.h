// Where this node's cloudflared runs: in a sandbox of the process runtime, as nobody, with a network namespace of its
// own from which the internet is reached but nothing of this machine and its surroundings; the gateway is a unix socket
// in a directory that it sees. docs/decisions has why.
#pragma once

#include <string>
#include <vector>

#include "edge-runtime/mcplet/config.h"
#include "edge-runtime/process/programs.h"
#include "edge-runtime/tunnel/connector.h"

namespace mcpfleet {

class TunnelHost final : public tunnel::ConnectorHost {
 public:
  // `sandbox_binary`: mcp-sandbox.
  TunnelHost(const Config& config, std::string sandbox_binary);

  StatusOr<tunnel::ConnectorPlace> Place() override;
  StatusOr<std::vector<tunnel::ConnectorReport>> List() override;
  Status Start(const tunnel::ConnectorSpec& spec, Deadline deadline) override;
  void Terminate(const std::string& id) override { programs_.Terminate(id); }
  Status Remove(const std::string& id, Deadline deadline) override { return programs_.Remove(id, deadline); }
  StatusOr<UniqueFd> ConnectToMetrics(const std::string& id, Deadline deadline) override;

 private:
  const Config& config_;
  Programs programs_;
  // Of the last Place.
  std::string program_;
  bool own_network_ = true;
  std::vector<std::string> unreachable_;
};

}  // namespace mcpfleet
