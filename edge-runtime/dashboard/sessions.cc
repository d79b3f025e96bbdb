#include "edge-runtime/dashboard/sessions.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kLogins = 16;
constexpr size_t kSessions = 64;
constexpr size_t kSecretBytes = 32;

}  // namespace

void Sessions::Put(Book* book, size_t most, const std::string& secret, Entry entry) {
  std::erase_if(*book, [&](const auto& each) { return each.second.ends <= clock_.Now(); });
  if (book->size() >= most) {
    book->erase(std::min_element(book->begin(), book->end(),
                                 [](const auto& a, const auto& b) { return a.second.ends < b.second.ends; }));
  }
  book->emplace(Sha256Hex(secret), std::move(entry));
}

std::string Sessions::NewLogin(const std::string& who) {
  std::string token = RandomHex(kSecretBytes);
  MutexLock lock(&mu_);
  Put(&logins_, kLogins, token, {who, clock_.Now() + kLoginTime});
  return token;
}

std::optional<Sessions::Session> Sessions::SignIn(std::string_view token) {
  MutexLock lock(&mu_);
  auto login = logins_.extract(Sha256Hex(token));
  if (login.empty() || login.mapped().ends <= clock_.Now()) return std::nullopt;
  Session session{RandomHex(kSecretBytes), login.mapped().who};
  Put(&sessions_, kSessions, session.cookie, {session.who, clock_.Now() + kSessionTime});
  return session;
}

std::optional<std::string> Sessions::Find(std::string_view cookie) const {
  if (cookie.empty()) return std::nullopt;
  MutexLock lock(&mu_);
  const auto found = sessions_.find(Sha256Hex(cookie));
  if (found == sessions_.end() || found->second.ends <= clock_.Now()) return std::nullopt;
  return found->second.who;
}

void Sessions::SignOut(std::string_view cookie) {
  MutexLock lock(&mu_);
  sessions_.erase(Sha256Hex(cookie));
}

}  // namespace mcpfleet::dashboard
