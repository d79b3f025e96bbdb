#include "edge-runtime/mcp/envelope.h"

#include <algorithm>
#include <array>

#include <simdjson.h>
#include <nlohmann/json.hpp>

#include "edge-runtime/mcp/json_scan.h"

namespace mcpfleet::mcp {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kKeptBytes = size_t{64} << 10;

Status Refused(simdjson::error_code error) {
  return InvalidArgument("not JSON: " + std::string(simdjson::error_message(error)));
}

// Whether valid JSON is nested deeper than simdjson would take it.
bool IsTooDeep(std::string_view text) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Without simdjson: for what is too long for it, and for numbers that it can't hold though JSON can.
Status Accept(std::string_view text) {
  if (!Json::accept(text.begin(), text.end())) return InvalidArgument("not JSON: a syntax error");
  if (IsTooDeep(text)) return InvalidArgument("not JSON: nested deeper than 64 levels");
  return OkStatus();
}

Status Parse(simdjson::dom::parser* parser, std::string_view text) {
  if (parser->max_depth() != kMaxDepth) {
    if (parser->allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) return Internal("no memory for the JSON parser");
  }
  const auto error = parser->parse(text.data(), text.size()).error();
  if (error == simdjson::NUMBER_ERROR) return Accept(text);
  return error == simdjson::SUCCESS ? OkStatus() : Refused(error);
}

// A parser needs thirteen times its text: a thread keeps the one for small texts, others are made when needed.
Status Validate(std::string_view text, Validation validation) {
  thread_local simdjson::dom::parser small(kKeptBytes);
  if (text.empty()) return InvalidArgument("not JSON: empty");
  if (text.size() < kKeptBytes) return Parse(&small, text);
  if (text.size() <= kValidatedBytes) {
    simdjson::dom::parser once;
    return Parse(&once, text);
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) return InvalidArgument("not valid UTF-8");
  return validation == Validation::kWhole ? Accept(text) : OkStatus();
}

// Whether the raw key token (with quotes, perhaps with escapes) spells `key`.
bool Spells(std::string_view token, std::string_view key) {
  if (token.find('\\') == std::string_view::npos) {
    return token.size() == key.size() + 2 && token.substr(1, key.size()) == key;
  }
  return Unquote(token) == key;
}

Span SpanOf(std::string_view text, std::string_view part) {
  return {static_cast<size_t>(part.data() - text.data()), part.size()};
}

bool IsIdToken(std::string_view token) {
  return token == "null" || token.front() == '"' || token.front() == '-' ||
         (token.front() >= '0' && token.front() <= '9');
}

// Of nearly every object, without allocating. False: look closer.
bool FewPlainKeysDiffer(std::string_view object) {
  std::array<std::string_view, 8> keys;
  size_t count = 0;
  JsonScan scan(object);
  if (!scan.Take('{') || scan.Take('}')) return true;
  do {
    const std::string_view key = scan.Value();
    if (key.size() < 2 || !scan.Take(':') || count == keys.size() || key.find('\\') != std::string_view::npos)
      return false;
    const auto end = keys.begin() + count;
    if (std::find(keys.begin(), end, key) != end) return false;
    keys[count++] = key;
    scan.Value();
  } while (scan.Take(','));
  return true;
}

// A member that stands there twice means something else to us, who take the first, than to most servers: nothing that
// is decided about a message (the tool's name, the token) may rest on it.
Status CheckOnce(std::string_view text, Span object, std::string_view what) {
  if (FewPlainKeysDiffer(object.In(text))) return OkStatus();
  std::vector<std::string> keys;
  for (auto& [key, value] : MembersOf(text, object)) keys.push_back(std::move(key));
  std::sort(keys.begin(), keys.end());
  const bool twice = std::adjacent_find(keys.begin(), keys.end()) != keys.end();
  return twice ? InvalidArgument("a member of " + std::string(what) + " stands there twice") : OkStatus();
}

Status Judge(std::string_view text, Span version, Span method, Envelope* envelope) {
  if (version.In(text) != R"("2.0")" && Unquote(version.In(text)) != "2.0")
    return InvalidArgument("no \"jsonrpc\":\"2.0\"");
  if (envelope->id && !IsIdToken(envelope->id.In(text))) return InvalidArgument("id is neither a string nor a number");
  if (envelope->id.size > kMaxIdBytes)
    return InvalidArgument("id longer than " + std::to_string(kMaxIdBytes) + " bytes");
  const bool null_id = envelope->id.In(text) == "null";
  if (method) {
    const std::string_view token = method.In(text);
    if (token.front() != '"') return InvalidArgument("method is not a string");
    envelope->method = Unquote(token);
    if (envelope->method.empty() || envelope->method.size() > kMaxMethodBytes)
      return InvalidArgument("method is empty or longer than " + std::to_string(kMaxMethodBytes) + " bytes");
    const std::string_view params = envelope->params.In(text);
    if (!params.empty() && params.front() != '{' && params.front() != '[')
      return InvalidArgument("params is not an object");
    if (null_id) return InvalidArgument("request with a null id");
    envelope->kind = envelope->id ? MessageKind::kRequest : MessageKind::kNotification;
    return OkStatus();
  }
  if (static_cast<bool>(envelope->result) == static_cast<bool>(envelope->error))
    return InvalidArgument("neither a request nor a response");
  if (envelope->error) {
    if (!IsObject(envelope->error.In(text))) return InvalidArgument("error is not an object");
    envelope->kind = MessageKind::kError;
    return OkStatus();
  }
  if (!envelope->id || null_id) return InvalidArgument("result without an id");
  envelope->kind = MessageKind::kResult;
  return OkStatus();
}

}  // namespace

