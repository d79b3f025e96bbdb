#include "tests/cli/fake_registry.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

http::Response Error(int status, const std::string& text) {
  return http::JsonResponse(status, DumpJson({{"error", text}}));
}

}  // namespace

FakeRegistry::FakeRegistry() {
  auto server = http::Server::Create(
      {.worker_threads = 2},
      [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) { Handle(request, to); });
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

FakeRegistry::~FakeRegistry() = default;

void FakeRegistry::Add(const std::string& server_json, const std::string& status, const std::string& message) {
  const Json parsed = Json::parse(server_json);
  // What the schema of server.json asks for.
  for (const char* member : {"name", "description", "version"}) EXPECT_TRUE(parsed.contains(member)) << member;
  servers_[parsed["name"]].push_back({server_json, status, message});
}

void FakeRegistry::AddPackage(const std::string& npm, const std::string& tag, const std::string& version) {
  packages_["/" + PercentEncode(npm) + "/" + tag] = DumpJson({{"name", npm}, {"version", version}});
}

void FakeRegistry::AddProject(const std::string& pypi, const std::string& version) {
  packages_["/pypi/" + pypi + "/json"] = DumpJson({{"info", {{"name", pypi}, {"version", version}}}});
}

std::vector<std::string> FakeRegistry::Asked() {
  std::lock_guard<std::mutex> lock(mu_);
  return asked_;
}

void FakeRegistry::Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
  {
    std::lock_guard<std::mutex> lock(mu_);
    asked_.push_back(request.target);
  }
  if (fail == 0) return to->Send(Answer(request));
  http::Response response = body.empty() ? Error(fail, "out of order") : http::JsonResponse(fail, body);
  if (!location.empty()) response.headers.Set("Location", location);
  to->Send(response);
}

http::Response FakeRegistry::Answer(const http::Request& request) {
  const std::string path(request.Path());
  if (request.method != "GET") return Error(405, "method not allowed");
  if (auto package = packages_.find(path); package != packages_.end()) return http::JsonResponse(200, package->second);
  if (path == api + "/servers") return List(request);
  const std::string prefix = api + "/servers/";
  if (!path.starts_with(prefix)) return Error(404, "Not Found");
  const std::vector<std::string> parts = Split(path.substr(prefix.size()), '/');
  std::string name, version;
  // A name with its slash not encoded is another path.
  if (parts.size() < 2 || parts.size() > 3 || parts[1] != "versions" || !PercentDecode(parts[0], &name) ||
      (parts.size() == 3 && !PercentDecode(parts[2], &version)))
    return Error(404, "Not Found");
  return Show(name, version);
}

std::string FakeRegistry::Envelope(const Version& version, bool latest) {
  Json meta = {{"status", version.status}, {"isLatest", latest}, {"publishedAt", "2026-01-01T00:00:00Z"}};
  if (!version.message.empty()) meta["statusMessage"] = version.message;
  return "{\"server\":" + version.json +
         ",\"_meta\":" + DumpJson({{"io.modelcontextprotocol.registry/official", meta}}) + "}";
}

http::Response FakeRegistry::List(const http::Request& request) {
  const std::string search = request.Query("search").value_or(""), only = request.Query("version").value_or("");
  const size_t limit = std::stoul(request.Query("limit").value_or("30"));
  if (limit < 1 || limit > 100) return Error(422, "limit: expected number <= 100");
  std::vector<std::string> all;
  for (const auto& [name, versions] : servers_) {
    if (ToLower(name).find(ToLower(search)) == std::string::npos) continue;
    for (size_t i = 0; i < versions.size(); ++i) {
      const bool latest = i + 1 == versions.size();
      if (only.empty() || (only == "latest" && latest)) all.push_back(Envelope(versions[i], latest));
    }
  }
  size_t from = 0;
  if (const auto cursor = request.Query("cursor"); cursor && !cursor->empty()) {
    if (!cursor->starts_with("c/=+ ")) return Error(400, "Invalid cursor");
    from = std::stoul(cursor->substr(5));
  }
  const size_t end = std::min(all.size(), from + std::min(limit, page));
  std::string list;
  for (size_t i = from; i < end; ++i) list += (list.empty() ? "" : ",") + all[i];
  Json metadata = {{"count", end - from}};
  if (end < all.size() || circle) metadata["nextCursor"] = "c/=+ " + std::to_string(circle ? 0 : end);
  return http::JsonResponse(200, "{\"servers\":[" + list + "],\"metadata\":" + DumpJson(metadata) + "}");
}

http::Response FakeRegistry::Show(const std::string& name, const std::string& version) {
  const auto server = servers_.find(name);
  if (server == servers_.end()) return Error(404, "Server not found");
  const std::vector<Version>& versions = server->second;
  if (version.empty()) {
    std::string list;
    for (size_t i = versions.size(); i-- > 0;)
      list += (list.empty() ? "" : ",") + Envelope(versions[i], i + 1 == versions.size());
    return http::JsonResponse(200, "{\"servers\":[" + list + "],\"metadata\":{\"count\":1}}");
  }
  for (size_t i = versions.size(); i-- > 0;) {
    const bool latest = i + 1 == versions.size();
    if (version == (version == "latest" && latest ? "latest" : GetString(Json::parse(versions[i].json), "version")))
      return http::JsonResponse(200, Envelope(versions[i], latest));
  }
  return Error(404, "Server not found");
}

}  // namespace mcpfleet::cli
