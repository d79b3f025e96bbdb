#include "edge-runtime/gateway/post_rules.h"

#include <algorithm>

#include "base/strings.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/mcp/era.h"
#include "edge-runtime/mcp/modern_headers.h"

namespace mcpfleet::gateway {
namespace {

constexpr std::string_view kVersionHeader = "MCP-Protocol-Version";
constexpr std::string_view kDate = "dddd-dd-dd";  // revisions are dates

Rejection Mismatch(std::string_view id, std::string_view message) {
  return {400, ErrorText(id, mcp::kHeaderMismatch, message), "header"};
}

std::string_view MediaType(std::string_view value) { return Trim(value.substr(0, value.find(';'))); }

bool IsVisible(std::string_view value) {
  for (const char c : value) {
    if (c != '\t' && (c < 0x20 || c > 0x7e)) return false;
  }
  return true;
}

}  // namespace

bool Accepts(const http::Headers& headers, std::string_view type) {
  const std::string_view major = type.substr(0, type.find('/'));
  for (const auto& [name, value] : headers.fields()) {
    if (!EqualsIgnoreCase(name, "accept")) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const std::string_view part = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
      const std::string_view media = MediaType(part);
      const bool any_minor = media.size() == major.size() + 2 && media.ends_with("/*") &&
                             EqualsIgnoreCase(media.substr(0, major.size()), major);
      if (media == "*/*" || any_minor || EqualsIgnoreCase(media, type)) return true;
    }
  }
  return false;
}

std::optional<Rejection> CheckContentType(const http::Headers& headers) {
  const std::string* type = headers.Find("content-type");
  if (type != nullptr && EqualsIgnoreCase(MediaType(*type), "application/json")) return std::nullopt;
  return Rejection{415, ErrorText("", kServerError, "Unsupported Media Type: Content-Type must be application/json"),
                   "content_type"};
}

std::optional<Rejection> CheckMediaTypes(const http::Headers& headers) {
  if (!Accepts(headers, "application/json") || !Accepts(headers, "text/event-stream")) {
    return Rejection{
        406,
        ErrorText("", kServerError, "Not Acceptable: Accept must list both application/json and text/event-stream"),
        "accept"};
  }
  return CheckContentType(headers);
}

bool NamesModernEra(const http::Headers& headers) {
  const std::string* version = headers.Find(kVersionHeader);
  if (version == nullptr || version->size() != kDate.size()) return false;
  for (size_t i = 0; i < kDate.size(); ++i) {
    const char c = (*version)[i];
    if (kDate[i] == '-' ? c != '-' : c < '0' || c > '9') return false;
  }
  return *version >= mcp::kModernVersion;
}

bool IsModernRequest(const http::Headers& headers, const Incoming& message) {
  if (message.envelope.kind == mcp::MessageKind::kResult || message.envelope.kind == mcp::MessageKind::kError)
    return false;
  const mcp::Span meta = mcp::FindMember(message.text, message.envelope.params, "_meta");
  if (mcp::FindMember(message.text, meta, kMetaVersion)) return true;
  return NamesModernEra(headers) && message.envelope.method != "initialize";
}

std::optional<Rejection> CheckLegacyVersion(const http::Headers& headers) {
  const std::string* version = headers.Find(kVersionHeader);
  if (version == nullptr || mcp::IsLegacyVersion(*version)) return std::nullopt;
  return Rejection{400,
                   ErrorText("", kServerError,
                             "Bad Request: unsupported protocol version \"" + Printable(*version, 40) +
                                 "\"; supported: 2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26, "
                                 "2024-11-05"),
                   "version"};
}

std::optional<std::string> DecodeHeaderValue(std::string_view value) {
  constexpr std::string_view kOpen = "=?base64?", kClose = "?=";
  value = Trim(value);
  if (!IsVisible(value)) return std::nullopt;
  const bool encoded =
      value.size() >= kOpen.size() + kClose.size() && value.starts_with(kOpen) && value.ends_with(kClose);
  if (!encoded) return std::string(value);
  std::string decoded;
  value.remove_prefix(kOpen.size());
  value.remove_suffix(kClose.size());
  if (!Base64Decode(value, &decoded) || !IsUtf8(decoded)) return std::nullopt;
  return decoded;
}

std::optional<Rejection> CheckModernRequest(const http::Headers& headers, const Incoming& message,
                                            const ModernMeta& meta) {
  const std::string_view id = message.Part(message.envelope.id);
  const std::string& method = message.envelope.method;
  // Whoever routes by a repeated header may see the other line.
  for (std::string_view name : {kVersionHeader, std::string_view("Mcp-Method"), std::string_view("Mcp-Name")}) {
    const auto same = [&](const auto& field) { return EqualsIgnoreCase(field.first, name); };
    if (std::count_if(headers.fields().begin(), headers.fields().end(), same) > 1)
      return Mismatch(id, "header " + std::string(name) + " stands there more than once");
  }
  const std::optional<std::string> version = headers.Get(kVersionHeader);
  if (!version) return Mismatch(id, "header MCP-Protocol-Version is missing");
  const std::optional<std::string> named_method = headers.Get("Mcp-Method");
  if (!named_method) return Mismatch(id, "header Mcp-Method is missing");
  if (Trim(*named_method) != method) return Mismatch(id, "header Mcp-Method is not the method of the body");
  // What is gone from this era has no rules for headers.
  const std::string_view member = IsRemovedInModern(method) ? "" : mcp::NamingMember(method);
  if (!member.empty()) {
    const std::string_view token = message.Part(mcp::FindMember(message.text, message.envelope.params, member));
    const std::optional<std::string> name = headers.Get("Mcp-Name");
    if (!name && !token.empty())
      return Mismatch(id, "header Mcp-Name is missing; it repeats params." + std::string(member));
    if (name) {
      const std::optional<std::string> decoded = DecodeHeaderValue(*name);
      if (!decoded) return Mismatch(id, "header Mcp-Name is not visible ASCII or base64");
      if (*decoded != mcp::Unquote(token))
        return Mismatch(id, "header Mcp-Name is not params." + std::string(member) + " of the body");
    }
  }
  if (meta.version.empty()) {
    return Rejection{400, ErrorText(id, mcp::kInvalidParams, "params._meta lacks " + std::string(kMetaVersion)),
                     "meta"};
  }
  if (Trim(*version) != meta.version)
    return Mismatch(id, "header MCP-Protocol-Version is not the version in params._meta");
  if (!mcp::IsModernVersion(meta.version)) {
    const std::string data =
        R"({"supported":)" + std::string(mcp::kSupportedVersions) + R"(,"requested":)" + mcp::Quote(meta.version) + "}";
    return Rejection{400, ErrorText(id, mcp::kUnsupportedProtocolVersion, "Unsupported protocol version", data),
                     "version"};
  }
  if (!mcp::IsObject(meta.capabilities)) {
    return Rejection{400, ErrorText(id, mcp::kInvalidParams, "params._meta lacks " + std::string(kMetaCapabilities)),
                     "meta"};
  }
  if (message.envelope.kind == mcp::MessageKind::kRequest && IsRemovedInModern(method)) {
    return Rejection{404, ErrorText(id, mcp::kMethodNotFound, "Method not found: " + Printable(method, 80)), "method"};
  }
  return std::nullopt;
}

}  // namespace mcpfleet::gateway
