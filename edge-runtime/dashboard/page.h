// The page's files (cloud/dashboard, built into cloud/worker/public), which cmake/dashboard.cmake puts into the program
// compressed where they are there at configure time. They stay in the program's file until they are asked for.
#pragma once

#include <string>
#include <string_view>

#include "base/http/message.h"

namespace mcpfleet::dashboard {

// Made by cmake/dashboard.cmake.
struct PageFile {
  std::string_view path;  // "assets/index-a1b2.js"
  std::string_view bytes;
  bool gzip = false;  // of `bytes`
};
extern const PageFile* const kPageFiles;
extern const size_t kPageFileCount;

// Whether this program was built with the page.
bool HasPage();
// What stands at `path`, which begins with "/-": a file below /-/assets/, else the page itself, which has a path for
// each of its views. Where the page is not built in, a text that says how to.
http::Response ServePage(std::string_view path, std::string_view host);
// The page's policy: scripts are files of ours and nothing else; styles too, and those with this number.
std::string PagePolicy(std::string_view host, std::string_view nonce);

}  // namespace mcpfleet::dashboard
