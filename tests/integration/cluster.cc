#include "tests/integration/cluster.h"

#include <stdlib.h>
#include <unistd.h>

#include <iostream>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/strings.h"
#include "store/kubernetes/resource.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;
constexpr char kServers[] = "/apis/mcpfleet.dev/v1alpha1/namespaces/default/mcpservers";

}  // namespace

Cluster::Cluster() {
  char name[] = "/tmp/mcpfleet-cluster-XXXXXX";
  directory_ = mkdtemp(name);
  ca_ = std::make_unique<testing::TlsIdentity>("");
  identity_ = std::make_unique<testing::TlsIdentity>("IP:127.0.0.1", ca_.get());
  ca_->WriteTo(directory_ + "/ca.crt");
  identity_->WriteTo(directory_ + "/server.crt");
  identity_->WriteKeyTo(directory_ + "/server.key");
  api_ = std::make_unique<testing::KubeApi>(testing::KubeOptions{
      .tls = {.cert_file = directory_ + "/server.crt", .key_file = directory_ + "/server.key", .setting = {}}});
  const StatusOr<std::string> rbac =
      ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/manifests/kubernetes/rbac.yaml", size_t{1} << 20);
  EXPECT_TRUE(rbac.ok()) << rbac.status();
  api_->Grant(rbac.value_or(""));
  server_ = api_->url();
  ca_file_ = directory_ + "/ca.crt";
  admin_token_ = testing::kAdmin;
  if (access("/usr/bin/kubectl", X_OK) == 0) kubectl_ = "/usr/bin/kubectl";
  RotateToken();
  EXPECT_TRUE(WriteFileAtomically(directory_ + "/admin", admin_token_).ok());
  StatusOr<kube::Cluster> cluster = kube::ResolveCluster(
      {.server = server_, .token_file = directory_ + "/admin", .ca_file = ca_file_, .namespace_ = "x"},
      [](const char*) { return std::string(); });
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  admin_ = std::make_unique<kube::RestClient>(*std::move(cluster), "test");
}

Cluster::Cluster(KubePrograms programs) {
  char name[] = "/tmp/mcpfleet-cluster-XXXXXX";
  directory_ = mkdtemp(name);
  kubectl_ = programs.kubectl;
  real_ = std::make_unique<RealKube>(std::move(programs));
  server_ = real_->server();
  ca_file_ = real_->ca_file();
  admin_token_ = real_->AdminToken();
  admin_ = real_->Client(admin_token_);
  up_ = real_->Start();
  if (up_) RotateToken();
}

Cluster::~Cluster() {
  if (up_) {
    EXPECT_EQ(Join(real_ ? real_->Refusals() : api_->Refusals(), ", "), "")
        << "mcplet asked for what its role does not allow";
  }
  if (real_ && ::testing::Test::HasFailure()) std::cerr << real_->Logs();
  EXPECT_TRUE(RemoveTree(directory_).ok());
}

void Cluster::GoAway() { real_ ? real_->GoAway() : api_->GoAway(); }
void Cluster::ComeBack() { real_ ? real_->ComeBack() : api_->ComeBack(); }

void Cluster::BreakWatches() {
  if (!real_) return api_->BreakWatches();
  real_->GoAway();
  real_->ComeBack();
}

void Cluster::ExpireWatches() {
  if (!real_) return api_->ExpireWatches();
  real_->GoAway();  // what it has in memory goes back to before
  real_->Compact();
  real_->ComeBack();
}

void Cluster::FailRequests() {
  if (real_) return;
  api_->FailNext(503, 5);
  api_->SendBookmarks();
}

NodeOptions Cluster::Node(const std::string& name, const std::string& source) const {
  NodeOptions options;
  options.name = name;
  options.source = source;
  options.kubernetes = {
      {"server", server_}, {"tokenFile", directory_ + "/token"}, {"caFile", ca_file_}, {"namespace", "mcpfleet"}};
  return options;
}

void Cluster::RotateToken() {
  const std::string before = token_;
  if (real_) {
    if (!before.empty()) real_->RevokeTokens();
    token_ = real_->MakeToken();
  } else {
    token_ = "token-" + std::to_string(++tokens_);
    api_->AddToken(token_, testing::kMcpletUser);
  }
  EXPECT_TRUE(WriteFileAtomically(directory_ + "/token", token_ + "\n").ok());
  if (api_ && !before.empty()) api_->RemoveToken(before);
}

