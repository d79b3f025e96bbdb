#include "edge-runtime/dashboard/page.h"

#include <array>
#include <utility>

#include "base/digest.h"

namespace mcpfleet::dashboard {
namespace {

constexpr std::string_view kNonce = "__CSP_NONCE__";
constexpr std::string_view kIndex = "index.html";

const PageFile* FindFile(std::string_view path) {
  for (size_t i = 0; i < kPageFileCount; ++i) {
    if (kPageFiles[i].path == path) return &kPageFiles[i];
  }
  return nullptr;
}

std::string_view TypeOf(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTypes{{
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".woff2", "font/woff2"},
      {".json", "application/json"},
      {".png", "image/png"},
  }};
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

}  // namespace

bool HasPage() { return FindFile(kIndex) != nullptr; }

std::string PagePolicy(std::string_view host, std::string_view nonce) {
  return "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + std::string(nonce) +
         "'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self' ws://" + std::string(host) +
         "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

http::Response ServePage(std::string_view path, std::string_view host) {
  std::string_view name = path.substr(std::string_view("/-").size());
  while (name.starts_with('/')) name.remove_prefix(1);
  const bool asset = name.starts_with("assets/");
  if (asset || name == "favicon.svg") {
    const PageFile* file = FindFile(name);
    if (file == nullptr)
      return http::TextResponse(404, "no such file: the page is of another version, load it again\n");
    http::Response response{.body = std::string(file->bytes)};
    response.headers.Set("Content-Type", TypeOf(name));
    if (file->gzip) response.headers.Set("Content-Encoding", "gzip");
    // An asset's name has the hash of its content.
    response.headers.Set("Cache-Control", asset ? "public, max-age=31536000, immutable" : "public, max-age=86400");
    return response;
  }
  const PageFile* index = FindFile(kIndex);
  if (index == nullptr) {
    return http::TextResponse(404,
                              "This mcplet was built without the dashboard's page, which needs npm once:\n\n"
                              "  cd cloud/worker && npm ci && cd ../dashboard && npm ci && npm run build\n\n"
                              "then build mcplet again. The packages have it.\n");
  }
  const std::string nonce = RandomHex(16);
  std::string text(index->bytes);
  for (size_t at = 0; (at = text.find(kNonce, at)) != std::string::npos; at += nonce.size())
    text.replace(at, kNonce.size(), nonce);
  http::Response response{.body = std::move(text)};
  response.headers.Set("Content-Type", "text/html; charset=utf-8");
  response.headers.Set("Content-Security-Policy", PagePolicy(host, nonce));
  return response;
}

}  // namespace mcpfleet::dashboard
