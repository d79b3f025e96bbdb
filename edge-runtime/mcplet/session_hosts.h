// The one SessionHost that the controller knows: instances with the shim belong to the shim's host, attached ones
// (InstanceReport.attached) to the runtime that holds their connections.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/ports/session_host.h"
#include "edge-runtime/docker/attachments.h"

namespace mcpfleet {

class SessionHosts final : public SessionHost {
 public:
  // Both outlive it; `attachments` null: nothing is ever attached.
  SessionHosts(SessionHost& shims, DockerAttachments* attachments) : shims_(shims), attachments_(attachments) {}

  StatusOr<std::string> Prepare(const std::string& instance) override { return shims_.Prepare(instance); }
  void Expect(const std::string& instance, int pid) override { shims_.Expect(instance, pid); }
  bool Connected(const std::string& instance) const override;
  Status StartMain(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   Transport transport, Deadline deadline) override {
    return shims_.StartMain(instance, argv, env, transport, deadline);
  }
  Status PutFiles(const std::string& instance, const std::vector<OpenedFile>& files) override {
    return shims_.PutFiles(instance, files);
  }
  Status StopMain(const std::string& instance, Duration grace, Deadline deadline) override {
    return shims_.StopMain(instance, grace, deadline);
  }
  MainState Main(const std::string& instance) const override;
  std::shared_ptr<StdioChannel> MainChannel(const std::string& instance) override;
  std::optional<bool> SeparatesClients(const std::string& instance) const override {
    return shims_.SeparatesClients(instance);
  }
  // What an attachment has left goes with its container: its log is read until then.
  void Forget(const std::string& instance) override { shims_.Forget(instance); }
  void SetListener(std::function<void(const std::string& instance)> changed) override;

 private:
  // What an attached instance has; kAbsent for all others.
  MainState Attached(const std::string& instance) const;

  SessionHost& shims_;
  DockerAttachments* const attachments_;
};

}  // namespace mcpfleet
