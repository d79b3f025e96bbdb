#include "tests/edge-runtime/docker/tiny_registry.h"

#include <thread>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

constexpr char kManifestType[] = "application/vnd.docker.distribution.manifest.v2+json";

std::string DigestOf(const std::string& bytes) { return "sha256:" + Sha256Hex(bytes); }

}  // namespace

TinyRegistry::TinyRegistry(const http::TlsFiles& tls) {
  http::Server::Options options;
  options.tls = tls;
  server_ =
      http::Server::Create(options, [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) {
        Handle(request, *to);
      }).value();
}

std::string TinyRegistry::host() const { return "127.0.0.1:" + std::to_string(server_->port()); }

void TinyRegistry::Add(const std::string& name, const std::string& tag, const TinyImage& image) {
  const std::string layer = MakeTar({{.path = "/file", .content = image.content}});
  const std::string config = DumpJson({{"architecture", "amd64"},
                                       {"os", "linux"},
                                       {"config", {{"Entrypoint", image.entrypoint}, {"Cmd", image.cmd}}},
                                       {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array({DigestOf(layer)})}}}});
  const Json layers = Json::array({{{"mediaType", "application/vnd.docker.image.rootfs.diff.tar.gzip"},
                                    {"size", layer.size()},
                                    {"digest", DigestOf(layer)}}});
  const std::string manifest = DumpJson({{"schemaVersion", 2},
                                         {"mediaType", kManifestType},
                                         {"config",
                                          {{"mediaType", "application/vnd.docker.container.image.v1+json"},
                                           {"size", config.size()},
                                           {"digest", DigestOf(config)}}},
                                         {"layers", layers}});
  MutexLock lock(&mu_);
  blobs_[DigestOf(layer)] = layer;
  blobs_[DigestOf(config)] = config;
  manifests_[name + ":" + tag] = manifest;
  manifests_[name + ":" + DigestOf(manifest)] = manifest;
}

void TinyRegistry::SetSlow(Duration slow) {
  MutexLock lock(&mu_);
  slow_ = slow;
}

void TinyRegistry::Require(const std::string& user_and_password) {
  MutexLock lock(&mu_);
  required_ = "Basic " + Base64Encode(user_and_password);
}

void TinyRegistry::Handle(const http::Request& request, http::Responder& to) {
  ++requests_;
  const std::string path(request.Path());
  const auto cut = [&](const std::string& middle, std::string* name, std::string* ref) {
    const size_t at = path.find(middle);
    if (at == std::string::npos || !path.starts_with("/v2/")) return false;
    *name = path.substr(4, at - 4);
    *ref = path.substr(at + middle.size());
    return true;
  };
  http::Response response =
      http::JsonResponse(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
  std::string name, ref;
  MutexLock lock(&mu_);
  if (!required_.empty() && request.headers.Get("Authorization").value_or("") != required_) {
    response = http::JsonResponse(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})");
    response.headers.Set("WWW-Authenticate", "Basic realm=\"tiny\"");
  } else if (path == "/v2/") {
    response = http::JsonResponse(200, "{}");
  } else if (cut("/manifests/", &name, &ref)) {
    if (auto it = manifests_.find(name + ":" + ref); it != manifests_.end()) {
      response = http::JsonResponse(200, it->second);
      response.headers.Set("Content-Type", kManifestType);
      response.headers.Set("Docker-Content-Digest", DigestOf(it->second));
    }
  } else if (cut("/blobs/", &name, &ref)) {
    if (auto it = blobs_.find(ref); it != blobs_.end()) {
      if (it->second.size() >= size_t{1} << 20) std::this_thread::sleep_for(slow_);
      response = http::JsonResponse(200, it->second);
      response.headers.Set("Content-Type", "application/octet-stream");
    }
  }
  response.headers.Set("Docker-Distribution-Api-Version", "registry/2.0");
  to.Send(std::move(response));
}

}  // namespace mcpfleet