StatusOr<Envelope> ReadEnvelope(std::string_view text, Validation validation) {
  RETURN_IF_ERROR(Validate(text, validation));
  Envelope envelope;
  Span version, method;
  const std::array<std::pair<std::string_view, Span*>, 6> members = {{{"jsonrpc", &version},
                                                                      {"id", &envelope.id},
                                                                      {"method", &method},
                                                                      {"params", &envelope.params},
                                                                      {"result", &envelope.result},
                                                                      {"error", &envelope.error}}};
  JsonScan scan(text);
  if (!scan.Take('{')) return InvalidArgument("not a JSON object");
  if (!scan.Take('}')) {
    do {
      const std::string_view key = scan.Value();
      if (key.size() < 2 || key.front() != '"' || !scan.Take(':')) return InvalidArgument("not JSON");
      const std::string_view value = scan.Value();
      if (value.empty()) return InvalidArgument("not JSON");
      for (const auto& [name, span] : members) {
        if (!Spells(key, name)) continue;
        if (*span) return InvalidArgument("member \"" + std::string(name) + "\" stands there twice");
        *span = SpanOf(text, value);
      }
    } while (scan.Take(','));
    if (!scan.Take('}')) return InvalidArgument("not JSON");
  }
  if (!scan.AtEnd()) return InvalidArgument("not JSON: more than one value");
  RETURN_IF_ERROR(Judge(text, version, method, &envelope));
  if (validation == Validation::kWhole && envelope.params) {
    RETURN_IF_ERROR(CheckOnce(text, envelope.params, "params"));
    RETURN_IF_ERROR(CheckOnce(text, FindMember(text, envelope.params, "_meta"), "params._meta"));
  }
  return envelope;
}

bool IsBatch(std::string_view text) { return JsonScan(text).Take('['); }

StatusOr<std::vector<std::string_view>> SplitBatch(std::string_view text, size_t max) {
  RETURN_IF_ERROR(Validate(text, Validation::kWhole));
  if (text.size() > kValidatedBytes) return ResourceExhausted("batch larger than 1 MiB");
  std::vector<std::string_view> elements;
  JsonScan scan(text);
  if (!scan.Take('[')) return InvalidArgument("not a JSON array");
  if (scan.Take(']')) return FailedPrecondition("empty batch");
  do {
    if (elements.size() == max) return ResourceExhausted("batch of more than " + std::to_string(max) + " messages");
    elements.push_back(scan.Value());
  } while (scan.Take(','));
  return elements;
}

