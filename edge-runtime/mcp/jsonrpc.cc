#include "edge-runtime/mcp/jsonrpc.h"

#include <utility>

#include "base/strings.h"
#include "edge-runtime/mcp/json_scan.h"

namespace mcpfleet::mcp {
namespace {

// Whether the raw key token (with quotes, perhaps with escapes) spells `key`.
bool Spells(std::string_view token, std::string_view key) {
  if (token.find('\\') == std::string_view::npos) {
    return token.size() == key.size() + 2 && token.substr(1, key.size()) == key;
  }
  Json decoded = Json::parse(token.begin(), token.end(), nullptr, false);
  return decoded.is_string() && decoded.get_ref<const std::string&>() == key;
}

Status ReadId(const Json& body, std::string_view text, Message* message) {
  const Json& id = GetMember(body, "id");
  if (!id.is_string() && !id.is_number() && !id.is_null())
    return InvalidArgument("id is neither a string nor a number");
  std::string_view raw = RawMember(text, "id");
  if (raw.size() > kMaxIdBytes) return InvalidArgument("id longer than " + std::to_string(kMaxIdBytes) + " bytes");
  message->id = std::string(raw);
  return OkStatus();
}

Status ReadError(const Json& error, Message* message) {
  const Json& code = GetMember(error, "code");
  if (!code.is_number()) return InvalidArgument("error without a code");
  message->kind = MessageKind::kError;
  message->error_code = code.is_number_integer() ? code.get<int64_t>() : 0;
  message->error_message = GetString(error, "message");
  message->error_data = GetMember(error, "data");
  return OkStatus();
}

Status ReadCall(Json& body, Message* message) {
  const Json& method = GetMember(body, "method");
  if (!method.is_string()) return InvalidArgument("method is not a string");
  message->method = method.get<std::string>();
  if (message->method.empty() || message->method.size() > kMaxMethodBytes) {
    return InvalidArgument("method is empty or longer than " + std::to_string(kMaxMethodBytes) + " bytes");
  }
  if (body.contains("params")) {
    message->params = std::move(body.at("params"));
    if (!message->params.is_object() && !message->params.is_array()) return InvalidArgument("params is not an object");
  }
  if (message->id == "null") return InvalidArgument("request with a null id");
  message->kind = message->id.empty() ? MessageKind::kNotification : MessageKind::kRequest;
  return OkStatus();
}

Status ReadResponse(Json& body, Message* message) {
  bool has_result = body.contains("result");
  if (has_result == body.contains("error")) return InvalidArgument("neither a request nor a response");
  if (!has_result) return ReadError(body.at("error"), message);
  if (message->id.empty() || message->id == "null") return InvalidArgument("result without an id");
  message->kind = MessageKind::kResult;
  message->result = std::move(body.at("result"));
  return OkStatus();
}

std::string Envelope(std::string_view id) {
  std::string out = R"({"jsonrpc":"2.0")";
  if (!id.empty()) out.append(R"(,"id":)").append(id);
  return out;
}

}  // namespace

std::string_view RawMember(std::string_view object_text, std::string_view key) {
  JsonScan scan(object_text);
  if (!scan.Take('{')) return {};
  do {
    std::string_view name = scan.Value();
    if (name.size() < 2 || !scan.Take(':')) return {};
    std::string_view value = scan.Value();
    if (Spells(name, key)) return value;
  } while (scan.Take(','));
  return {};
}

StatusOr<Message> ParseMessage(std::string_view text, JsonLimits limits) {
  StatusOr<Json> body = ParseJson(text, limits);
  if (!body.ok()) return body.status();
  if (!body->is_object()) return InvalidArgument("not a JSON object");
  if (GetString(*body, "jsonrpc") != "2.0") return InvalidArgument("no \"jsonrpc\":\"2.0\"");
  Message message;
  if (body->contains("id")) RETURN_IF_ERROR(ReadId(*body, text, &message));
  if (body->contains("method")) {
    RETURN_IF_ERROR(ReadCall(*body, &message));
  } else {
    RETURN_IF_ERROR(ReadResponse(*body, &message));
  }
  return message;
}

std::string SerializeRequest(std::string_view id, std::string_view method, const Json& params) {
  std::string out = Envelope(id) + R"(,"method":)" + DumpJson(std::string(method));
  if (!params.is_null()) out += R"(,"params":)" + DumpJson(params);
  return out + "}";
}

std::string SerializeNotification(std::string_view method, const Json& params) {
  return SerializeRequest("", method, params);
}

std::string SerializeResult(std::string_view id, const Json& result) {
  return Envelope(id) + R"(,"result":)" + DumpJson(result) + "}";
}

std::string SerializeError(std::string_view id, int64_t code, std::string_view message) {
  return Envelope(id.empty() ? "null" : id) + R"(,"error":{"code":)" + std::to_string(code) + R"(,"message":)" +
         DumpJson(std::string(message)) + "}}";
}

std::string DescribeError(const Message& error) {
  return std::to_string(error.error_code) + ": " + Printable(error.error_message, 500);
}

}  // namespace mcpfleet::mcp
