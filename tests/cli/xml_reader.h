// Whether a text is well-formed XML, as far as documents without DTD, comments and processing instructions go: one
// root, elements that close in order, attributes once each and quoted, entities that exist, characters that XML has.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"

namespace mcpfleet::cli {

class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : text_(text) {}

  // "" when it is.
  std::string Problem() {
    if (!IsUtf8(text_)) return "not UTF-8";
    if (text_.starts_with("<?xml ")) at_ = text_.find("?>") + 2;
    bool root = false;
    while (problem_.empty() && at_ < text_.size()) {
      if (text_[at_] != '<') {
        ReadText();
        continue;
      }
      if (open_.empty() && root) return "more than one root at " + std::to_string(at_);
      root = true;
      ReadTag();
      // The end of the root: only white space may follow.
      if (open_.empty()) {
        if (!Trim(text_.substr(at_)).empty()) return problem_.empty() ? "text after the root" : problem_;
        break;
      }
    }
    if (!problem_.empty()) return problem_;
    if (!open_.empty()) return "<" + open_.back() + "> is not closed";
    return root ? "" : "no root";
  }

 private:
  void Fail(const std::string& what) {
    if (problem_.empty()) problem_ = what + " at " + std::to_string(at_);
  }
  bool Take(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }
  std::string Name() {
    const size_t begin = at_;
    while (at_ < text_.size() && (isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-')) ++at_;
    if (begin == at_) Fail("no name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void SkipSpace() {
    while (at_ < text_.size() && isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  // Up to a character of `end`.
  void ReadCharacters(std::string_view end) {
    while (at_ < text_.size() && end.find(text_[at_]) == std::string_view::npos && problem_.empty()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c < 0x20 && c != '\n' && c != '\t' && c != '\r') return Fail("a control character");
      if (c == '<') return Fail("a < in a value");
      if (text_.substr(at_).starts_with("]]>")) return Fail("]]>");
      if (c == '&') {
        const size_t semicolon = text_.find(';', at_);
        const std::string entity(text_.substr(at_, semicolon - at_ + 1));
        static const std::set<std::string> known = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#10;", "&#9;"};
        if (!known.contains(entity)) return Fail("an entity that is none");
        at_ = semicolon;
      }
      ++at_;
    }
  }
  void ReadText() {
    const size_t begin = at_;
    ReadCharacters("<");
    if (open_.empty() && !Trim(text_.substr(begin, at_ - begin)).empty()) Fail("text outside the root");
  }
  void ReadTag() {
    ++at_;
    if (Take("/")) {
      const std::string name = Name();
      if (open_.empty() || open_.back() != name) return Fail("</" + name + "> closes nothing");
      open_.pop_back();
      if (!Take(">")) Fail("no >");
      return;
    }
    const std::string name = Name();
    std::set<std::string> attributes;
    for (SkipSpace(); problem_.empty() && at_ < text_.size() && text_[at_] != '>' && text_[at_] != '/'; SkipSpace()) {
      if (!attributes.insert(Name()).second) return Fail("an attribute twice");
      if (!Take("=\"")) return Fail("an attribute without a value");
      ReadCharacters("\"");
      if (!Take("\"")) return Fail("a value without an end");
    }
    if (Take("/>")) return;
    if (!Take(">")) return Fail("no >");
    open_.push_back(name);
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<std::string> open_;
  std::string problem_;
};

inline std::string XmlProblem(std::string_view text) { return XmlReader(text).Problem(); }

}  // namespace mcpfleet::cli
