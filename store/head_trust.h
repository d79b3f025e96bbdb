// What a node of a signed fleet believes of heads, and who signs upon them (head_verifier.h). It holds the newest
// document of the trust chain that it has walked to; a head is judged by the document that its order names.
//
//   while (auto version = trust.Needed(head)) trust.Take(<value of TrustKey(*version)>);
//   trust.Judge(head, ...);
//
// A node without a root (of a fleet that is not signed) believes every head. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "store/snapshot.h"
#include "store/trust/trust.h"

namespace mcpfleet {

class HeadTrust {
 public:
  // root: the fingerprint of trust/1, "" in a fleet that is not signed.
  explicit HeadTrust(std::string root) : root_(std::move(root)) {}

  bool required() const { return !root_.empty(); }
  // The document that must be read before `head` can be judged; nullopt when there is none.
  std::optional<int64_t> Needed(const Head& head) const;
  // The value of the document that Needed asked for. PermissionDenied: it may not follow the one that is held.
  Status Take(std::string_view bytes);
  // PermissionDenied when the head is not to be followed: not signed, by the wrong keys, of a document that is not held
  // or that has expired, or, by who accepted none before (`first`), itself expired.
  Status Judge(const Head& head, bool first, WallTime now) const;

  // The newest of the chain that is held; null before the first.
  const TrustDocument* document() const { return document_ ? &*document_ : nullptr; }

  // One line for the disk, and back; a line of another root is not taken.
  std::string Save() const;
  void Load(std::string_view line);

 private:
  const std::string root_;
  std::optional<TrustDocument> document_;
  std::string bytes_;  // of document_
};

// What Save gives of a HeadTrust that holds `document`.
std::string TrustLine(std::string_view root, const TrustDocument& document);

}  // namespace mcpfleet
