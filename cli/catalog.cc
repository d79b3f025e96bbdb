#include "cli/catalog.h"

#include <algorithm>
#include <ostream>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/output.h"
#include "edge-runtime/mcp/hidden_text.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kNarrow = 80, kWide = 300;

bool IsRequired(const Json& schema, const std::string& name) {
  const Json& required = GetMember(schema, "required");
  return required.is_array() && std::find(required.begin(), required.end(), Json(name)) != required.end();
}

// Also what a terminal would not show: text for a model that a person should see.
std::string Shown(std::string_view text, size_t limit) { return Printable(mcp::ShowHiddenCharacters(text), limit); }

std::string Joined(const std::vector<std::string>& names) { return names.empty() ? "<none>" : Join(names, ","); }

// The columns of a table with the description last, cut as the width allows.
Table Columns(std::vector<std::string> headers) {
  headers.push_back("DESCRIPTION");
  return Table(std::move(headers));
}

}  // namespace

std::string ArgumentsOf(const Json& schema, bool mark) {
  std::vector<std::string> names;
  const Json& properties = GetMember(schema, "properties");
  if (!properties.is_object()) return Joined(names);
  for (const auto& [name, property] : properties.items())
    names.push_back(Shown(name, 40) + (mark && IsRequired(schema, name) ? "*" : ""));
  return Joined(names);
}

std::string PromptArgumentsOf(const Json& prompt, bool mark) {
  std::vector<std::string> names;
  for (const Json& argument : GetMember(prompt, "arguments"))
    names.push_back(Shown(GetString(argument, "name"), 40) + (mark && GetBool(argument, "required") ? "*" : ""));
  return Joined(names);
}

std::string DescriptionOf(const Json& item, size_t limit) {
  const std::string text = GetString(item, "description", GetString(item, "title"));
  return Shown(text.substr(0, text.find('\n')), limit);
}

Table ToolTable(const Json& tools, bool wide, bool mark) {
  Table table = wide ? Columns({"NAME", "ARGUMENTS"}) : Columns({"NAME"});
  for (const Json& tool : tools) {
    std::vector<std::string> row{Shown(GetString(tool, "name"), 80)};
    if (wide) row.push_back(ArgumentsOf(GetMember(tool, "inputSchema"), mark));
    row.push_back(DescriptionOf(tool, wide && !mark ? kWide : kNarrow));
    table.Add(std::move(row));
  }
  return table;
}

Table ResourceTable(const Json& resources, bool wide) {
  Table table = wide ? Columns({"URI", "NAME", "TYPE", "SIZE"}) : Columns({"URI", "NAME"});
  for (const Json& resource : resources) {
    std::vector<std::string> row{Shown(GetString(resource, "uri"), 200), Shown(GetString(resource, "name"), 80)};
    if (wide) {
      row.push_back(Shown(GetString(resource, "mimeType", "<unknown>"), 60));
      const Json& size = GetMember(resource, "size");
      row.push_back(size.is_number_integer() ? DumpJson(size) : "<unknown>");
    }
    row.push_back(DescriptionOf(resource, wide ? kWide : kNarrow));
    table.Add(std::move(row));
  }
  return table;
}

Table TemplateTable(const Json& templates, bool wide) {
  Table table = wide ? Columns({"URI TEMPLATE", "NAME", "TYPE"}) : Columns({"URI TEMPLATE", "NAME"});
  for (const Json& one : templates) {
    std::vector<std::string> row{Shown(GetString(one, "uriTemplate"), 200), Shown(GetString(one, "name"), 80)};
    if (wide) row.push_back(Shown(GetString(one, "mimeType", "<unknown>"), 60));
    row.push_back(DescriptionOf(one, wide ? kWide : kNarrow));
    table.Add(std::move(row));
  }
  return table;
}

Table PromptTable(const Json& prompts, bool wide, bool mark) {
  Table table = wide ? Columns({"NAME", "ARGUMENTS"}) : Columns({"NAME"});
  for (const Json& prompt : prompts) {
    std::vector<std::string> row{Shown(GetString(prompt, "name"), 80)};
    if (wide) row.push_back(PromptArgumentsOf(prompt, mark));
    row.push_back(DescriptionOf(prompt, wide && !mark ? kWide : kNarrow));
    table.Add(std::move(row));
  }
  return table;
}

Status PrintCatalog(Session& session, const std::string& output, const std::string& member, const Json& items,
                    std::string_view key, const Table& table) {
  if (output == "name") {
    for (const Json& item : items) session.out() << GetString(item, key) << "\n";
    return OkStatus();
  }
  if (!output.empty() && output != "wide") return PrintObjects(session.out(), output, {Json{{member, items}}}, false);
  if (table.empty()) session.err() << "None: the server offers no " << member << ".\n";
  if (!table.empty()) table.Print(session.out());
  return OkStatus();
}

void PrintBlock(std::ostream& out, const Json& block) {
  const Json& resource = GetMember(block, "resource");
  const Json& inner = resource.is_object() ? resource : block;
  if (const Json& text = GetMember(inner, "text"); text.is_string()) {
    const auto& line = text.get_ref<const std::string&>();
    out << line << (line.ends_with('\n') ? "" : "\n");
    return;
  }
  const std::string bytes = GetString(inner, "data", GetString(inner, "blob"));
  out << "[" << Shown(GetString(block, "type", "blob"), 40) << " "
      << Shown(GetString(inner, "mimeType", GetString(inner, "uri")), 200) << ", " << bytes.size() * 3 / 4
      << " bytes; -o json shows it]\n";
}

}  // namespace mcpfleet::cli
