// What a client of the modern era says beside the body of a POST, so that what is in between can route without reading
// it (specification 2026-07-28, basic/transports/streamable-http): MCP-Protocol-Version, Mcp-Method, Mcp-Name, and
// Mcp-Param-* for the arguments that a tool marks with x-mcp-header.
//
// Pure but for ToolHeaders, which is not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::mcp {

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

// A value as it may stand in a header: as it is, or "=?base64?…?=" when it is not plain printable ASCII.
std::string HeaderText(std::string_view value);
// The member of `params` that Mcp-Name repeats; "" for methods without.
std::string_view NamingMember(std::string_view method);
// `name`: the value of that member.
HeaderFields ModernHeaders(std::string_view version, std::string_view method, std::string_view name);

// The arguments that the tools of one server mark, as far as it has listed them.
class ToolHeaders {
 public:
  // A tool as tools/list has it. InvalidArgument: its marks break the rules, and a client on HTTP must not show it.
  Status Note(const Json& tool);
  bool empty() const { return tools_.empty(); }
  bool Marks(std::string_view tool) const { return tools_.contains(tool); }
  // Fields for the arguments that are there and not null.
  HeaderFields For(std::string_view tool, const Json& arguments) const;

 private:
  static constexpr size_t kMaxTools = 4096;
  struct Mark {
    std::vector<std::string> path;  // into the arguments
    std::string header;
  };
  static Status Collect(const Json& schema, std::vector<std::string>* path, bool reachable, std::vector<Mark>* marks);
  static Status Add(const Json& property, const std::vector<std::string>& path, bool reachable,
                    std::vector<Mark>* marks);
  std::map<std::string, std::vector<Mark>, std::less<>> tools_;
};

}  // namespace mcpfleet::mcp
