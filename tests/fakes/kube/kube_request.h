// A request to the fake API server taken apart, and what it is answered with. Private to tests/fakes/kube.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/fakes/kube/kube_api.h"

namespace mcpfleet::testing {

inline http::Response Answer(int code, const Json& body) { return http::JsonResponse(code, DumpJson(body)); }

inline http::Response Refusal(int code, const std::string& reason, const std::string& message) {
  return Answer(code, {{"kind", "Status"},
                       {"apiVersion", "v1"},
                       {"metadata", Json::object()},
                       {"status", "Failure"},
                       {"message", message},
                       {"reason", reason},
                       {"code", code}});
}

inline std::string Meta(const Json& object, const char* field) {
  return GetString(GetMember(object, "metadata"), field);
}

// One line of a watch.
inline std::string EventLine(const std::string& type, const Json& object) {
  return DumpJson({{"type", type}, {"object", object}}) + "\n";
}

struct KubeApi::Asked {
  const http::Request& request;
  Target target;
  std::string verb, manager;
  bool strict = false, force = false;
  std::string Query(const char* name) const { return request.Query(name).value_or(""); }
  Name name() const { return {target.namespace_, target.name}; }
  std::string What() const {
    return target.kind->plural + (target.subresource.empty() ? "" : "/" + target.subresource);
  }
};

}  // namespace mcpfleet::testing
