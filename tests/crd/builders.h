// Objects for the tests of crd/, and what is wrong with them.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "crd/object.h"
#include "crd/schema.h"

namespace mcpfleet {

inline Json Server(Json spec, std::string name = "weather") {
  return {
      {"apiVersion", kApiVersion}, {"kind", kKindServer}, {"metadata", {{"name", name}}}, {"spec", std::move(spec)}};
}
inline Json ImageSpec() { return {{"source", {{"image", {{"ref", "ghcr.io/example/weather:1.4.2"}}}}}}; }
inline Json NpmSpec(std::string version = "1.4.2") {
  return {{"source", {{"package", {{"manager", "npm"}, {"name", "@example/weather"}, {"version", version}}}}}};
}
inline Json RemoteSpec(const std::string& url = "https://mcp.example.com/mcp") {
  return {{"source", {{"remote", {{"url", url}}}}}};
}

inline std::vector<std::string> Problems(const Json& object) {
  std::vector<std::string> out;
  for (const Violation& violation : Schema::Builtin().Validate(GetString(object, "kind"), object)) {
    out.push_back(ToString(violation));
  }
  return out;
}
inline std::string Problem(const Json& object) {
  std::vector<std::string> all = Problems(object);
  if (all.empty()) return "";
  return all.size() == 1 ? all[0] : "more than one: " + all[0] + " | " + all[1];
}
inline Json With(Json spec, const std::string& pointer, Json value) {
  spec[Json::json_pointer(pointer)] = std::move(value);
  return spec;
}

inline std::string Pin(char digit) { return "sha256:" + std::string(64, digit); }

// Specs that use, together, every field with a value other than the default, in the form that EncodeServerSpec writes.
inline std::vector<Json> FullSpecs() {
  Json image = Json::parse(R"({
    "source": {"image": {"ref": "ghcr.io/example/weather:1.4.2", "pullPolicy": "Always", "pullSecret": "ghcr"}},
    "command": ["/server"], "args": ["--a", "b"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "gh", "key": "token"}}}],
    "files": [{"path": "/run/secrets/gh", "secretKeyRef": {"name": "gh", "key": "token"}}],
    "volumes": [{"name": "data", "hostPath": "/srv", "mountPath": "/data", "readOnly": true},
                {"name": "tmp", "tmpfs": {"size": "64Mi"}, "mountPath": "/scratch"}],
    "runtime": "Docker", "transport": "streamable-http", "port": 8080, "path": "/x",
    "resources": {"limits": {"cpu": "500m", "memory": "512Mi", "pids": 64}},
    "securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": false, "capabilities": {"add": ["CHOWN"]},
                        "network": "Outbound", "enforcement": "BestEffort"},
    "placement": {"nodes": ["edge-01"], "nodeSelector": {"site": "berlin"}, "replicas": 1},
    "suspend": true,
    "probes": {"startup": {"timeoutSeconds": 61},
               "liveness": {"periodSeconds": 21, "timeoutSeconds": 11, "failureThreshold": 4},
               "readiness": {"periodSeconds": 61, "timeoutSeconds": 12, "failureThreshold": 3,
                             "requiredTools": ["echo"], "requiredCapabilities": ["tools"]}},
    "restartPolicy": {"condition": "OnFailure", "backoff": {"initial": "2s", "max": "1m"}, "resetAfter": "2m", "maxAttempts": 5},
    "terminationGracePeriod": "20s",
    "updateStrategy": {"type": "Recreate", "drainTimeout": "20s", "progressDeadline": "1m", "autoRollback": false},
    "activation": {"mode": "OnDemand", "idleAfter": "2m"},
    "sessions": {"idleTimeout": "10m", "maxLifetime": "1h", "resumable": false},
    "auth": {"type": "Bearer", "bearer": {"tokens": [{"name": "ci", "sha256": "ab"}]}},
    "rateLimit": {"requests": 100, "per": "10s", "perSubject": 20, "maxConcurrent": 16},
    "expose": {"hostname": "weather.example.com"},
    "logs": {"maxSize": "5Mi", "maxFiles": 2}})");
  image["auth"]["bearer"]["tokens"][0]["sha256"] = std::string(64, 'a');
  Json package = {{"source",
                   {{"package",
                     {{"manager", "pypi"},
                      {"name", "time"},
                      {"version", "1.4.2"},
                      {"integrity", "sha256-" + std::string(64, 'a')}}}}}};
  package["auth"] = Json::parse(R"({"type": "JWT", "jwt": {"issuer": "https://login.example.com", "audience": "weather",
    "jwksUri": "https://login.example.com/keys", "scopes": ["mcp.read"]}})");
  Json process = {{"source", {{"process", {{"path", "/opt/x"}, {"sha256", std::string(64, 'a')}}}}}};
  process["sessions"] = {{"mode", "Shared"}, {"warmSpares", 1}, {"max", 4}};
  process["tools"] = {{"allow", {"echo"}}, {"deny", {"add"}}, {"pinning", "Block"}, {"pins", {{"echo", Pin('a')}}}};
  Json remote = {
      {"source", {{"remote", {{"url", "https://x.example.com/mcp"}, {"headers", {{{"name", "A"}, {"value", "b"}}}}}}}}};
  remote["source"]["remote"]["headers"].push_back(
      {{"name", "B"}, {"valueFrom", {{"secretKeyRef", {{"name", "gh"}, {"key", "header"}}}}}});
  remote["auth"] = {{"type", "CloudflareAccess"},
                    {"cloudflareAccess", {{"team", "example"}, {"audience", std::string(64, 'a')}}}};
  return {image, package, process, remote};
}

}  // namespace mcpfleet
