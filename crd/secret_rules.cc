// Rules of MCPSecret, and of the fields of an MCPServer that refer to one.
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/strings.h"
#include "crd/labels.h"
#include "crd/rules.h"
#include "crd/violation.h"

namespace mcpfleet {
namespace {

bool Has(const Json& object, const char* key) { return object.is_object() && object.contains(key); }

void CheckValueOrRef(const Json& list, const std::string& path, const ReportViolation& report) {
  if (!list.is_array()) return;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object() || Has(list[i], "value") != Has(list[i], "valueFrom")) continue;
    report(ItemPath(path, i), Has(list[i], "value") ? "has value and valueFrom" : "has neither value nor valueFrom",
           "exactly one of value, valueFrom");
  }
}

// "/run//secrets/gh" -> "/run/secrets/gh"
std::string Clean(const std::string& path) {
  std::string clean;
  for (const std::string& part : Split(path, '/')) {
    if (!part.empty() && part != ".") clean += "/" + part;
  }
  return clean;
}

bool Below(const std::string& path, const std::string& root) { return path == root || path.starts_with(root + "/"); }

// The directory of a file becomes memory of its own and hides what was there.
std::string WrongDirectory(const std::string& directory) {
  for (const char* root : {"/proc", "/sys", "/dev", "/.mcp", "/.mcp-shim", "/usr", "/bin", "/sbin", "/lib", "/lib32",
                           "/lib64", "/package", "/runtime"}) {
    if (Below(directory, root)) return std::string(root) + " belongs to the system";
  }
  for (const char* whole : {"", "/etc", "/tmp", "/var", "/home", "/root", "/opt", "/srv", "/mnt", "/run", "/var/run"}) {
    if (directory == whole) return "its directory would hide all of " + (*whole == '\0' ? "/" : directory);
  }
  return "";
}

void CheckFiles(const Json& spec, const ReportViolation& report) {
  const Json& files = GetMember(spec, "files");
  if (!files.is_array()) return;
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = ItemPath("spec.files", i) + ".path", value = GetString(files[i], "path");
    if (value.empty() || value.front() != '/') continue;  // the pattern reported it
    bool upward = false;
    for (const std::string& part : Split(value, '/')) upward = upward || part == "..";
    if (upward || value.back() == '/') {
      report(path, upward ? "contains \"..\"" : "ends with a slash", "an absolute path of a file, without ..");
      continue;
    }
    const std::string clean = Clean(value), directory = clean.substr(0, clean.rfind('/'));
    if (std::string wrong = WrongDirectory(directory); !wrong.empty())
      report(path, wrong, "a file in a directory of its own, such as /run/secrets/token");
    auto [it, inserted] = seen.emplace(clean, i);
    if (!inserted) report(path, "is also the path of " + ItemPath("spec.files", it->second), "");
    const Json& volumes = GetMember(spec, "volumes");
    for (size_t v = 0; volumes.is_array() && v < volumes.size(); ++v) {
      const std::string mount = Clean(GetString(volumes[v], "mountPath"));
      if (!mount.empty() && (Below(directory, mount) || Below(mount, directory)))
        report(path, "its directory and " + ItemPath("spec.volumes", v) + " are inside each other",
               "a directory that no volume has");
    }
  }
}

void CheckSealedText(const std::string& path, const Json& value, const ReportViolation& report) {
  if (!value.is_string()) return;
  if (!Base64UrlDecode(value.get_ref<const std::string&>())) report(path, "is not base64url", "what mcpctl made");
}

}  // namespace

void CheckSecretUse(const Json& spec, const ReportViolation& report) {
  CheckValueOrRef(GetMember(spec, "env"), "spec.env", report);
  CheckValueOrRef(GetMember(GetMember(GetMember(spec, "source"), "remote"), "headers"), "spec.source.remote.headers",
                  report);
  CheckFiles(spec, report);
}

void CheckSecretRules(const Json& spec, const ReportViolation& report) {
  const Json& data = GetMember(spec, "data");
  for (size_t i = 0; data.is_array() && i < data.size(); ++i)
    CheckSealedText(ItemPath("spec.data", i) + ".sealed", GetMember(data[i], "sealed"), report);
  const Json& recipients = GetMember(spec, "recipients");
  for (size_t i = 0; recipients.is_array() && i < recipients.size(); ++i) {
    for (const char* field : {"publicKey", "sealedKey"})
      CheckSealedText(ItemPath("spec.recipients", i) + "." + field, GetMember(recipients[i], field), report);
  }
  const Json& selector = GetMember(GetMember(spec, "placement"), "nodeSelector");
  if (!selector.is_object()) return;
  for (auto it = selector.begin(); it != selector.end(); ++it) {
    const std::string path = ChildPath("spec.placement.nodeSelector", it.key());
    if (std::string wrong = CheckLabelKey(it.key()); !wrong.empty()) report(path, "the label's name " + wrong, "");
    if (!it->is_string()) continue;
    if (std::string wrong = CheckLabelValue(it->get<std::string>()); !wrong.empty()) report(path, wrong, "");
  }
}

}  // namespace mcpfleet
