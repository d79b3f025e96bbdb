#include "bench/gateway/wire.h"

#include <cctype>
#include <cstdlib>

namespace mcpfleet::bench {
namespace {

constexpr std::string_view kLegacyVersion = "2025-11-25";
constexpr std::string_view kModernVersion = "2026-07-28";

std::string Head(std::string_view method, const Endpoint& to, std::string_view session, std::string_view version) {
  std::string head(method);
  ((head += ' ') += to.path) += " HTTP/1.1\r\nHost: ";
  ((head += to.host) += ':') += std::to_string(to.port);
  if (!version.empty()) (head += "\r\nMCP-Protocol-Version: ") += version;
  if (!session.empty()) (head += "\r\nMcp-Session-Id: ") += session;
  return head;
}

std::string Post(std::string head, std::string_view body) {
  head += "\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ";
  ((head += std::to_string(body.size())) += "\r\n\r\n") += body;
  return head;
}

}  // namespace

std::optional<Endpoint> ParseEndpoint(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.substr(0, kScheme.size()) != kScheme) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const size_t colon = url.find(':'), slash = url.find('/');
  if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon) return std::nullopt;
  const std::string port(url.substr(colon + 1, slash - colon - 1));
  return Endpoint{std::string(url.substr(0, colon)), std::string(url.substr(slash)),
                  static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10))};
}

std::string InitializeBody() {
  return "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
         "\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1.0\"}}}";
}

std::string InitializedBody() { return "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"; }

std::string CallBody(Era era, uint64_t id, std::string_view tool, std::string_view argument) {
  std::string body = "{\"jsonrpc\":\"2.0\",\"id\":";
  ((body += std::to_string(id)) += ",\"method\":\"tools/call\",\"params\":{\"name\":\"") += tool;
  ((body += "\",\"arguments\":{") += argument) += '}';
  if (era == Era::kModern) {
    body +=
        ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientCapabilities\":{},"
        "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1.0\"}}";
  }
  return body += "}}";
}

std::string PostInitialize(const Endpoint& to) { return Post(Head("POST", to, "", ""), InitializeBody()); }

std::string PostInitialized(const Endpoint& to, std::string_view session) {
  return Post(Head("POST", to, session, kLegacyVersion), InitializedBody());
}

std::string PostCall(const Endpoint& to, Era era, std::string_view session, uint64_t id, std::string_view tool,
                     std::string_view argument) {
  const bool modern = era == Era::kModern;
  std::string head = Head("POST", to, session, modern ? kModernVersion : kLegacyVersion);
  if (modern) (head += "\r\nMcp-Method: tools/call\r\nMcp-Name: ") += tool;
  return Post(std::move(head), CallBody(era, id, tool, argument));
}

std::string GetStream(const Endpoint& to, std::string_view session) {
  return Head("GET", to, session, kLegacyVersion) + "\r\nAccept: text/event-stream\r\n\r\n";
}

std::string DeleteSession(const Endpoint& to, std::string_view session) {
  return Head("DELETE", to, session, kLegacyVersion) + "\r\n\r\n";
}

bool IsResult(std::string_view message, uint64_t id) {
  const std::string member = "\"id\":" + std::to_string(id);
  const size_t at = message.find(member);
  if (at == std::string_view::npos || at + member.size() == message.size()) return false;
  return std::isdigit(static_cast<unsigned char>(message[at + member.size()])) == 0 &&
         message.find("\"result\":") != std::string_view::npos;
}

std::optional<std::string_view> TextOf(std::string_view message, uint64_t id) {
  constexpr std::string_view kText = "\"text\":\"";
  if (!IsResult(message, id)) return std::nullopt;
  const size_t at = message.find(kText);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t end = message.find('"', at + kText.size());
  if (end == std::string_view::npos) return std::nullopt;
  return message.substr(at + kText.size(), end - at - kText.size());
}

}  // namespace mcpfleet::bench
