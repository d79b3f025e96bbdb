#include "tests/integration/real_kube.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "crd/manifest.h"
#include "store/kubernetes/resource.h"
#include "tests/fakes/kube/kube_kinds.h"

namespace mcpfleet {
namespace {

using kube::Answer;
using std::chrono::seconds;

constexpr char kAccounts[] = "/api/v1/namespaces/mcpfleet/serviceaccounts";
constexpr char kCrds[] = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

std::string Given(const char* variable) {
  const char* value = getenv(variable);
  return value == nullptr ? "" : value;
}

std::string Find(const char* variable, const std::string& program) {
  std::vector<std::string> folders;
  if (const std::string folder = Given("MCPFLEET_KUBE"); !folder.empty()) {
    folders = {folder};
  } else if (const std::string file = Given(variable); !file.empty()) {
    return file;
  } else {
    folders = Split(Given("PATH"), ':');
  }
  for (const std::string& folder : folders) {
    if (const std::string file = folder + "/" + program; access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::string At(const HeldPort& port, const std::string& scheme = "https") {
  return scheme + "://127.0.0.1:" + std::to_string(port.number);
}

std::vector<std::string> Documents(const std::string& text) {
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t end; (end = text.find("\n---", begin)) != std::string::npos; begin = text.find('\n', end + 1) + 1)
    out.push_back(text.substr(begin, end - begin));
  out.push_back(text.substr(begin));
  return out;
}

bool Ended(pid_t pid) {
  siginfo_t info{};
  return pid > 0 && waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

std::string Tail(const std::string& file) {
  const std::string text = ReadFile(file, size_t{64} << 20).value_or("");
  return file + ":\n" + (text.size() > 4000 ? text.substr(text.size() - 4000) : text) + "\n";
}

}  // namespace

StatusOr<KubePrograms> FindKubePrograms() {
  KubePrograms found{.etcd = Find("ETCD", "etcd"),
                     .apiserver = Find("KUBE_APISERVER", "kube-apiserver"),
                     .crds = Given("MCPFLEET_KUBE").empty() ? "" : Find("", "apiextensions-apiserver"),
                     .kubectl = Find("KUBECTL", "kubectl")};
  const std::string hint = "; tests/tools/build_kube_apiserver makes what $MCPFLEET_KUBE names";
  if (found.apiserver.empty()) return NotFound("no kube-apiserver" + hint);
  if (found.etcd.empty()) return NotFound("no etcd" + hint);
  if (!Given("MCPFLEET_KUBE").empty() && found.crds.empty())
    return NotFound("no apiextensions-apiserver in " + Given("MCPFLEET_KUBE") + hint);
  return found;
}

RealKube::RealKube(KubePrograms programs) : programs_(std::move(programs)) {
  char name[] = "/tmp/mcpfleet-kube-XXXXXX";
  directory_ = mkdtemp(name);
  server_ = At(port_);
  if (!programs_.crds.empty()) crds_server_ = At(crds_port_);
  etcd_url_ = At(etcd_port_, "http");
  ca_.WriteTo(directory_ + "/ca.crt");
  const auto write = [&](const std::string& file, const testing::TlsIdentity& identity) {
    identity.WriteTo(directory_ + "/" + file + ".crt");
    identity.WriteKeyTo(directory_ + "/" + file + ".key");
  };
  write("server", testing::TlsIdentity("IP:127.0.0.1", &ca_));
  write("crds", testing::TlsIdentity("IP:127.0.0.1,DNS:crds.default.svc", &ca_));
  write("proxy", testing::TlsIdentity("DNS:proxy", &ca_));  // the aggregator's own
  write("accounts", testing::TlsIdentity("DNS:accounts"));
  const auto text = [&](const std::string& file, const std::string& content) {
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/" + file, content).ok());
  };
  text("tokens.csv", "admin,admin,1,system:masters\ncrds,crds,2,system:masters\n");
  text("audit.json",
       DumpJson({{"apiVersion", "audit.k8s.io/v1"},
                 {"kind", "Policy"},
                 {"omitStages", {"RequestReceived"}},
                 {"rules", {{{"level", "Metadata"}, {"users", {testing::kMcpletUser}}}, {{"level", "None"}}}}}));
  text("crds.json",
       DumpJson(
           {{"apiVersion", "v1"},
            {"kind", "Config"},
            {"current-context", "crds"},
            {"clusters", Json::array({{{"name", "crds"},
                                       {"cluster", {{"server", server_}, {"certificate-authority", ca_file()}}}}})},
            {"users", Json::array({{{"name", "crds"}, {"user", {{"token", "crds"}}}}})},
            {"contexts", Json::array({{{"name", "crds"}, {"context", {{"cluster", "crds"}, {"user", "crds"}}}}})}}));
  admin_ = Client(AdminToken());
}

RealKube::~RealKube() {
  for (const pid_t pid : {etcd_, apiserver_, crds_}) EXPECT_FALSE(Ended(pid)) << "ended by itself\n" << Logs();
  EndProgram(crds_, SIGKILL);
  EndProgram(apiserver_, SIGKILL);
  EndProgram(etcd_, SIGKILL);
  EXPECT_TRUE(RemoveTree(directory_).ok());
}

bool RealKube::Start() {
  etcd_ = StartProgram(
      {programs_.etcd, "--data-dir", directory_ + "/etcd", "--listen-client-urls", etcd_url_, "--advertise-client-urls",
       etcd_url_, "--listen-peer-urls", At(peer_port_, "http"), "--unsafe-no-fsync"},
      directory_ + "/etcd.log");
  const bool up = StartServers() && Install();
  EXPECT_TRUE(up) << "the API server does not come up\n" << Logs();
  return up;
}

bool RealKube::StartServers() {
  const std::string at = directory_ + "/";
  apiserver_ = StartProgram({programs_.apiserver,
                             "--etcd-servers=" + etcd_url_,
                             "--bind-address=127.0.0.1",
                             "--secure-port=" + std::to_string(port_.number),
                             "--tls-cert-file=" + at + "server.crt",
                             "--tls-private-key-file=" + at + "server.key",
                             "--token-auth-file=" + at + "tokens.csv",
                             "--authorization-mode=RBAC",
                             "--service-account-issuer=https://kubernetes.default.svc",
                             "--service-account-key-file=" + at + "accounts.crt",
                             "--service-account-signing-key-file=" + at + "accounts.key",
                             "--service-cluster-ip-range=10.0.0.0/24",
                             "--advertise-address=192.0.2.1",
                             "--endpoint-reconciler-type=none",
                             "--requestheader-client-ca-file=" + at + "ca.crt",
                             "--requestheader-username-headers=X-Remote-User",
                             "--requestheader-group-headers=X-Remote-Group",
                             "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                             "--proxy-client-cert-file=" + at + "proxy.crt",
                             "--proxy-client-key-file=" + at + "proxy.key",
                             "--audit-policy-file=" + at + "audit.json",
                             "--audit-log-path=" + at + "audit.log"},
                            at + "apiserver.log");
  const auto ready = [](kube::RestClient& client, pid_t pid) {
    bool up = false;
    WaitFor(
        [&] {
          const auto answer = client.Do({.path = "/readyz"}, Deadline::After(seconds(5)));
          up = answer.ok() && answer->ok();
          return up || Ended(pid);
        },
        seconds(120));
    return up;
  };
  if (!ready(*admin_, apiserver_)) return false;
  if (programs_.crds.empty()) return true;
  // What it knows of tokens, roles and namespaces it asks the API server. That one is too old to have API priorities
  // and the policies of admission.
  crds_ = StartProgram(
      {programs_.crds, "--etcd-servers=" + etcd_url_, "--bind-address=127.0.0.1",
       "--secure-port=" + std::to_string(crds_port_.number), "--tls-cert-file=" + at + "crds.crt",
       "--tls-private-key-file=" + at + "crds.key", "--kubeconfig=" + at + "crds.json",
       "--authentication-kubeconfig=" + at + "crds.json", "--authorization-kubeconfig=" + at + "crds.json",
       "--enable-priority-and-fairness=false",
       "--disable-admission-plugins=MutatingAdmissionPolicy,MutatingAdmissionWebhook,ValidatingAdmissionPolicy,"
       "ValidatingAdmissionWebhook"},
      at + "crds.log");
  return ready(*Client(AdminToken(), crds_server_), crds_);
}

Answer RealKube::Send(const std::string& method, const std::string& path, const Json& object, int expected) {
  const StatusOr<Answer> answer =
      admin_->Do({.method = method, .path = path, .query = {}, .content_type = kube::kJson, .body = DumpJson(object)},
                 Deadline::After(seconds(20)));
  EXPECT_TRUE(answer.ok() && answer->code == expected)
      << path << " " << (answer.ok() ? DumpJson(answer->body) : Message(answer.status()));
  return answer.ok() ? *answer : Answer{};
}

bool RealKube::Install() {
  const std::unique_ptr<kube::RestClient> crds = Client(AdminToken(), crd_server());
  for (const char* file : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"}) {
    const StatusOr<Answer> answer = crds->Do({.method = "POST",
                                              .path = kCrds,
                                              .query = "fieldValidation=Strict",
                                              .content_type = kube::kJson,
                                              .body = DumpJson(testing::CrdJson(file))},
                                             Deadline::After(seconds(60)));
    EXPECT_TRUE(answer.ok() && answer->code == 201)
        << file << " " << (answer.ok() ? DumpJson(answer->body) : Message(answer.status()));
  }
  if (!programs_.crds.empty()) {
    const std::string ca = ReadFile(ca_file(), size_t{1} << 16).value_or("");
    Send("POST", "/api/v1/namespaces/default/services",
         {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"name", "crds"}}},
          {"spec", {{"type", "ExternalName"}, {"externalName", "127.0.0.1"}}}},
         201);
    Send("POST", "/apis/apiregistration.k8s.io/v1/apiservices",
         {{"apiVersion", "apiregistration.k8s.io/v1"},
          {"kind", "APIService"},
          {"metadata", {{"name", "v1alpha1.mcpfleet.dev"}}},
          {"spec",
           {{"group", "mcpfleet.dev"},
            {"version", "v1alpha1"},
            {"groupPriorityMinimum", 1000},
            {"versionPriority", 100},
            {"caBundle", Base64Encode(ca)},
            {"service", {{"namespace", "default"}, {"name", "crds"}, {"port", crds_port_.number}}}}}},
         201);
  }
  Send("POST", "/api/v1/namespaces",
       {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "mcpfleet"}}}}, 201);
  const StatusOr<std::string> rbac =
      ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/manifests/kubernetes/rbac.yaml", size_t{1} << 20);
  EXPECT_TRUE(rbac.ok()) << rbac.status();
  for (const std::string& document : Documents(rbac.value_or(""))) {
    const StatusOr<Json> object = ParseYaml(document, "rbac.yaml", nullptr, nullptr);
    EXPECT_TRUE(object.ok()) << object.status();
    if (!object.ok()) continue;
    const std::string kind = GetString(*object, "kind"), space = GetString((*object)["metadata"], "namespace");
    const std::string base = kind == "ServiceAccount" ? "/api/v1" : "/apis/rbac.authorization.k8s.io/v1";
    Send("POST", base + (space.empty() ? "" : "/namespaces/" + space) + "/" + ToLower(kind) + "s", *object, 201);
  }
  return WaitFor([&] {
    for (const char* path : {kube::kServersPath, kube::kNodesPath, kube::kSecretsPath}) {
      const auto answer = admin_->Do({.path = path}, Deadline::After(seconds(5)));
      if (!answer.ok() || !answer->ok()) return false;
    }
    return true;
  });
}

