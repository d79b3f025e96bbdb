#include "cli/hidden_arguments.h"

#include <cstring>
#include <string_view>

namespace mcpfleet::cli {
namespace {

constexpr std::string_view kOption = "--from-literal";

void Hide(char* given) {
  char* equals = std::strchr(given, '=');
  char* value = equals == nullptr ? given : equals + 1;
  explicit_bzero(value, std::strlen(value));
}

}  // namespace

void HideLiterals(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == kOption) {
      if (++i < argc) Hide(argv[i]);
    } else if (word.starts_with(kOption) && word[kOption.size()] == '=') {
      Hide(argv[i] + kOption.size() + 1);
    }
  }
}

}  // namespace mcpfleet::cli
