#include "tests/fakes/kube/kube_discovery.h"

#include <regex>
#include <set>

#include "base/clock.h"

namespace mcpfleet::testing {
namespace {

std::string GroupVersion(const KubeKind& kind) {
  return kind.group.empty() ? kind.version : kind.group + "/" + kind.version;
}

Json Group(const std::string& group, const std::string& version) {
  const Json one = {{"groupVersion", group + "/" + version}, {"version", version}};
  return {{"name", group}, {"versions", Json::array({one})}, {"preferredVersion", one}};
}

Json Resources(const std::string& group_version, const std::vector<KubeKind>& kinds) {
  Json list = Json::array();
  for (const KubeKind& kind : kinds) {
    if (GroupVersion(kind) != group_version) continue;
    list.push_back({{"name", kind.plural},
                    {"singularName", kind.singular},
                    {"namespaced", kind.namespaced},
                    {"kind", kind.kind},
                    {"verbs", {"get", "list", "watch", "create", "update", "patch", "delete"}},
                    {"shortNames", kind.short_names},
                    {"categories", kind.categories}});
    if (kind.status) {
      list.push_back({{"name", kind.plural + "/status"},
                      {"singularName", ""},
                      {"namespaced", kind.namespaced},
                      {"kind", kind.kind},
                      {"verbs", {"get", "patch", "update"}}});
    }
  }
  return {{"kind", "APIResourceList"}, {"apiVersion", "v1"}, {"groupVersion", group_version}, {"resources", list}};
}

// The first value at a simple JSONPath: .a.b[0].c[?(@.type=="Ready")].d
Json At(const Json& object, const std::string& path) {
  const Json* at = &object;
  static const std::regex part(R"rx(\.([A-Za-z]+)|\[(\d+)\]|\[\?\(@\.([A-Za-z]+)=="([^"]*)"\)\])rx");
  for (std::sregex_iterator it(path.begin(), path.end(), part), end; it != end; ++it) {
    const std::smatch& step = *it;
    static const Json none;
    const Json* next = &none;
    if (step[1].matched) next = &GetMember(*at, step[1].str());
    if (step[2].matched && at->is_array() && at->size() > std::stoul(step[2])) next = &(*at)[std::stoul(step[2])];
    if (step[3].matched) {
      for (const Json& item : *at) {
        if (GetString(item, step[3].str()) == step[4]) next = &item;
      }
    }
    at = next;
  }
  return *at;
}

Json Row(const KubeKind& kind, const Json& object) {
  Json cells = Json::array({GetString(GetMember(object, "metadata"), "name")});
  for (const Json& column : kind.columns) {
    Json value = At(object, GetString(column, "jsonPath"));
    if (GetString(column, "type") == "date" && value.is_string()) {
      const StatusOr<WallTime> time = ParseTime(value.get<std::string>());
      value = time.ok() ? Json(FormatAge(SystemClock().Wall() - *time)) : Json("<invalid>");
    }
    cells.push_back(value);
  }
  return {{"cells", cells},
          {"object",
           {{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", object["metadata"]}}}};
}

}  // namespace

std::optional<Json> DiscoveryAnswer(const std::string& path, const std::vector<KubeKind>& kinds) {
  if (path == "/version") return Json{{"major", "1"}, {"minor", "32"}, {"gitVersion", "v1.32.0"}};
  if (path == "/api") return Json{{"kind", "APIVersions"}, {"versions", Json::array({"v1"})}};
  if (path == "/apis") {
    Json groups = Json::array();
    std::set<std::string> seen;
    for (const KubeKind& kind : kinds) {
      if (!kind.group.empty() && seen.insert(kind.group).second) groups.push_back(Group(kind.group, kind.version));
    }
    return Json{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}};
  }
  for (const KubeKind& kind : kinds) {
    if (path == (kind.group.empty() ? "/api/" : "/apis/") + GroupVersion(kind))
      return Resources(GroupVersion(kind), kinds);
  }
  return std::nullopt;
}

Json TableOf(const KubeKind& kind, const Json& answer) {
  Json columns = Json::array(
      {{{"name", "Name"}, {"type", "string"}, {"format", "name"}, {"description", "Name"}, {"priority", 0}}});
  for (const Json& column : kind.columns) {
    columns.push_back({{"name", column["name"]},
                       {"type", GetString(column, "type") == "date" ? "string" : GetString(column, "type")},
                       {"format", ""},
                       {"description", GetString(column, "description")},
                       {"priority", GetInt(column, "priority")}});
  }
  Json rows = Json::array();
  if (answer.contains("items")) {
    for (const Json& item : answer["items"]) rows.push_back(Row(kind, item));
  } else {
    rows.push_back(Row(kind, answer));
  }
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", {{"resourceVersion", GetString(GetMember(answer, "metadata"), "resourceVersion")}}},
          {"columnDefinitions", columns},
          {"rows", rows}};
}

}  // namespace mcpfleet::testing