void RealKube::GoAway() {
  EndProgram(std::exchange(crds_, -1), SIGKILL);
  EndProgram(std::exchange(apiserver_, -1), SIGKILL);
}

void RealKube::ComeBack() {
  ASSERT_TRUE(StartServers()) << Logs();
  // The aggregator looks whether the other server is there from time to time.
  ASSERT_TRUE(WaitFor([&] {
    const auto answer = admin_->Do({.path = kube::kServersPath}, Deadline::After(seconds(5)));
    return answer.ok() && answer->ok();
  })) << Logs();
}

void RealKube::Compact() {
  const std::unique_ptr<kube::RestClient> etcd = Client("", etcd_url_);
  const auto ask = [&](const std::string& path, const Json& body) -> Json {
    const StatusOr<Answer> answer =
        etcd->Do({.method = "POST", .path = path, .query = {}, .content_type = kube::kJson, .body = DumpJson(body)},
                 Deadline::After(seconds(20)));
    EXPECT_TRUE(answer.ok() && answer->ok())
        << path << " " << (answer.ok() ? DumpJson(answer->body) : Message(answer.status()));
    return answer.ok() ? answer->body : Json();
  };
  const Json now = ask("/v3/kv/range", {{"key", Base64Encode("/")}});
  ask("/v3/kv/compaction", {{"revision", GetMember(GetMember(now, "header"), "revision")}, {"physical", true}});
}

