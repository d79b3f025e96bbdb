// Which tools of one server its clients may see and call: allow, deny and pins of spec.tools, held against the lists of
// tools that go by. Pure but for what it remembers; on the gateway's loop only. One per server and spec: a new spec
// means a new filter, and Learn tells it what the prober saw, so that a call before the first list can be judged.
//
//   ToolFilter filter(spec.tools);
//   filter.Learn(catalog.tool_hashes);
//   if (std::string refusal = filter.Refusal(name); !refusal.empty()) answer an error with it;
//   if (filter.FilterList(&result, &findings)) send DumpJson(result), else the bytes as they came;
//
// Give it lists as the server wrote them, before any translation between protocol eras: the hash is over all of a tool.
// Servers whose children define a tool differently are judged by the definition seen last.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "crd/server_spec.h"
#include "crd/tool_pins.h"

namespace mcpfleet::gateway {

// Something about a tool that a person should hear of: to be logged and counted.
struct ToolFinding {
  enum class Kind {
    kChanged,      // its definition is not the pinned one
    kNotPinned,    // others are pinned, it is not
    kHiddenText,   // characters that nobody sees
    kTooManyTools  // more than the filter remembers
  };
  Kind kind = Kind::kChanged;
  std::string tool;     // its name, hidden characters shown as \u{…}; "" for kTooManyTools
  std::string message;  // "hidden characters in the description of add"
};

class ToolFilter {
 public:
  // Names that are remembered. A server with more is broken or hostile; under Block the others can't be called.
  static constexpr size_t kMostNames = 4096;
  // Longer names (in bytes; 128 characters at most) can't be pinned, and are not remembered.
  static constexpr size_t kLongestName = 512;
  // A tool that is another one in every list is reported this often.
  static constexpr int kMostReports = 8;

  explicit ToolFilter(const ToolsSpec& spec);

  // Nothing to filter or check: lists need not be parsed, calls need not be judged. So with the default spec; what its
  // lists hide is found by the prober, which reads them anyway.
  bool passes_all() const { return allow_.empty() && deny_.empty() && !checks_; }

  enum class Verdict {
    kAllowed,
    kDenied,     // by allow or deny
    kNotPinned,  // Block: no pin
    kNotSeen,    // Block: no list has shown it yet; list the tools and ask again
    kChanged,    // Block: not as pinned when last seen
  };
  // As the tool of that instance: whichever of its children listed a changed one, clients of none may call it.
  Verdict Judge(std::string_view name, const std::string& instance = "") const;
  // What a client that calls it is told; "" when it may be called.
  std::string Refusal(std::string_view name, const std::string& instance = "") const;

  // What a complete list of the server's tools held. Returns what is new about them, once each.
  std::vector<ToolFinding> Learn(const ToolHashes& tools, const std::string& instance = "");
  // The same for the result of a tools/list (one page), from which it takes the tools that clients must not see.
  // Whether it took any; what is no such result is left alone. `findings` is appended to.
  bool FilterList(Json* result, std::vector<ToolFinding>* findings, const std::string& instance = "");
  // Forgets what instances listed that are not among these.
  void Retain(const std::set<std::string>& instances);

 private:
  struct Seen {
    std::string hash;      // of its last definition; "" before the first
    std::string reported;  // the hash that the last finding was about
    int reports = 0;
    bool unpinned_reported = false, hidden_reported = false;
    std::set<std::string> changed_in;  // instances that have shown another definition than the pinned one
  };
  Seen* Remember(const std::string& name, std::vector<ToolFinding>* findings);
  void Note(const ToolHashes& tools, const std::string& instance, std::vector<ToolFinding>* findings);
  void NoteHiddenText(const Json& tool, std::vector<ToolFinding>* findings);

  const std::set<std::string, std::less<>> allow_, deny_;
  const std::map<std::string, std::string, std::less<>> pins_;
  const bool block_, checks_;
  std::map<std::string, Seen, std::less<>> seen_;
  bool too_many_reported_ = false;
};

}  // namespace mcpfleet::gateway
