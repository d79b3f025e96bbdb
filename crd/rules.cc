#include "crd/rules.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <regex>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/clock.h"
#include "base/strings.h"
#include "crd/labels.h"
#include "crd/quantity.h"
#include "crd/violation.h"

namespace mcpfleet {
namespace {

// Headers that belong to HTTP or to MCP, which mcpfleet speaks itself.
constexpr const char* kReservedHeaders[] = {"accept",
                                            "connection",
                                            "content-length",
                                            "content-type",
                                            "host",
                                            "keep-alive",
                                            "transfer-encoding",
                                            "mcp-protocol-version",
                                            "mcp-session-id",
                                            "mcp-method",
                                            "mcp-name",
                                            "last-event-id",
                                            "te",
                                            "upgrade"};

bool Has(const Json& object, const char* key) { return object.is_object() && object.contains(key); }

class ServerRules {
 public:
  ServerRules(const Json& spec, const ReportViolation& report) : spec_(spec), report_(report) {}

  void Check() {
    CheckSource();
    CheckRuntime();
    if (Has(GetMember(spec_, "source"), "remote")) {
      CheckRemote();
    } else {
      CheckTransport();
    }
    CheckNoNul("command");
    CheckNoNul("args");
    CheckVolumes();
    CheckLimits();
    CheckPlacement();
    CheckRestartPolicy();
    CheckUpdateRules(spec_, report_);
    CheckGatewayRules(spec_, report_);
    CheckSecretUse(spec_, report_);
  }

 private:
  void CheckSource() {
    const Json& source = GetMember(spec_, "source");
    if (!source.is_object()) return;
    std::vector<std::string> given;
    for (const char* name : {"image", "package", "process", "remote"}) {
      if (Has(source, name)) given.push_back(name);
    }
    if (given.empty()) report_("spec.source", "names no source", "exactly one of image, package, process, remote");
    if (given.size() > 1) {
      report_("spec.source", "names " + Join(given, " and "), "exactly one of image, package, process, remote");
    }
    CheckPackage(GetMember(source, "package"));
    CheckPath("spec.source.process.path", GetString(GetMember(source, "process"), "path"));
  }

  void CheckPackage(const Json& package) {
    std::string manager = GetString(package, "manager"), version = GetString(package, "version");
    std::string integrity = GetString(package, "integrity");
    bool npm = manager == "npm";
    if (!npm && manager != "pypi") return;
    if (!version.empty() && !(npm ? IsExactNpmVersion(version) : IsExactPypiVersion(version))) {
      report_("spec.source.package.version", "\"" + Printable(version, 60) + "\" is not an exact version",
              "a version such as 1.4.2 (no range, no tag), so that every node runs the same");
    }
    static const std::regex npm_integrity("sha512-[A-Za-z0-9+/]{86}==", std::regex::optimize);
    static const std::regex pypi_integrity("sha256-[0-9a-f]{64}", std::regex::optimize);
    if (!integrity.empty() && integrity.size() <= 256 &&
        !std::regex_match(integrity, npm ? npm_integrity : pypi_integrity)) {
      report_("spec.source.package.integrity", "is not a checksum of " + manager,
              npm ? "sha512-<88 characters of base64>" : "sha256-<64 lower-case hex digits>");
    }
    if (!npm && GetString(package, "name").starts_with("@")) {
      report_("spec.source.package.name", "has a scope, which only npm packages have", "a name of PyPI");
    }
  }

  // Absolute, and no way out of it.
  void CheckPath(const std::string& path, const std::string& value) {
    if (value.empty() || value.front() != '/') return;  // the pattern reported it
    for (const std::string& part : Split(value, '/')) {
      if (part == "..") return report_(path, "contains \"..\"", "an absolute path without ..");
    }
    if (value.find('\0') != std::string::npos) report_(path, "contains a NUL character", "");
  }

  void CheckRuntime() {
    const Json& source = GetMember(spec_, "source");
    std::string runtime = GetString(spec_, "runtime");
    if (Has(source, "remote")) return;
    if ((runtime == "Docker" || runtime == "Containerd") && !Has(source, "image")) {
      report_("spec.runtime", runtime + " needs source.image", "Auto or Process for a package or a process");
    }
    if (runtime == "Process" && Has(source, "image")) {
      report_("spec.runtime", "Process needs source.package or source.process",
              "Auto, Docker or Containerd for an image");
    }
  }

