// How the things that a server offers are shown: tools, resources, prompts and what comes out of them. Everything here
// was written by a server: text in tables is made printable and cut.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cli/session.h"
#include "cli/table.h"

namespace mcpfleet::cli {

// "a,b,c" of an input schema, "<none>" when there are none; with `mark`, required ones as "a*".
std::string ArgumentsOf(const Json& schema, bool mark);
// The same of a prompt's list of arguments.
std::string PromptArgumentsOf(const Json& prompt, bool mark);
// The first line of the description, else the title.
std::string DescriptionOf(const Json& item, size_t limit);

Table ToolTable(const Json& tools, bool wide, bool mark = false);
Table ResourceTable(const Json& resources, bool wide);
Table TemplateTable(const Json& templates, bool wide);
Table PromptTable(const Json& prompts, bool wide, bool mark = false);

// A list as -o says: "" and wide are `table`, name is each item's `key`, the rest an object with the member `member`.
Status PrintCatalog(Session& session, const std::string& output, const std::string& member, const Json& items,
                    std::string_view key, const Table& table);
// A content block: text as it is, of anything else what it is.
void PrintBlock(std::ostream& out, const Json& block);

}  // namespace mcpfleet::cli
