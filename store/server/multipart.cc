#include "store/server/multipart.h"

#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kMostParts = 8;

// The value of `name=` among the ;-separated parameters of a header, quoted or not.
std::string Parameter(std::string_view header, std::string_view name) {
  std::string wanted = std::string(name) + "=";
  for (size_t at = header.find(';'); at != std::string_view::npos; at = header.find(';', at)) {
    ++at;
    std::string_view rest = header.substr(at);
    size_t start = rest.find_first_not_of(" \t");
    if (start == std::string_view::npos) return "";
    rest.remove_prefix(start);
    if (!EqualsIgnoreCase(rest.substr(0, wanted.size()), wanted)) continue;
    rest.remove_prefix(wanted.size());
    if (!rest.empty() && rest.front() == '"') {
      size_t end = rest.find('"', 1);
      return end == std::string_view::npos ? "" : std::string(rest.substr(1, end - 1));
    }
    return std::string(Trim(rest.substr(0, rest.find(';'))));
  }
  return "";
}

std::string PartName(std::string_view head) {
  while (!head.empty()) {
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    constexpr std::string_view kDisposition = "content-disposition:";
    if (EqualsIgnoreCase(line.substr(0, kDisposition.size()), kDisposition)) return Parameter(line, "name");
    if (end == std::string_view::npos) break;
    head.remove_prefix(end + 2);
  }
  return "";
}

}  // namespace

StatusOr<std::map<std::string, std::string>> ParseMultipart(std::string_view content_type, std::string_view body) {
  std::string boundary = Parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > 70) return InvalidArgument("multipart: no boundary");
  std::string delimiter = "\r\n--" + boundary;
  std::map<std::string, std::string> parts;
  // The first delimiter may stand at the very start, without its line break.
  size_t at = body.substr(0, delimiter.size() - 2) == std::string_view(delimiter).substr(2) ? delimiter.size() - 2
              : body.find(delimiter) == std::string_view::npos                              ? std::string_view::npos
                                                               : body.find(delimiter) + delimiter.size();
  while (at != std::string_view::npos) {
    std::string_view rest = body.substr(at);
    if (rest.substr(0, 2) == "--") return parts;
    size_t line = rest.find("\r\n");
    if (line == std::string_view::npos) break;
    rest.remove_prefix(line);  // the line break stays: a part without headers is \r\n\r\n
    size_t blank = rest.find("\r\n\r\n");
    size_t end = blank == std::string_view::npos ? blank : rest.find(delimiter, blank + 2);
    if (end == std::string_view::npos) break;
    std::string name = PartName(rest.substr(2, blank < 2 ? 0 : blank - 2));
    if (name.empty()) return InvalidArgument("multipart: a part without a name");
    if (parts.size() == kMostParts) return InvalidArgument("multipart: too many parts");
    size_t content = blank + 4;
    if (!parts.emplace(name, std::string(rest.substr(content, end < content ? 0 : end - content))).second) {
      return InvalidArgument("multipart: a part twice");
    }
    at += line + end + delimiter.size();
  }
  return InvalidArgument("multipart: ends too early");
}

}  // namespace mcpfleet