  void CheckRemote() {
    const Json& remote = GetMember(GetMember(spec_, "source"), "remote");
    for (const char* field : {"command", "args", "env", "files", "volumes", "port", "resources", "securityContext",
                              "restartPolicy", "updateStrategy", "activation", "logs"}) {
      if (Has(spec_, field)) report_(ChildPath("spec", field), "has no effect on a remote server", "remove it");
    }
    if (GetString(spec_, "runtime", "Auto") != "Auto")
      report_("spec.runtime", "has no effect on a remote server", "remove it");
    if (GetString(spec_, "path", "/mcp") != "/mcp")
      report_("spec.path", "has no effect on a remote server", "put it into source.remote.url");
    if (GetString(spec_, "transport") == "stdio") {
      report_("spec.transport", "stdio is impossible for a remote server", "streamable-http");
    }
    if (std::string url = GetString(remote, "url"); !url.empty()) {
      if (std::string wrong = CheckRemoteUrl(url); !wrong.empty()) {
        report_("spec.source.remote.url", wrong,
                "an https URL, or http on a loopback address (127.0.0.1, [::1], localhost)");
      }
    }
    CheckHeaders(GetMember(remote, "headers"));
  }

  void CheckHeaders(const Json& headers) {
    if (!headers.is_array()) return;
    std::set<std::string> seen;
    for (size_t i = 0; i < headers.size(); ++i) {
      std::string name = ToLower(GetString(headers[i], "name"));
      std::string path = ItemPath("spec.source.remote.headers", i) + ".name";
      if (name.empty()) continue;
      if (!seen.insert(name).second) report_(path, "\"" + Printable(name, 60) + "\" is given twice", "");
      for (const char* reserved : kReservedHeaders) {
        if (name == reserved) report_(path, "\"" + name + "\" is set by mcpfleet itself", "any other header");
      }
    }
  }

  void CheckTransport() {
    bool http = GetString(spec_, "transport", "stdio") == "streamable-http";
    if (http && !Has(spec_, "port"))
      report_("spec.port", "is missing; transport streamable-http needs it", "1 to 65535");
    if (!http && Has(spec_, "port")) {
      report_("spec.port", "has no effect with transport stdio", "remove it, or set transport: streamable-http");
    }
    if (!http && GetString(spec_, "path", "/mcp") != "/mcp") {
      report_("spec.path", "has no effect with transport stdio", "remove it, or set transport: streamable-http");
    }
  }