void FindMembers(std::string_view text, Span object, std::initializer_list<std::pair<std::string_view, Span*>> wanted) {
  const std::string_view inside = object.In(text);
  JsonScan scan(inside);
  if (!scan.Take('{') || scan.Take('}')) return;
  size_t left = wanted.size();
  do {
    const std::string_view key = scan.Value();
    if (key.size() < 2 || !scan.Take(':')) return;
    const std::string_view value = scan.Value();
    for (const auto& [name, span] : wanted) {
      if (*span || !Spells(key, name)) continue;
      *span = {object.at + static_cast<size_t>(value.data() - inside.data()), value.size()};
      if (--left == 0) return;
    }
  } while (scan.Take(','));
}

Span FindMember(std::string_view text, Span object, std::string_view key) {
  Span span;
  FindMembers(text, object, {{key, &span}});
  return span;
}

std::vector<std::pair<std::string, Span>> MembersOf(std::string_view text, Span object) {
  std::vector<std::pair<std::string, Span>> out;
  const std::string_view inside = object.In(text);
  JsonScan scan(inside);
  if (!scan.Take('{') || scan.Take('}')) return out;
  do {
    const std::string_view key = scan.Value();
    if (key.size() < 2 || !scan.Take(':')) return out;
    const std::string_view value = scan.Value();
    out.emplace_back(Unquote(key), Span{object.at + static_cast<size_t>(value.data() - inside.data()), value.size()});
  } while (scan.Take(','));
  return out;
}

std::string Unquote(std::string_view token) {
  if (token.size() < 2 || token.front() != '"') return "";
  if (token.find('\\') == std::string_view::npos) return std::string(token.substr(1, token.size() - 2));
  const Json decoded = Json::parse(token.begin(), token.end(), nullptr, false);
  return decoded.is_string() ? decoded.get<std::string>() : "";
}

void AppendQuoted(std::string* out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    out->append("\"").append(text).append("\"");
  } else {
    *out += DumpJson(std::string(text));
  }
}

std::string Quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  AppendQuoted(&out, text);
  return out;
}

std::string ApplyEdits(std::string_view text, std::vector<Edit> edits) {
  std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.where.at < b.where.at; });
  size_t size = text.size();
  for (const Edit& edit : edits) size += edit.text.size();
  std::string out;
  out.reserve(size);
  size_t at = 0;
  for (const Edit& edit : edits) {
    out.append(text.substr(at, edit.where.at - at)).append(edit.text);
    at = edit.where.at + edit.where.size;
  }
  return out.append(text.substr(at));
}

void EditInPlace(std::string* text, std::vector<Edit> edits) {
  std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.where.at > b.where.at; });
  for (const Edit& edit : edits) text->replace(edit.where.at, edit.where.size, edit.text);
}

Edit AddMembers(std::string_view text, Span object, std::string members) {
  JsonScan scan(object.In(text));
  scan.Take('{');
  const size_t begin = object.at + scan.at();
  if (!members.empty() && !scan.Take('}')) members += ",";
  return {{begin, 0}, std::move(members)};
}

Edit AddMember(std::string_view text, Span object, std::string_view key, std::string_view value) {
  return AddMembers(text, object, Quote(key).append(":").append(value));
}

std::string OneLine(std::string text) {
  if (text.find('\n') == std::string::npos && text.find('\r') == std::string::npos) return text;
  std::string out(text.size() + 64, '\0');
  size_t size = 0;
  if (simdjson::minify(text.data(), text.size(), out.data(), size) == simdjson::SUCCESS) {
    out.resize(size);
    text = std::move(out);
  }
  // Those that are left are where JSON allows none: inside of strings, or it is no JSON at all.
  for (char& c : text) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  return text;
}

}  // namespace mcpfleet::mcp
