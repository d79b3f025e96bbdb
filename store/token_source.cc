#include "store/token_source.h"

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kTokenBytes = 4096;

StatusOr<std::string> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, kTokenBytes));
  const std::string_view token = Trim(content);
  if (token.empty()) return InvalidArgument(path + ": holds no token");
  if (token.find_first_of("\r\n") != std::string_view::npos) return InvalidArgument(path + ": holds more than a token");
  return std::string(token);
}

}  // namespace

StatusOr<std::shared_ptr<TokenSource>> TokenSource::Fixed(std::string token) {
  if (token.find_first_of("\r\n") != std::string::npos) return InvalidArgument("store token: has a line break");
  return std::shared_ptr<TokenSource>(new TokenSource("", std::move(token)));
}

StatusOr<std::shared_ptr<TokenSource>> TokenSource::OfFile(std::string path) {
  ASSIGN_OR_RETURN(std::string token, ReadToken(path));
  return std::shared_ptr<TokenSource>(new TokenSource(std::move(path), std::move(token)));
}

std::string TokenSource::Get() const {
  MutexLock lock(&mu_);
  return token_;
}

bool TokenSource::Renew(std::string_view refused) {
  // A file that can't be read now may be about to be written: whoever is refused again asks again.
  StatusOr<std::string> found = path_.empty() ? StatusOr<std::string>(NotFound("no file")) : ReadToken(path_);
  MutexLock lock(&mu_);
  // Not the one that was refused, if somebody put another in its place meanwhile: what was read may be older.
  if (token_ == refused && found.ok()) token_ = *std::move(found);
  return token_ != refused;
}

Status TokenSource::Replace(std::string token) {
  if (path_.empty())
    return FailedPrecondition("the store's token comes from no file: there is nowhere to keep a new one");
  if (token.empty() || token.find_first_of(" \t\r\n") != std::string::npos) {
    return InvalidArgument("the new token is none");
  }
  RETURN_IF_ERROR(WriteFileAtomically(path_, token + "\n", 0600));
  MutexLock lock(&mu_);
  token_ = std::move(token);
  return OkStatus();
}

}  // namespace mcpfleet
