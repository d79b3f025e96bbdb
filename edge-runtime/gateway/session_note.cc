#include "edge-runtime/gateway/session_note.h"

#include <array>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::gateway {
namespace {

constexpr int kNoteFormat = 1;
constexpr size_t kMaxSubscriptions = 256;
constexpr size_t kMaxQuestionBytes = size_t{16} << 10;  // of all together

void AppendNumber(std::string* text, uint64_t value) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  text->append(digits.data(), end);
}

}  // namespace

void RecentAnswers::Add(uint64_t stream, std::string_view id) {
  const size_t before = text_.size();
  text_ += ",[";
  AppendNumber(&text_, stream);
  text_ += ",";
  mcp::AppendQuoted(&text_, id);
  text_ += "]";
  lengths_.push_back(text_.size() - before);
  while (lengths_.size() > kMost || text_.size() > kMostBytes) {
    text_.erase(0, lengths_.front());
    lengths_.pop_front();
  }
}

void RecentAnswers::AppendTo(std::string* text) const {
  *text += "[";
  if (!text_.empty()) text->append(text_, 1);
  *text += "]";
}

std::vector<RecentAnswers::Answered> RecentAnswers::List() const {
  std::string text;
  AppendTo(&text);
  std::vector<Answered> list;
  for (const Json& each : ParseJson(text).value_or(Json::array()))
    list.push_back({each[0].get<uint64_t>(), each[1].get<std::string>()});
  return list;
}

bool SessionNote::TakeIn(const Incoming& message) {
  const std::string& method = message.envelope.method;
  if (method == "initialize") {
    initialize = message.text;
  } else if (method == "notifications/initialized") {
    initialized = message.text;
  } else if (method == "logging/setLevel") {
    level = message.text;
  } else if (method == "resources/subscribe" || method == "resources/unsubscribe") {
    const std::string uri =
        mcp::Unquote(mcp::FindMember(message.text, message.envelope.params, "uri").In(message.text));
    std::erase(subscriptions, uri);
    if (method == "resources/subscribe" && subscriptions.size() < kMaxSubscriptions) subscriptions.push_back(uri);
  } else {
    return false;
  }
  return true;
}

void SessionNote::TakeInVersion(const Incoming& answer) {
  version = mcp::Unquote(answer.Part(mcp::FindMember(answer.text, answer.envelope.result, "protocolVersion")));
}

bool SessionNote::Keeps(size_t bytes) const {
  for (const auto& [ours, question] : asked) bytes += question.line.size();
  return bytes <= kMaxQuestionBytes;
}

std::string SessionNote::FixedText() const {
  Json json = {{"format", kNoteFormat}, {"session", session}, {"subject", subject}, {"incarnation", incarnation}};
  json["initialize"] = initialize;
  json["initialized"] = initialized;
  if (!level.empty()) json["level"] = level;
  if (!subscriptions.empty()) json["subscriptions"] = subscriptions;
  std::string text = DumpJson(json);
  text.pop_back();
  return text;
}

// By hand: with each call.
void SessionNote::AppendMoving(std::string* text) const {
  const auto next = [text, first = true]() mutable { *text += std::exchange(first, false) ? "" : ","; };
  *text += R"(,"version":)";
  mcp::AppendQuoted(text, version);
  *text += R"(,"next":)";
  AppendNumber(text, next_id);
  *text += R"(,"nextAsked":)";
  AppendNumber(text, next_asked);
  *text += R"(,"calls":[)";
  for (auto comma = next; const auto& [lane_call, call] : calls) {
    comma();
    *text += "[";
    for (uint64_t each : {lane_call, call.call.call, call.call.stream}) {
      AppendNumber(text, each);
      *text += ",";
    }
    mcp::AppendQuoted(text, call.call.id);
    *text += ",";
    mcp::AppendQuoted(text, call.token);
    *text += ",";
    mcp::AppendQuoted(text, call.method);
    *text += "]";
  }
  *text += R"(],"asked":{)";
  for (auto comma = next; const auto& [ours, question] : asked) {
    comma();
    mcp::AppendQuoted(text, ours);
    *text += ":[";
    mcp::AppendQuoted(text, question.id);
    for (uint64_t each : {question.at.stream, question.at.sequence}) {
      *text += ",";
      AppendNumber(text, each);
    }
    *text += ",";
    mcp::AppendQuoted(text, question.line);
    *text += "]";
  }
  *text += R"(},"answered":)";
  answered.AppendTo(text);
  *text += "}";
}

std::optional<SessionNote> SessionNote::FromText(std::string_view text) {
  const StatusOr<Json> json = ParseJson(text, {.bytes = size_t{64} << 10, .depth = 8});
  if (!json.ok() || GetInt(*json, "format") != kNoteFormat) return std::nullopt;
  SessionNote note;
  note.session = GetString(*json, "session");
  note.subject = GetString(*json, "subject");
  note.version = GetString(*json, "version");
  note.incarnation = static_cast<uint64_t>(GetInt(*json, "incarnation"));
  note.initialize = GetString(*json, "initialize");
  note.initialized = GetString(*json, "initialized");
  note.level = GetString(*json, "level");
  note.next_id = static_cast<uint64_t>(GetInt(*json, "next"));
  note.next_asked = static_cast<uint64_t>(GetInt(*json, "nextAsked", 1));
  if (note.session.empty() || note.next_id == 0) return std::nullopt;
  note.subscriptions = StringsOf(GetMember(*json, "subscriptions"));
  for (const Json& call : GetMember(*json, "calls")) {
    const bool good = call.is_array() && call.size() == 6 && call[0].is_number_unsigned() &&
                      call[1].is_number_unsigned() && call[2].is_number_unsigned() && call[3].is_string() &&
                      call[4].is_string() && call[5].is_string();
    if (!good) return std::nullopt;
    note.calls[call[0].get<uint64_t>()] = {
        {call[1].get<uint64_t>(), call[2].get<uint64_t>(), call[3].get<std::string>()},
        call[4].get<std::string>(),
        call[5].get<std::string>()};
  }
  for (const Json& each : GetMember(*json, "answered")) {
    const bool good = each.is_array() && each.size() == 2 && each[0].is_number_unsigned() && each[1].is_string();
    if (!good) return std::nullopt;
    note.answered.Add(each[0].get<uint64_t>(), each[1].get_ref<const std::string&>());
  }
  for (const auto& [ours, question] : GetMember(*json, "asked").items()) {
    const bool good = question.is_array() && question.size() == 4 && question[0].is_string() &&
                      question[1].is_number_unsigned() && question[2].is_number_unsigned() && question[3].is_string();
    if (!good) return std::nullopt;
    note.asked[ours] = {question[0].get<std::string>(),
                        {question[1].get<uint64_t>(), question[2].get<uint64_t>()},
                        question[3].get<std::string>()};
  }
  return note;
}

}  // namespace mcpfleet::gateway
