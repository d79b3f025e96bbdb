#include "tests/fakes/kube/kube_api.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "crd/manifest.h"
#include "tests/fakes/kube/kube_discovery.h"
#include "tests/fakes/kube/kube_request.h"

namespace mcpfleet::testing {
namespace {

constexpr char kApplyType[] = "application/apply-patch+yaml", kMergeType[] = "application/merge-patch+json",
               kJsonType[] = "application/json";

}  // namespace

KubeApi::KubeApi(KubeOptions options) : options_(std::move(options)) {
  kinds_ = KubeKinds();
  {
    MutexLock lock(&mu_);
    tokens_[kAdmin] = kAdmin;
  }
  Listen();
}

KubeApi::~KubeApi() { GoAway(); }

std::string KubeApi::url() const {
  return (options_.tls.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port_);
}

void KubeApi::Listen() {
  http::Server::Options options;
  options.port = port_ == 0 ? options_.port : port_;
  options.tls = options_.tls;
  options.worker_threads = 0;
  MutexLock lock(&mu_);  // whoever is faster than server_ waits
  auto server = http::Server::Create(
      options, [this](http::Request& request, const std::shared_ptr<http::Responder>& to) { Handle(request, to); });
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  port_ = server_->port();
}

void KubeApi::GoAway() {
  server_.reset();
  MutexLock lock(&mu_);
  watchers_.clear();
}

void KubeApi::ComeBack() { Listen(); }

void KubeApi::Grant(std::string_view rbac_yaml) {
  MutexLock lock(&mu_);
  rbac_.Add(rbac_yaml);
}

void KubeApi::Revoke(const std::string& resource) {
  MutexLock lock(&mu_);
  rbac_.Remove(resource);
}

void KubeApi::AddToken(const std::string& token, const std::string& user) {
  MutexLock lock(&mu_);
  tokens_[token] = user;
}

void KubeApi::RemoveToken(const std::string& token) {
  MutexLock lock(&mu_);
  tokens_.erase(token);
}

void KubeApi::BreakWatches() {
  MutexLock lock(&mu_);
  for (const Watcher& watcher : watchers_) {
    watcher.stream->Write(R"({"type":"MODIFIED","obj)");
    watcher.stream->End();
  }
  watchers_.clear();
}

void KubeApi::ExpireWatches() {
  MutexLock lock(&mu_);
  oldest_ = ++version_;
  history_.clear();
  for (const Watcher& watcher : watchers_) {
    watcher.stream->Write(EventLine("ERROR", {{"kind", "Status"},
                                              {"apiVersion", "v1"},
                                              {"status", "Failure"},
                                              {"message", "too old resource version"},
                                              {"reason", "Expired"},
                                              {"code", 410}}));
    watcher.stream->End();
  }
  watchers_.clear();
}

void KubeApi::SendBookmarks() {
  MutexLock lock(&mu_);
  for (const Watcher& watcher : watchers_) {
    watcher.stream->Write(EventLine("BOOKMARK", {{"kind", watcher.kind->kind},
                                                 {"apiVersion", "v1"},
                                                 {"metadata", {{"resourceVersion", std::to_string(version_)}}}}));
  }
}

void KubeApi::FailNext(int code, int times) {
  MutexLock lock(&mu_);
  fail_code_ = code;
  fail_times_ = times;
}

int64_t KubeApi::Count(const std::string& what) const {
  MutexLock lock(&mu_);
  const auto found = counts_.find(what);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<std::string> KubeApi::Refusals() const {
  MutexLock lock(&mu_);
  return refusals_;
}

int KubeApi::watches() const {
  MutexLock lock(&mu_);
  return static_cast<int>(
      std::count_if(watchers_.begin(), watchers_.end(), [](const Watcher& each) { return !each.stream->closed(); }));
}

// /api/v1/… or /apis/<group>/<version>/…, then [namespaces/<namespace>/]<plural>[/<name>[/<subresource>]]
bool KubeApi::Parse(const http::Request& request, Target* target) const {
  std::vector<std::string> parts;
  for (const std::string& part : Split(request.Path().substr(1), '/')) {
    std::string decoded;
    if (!PercentDecode(part, &decoded)) return false;
    parts.push_back(decoded);
  }
  std::string group, version;
  size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    group = parts[1];
    version = parts[2];
    at = 3;
  } else {
    return false;
  }
  const bool spaced = parts[at] == "namespaces" && parts.size() > at + 2;
  if (spaced) {
    target->namespace_ = parts[at + 1];
    at += 2;
  }
  for (const Kind& kind : kinds_) {
    if (kind.group == group && kind.version == version && kind.plural == parts[at]) target->kind = &kind;
  }
  if (target->kind == nullptr || (spaced && !target->kind->namespaced)) return false;
  target->all_namespaces = target->kind->namespaced && !spaced;
  if (parts.size() > at + 1) target->name = parts[at + 1];
  if (parts.size() > at + 2) target->subresource = parts[at + 2];
  if (target->all_namespaces && !target->name.empty()) return false;
  return parts.size() <= at + 3 &&
         (target->subresource.empty() || (target->kind->status && target->subresource == "status"));
}

void KubeApi::Handle(http::Request& request, const std::shared_ptr<http::Responder>& to) {
  MutexLock lock(&mu_);
  const std::string bearer = request.headers.Get("Authorization").value_or("");
  const auto user = tokens_.find(bearer.starts_with("Bearer ") ? bearer.substr(7) : "");
  if (user == tokens_.end()) return to->Send(Refusal(401, "Unauthorized", "Unauthorized"));
  if (request.method == "GET") {
    if (const auto answer = DiscoveryAnswer(std::string(request.Path()), kinds_); answer)
      return to->Send(Answer(200, *answer));
  }
  Asked asked{.request = request, .target = {}, .verb = {}, .manager = {}};
  if (!Parse(request, &asked.target))
    return to->Send(Refusal(404, "NotFound", "the server could not find the requested resource"));
  const bool watch = request.method == "GET" && !asked.Query("watch").empty() && asked.Query("watch") != "0";
  const bool one = !asked.target.name.empty();
  const std::map<std::string, std::string> verbs = {{"GET", watch ? "watch"
                                                            : one ? "get"
                                                                  : "list"},
                                                    {"POST", "create"},
                                                    {"PUT", "update"},
                                                    {"PATCH", "patch"},
                                                    {"DELETE", "delete"}};
  const auto verb = verbs.find(request.method);
  if (verb == verbs.end() || (one && request.method == "POST") ||
      (!one && request.method != "GET" && request.method != "POST"))
    return to->Send(
        Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"));
  asked.verb = verb->second;
  asked.strict = asked.Query("fieldValidation") == "Strict";
  asked.force = asked.Query("force") == "true";
  asked.manager = asked.Query("fieldManager");
  ++counts_[asked.verb + " " + asked.What()];
  if (user->second != kAdmin) {
    std::string selected = asked.target.name;
    if (const std::string selector = asked.Query("fieldSelector"); selector.starts_with("metadata.name="))
      selected = selector.substr(14);
    if (!rbac_.Allows(user->second,
                      {asked.verb, asked.target.kind->group, asked.What(), asked.target.namespace_, selected})) {
      refusals_.push_back(asked.verb + " " + asked.What());
      return to->Send(
          Refusal(403, "Forbidden",
                  asked.What() + " is forbidden: User \"" + user->second + "\" cannot " + asked.verb + " resource"));
    }
    if (fail_times_ > 0) {
      --fail_times_;
      return to->Send(Refusal(fail_code_, "Injected", "told to fail"));
    }
  }
  if (watch) return Watch(asked, to);
  http::Response answer = Serve(asked);
  const bool table = request.headers.Get("Accept").value_or("").find("as=Table") != std::string::npos;
  if (table && request.method == "GET" && answer.status == 200)
    answer = Answer(200, TableOf(*asked.target.kind, *ParseJson(answer.body)));
  to->Send(std::move(answer));
}

http::Response KubeApi::Serve(const Asked& asked) {
  if (asked.verb == "list") return List(asked);
  const std::string& plural = asked.target.kind->plural;
  if (asked.verb == "get") {
    const auto found = objects_[plural].find(asked.name());
    if (found == objects_[plural].end())
      return Refusal(404, "NotFound", plural + " \"" + asked.target.name + "\" not found");
    return Answer(200, found->second.object);
  }
  if (asked.verb == "delete") return Delete(asked);
  const std::string type = Split(asked.request.headers.Get("Content-Type").value_or(""), ';').front();
  const bool apply = type == kApplyType, merge = type == kMergeType;
  if (asked.verb == "patch" ? !apply && !merge : type != kJsonType)
    return Refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format: " + type);
  StatusOr<Json> body = apply ? ParseYaml(asked.request.body, "body", nullptr, nullptr) : ParseJson(asked.request.body);
  if (!body.ok() || !body->is_object()) return Refusal(400, "BadRequest", "the body is no object");
  if (asked.verb == "create") return Create(asked, *std::move(body));
  if (asked.verb == "update") return Replace(asked, *std::move(body));
  return apply ? Apply(asked, *body) : MergePatch(asked, *body);
}

http::Response KubeApi::List(const Asked& asked) {
  const Kind& kind = *asked.target.kind;
  std::string name;
  if (const std::string selector = asked.Query("fieldSelector"); !selector.empty()) {
    if (!selector.starts_with("metadata.name=")) return Refusal(400, "BadRequest", "field label not supported");
    name = selector.substr(14);
  }
  const std::string label = asked.Query("labelSelector");
  Name after;
  bool begun = false;
  if (const std::string token = asked.Query("continue"); !token.empty()) {
    std::string plain;
    const std::vector<std::string> parts = Base64Decode(token, &plain) ? Split(plain, '|') : std::vector<std::string>{};
    if (parts.size() != 3) return Refusal(400, "BadRequest", "continue key is not valid");
    if (strtoll(parts[0].c_str(), nullptr, 10) < oldest_)
      return Refusal(410, "Expired", "The provided continue parameter is too old");
    after = {parts[1], parts[2]};
    begun = true;
  }
  const int64_t limit = strtoll(asked.Query("limit").c_str(), nullptr, 10);
  Json items = Json::array();
  std::string next;
  Name last;
  for (const auto& [key, stored] : objects_[kind.plural]) {
    if (begun && key <= after) continue;
    if (!asked.target.all_namespaces && key.first != asked.target.namespace_) continue;
    if (!name.empty() && key.second != name) continue;
    if (!label.empty() && !GetMember(GetMember(stored.object, "metadata"), "labels").contains(label)) continue;
    if (limit > 0 && static_cast<int64_t>(items.size()) == limit) {
      next = Base64Encode(std::to_string(version_) + "|" + last.first + "|" + last.second);
      break;
    }
    items.push_back(stored.object);
    last = key;
  }
  Json metadata = {{"resourceVersion", std::to_string(version_)}};
  if (!next.empty()) metadata["continue"] = next;
  return Answer(200, {{"kind", kind.kind + "List"},
                      {"apiVersion", kind.group.empty() ? kind.version : kind.group + "/" + kind.version},
                      {"metadata", std::move(metadata)},
                      {"items", std::move(items)}});
}

void KubeApi::Watch(const Asked& asked, const std::shared_ptr<http::Responder>& to) {
  const std::string text = asked.Query("resourceVersion");
  char* end = nullptr;
  const int64_t from = strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0')
    return to->Send(Refusal(500, "", "resourceVersion: Invalid value: \"" + text + "\": invalid syntax"));
  if (from < oldest_) return to->Send(Refusal(410, "Expired", "too old resource version: " + text));
  Watcher watcher{.stream = nullptr, .kind = asked.target.kind, .namespace_ = asked.target.namespace_, .name = {}};
  if (const std::string selector = asked.Query("fieldSelector"); selector.starts_with("metadata.name="))
    watcher.name = selector.substr(14);
  http::Response head{.status = 200, .headers = {}, .body = {}};
  head.headers.Add("Content-Type", kJsonType);
  watcher.stream = to->StartStream(std::move(head));
  for (const Change& change : history_) {
    if (change.version <= from || GetString(change.object, "kind") != watcher.kind->kind) continue;
    if (!watcher.namespace_.empty() && Meta(change.object, "namespace") != watcher.namespace_) continue;
    if (!watcher.name.empty() && Meta(change.object, "name") != watcher.name) continue;
    watcher.stream->Write(EventLine(change.type, change.object));
  }
  if (const int64_t seconds = strtoll(asked.Query("timeoutSeconds").c_str(), nullptr, 10); seconds > 0) {
    server_->PostAt(std::chrono::steady_clock::now() + std::chrono::seconds(seconds),
                    [stream = std::weak_ptr<http::StreamWriter>(watcher.stream)] {
                      if (const auto held = stream.lock()) held->End();
                    });
  }
  std::erase_if(watchers_, [](const Watcher& each) { return each.stream->closed(); });
  watchers_.push_back(std::move(watcher));
}

}  // namespace mcpfleet::testing
