// -o: how objects are printed. json, yaml, name, jsonpath=EXPRESSION; tables are each verb's own.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::cli {

// Checks the value of -o against `allowed` ("wide", "json", "jsonpath" …); "" is fine.
Status CheckOutput(std::string_view output, const std::vector<std::string>& allowed);
// One object as it is, several (or `list`) as `kind: List`. `output` is json, yaml, name or jsonpath=….
Status PrintObjects(std::ostream& out, std::string_view output, const std::vector<Json>& objects, bool list);
// kubectl's JSONPath: {.a.b}, {.a[0]}, {.a[*].b}, {.a['k.x']}, {..name}, {range .items[*]}…{end}, {"\n"}, and literal
// text between braces. Missing members print nothing.
StatusOr<std::string> JsonPath(std::string_view expression, const Json& value);

}  // namespace mcpfleet::cli
