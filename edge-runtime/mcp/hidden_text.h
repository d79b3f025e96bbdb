// Characters in a tool's texts that a person does not see and a model reads: zero-width characters, direction
// controls, Unicode tags, variation selectors that select nothing, control characters. Hidden instructions come in
// them ("tool poisoning"). What scripts and emoji need is left alone: joiners inside Arabic and Indic words and between
// emoji, one variation selector after a symbol.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mcpfleet::mcp {

bool HasHiddenCharacters(std::string_view text);
// The text with every hidden character as \u{200b}, for a terminal or a log.
std::string ShowHiddenCharacters(std::string_view text);
// Where a tool has hidden characters: "the name of …", "the title of …", "the description of …", "the schemas of …"
// (any text in them). Empty for almost every tool.
std::vector<std::string> HiddenTextOf(const Json& tool);

}  // namespace mcpfleet::mcp
