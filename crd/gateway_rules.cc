// What the gateway does for a server: sessions, tools, auth, rateLimit.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "crd/rules.h"
#include "crd/server_spec.h"
#include "crd/violation.h"

namespace mcpfleet {
namespace {

constexpr int64_t kDefaultMax = SessionsSpec{}.max;

bool Has(const Json& object, const char* key) { return object.is_object() && object.contains(key); }

class GatewayRules {
 public:
  GatewayRules(const Json& spec, const ReportViolation& report) : spec_(spec), report_(report) {}

  void Check() {
    CheckSessions();
    CheckTools();
    CheckAuth();
    CheckRateLimit();
  }

 private:
  void CheckSessions() {
    using std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
    const Json& sessions = GetMember(spec_, "sessions");
    const bool remote = Has(GetMember(spec_, "source"), "remote");
    if (remote || GetString(spec_, "transport") == "streamable-http") {
      // Written out, a default says nothing.
      const char* who = remote ? "a remote server" : "transport streamable-http";
      const auto report = [&](const char* field) {
        report_(ChildPath("spec.sessions", field), std::string("has no effect on ") + who, "remove it");
      };
      if (GetString(sessions, "mode", "Auto") != "Auto") report("mode");
      if (GetInt(sessions, "warmSpares", 0) != 0) report("warmSpares");
      if (GetInt(sessions, "max", kDefaultMax) != kDefaultMax) report("max");
    }
    if (int64_t max = GetInt(sessions, "max", kDefaultMax); max > 0 && GetInt(sessions, "warmSpares", 0) > max) {
      report_("spec.sessions.warmSpares", "is more than max", "at most " + std::to_string(max));
    }
    const Duration idle = CheckDuration(report_, "spec.sessions.idleTimeout", GetMember(sessions, "idleTimeout"),
                                        minutes(30), seconds(1), hours(168), "1s to 168h");
    const Duration lifetime = CheckDuration(report_, "spec.sessions.maxLifetime", GetMember(sessions, "maxLifetime"),
                                            hours(12), seconds(1), hours(168), "1s to 168h");
    if (lifetime < idle) {
      report_("spec.sessions.maxLifetime", "is shorter than idleTimeout", "at least " + FormatDuration(idle));
    }
  }

  void CheckTools() {
    const Json& tools = GetMember(spec_, "tools");
    const Json& pins = GetMember(tools, "pins");
    if (GetString(tools, "pinning") == "Block" && pins.empty()) {
      report_("spec.tools.pins", "is missing or empty; pinning Block would hide every tool",
              "write them with mcpctl tools lock");
    }
    if (!pins.is_object()) return;
    for (auto it = pins.begin(); it != pins.end(); ++it) {
      const auto characters =
          std::count_if(it.key().begin(), it.key().end(), [](char c) { return (c & 0xc0) != 0x80; });
      if (characters == 0 || characters > 128)
        report_(ChildPath("spec.tools.pins", it.key()), "the name has " + std::to_string(characters) + " characters",
                "1 to 128");
    }
  }

  // A union: exactly the member that belongs to the type.
  void CheckAuth() {
    const Json& auth = GetMember(spec_, "auth");
    if (!auth.is_object()) return;
    constexpr std::pair<const char*, const char*> kMembers[] = {
        {"None", ""}, {"Bearer", "bearer"}, {"JWT", "jwt"}, {"CloudflareAccess", "cloudflareAccess"}};
    const std::string type = Has(auth, "type") ? GetString(auth, "type") : "None";
    const bool known =
        std::any_of(std::begin(kMembers), std::end(kMembers), [&](const auto& m) { return type == m.first; });
    if (!known) return;
    for (const auto& [name, member] : kMembers) {
      const std::string path = ChildPath("spec.auth", member);
      if (*member == '\0') continue;
      if (type == name && !Has(auth, member)) report_(path, "is missing; type " + type + " needs it", "");
      if (type != name && Has(auth, member))
        report_(path, "has no effect with type " + type, "remove it, or set type: " + std::string(name));
    }
    CheckTokens(GetMember(GetMember(auth, "bearer"), "tokens"));
    for (const char* field : {"issuer", "jwksUri"}) {
      const std::string url = GetString(GetMember(auth, "jwt"), field);
      if (std::string wrong = url.empty() ? "" : CheckRemoteUrl(url); !wrong.empty()) {
        report_(ChildPath("spec.auth.jwt", field), wrong,
                "an https URL, or http on a loopback address (127.0.0.1, [::1], localhost)");
      }
    }
  }

  void CheckTokens(const Json& tokens) {
    if (!tokens.is_array()) return;
    std::map<std::string, size_t> seen;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string hash = GetString(tokens[i], "sha256");
      if (hash.empty()) continue;
      auto [it, inserted] = seen.emplace(hash, i);
      if (inserted) continue;
      report_(ItemPath("spec.auth.bearer.tokens", i) + ".sha256",
              "is also the token of " + ItemPath("spec.auth.bearer.tokens", it->second), "a token of its own");
    }
  }

  void CheckRateLimit() {
    const Json& limit = GetMember(spec_, "rateLimit");
    CheckDuration(report_, "spec.rateLimit.per", GetMember(limit, "per"), std::chrono::minutes(1),
                  std::chrono::seconds(1), std::chrono::hours(24), "1s to 24h");
    if (!limit.is_object()) return;
    for (const char* field : {"requests", "perSubject", "maxConcurrent"}) {
      // What is no number was reported as such.
      if (Has(limit, field) && (!limit[field].is_number_integer() || limit[field] != 0)) return;
    }
    report_("spec.rateLimit", "limits nothing", "at least one of requests, perSubject, maxConcurrent above 0");
  }

  const Json& spec_;
  const ReportViolation& report_;
};

}  // namespace

void CheckGatewayRules(const Json& spec, const ReportViolation& report) { GatewayRules(spec, report).Check(); }

}  // namespace mcpfleet