  void CheckNoNul(const char* field) {
    const Json& list = GetMember(spec_, field);
    if (!list.is_array()) return;
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i].is_string() && list[i].get_ref<const std::string&>().find('\0') != std::string::npos) {
        report_(ItemPath(ChildPath("spec", field), i), "contains a NUL character", "");
      }
    }
  }

  void CheckVolumes() {
    const Json& volumes = GetMember(spec_, "volumes");
    if (!volumes.is_array()) return;
    std::map<std::string, size_t> mounts;
    for (size_t i = 0; i < volumes.size(); ++i) {
      const Json& volume = volumes[i];
      std::string path = ItemPath("spec.volumes", i);
      if (!volume.is_object()) continue;
      if (Has(volume, "hostPath") == Has(volume, "tmpfs")) {
        report_(path, Has(volume, "tmpfs") ? "has hostPath and tmpfs" : "has neither hostPath nor tmpfs",
                "exactly one of hostPath, tmpfs");
      }
      if (Has(volume, "tmpfs") && GetBool(volume, "readOnly")) {
        report_(path + ".readOnly", "a read-only tmpfs would stay empty", "false");
      }
      CheckPath(path + ".hostPath", GetString(volume, "hostPath"));
      CheckBytes(path + ".tmpfs.size", GetMember(GetMember(volume, "tmpfs"), "size"), 4096, int64_t{1} << 40,
                 "4Ki to 1Ti");
      CheckMount(path + ".mountPath", GetString(volume, "mountPath"), i, &mounts);
    }
  }

  void CheckMount(const std::string& path, std::string mount, size_t index, std::map<std::string, size_t>* mounts) {
    CheckPath(path, mount);
    if (mount.empty() || mount.front() != '/') return;
    std::string clean;
    for (const std::string& part : Split(mount, '/')) {
      if (!part.empty() && part != ".") clean += "/" + part;
    }
    auto below = [&](std::string_view root) { return clean == root || clean.starts_with(std::string(root) + "/"); };
    if (clean.empty() || below("/proc") || below("/sys") || clean == "/dev") {
      report_(path, "would hide " + (clean.empty() ? "the whole file system" : clean), "another directory");
    }
    auto [it, inserted] = mounts->emplace(clean, index);
    if (!inserted) report_(path, "is also the mountPath of " + ItemPath("spec.volumes", it->second), "");
  }

  // Quantities that don't parse were reported with their format.
  void CheckBytes(const std::string& path, const Json& value, int64_t low, int64_t high, const char* allowed) {
    StatusOr<int64_t> bytes = value.is_string()           ? ParseBytes(value.get_ref<const std::string&>())
                              : value.is_number_integer() ? StatusOr<int64_t>(value.get<int64_t>())
                                                          : StatusOr<int64_t>(NotFound(""));
    if (bytes.ok() && (*bytes < low || *bytes > high)) report_(path, "is out of range", allowed);
  }

  void CheckLimits() {
    const Json& limits = GetMember(GetMember(spec_, "resources"), "limits");
    const Json& cpu = GetMember(limits, "cpu");
    StatusOr<int64_t> milli =
        cpu.is_string() ? ParseCpuMilli(cpu.get_ref<const std::string&>()) : StatusOr<int64_t>(NotFound(""));
    if (cpu.is_number_integer()) milli = std::clamp<int64_t>(cpu.get<int64_t>(), 0, 2000) * 1000;
    if (milli.ok() && (*milli < 10 || *milli > 1024000))
      report_("spec.resources.limits.cpu", "is out of range", "10m to 1024");
    CheckBytes("spec.resources.limits.memory", GetMember(limits, "memory"), int64_t{6} << 20, int64_t{16} << 40,
               "6Mi to 16Ti");
    CheckBytes("spec.logs.maxSize", GetMember(GetMember(spec_, "logs"), "maxSize"), 4096, int64_t{10} << 30,
               "4Ki to 10Gi");
  }

  void CheckPlacement() {
    const Json& placement = GetMember(spec_, "placement");
    const Json& replicas = GetMember(placement, "replicas");
    const Json& nodes = GetMember(placement, "nodes");
    if (replicas.is_number_integer() && nodes.is_array() && !nodes.empty() && replicas > nodes.size()) {
      report_("spec.placement.replicas", "is more than the nodes that are named",
              "at most " + std::to_string(nodes.size()) + " with these nodes");
    }
    const Json& selector = GetMember(placement, "nodeSelector");
    if (!selector.is_object()) return;
    for (auto it = selector.begin(); it != selector.end(); ++it) {
      std::string path = ChildPath("spec.placement.nodeSelector", it.key());
      if (std::string wrong = CheckLabelKey(it.key()); !wrong.empty()) report_(path, "the label's name " + wrong, "");
      if (!it->is_string()) continue;
      if (std::string wrong = CheckLabelValue(it->get<std::string>()); !wrong.empty()) report_(path, wrong, "");
    }
  }

  void CheckRestartPolicy() {
    using std::chrono::hours, std::chrono::milliseconds, std::chrono::minutes, std::chrono::seconds;
    const Json& policy = GetMember(spec_, "restartPolicy");
    const Json& backoff = GetMember(policy, "backoff");
    Duration initial = CheckDuration(report_, "spec.restartPolicy.backoff.initial", GetMember(backoff, "initial"),
                                     seconds(1), milliseconds(10), hours(1), "10ms to 1h");
    Duration max = CheckDuration(report_, "spec.restartPolicy.backoff.max", GetMember(backoff, "max"), minutes(5),
                                 milliseconds(10), hours(24), "10ms to 24h");
    if (initial > max)
      report_("spec.restartPolicy.backoff.max", "is shorter than backoff.initial",
              "at least " + FormatDuration(initial));
    CheckDuration(report_, "spec.restartPolicy.resetAfter", GetMember(policy, "resetAfter"), seconds(60), seconds(1),
                  hours(24), "1s to 24h");
    CheckDuration(report_, "spec.terminationGracePeriod", GetMember(spec_, "terminationGracePeriod"), seconds(10),
                  seconds(0), hours(1), "0s to 1h");
  }

  const Json& spec_;
  const ReportViolation& report_;
};

void CheckLabelMap(const Json& map, const std::string& path, bool values_too, const ReportViolation& report) {
  if (!map.is_object()) return;
  for (auto it = map.begin(); it != map.end(); ++it) {
    std::string child = ChildPath(path, it.key());
    if (std::string wrong = CheckLabelKey(it.key()); !wrong.empty()) report(child, "the name " + wrong, "");
    if (!values_too || !it->is_string()) continue;
    if (std::string wrong = CheckLabelValue(it->get<std::string>()); !wrong.empty()) report(child, wrong, "");
  }
}

}  // namespace

