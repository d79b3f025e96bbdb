#include "cli/convert/container_parts.h"

#include "base/strings.h"

namespace mcpfleet::convert {

std::string DockerBytes(std::string_view text) {
  std::string lower = ToLower(Trim(text));
  const size_t digits = lower.find_first_not_of("0123456789.");
  std::string number = lower.substr(0, digits);
  if (number.empty() || digits == std::string::npos) return lower;
  std::string unit = lower.substr(digits);
  if (unit == "b") return number;
  if (unit.ends_with('b')) unit.pop_back();
  if (unit == "k") return number + "Ki";
  if (unit == "m") return number + "Mi";
  if (unit == "g") return number + "Gi";
  if (unit == "t") return number + "Ti";
  return std::string(text);
}

void TakeVolume(Draft& draft, const std::string& host, const std::string& target, bool read_only,
                const std::string& path) {
  if (host.empty())
    return draft.Lose(path, "a volume of the engine has nothing like it; give a directory of the node (hostPath)");
  if (host.front() == '.' || host.front() == '~')
    return draft.Lose(path, "is relative to the user or file; give an absolute path on the nodes (hostPath)");
  if (host.front() != '/')
    return draft.Lose(path, "a named volume has nothing like it; give a directory of the node (hostPath)");
  if (host == "/var/run/docker.sock" || host == "/run/docker.sock")
    return draft.Lose(path, "the engine's socket would be root on the node; mount it yourself if it has to be");
  PutMount(draft, target, host, target, read_only, path);
}

void TakeVolumeWord(Draft& draft, const std::string& word, const std::string& path) {
  const std::vector<std::string> parts = Split(word, ':');
  if (parts.size() < 2) return TakeVolume(draft, "", word, false, path);
  bool read_only = false;
  for (size_t i = 2; i < parts.size(); ++i) {
    for (const std::string& option : Split(parts[i], ',')) {
      if (option == "ro") read_only = true;
      if (option != "ro" && option != "rw" && option != "z" && option != "Z" && option != "cached" &&
          option != "delegated" && option != "consistent")
        draft.Lose(path, "the option " + Printable(option, 40) + " of the mount has nothing like it");
    }
  }
  TakeVolume(draft, parts[0], parts[1], read_only, path);
}

void TakeTmpfsWord(Draft& draft, const std::string& word, const std::string& path) {
  const size_t colon = word.find(':');
  Json size;
  for (const std::string& option : Split(colon == std::string::npos ? "" : word.substr(colon + 1), ',')) {
    if (option.empty() || option == "rw") continue;
    if (option.starts_with("size=")) {
      size = DockerBytes(option.substr(5));
    } else {
      draft.Lose(path, "the option " + Printable(option, 40) + " of the tmpfs has nothing like it");
    }
  }
  const std::string target = word.substr(0, colon);
  PutTmpfs(draft, target, size, target, path);
}

void TakeNetwork(Draft& draft, const std::string& mode, const std::string& path) {
  if (mode == "none") return draft.Put("spec.securityContext.network", "None", path);
  if (mode == "host") return draft.Put("spec.securityContext.network", "Host", path);
  if (mode != "bridge" && mode != "default")
    draft.Lose(path, "a network of the engine's has nothing like it; Outbound is taken");
  draft.Put("spec.securityContext.network", "Outbound", path);
}

void TakeUser(Draft& draft, const std::string& user, const std::string& path) {
  const size_t colon = user.find(':');
  const std::string id = user.substr(0, colon);
  if (id.empty() || id.size() > 10 || id.find_first_not_of("0123456789") != std::string::npos)
    return draft.Lose(path,
                      "a user by name is known to the image only; give its number (spec.securityContext.runAsUser)");
  draft.Put("spec.securityContext.runAsUser", std::stoll(id), path);
  if (colon != std::string::npos && user.substr(colon + 1) != id)
    draft.Lose(path, "the group has nothing like it in an MCPServer");
}

void TakeCapability(Draft& draft, const std::string& name, const std::string& path) {
  const std::string_view plain = std::string_view(name).substr(name.starts_with("CAP_") ? 4 : 0);
  draft.Put("spec.securityContext.capabilities.add[]", std::string(plain), path);
}

}  // namespace mcpfleet::convert
