#include "store/kubernetes/node_writer.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "store/kubernetes/resource.h"
#include "store/kubernetes/status_entry.h"
#include "store/kubernetes/status_writer.h"

namespace mcpfleet::kube {

Json MCPNodeStatus(const NodeStatus& node, int64_t sequence, WallTime now) {
  NodeStatus shown = node;
  shown.servers.clear();
  shown.sequence = sequence;
  shown.heartbeat = now;
  Json status = NodeStatusToJson(shown);
  status.erase("node");
  status.erase("servers");
  if (status.contains("conditions")) {
    for (Json& condition : status["conditions"]) {
      if (!condition.contains("message")) condition["message"] = "";
    }
  }
  return status;
}

std::string NodeDigest(const NodeStatus& node) { return DigestOf(MCPNodeStatus(node, 0, {})); }

NodeWriter::NodeWriter(RestClient& rest, const Clock& clock, NodeWriterOptions options)
    : rest_(rest), clock_(clock), options_(std::move(options)) {}

NodeWriter::~NodeWriter() { Stop(); }

void NodeWriter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void NodeWriter::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void NodeWriter::Set(const NodeStatus& node) {
  MutexLock lock(&mu_);
  node_ = node;
  known_ = true;
  wake_.NotifyAll();
}

Status NodeWriter::Apply(const NodeStatus& node) {
  const std::string path = std::string(kNodesPath) + "/" + PercentEncode(options_.node) + "/status";
  const Json body = {{"apiVersion", kApiVersion},
                     {"kind", kKindNode},
                     {"metadata", {{"name", options_.node}}},
                     {"status", MCPNodeStatus(node, ++sequence_, clock_.Wall())}};
  ASSIGN_OR_RETURN(const Answer answer,
                   rest_.Do({.method = "PATCH",
                             .path = path,
                             .query = "fieldManager=" + PercentEncode(ManagerOf(options_.node)) + "&force=true",
                             .content_type = kApplyPatch,
                             .body = DumpJson(body)},
                            Deadline::After(options_.timeout)));
  return StatusOf(answer, path);
}

// By POST, which changes nothing of an object that is there: its labels and spec are people's.
Status NodeWriter::Create() {
  Json metadata = {{"name", options_.node}};
  const std::optional<std::string> uid = options_.core_uid();
  if (!uid) return Unavailable("whether this machine is a Node of the cluster was not heard yet");
  if (!uid->empty()) {
    metadata["ownerReferences"] = {
        {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", options_.core_node}, {"uid", *uid}}};
  }
  const Json body = {{"apiVersion", kApiVersion}, {"kind", kKindNode}, {"metadata", std::move(metadata)}};
  ASSIGN_OR_RETURN(const Answer answer, rest_.Do({.method = "POST",
                                                  .path = kNodesPath,
                                                  .query = "fieldManager=" + PercentEncode(ManagerOf(options_.node)),
                                                  .content_type = kJson,
                                                  .body = DumpJson(body)},
                                                 Deadline::After(options_.timeout)));
  return answer.code == 409 ? OkStatus() : StatusOf(answer, kNodesPath);  // 409: somebody was faster
}

Status NodeWriter::Write(const NodeStatus& node) {
  Status applied = Apply(node);
  if (applied.code() != StatusCode::kNotFound) return applied;
  RETURN_IF_ERROR(Create());
  return Apply(node);
}

void NodeWriter::Run() {
  std::string written;        // digest of what stands there
  MonoTime due{}, refresh{};  // not before, and whatever it is
  int failures = 0;
  for (;;) {
    NodeStatus node;
    {
      MutexLock lock(&mu_);
      for (;;) {
        if (stopping_) return;
        const MonoTime now = clock_.Now();
        if (known_ && now >= due && (now >= refresh || NodeDigest(node_) != written)) break;
        if (!known_) {
          wake_.Wait(&mu_);
        } else {
          wake_.WaitUntil(&mu_, Deadline::After((now < due ? due : refresh) - now));
        }
      }
      node = node_;
    }
    const Status status = Write(node);
    const MonoTime now = clock_.Now();
    failures = status.ok() ? 0 : failures + 1;
    if (!status.ok() && status.code() != said_)
      LOG_WARNING("this node's MCPNode could not be written; it will be tried again", {{"error", status}});
    said_ = status.code();
    written = status.ok() ? NodeDigest(node) : "";
    refresh = now + options_.refresh;
    due = now + (status.ok()
                     ? options_.min_interval
                     : std::min(options_.first_pause * (int64_t{1} << std::min(failures - 1, 10)), options_.refresh));
  }
}

}  // namespace mcpfleet::kube