void CheckMetadataRules(const Json& metadata, bool namespaced, const ReportViolation& report) {
  if (!metadata.is_object()) return;
  if (!metadata.contains("name")) report("metadata.name", "is missing", "an RFC 1123 label such as \"weather\"");
  if (std::string name = GetString(metadata, "name"); GetMember(metadata, "name").is_string()) {
    if (std::string wrong = CheckName(name); !wrong.empty())
      report("metadata.name", "\"" + Printable(name, 80) + "\" " + wrong, "");
  }
  const Json& space = GetMember(metadata, "namespace");
  if (space.is_string() && !namespaced && !space.get_ref<const std::string&>().empty()) {
    report("metadata.namespace", "this kind has no namespace", "remove it");
  } else if (space.is_string() && namespaced) {
    std::string text = space.get<std::string>();
    if (std::string wrong = CheckName(text); !wrong.empty())
      report("metadata.namespace", "\"" + Printable(text, 80) + "\" " + wrong, "");
  }
  CheckLabelMap(GetMember(metadata, "labels"), "metadata.labels", true, report);
  CheckLabelMap(GetMember(metadata, "annotations"), "metadata.annotations", false, report);
  size_t bytes = 0;
  if (const Json& annotations = GetMember(metadata, "annotations"); annotations.is_object()) {
    for (auto it = annotations.begin(); it != annotations.end(); ++it) {
      bytes += it.key().size() + (it->is_string() ? it->get_ref<const std::string&>().size() : 0);
    }
  }
  if (bytes > size_t{256} << 10) report("metadata.annotations", "are larger than 256 KiB together", "");
}

void CheckServerRules(const Json& spec, const ReportViolation& report) {
  if (spec.is_object()) ServerRules(spec, report).Check();
}

void CheckNodeRules(const Json& spec, const ReportViolation& report) {
  const Json& keys = GetMember(spec, "keys");
  for (const char* name : {"signing", "sealing"}) {
    const Json& key = GetMember(keys, name);
    // 43 characters can hold two bits too many.
    if (key.is_string() && !Base64UrlDecode(key.get_ref<const std::string&>()))
      report(std::string("spec.keys.") + name, "is not the base64url of 32 bytes",
             "a key that `mcpctl node accept` wrote");
  }
}

Duration CheckDuration(const ReportViolation& report, const std::string& path, const Json& value, Duration fallback,
                       Duration low, Duration high, const char* allowed) {
  if (!value.is_string()) return fallback;
  StatusOr<Duration> duration = ParseDuration(value.get_ref<const std::string&>());
  if (!duration.ok()) return fallback;
  if (*duration < low || *duration > high) report(path, "is out of range", allowed);
  return *duration;
}

std::string CheckRemoteUrl(const std::string& url) {
  for (char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return "contains a character that no URL has";
  }
  bool https = url.starts_with("https://");
  if (!https && !url.starts_with("http://")) return "is neither https nor http";
  std::string rest = url.substr(https ? 8 : 7);
  if (rest.find('#') != std::string::npos) return "has a fragment (#…)";
  std::string authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != std::string::npos) return "contains a user name; every node can read it";
  std::string host = authority, port;
  size_t colon = authority.rfind(':');
  if (authority.starts_with("[")) {
    size_t close = authority.find(']');
    if (close == std::string::npos) return "has a malformed host";
    host = authority.substr(0, close + 1);
    colon = authority.size() > close + 1 ? close + 1 : std::string::npos;
    if (colon != std::string::npos && authority[colon] != ':') return "has a malformed host";
  }
  if (colon != std::string::npos) {
    port = authority.substr(colon + 1);
    if (!authority.starts_with("[")) host = authority.substr(0, colon);
    StatusOr<int64_t> number = ParseCount(port);
    if (!number.ok() || *number < 1 || *number > 65535) return "has a malformed port";
  }
  static const std::regex name("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\\.?"), six("\\[[0-9A-Fa-f:.]+\\]");
  if (host.size() > 255 || !(std::regex_match(host, name) || std::regex_match(host, six)))
    return "has a malformed host";
  static const std::regex loopback_v4("127\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}");
  bool loopback = EqualsIgnoreCase(host, "localhost") || host == "[::1]" || std::regex_match(host, loopback_v4);
  if (!https && !loopback) return "is plain http to another machine";
  return "";
}

bool IsExactNpmVersion(const std::string& version) {
  static const std::regex exact("[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?", std::regex::optimize);
  return version.size() <= 128 && std::regex_match(version, exact);
}

bool IsExactPypiVersion(const std::string& version) {
  static const std::regex exact(
      "([0-9]+!)?[0-9]+(\\.[0-9]+)*((a|b|rc)[0-9]+)?(\\.post[0-9]+)?(\\.dev[0-9]+)?(\\+[0-9a-z.]+)?",
      std::regex::optimize);
  return version.size() <= 128 && std::regex_match(version, exact);
}

}  // namespace mcpfleet
