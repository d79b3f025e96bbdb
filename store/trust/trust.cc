#include "store/trust/trust.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/canonical.h"
#include "store/trust/ed25519.h"

namespace mcpfleet {
namespace {

constexpr std::string_view kDomain = "mcpfleet trust v1\n";
constexpr size_t kMaxSignatures = 2 * kMaxTrustKeys;  // roots of the one before and its own

Json Unsigned(const TrustDocument& document) {
  return {{"fleet", document.fleet}, {"version", document.version},     {"roots", ToJson(document.roots)},
          {"time", document.time},   {"heads", ToJson(document.heads)}, {"expires", document.expires}};
}

StatusOr<Signers> ParseSigners(const Json& json, const std::string& what) {
  Signers signers;
  for (const Json& key : GetMember(json, "keys")) {
    if (!key.is_string() || !IsPublicKey(key.get_ref<const std::string&>()))
      return InvalidArgument(what + ".keys: not a public key");
    signers.keys.push_back(key.get<std::string>());
  }
  signers.threshold = GetInt(json, "threshold");
  const std::set<std::string> different(signers.keys.begin(), signers.keys.end());
  if (different.size() != signers.keys.size()) return InvalidArgument(what + ".keys: a key stands there twice");
  if (signers.keys.empty() || signers.keys.size() > kMaxTrustKeys)
    return InvalidArgument(what + ".keys: 1 to " + std::to_string(kMaxTrustKeys) + " are allowed");
  if (signers.threshold < 1 || signers.threshold > static_cast<int64_t>(signers.keys.size()))
    return InvalidArgument(what + ".threshold: 1 to the number of keys is allowed");
  return signers;
}

Status CheckTime(const std::string& text, std::string_view what) {
  if (text.empty()) return OkStatus();
  return Annotate(ParseTime(text).status(), what);
}

}  // namespace

StatusOr<TrustDocument> ParseTrust(std::string_view bytes) {
  ASSIGN_OR_RETURN(Json json, ParseJson(bytes, {.bytes = kTrustBytes, .depth = 8}));
  TrustDocument document;
  document.fleet = GetString(json, "fleet");
  document.version = GetInt(json, "version");
  document.time = GetString(json, "time");
  document.expires = GetString(json, "expires");
  document.signatures = GetMember(json, "signatures");
  if (document.fleet.empty() || document.fleet.size() > 64) return InvalidArgument("no fleet");
  if (document.version < 1) return InvalidArgument("version: 1 or more is allowed");
  RETURN_IF_ERROR(CheckTime(document.time, "time"));
  RETURN_IF_ERROR(CheckTime(document.expires, "expires"));
  if (!document.signatures.is_array() || document.signatures.size() > kMaxSignatures)
    return InvalidArgument("signatures: a list of at most " + std::to_string(kMaxSignatures) + " is allowed");
  ASSIGN_OR_RETURN(document.roots, ParseSigners(GetMember(json, "roots"), "roots"));
  ASSIGN_OR_RETURN(document.heads, ParseSigners(GetMember(json, "heads"), "heads"));
  return document;
}

Json ToJson(const Signers& signers) { return {{"keys", signers.keys}, {"threshold", signers.threshold}}; }

StatusOr<std::string> EncodeTrust(const TrustDocument& document) {
  Json json = Unsigned(document);
  json["signatures"] = document.signatures;
  ASSIGN_OR_RETURN(std::string bytes, Canonicalize(json));
  RETURN_IF_ERROR(ParseTrust(bytes).status());
  return bytes;
}

std::string SignedText(const TrustDocument& document) {
  // Canonical JSON fails for numbers and text that no document has.
  return std::string(kDomain) + Canonicalize(Unsigned(document)).value_or("");
}

std::string Fingerprint(const TrustDocument& first) { return Sha256Hex(SignedText(first)); }

void AddSignature(Json* signatures, std::string_view key, std::string_view signature) {
  for (Json& each : *signatures) {
    if (GetString(each, "key") != key) continue;
    each["signature"] = signature;
    return;
  }
  signatures->push_back({{"key", key}, {"signature", signature}});
}

bool Has(const Signers& signers, std::string_view public_key) {
  return std::find(signers.keys.begin(), signers.keys.end(), public_key) != signers.keys.end();
}

int64_t CountSigners(const Json& signatures, const Signers& signers, std::string_view text) {
  if (!signatures.is_array() || signatures.size() > kMaxSignatures) return 0;
  std::set<std::string> found;
  for (const Json& each : signatures) {
    const std::string key = GetString(each, "key");
    if (Has(signers, key) && VerifySignature(key, text, GetString(each, "signature"))) found.insert(key);
  }
  return static_cast<int64_t>(found.size());
}

Status CheckSigners(const Json& signatures, const Signers& signers, std::string_view text, std::string_view what) {
  const int64_t count = CountSigners(signatures, signers, text);
  if (count >= signers.threshold) return OkStatus();
  return PermissionDenied(std::string(what) + ": signed by " + std::to_string(count) + " of the " +
                          std::to_string(signers.threshold) +
                          " keys that are needed; expected: " + Join(signers.keys, ", "));
}

Status CheckSuccession(const TrustDocument* before, const TrustDocument& next, std::string_view fingerprint) {
  const std::string name = TrustKey(next.version), text = SignedText(next);
  if (before == nullptr) {
    if (next.version != 1) return PermissionDenied(name + ": the chain begins with trust/1");
    if (const std::string given = Fingerprint(next); given != fingerprint) {
      return PermissionDenied(name + ": its fingerprint is " + given + "; expected is " + std::string(fingerprint));
    }
  } else {
    if (next.version != before->version + 1)
      return PermissionDenied(name + ": expected is trust/" + std::to_string(before->version + 1));
    if (next.fleet != before->fleet) return PermissionDenied(name + ": of another fleet");
    RETURN_IF_ERROR(CheckSigners(next.signatures, before->roots, text, name + ", by roots of the one before"));
  }
  return CheckSigners(next.signatures, next.roots, text, name + ", by its own roots");
}

}  // namespace mcpfleet
