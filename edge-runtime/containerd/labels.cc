#include "edge-runtime/containerd/labels.h"

#include <algorithm>
#include <cstdlib>

namespace mcpfleet::containerd {
namespace {

constexpr char kPrefix[] = "dev.mcpfleet.";
// containerd refuses a label of more than 4096 bytes, its name among them.
constexpr size_t kLabelBytes = 4000;

std::string NetworkName(NetworkMode network) {
  switch (network) {
    case NetworkMode::kNone:
      return "none";
    case NetworkMode::kOutbound:
      return "outbound";
    case NetworkMode::kHost:
      return "host";
  }
  return "none";
}

NetworkMode NetworkOf(std::string_view name) {
  if (name == "outbound") return NetworkMode::kOutbound;
  return name == "host" ? NetworkMode::kHost : NetworkMode::kNone;
}

int64_t ToInt(const std::string& text) { return std::strtoll(text.c_str(), nullptr, 10); }

}  // namespace

std::string OfNode(const std::string& node) { return "labels.\"" + std::string(kLabelNode) + "\"==" + Quoted(node); }

std::map<std::string, std::string> LabelsOf(const InstanceSpec& spec, const LabelContext& context) {
  return {{kLabelNode, context.node},
          {kLabelInstance, spec.id},
          {"dev.mcpfleet.namespace", spec.server.namespace_},
          {"dev.mcpfleet.server", spec.server.name},
          {"dev.mcpfleet.uid", spec.uid},
          {"dev.mcpfleet.generation", std::to_string(spec.generation)},
          {"dev.mcpfleet.revision", spec.revision},
          {"dev.mcpfleet.artifact", spec.artifact.digest},
          {"dev.mcpfleet.shim", context.shim ? "true" : "false"},
          {"dev.mcpfleet.network", NetworkName(spec.spec.security.network)},
          {"dev.mcpfleet.logbytes", std::to_string(spec.spec.logs.max_size_bytes)},
          {"dev.mcpfleet.logfiles", std::to_string(std::max(1, spec.spec.logs.max_files))},
          {"dev.mcpfleet.unenforced", context.unenforced.substr(0, kLabelBytes)}};
}

std::optional<OwnContainer> OwnContainerOf(const Container& container, const std::string& node) {
  const auto label = [&](const std::string& name) {
    const auto found = container.labels.find(kPrefix + name);
    return found == container.labels.end() ? std::string() : found->second;
  };
  if (label("node") != node || label("instance") != container.id || !IsInstanceId(container.id)) return std::nullopt;
  OwnContainer own;
  InstanceReport& report = own.report;
  report.id = container.id;
  report.runtime = RuntimeKind::kContainerd;
  report.server = {label("namespace"), label("server")};
  report.uid = label("uid");
  report.generation = ToInt(label("generation"));
  report.revision = label("revision");
  report.artifact_digest = label("artifact");
  report.shim = label("shim") != "false";
  report.unenforced = label("unenforced");
  report.created_at = container.created_at;
  if (const std::string started = label("started"); !started.empty()) {
    own.started = true;
    report.started_at = WallTime(Duration(ToInt(started)));
  }
  own.network = NetworkOf(label("network"));
  own.log_bytes = std::max<int64_t>(4096, ToInt(label("logbytes")));
  own.log_files = static_cast<int>(std::clamp<int64_t>(ToInt(label("logfiles")), 1, 100));
  own.snapshot_key = container.snapshot_key;
  return own;
}

ExitInfo ExitOf(uint32_t status, bool oom) {
  const int code = static_cast<int>(std::min<uint32_t>(status, 255));
  return {.code = code, .signal = code > 128 && code <= 128 + 64 ? code - 128 : 0, .oom = oom};
}

}  // namespace mcpfleet::containerd
