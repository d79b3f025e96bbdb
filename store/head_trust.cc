#include "store/head_trust.h"

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

bool HasPassed(const std::string& time, WallTime now) {
  const StatusOr<WallTime> until = ParseTime(time);
  return !time.empty() && (!until.ok() || *until < now);
}

}  // namespace

std::optional<int64_t> HeadTrust::Needed(const Head& head) const {
  const int64_t held = document_ ? document_->version : 0;
  if (!required() || head.order.trust <= held) return std::nullopt;
  return held + 1;
}

Status HeadTrust::Take(std::string_view bytes) {
  StatusOr<TrustDocument> next = ParseTrust(bytes);
  const std::string name = TrustKey(document_ ? document_->version + 1 : 1);
  if (!next.ok()) return PermissionDenied(name + ": " + Message(next.status()));
  RETURN_IF_ERROR(CheckSuccession(document_ ? &*document_ : nullptr, *next, root_));
  document_ = *std::move(next);
  bytes_ = bytes;
  return OkStatus();
}

Status HeadTrust::Judge(const Head& head, bool first, WallTime now) const {
  if (!required()) return OkStatus();
  if (head.order.trust == 0)
    return PermissionDenied("head: is not signed; followed are heads of the trust root " + root_);
  if (!document_ || document_->version != head.order.trust)
    return PermissionDenied("head: of " + TrustKey(head.order.trust) + ", which is not the newest");
  if (document_->fleet != head.fleet) return PermissionDenied("head: of another fleet than its trust document");
  RETURN_IF_ERROR(CheckSigners(head.signatures, document_->heads, SignedText(head), "head"));
  if (HasPassed(document_->expires, now))
    return PermissionDenied(TrustKey(document_->version) + ": has expired at " + document_->expires);
  if (first && HasPassed(head.valid_until, now))
    return PermissionDenied("head: was valid until " + head.valid_until + ", and none was accepted here before");
  return OkStatus();
}

std::string HeadTrust::Save() const { return document_ ? root_ + " " + Base64UrlEncode(bytes_) : ""; }

std::string TrustLine(std::string_view root, const TrustDocument& document) {
  const StatusOr<std::string> bytes = EncodeTrust(document);
  return bytes.ok() ? std::string(root) + " " + Base64UrlEncode(*bytes) : "";
}

void HeadTrust::Load(std::string_view line) {
  const size_t space = line.find(' ');
  if (!required() || space == std::string_view::npos || line.substr(0, space) != root_) return;
  const std::optional<std::string> bytes = Base64UrlDecode(line.substr(space + 1));
  StatusOr<TrustDocument> held = bytes ? ParseTrust(*bytes) : StatusOr<TrustDocument>(NotFound(""));
  if (!held.ok()) return;
  document_ = *std::move(held);
  bytes_ = *bytes;
}

}  // namespace mcpfleet