CommandResult Cluster::Kubectl(const std::vector<std::string>& args, const std::string& input) {
  const Json config = {
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"current-context", "test"},
      {"clusters",
       Json::array({{{"name", "test"}, {"cluster", {{"server", server_}, {"certificate-authority", ca_file_}}}}})},
      {"users", Json::array({{{"name", "admin"}, {"user", {{"token", admin_token_}}}}})},
      {"contexts", Json::array({{{"name", "test"},
                                 {"context", {{"cluster", "test"}, {"user", "admin"}, {"namespace", "default"}}}}})}};
  EXPECT_TRUE(WriteFileAtomically(directory_ + "/kubeconfig", DumpJson(config)).ok());
  std::vector<std::string> argv = {kubectl_};
  argv.insert(argv.end(), args.begin(), args.end());
  return RunCommand(argv, {"PATH=/usr/bin:/bin", "HOME=" + directory_, "KUBECONFIG=" + directory_ + "/kubeconfig"},
                    input, seconds(60));
}

Json Cluster::Get(const std::string& path) {
  const StatusOr<kube::Answer> answer = admin_->Do({.path = path}, Deadline::After(seconds(10)));
  return answer.ok() && answer->ok() ? answer->body : Json();
}

void Cluster::Apply(const std::string& collection, const Json& object) {
  const std::string path = collection + "/" + GetString(object.at("metadata"), "name");
  Json next = Get(path);
  const bool there = !next.is_null();
  if (there) {
    for (const char* member : {"spec", "data"}) {
      if (object.contains(member)) next[member] = object[member];
    }
    if (object["metadata"].contains("labels")) next["metadata"]["labels"] = object["metadata"]["labels"];
  } else {
    next = object;
  }
  const StatusOr<kube::Answer> answer = admin_->Do({.method = there ? "PUT" : "POST",
                                                    .path = there ? path : collection,
                                                    .query = "fieldValidation=Strict&fieldManager=person",
                                                    .content_type = kube::kJson,
                                                    .body = DumpJson(next)},
                                                   Deadline::After(seconds(10)));
  EXPECT_TRUE(answer.ok() && answer->ok())
      << path << " " << (answer.ok() ? DumpJson(answer->body) : Message(answer.status()));
}

void Cluster::Delete(const std::string& path) {
  const StatusOr<kube::Answer> answer = admin_->Do({.method = "DELETE", .path = path}, Deadline::After(seconds(10)));
  EXPECT_TRUE(answer.ok() && answer->ok()) << path;
}

void Cluster::ApplyServer(Json manifest) {
  manifest["metadata"]["namespace"] = "default";
  Apply(kServers, manifest);
}

void Cluster::DeleteServer(const std::string& name) { Delete(std::string(kServers) + "/" + name); }
Json Cluster::Server(const std::string& name) { return Get(std::string(kServers) + "/" + name); }

std::string Cluster::Condition(const std::string& name, const std::string& type, const std::string& node) {
  const Json server = Server(name);
  const Json& status = GetMember(server, "status");
  const Json& holder = node.empty() ? status : kube::EntryOf(status, node);
  for (const Json& condition : GetMember(holder, "conditions")) {
    if (GetString(condition, "type") == type)
      return GetString(condition, "status") + "/" + GetString(condition, "reason");
  }
  return "";
}

std::string Cluster::WatchFrom(const std::string& version) {
  const StatusOr<kube::RestClient::Watch> watch =
      admin_->Open({.path = kServers, .query = "watch=1&timeoutSeconds=10&resourceVersion=" + version},
                   Deadline::After(seconds(10)));
  if (!watch.ok()) return Message(watch.status());
  if (watch->stream == nullptr) return std::to_string(watch->answer.code);
  std::string line;
  while (line.find('\n') == std::string::npos) {
    const StatusOr<std::string> piece = watch->stream->Read(Deadline::After(seconds(20)));
    if (!piece.ok() || piece->empty()) return "nothing";
    line += *piece;
  }
  const Json event = ParseJson(line.substr(0, line.find('\n'))).value_or(Json());
  const Json& object = GetMember(event, "object");
  if (GetString(event, "type") == "ERROR") return std::to_string(GetInt(object, "code"));
  return GetString(event, "type") + " " + GetString(GetMember(object, "metadata"), "name");
}

std::vector<Json> Cluster::Events(const std::string& name) {
  std::vector<Json> out;
  const Json list = Get("/apis/events.k8s.io/v1/namespaces/default/events");
  for (const Json& event : GetMember(list, "items")) {
    if (GetString(GetMember(event, "regarding"), "name") == name) out.push_back(event);
  }
  return out;
}

}  // namespace mcpfleet