std::string RealKube::MakeToken() {
  const Answer answer = Send(
      "POST", std::string(kAccounts) + "/mcpfleet/token",
      {{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", {{"expirationSeconds", 3600}}}},
      201);
  return GetString(GetMember(answer.body, "status"), "token");
}

void RealKube::RevokeTokens() {
  Send("DELETE", std::string(kAccounts) + "/mcpfleet", Json::object(), 200);
  Send("POST", kAccounts, {{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "mcpfleet"}}}},
       201);
}

std::unique_ptr<kube::RestClient> RealKube::Client(const std::string& token, const std::string& server) const {
  static int files = 0;
  const std::string file = directory_ + "/token-" + std::to_string(++files);
  EXPECT_TRUE(WriteFileAtomically(file, (token.empty() ? "none" : token) + "\n").ok());
  StatusOr<kube::Cluster> cluster = kube::ResolveCluster(
      {.server = server.empty() ? server_ : server, .token_file = file, .ca_file = ca_file(), .namespace_ = "mcpfleet"},
      [](const char*) { return std::string(); });
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return std::make_unique<kube::RestClient>(*std::move(cluster), "test");
}

std::vector<std::string> RealKube::Refusals() const {
  std::set<std::string> out;
  const StatusOr<std::string> log = ReadFile(directory_ + "/audit.log", size_t{256} << 20);
  // It is made with the first request of the account.
  EXPECT_TRUE(log.ok() || log.status().code() == StatusCode::kNotFound) << log.status();
  for (const std::string& line : Split(log.value_or(""), '\n')) {
    const StatusOr<Json> event = ParseJson(line);
    if (!event.ok() || GetInt(GetMember(*event, "responseStatus"), "code") != 403) continue;
    const Json& about = GetMember(*event, "objectRef");
    const std::string sub = GetString(about, "subresource");
    out.insert(GetString(*event, "verb") + " " + GetString(about, "resource") + (sub.empty() ? "" : "/" + sub));
  }
  return {out.begin(), out.end()};
}

std::string RealKube::Logs() const {
  std::string out;
  for (const char* file : {"etcd.log", "apiserver.log", "crds.log"}) out += Tail(directory_ + "/" + file);
  return out;
}

}  // namespace mcpfleet
