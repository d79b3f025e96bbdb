// JSON as editors keep their settings: with comments, and with commas after the last member.
#pragma once

#include <string>
#include <string_view>

namespace mcpfleet::convert {

// The same text with both replaced by spaces, so that lines stay where they are. What is plain JSON is not changed.
std::string WithoutJsonComments(std::string_view text);

}  // namespace mcpfleet::convert
