#include "cli/convert/package_name.h"

#include <algorithm>

#include "base/strings.h"
#include "crd/rules.h"

namespace mcpfleet::convert {
namespace {

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 214 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '~';
  });
}

bool IsRange(std::string_view version) {
  return version.find_first_of("^~<>=*|, ") != std::string_view::npos || version.ends_with(".x") || version == "x";
}

Status Range(std::string_view text) {
  return InvalidArgument("\"" + Printable(text, 100) + "\" is a range of versions; an exact one is needed");
}

}  // namespace

StatusOr<PackageName> ParseNpm(std::string_view text) {
  const size_t at = text.find('@', text.starts_with('@') ? 1 : 0);
  const std::string_view name = text.substr(0, at);
  const std::string_view version = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  std::string_view plain = name;
  bool scoped = true;
  if (name.starts_with('@')) {
    const size_t slash = name.find('/');
    scoped = slash != std::string_view::npos && IsName(name.substr(1, slash - 1));
    plain = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
  }
  if (!scoped || !IsName(plain) || plain.front() == '.' || plain.front() == '-')
    return InvalidArgument("\"" + Printable(text, 100) +
                           "\" is no package of npm; allowed: NAME or @SCOPE/NAME, with @VERSION");
  if (IsRange(version)) return Range(text);
  if (!version.empty() && !IsExact("npm", std::string(version)) && !IsName(version))
    return InvalidArgument("\"" + Printable(text, 100) + "\" has no version of npm after the @");
  return PackageName{std::string(name), std::string(version)};
}

StatusOr<PackageName> ParsePypi(std::string_view text) {
  const size_t end = text.find_first_of("=@<>~!;[ ");
  const std::string_view name = text.substr(0, end);
  std::string_view version = end == std::string_view::npos ? std::string_view() : text.substr(end);
  if (version.starts_with('['))
    return InvalidArgument("\"" + Printable(text, 100) + "\": extras in [] can't be asked for");
  if (!IsName(name) || name.find('~') != std::string_view::npos || name.front() == '.' || name.front() == '-')
    return InvalidArgument("\"" + Printable(text, 100) +
                           "\" is no package of PyPI; allowed: NAME, NAME==VERSION or NAME@VERSION");
  if (version.starts_with("==")) {
    version.remove_prefix(2);
  } else if (version.starts_with('@')) {
    version.remove_prefix(1);
  } else if (!version.empty()) {
    return Range(text);
  }
  if (IsRange(version)) return Range(text);
  if (!version.empty() && version != "latest" && !IsExact("pypi", std::string(version)))
    return InvalidArgument("\"" + Printable(text, 100) + "\" has no version of PyPI");
  return PackageName{std::string(name), std::string(version)};
}

bool IsExact(std::string_view manager, const std::string& version) {
  return manager == "npm" ? IsExactNpmVersion(version) : IsExactPypiVersion(version);
}

}  // namespace mcpfleet::convert
