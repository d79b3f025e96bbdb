// What mcpctl says to a command line that it can't read: what is wrong, what was probably meant, where to look.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace mcpfleet::cli {

// "-o=name" as "-o" "name", for the short options that take a value: kubectl reads it so, CLI11 doesn't.
std::vector<std::string> SplitShortValues(std::vector<std::string> words);
// After root.parse threw `error`. One or two lines, ending in a newline.
std::string UsageText(const CLI::App& root, const CLI::ParseError& error);

}  // namespace mcpfleet::cli
