// Who may sign for a fleet: the chain of documents `trust/1`, `trust/2`, … in the store. Each names root keys, which
// sign these documents, and head keys, which sign heads, with how many of each must sign.
//
// A node knows the fingerprint of trust/1 and walks on from there, one document at a time: document n is signed by
// enough roots of n-1 and by enough of its own. So keys rotate without a visit to a node, and whoever stole a head key
// loses it with the next document: a head's order begins with the document's number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

inline constexpr char kTrustPrefix[] = "trust/";
inline constexpr size_t kMaxTrustKeys = 16;               // of each kind
inline constexpr size_t kTrustBytes = size_t{16} * 1024;  // of a document

inline std::string TrustKey(int64_t version) { return kTrustPrefix + std::to_string(version); }

// Any of `keys`, `threshold` of them.
struct Signers {
  std::vector<std::string> keys;  // public ones, each once
  int64_t threshold = 1;
  bool operator==(const Signers&) const = default;
};
bool Has(const Signers& signers, std::string_view public_key);
Json ToJson(const Signers& signers);

struct TrustDocument {
  std::string fleet;
  int64_t version = 1;
  Signers roots, heads;
  std::string time, expires;        // RFC 3339; expires "": never
  Json signatures = Json::array();  // [{key, signature}]
};

// Canonical JSON with the signatures; InvalidArgument for what ParseTrust would refuse.
StatusOr<std::string> EncodeTrust(const TrustDocument& document);
// Bounded, then JSON, then its rules: at least one key of each kind, none twice, a threshold that can be met.
StatusOr<TrustDocument> ParseTrust(std::string_view bytes);
// What a root signs: everything but the signatures, with a prefix that no other signed text has.
std::string SignedText(const TrustDocument& document);
// SHA-256 of SignedText: what a node is told of trust/1.
std::string Fingerprint(const TrustDocument& first);

// Adds (or replaces) the signature of a key over `text`.
void AddSignature(Json* signatures, std::string_view key, std::string_view signature);
// How many different keys of `signers` have signed `text`.
int64_t CountSigners(const Json& signatures, const Signers& signers, std::string_view text);
// PermissionDenied, naming the keys that were expected, when too few have signed.
Status CheckSigners(const Json& signatures, const Signers& signers, std::string_view text, std::string_view what);

// Whether `next` may follow `before` (null: it is the first, which `fingerprint` names). PermissionDenied when not.
Status CheckSuccession(const TrustDocument* before, const TrustDocument& next, std::string_view fingerprint);

}  // namespace mcpfleet
