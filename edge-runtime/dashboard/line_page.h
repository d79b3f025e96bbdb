// A page of lines of many logs in the order of time. Of whatever comes the earliest lines are kept, as many as the page
// may have and some: memory is bounded by the page, not by the number of logs. Pure.
//
// A page ends where the next one begins: its cursor is the time of its last line and how many lines of that time were
// given so far. So the logs must come in the same order for each page, and each with its oldest line first.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "crd/object.h"

namespace mcpfleet::dashboard {

struct PageLine {
  std::string time, text;
  const ServerKey* server;
};

// What a text takes as a JSON string, at most.
size_t JsonBytes(std::string_view text);

class LinePage {
 public:
  struct Limits {
    size_t lines, bytes;  // as JSON; one line is given however long it is
  };
  // Begins after `given` lines of the time `after`; "": with the first.
  LinePage(Limits limits, std::string after, size_t given) : limits_(limits), after_(std::move(after)), given_(given) {}
  // False: neither this line nor what comes after it in this log is of this page.
  bool Add(PageLine line);
  // The page. `*cursor` is "" when nothing is left for another.
  std::vector<PageLine> Finish(std::string* cursor);

 private:
  void Cut();

  const Limits limits_;
  const std::string after_;
  const size_t given_;
  size_t skipped_ = 0;  // of those
  std::vector<PageLine> lines_;
  size_t bytes_ = 0;
  bool cut_ = false;  // some did not fit: no line of this time or later is taken any more
  std::string end_;
};

}  // namespace mcpfleet::dashboard
