#include "tests/cli/worker_front.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/http/client.h"
#include "base/strings.h"
#include "store/store_url.h"

namespace mcpfleet::cli {
namespace {

constexpr std::string_view kConfigPath = "/storage/kv/namespaces/CONFIG/";

http::Response Ok(Json result, Json info = nullptr) {
  Json envelope = {
      {"success", true}, {"errors", Json::array()}, {"messages", Json::array()}, {"result", std::move(result)}};
  if (!info.is_null()) envelope["result_info"] = std::move(info);
  return http::JsonResponse(200, DumpJson(envelope));
}

http::Response Refused(int status, int code, const std::string& message) {
  return http::JsonResponse(
      status,
      DumpJson({{"success", false}, {"result", nullptr}, {"errors", {{{"code", code}, {"message", message}}}}}));
}

}  // namespace

WorkerFront::WorkerFront(const std::string& store) : store_(store) {
  auto server = http::Server::Create(
      {.address = "127.0.0.1", .worker_threads = 2},
      [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) { Handle(request, to); });
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}
WorkerFront::~WorkerFront() = default;

std::string WorkerFront::url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

void WorkerFront::Redeem(const std::string& id, const Presented& presented) {
  std::lock_guard<std::mutex> lock(mu_);
  Json& join = joins_.at(id);
  join["state"] = "Joined";
  join["presented"] = ToJson(presented);
}

void WorkerFront::SetState(const std::string& id, const std::string& state) {
  std::lock_guard<std::mutex> lock(mu_);
  joins_.at(id)["state"] = state;
}

void WorkerFront::Answer(const std::string& path, Json result) {
  std::lock_guard<std::mutex> lock(mu_);
  answers_[path] = std::move(result);
}

std::vector<std::string> WorkerFront::Asked() {
  std::lock_guard<std::mutex> lock(mu_);
  std::vector<std::string> asked;
  for (const auto& [line, body] : asked_) asked.push_back(line);
  return asked;
}

Json WorkerFront::Body(const std::string& asked) {
  std::lock_guard<std::mutex> lock(mu_);
  for (auto it = asked_.rbegin(); it != asked_.rend(); ++it) {
    if (it->first.starts_with(asked)) return it->second;
  }
  return nullptr;
}

std::vector<std::string> WorkerFront::JoinIds() {
  std::lock_guard<std::mutex> lock(mu_);
  std::vector<std::string> ids;
  for (const auto& [id, join] : joins_) ids.push_back(id);
  return ids;
}

void WorkerFront::Show(const std::string& key, std::optional<std::string> value, int times) {
  std::lock_guard<std::mutex> lock(mu_);
  shown_.erase(key);
  if (value) shown_[key] = {*std::move(value), times};
}

std::optional<std::string> WorkerFront::Shown(const std::string& key) {
  std::lock_guard<std::mutex> lock(mu_);
  auto it = shown_.find(key);
  if (it == shown_.end()) return std::nullopt;
  std::string value = it->second.value;
  if (it->second.times > 0 && --it->second.times == 0) shown_.erase(it);
  return value;
}

std::vector<std::string> WorkerFront::Written() {
  std::lock_guard<std::mutex> lock(mu_);
  return written_;
}

void WorkerFront::Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
  if (request.Path().starts_with("/v1/")) return to->Send(HandleV1(request));
  const std::string path(request.Path());
  const size_t config = path.find(kConfigPath);
  if (config != std::string::npos) {
    std::string rest = path.substr(config + kConfigPath.size()), key;
    if (rest.starts_with("values/") && PercentDecode(rest.substr(7), &key)) {
      if (request.method == "GET") {
        if (const std::optional<std::string> value = Shown(key)) return to->Send({.status = 200, .body = *value});
      }
      rest = key;
    }
    if (request.method != "GET" && rest != "bulk/get") {
      std::lock_guard<std::mutex> lock(mu_);
      written_.push_back(request.method + " " + rest);
    }
  }
  to->Send(Pass(request));
}

http::Response WorkerFront::HandleV1(const http::Request& request) {
  const std::string path(request.Path());
  std::lock_guard<std::mutex> lock(mu_);
  asked_.emplace_back(request.method + " " + request.target, ParseJson(request.body).value_or(Json()));
  if (!request.headers.Has("Authorization")) return Refused(401, 10000, "Authentication error");
  const std::vector<std::string> parts = Split(path, '/');  // "", "v1", what, name, verb
  if (request.method == "GET" && answers_.contains(path)) return Ok(answers_.at(path));
  if (parts.size() == 4 && parts[2] == "joins") {
    if (request.method == "PUT") {
      Json join = asked_.back().second;
      join["id"] = parts[3];
      join["state"] = "Pending";
      joins_[parts[3]] = join;
      return Ok(join);
    }
    if (!joins_.contains(parts[3])) return Refused(404, 10009, "no such join token");
    if (request.method == "DELETE") {
      joins_[parts[3]]["state"] = "Revoked";
      return Ok(Json::object());
    }
    return Ok(joins_.at(parts[3]));
  }
  if (path == "/v1/joins") {
    Json list = Json::array();
    for (const auto& [id, join] : joins_) list.push_back(join);
    return Ok(list);
  }
  if (path == "/v1/down") return Ok({{"sequence", 1}, {"nodes", Json::array()}, {"frozen", false}});
  if (path == "/v1/nodes" || path == "/v1/alerts" || path == "/v1/servers") return Ok(Json::array(), {{"cursor", ""}});
  if (parts.size() == 5 && parts[2] == "nodes" && parts[4] == "revoke")
    return Ok({{"tokens", 2}, {"secrets", {"default/github"}}});
  if (parts.size() == 5 && parts[2] == "nodes" && parts[4] == "rotate") return Ok(Json::object());
  if (parts.size() == 4 && parts[2] == "nodes" && request.method == "DELETE") {
    if (parts[3] == "unknown") return Refused(404, 10009, "no such node");
    return Ok({{"secrets", nullptr}});
  }
  return Refused(404, 10009, "no such thing");
}

http::Response WorkerFront::Pass(const http::Request& request) const {
  http::Client client(*ParseStoreUrl(store_), {});
  http::Request passed = request;
  passed.headers = {};
  for (const auto& [name, value] : request.headers.fields()) {
    if (!EqualsIgnoreCase(name, "Host") && !EqualsIgnoreCase(name, "Content-Length") &&
        !EqualsIgnoreCase(name, "Connection") && !EqualsIgnoreCase(name, "Transfer-Encoding"))
      passed.headers.Add(name, value);
  }
  auto answer = client.Do(passed, Deadline::After(std::chrono::seconds(20)));
  if (!answer.ok()) return Refused(502, 10000, Message(answer.status()));
  http::Response response{.status = answer->status, .body = answer->body};
  for (const char* name : {"Content-Type", "ETag", "Expiration"}) {
    if (auto value = answer->headers.Get(name)) response.headers.Set(name, *value);
  }
  return response;
}

}  // namespace mcpfleet::cli
