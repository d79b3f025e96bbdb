#include "store/trust/node_keys.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kKeyBytes = 256;  // of a file

// Held while keys are read or made: mcplet's first start and a join may come at once.
StatusOr<UniqueFd> LockIdentity(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, directory);
  if (fchmod(fd.get(), 0700) != 0) return ErrnoStatus(errno, directory);
  // Whoever has it writes two small files: no deadline is needed.
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, directory);
  }
  return fd;
}

// "" when there is no such file.
StatusOr<std::string> ReadKeyFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::string();
    return ErrnoStatus(errno, path);
  }
  if ((info.st_mode & 077) != 0)
    return PermissionDenied(path + ": a private key that others may read; run: chmod 600 " + path);
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kKeyBytes));
  std::string key(Trim(text));
  if (key.empty()) return InvalidArgument(path + ": is empty; a node's key is expected");
  return key;
}

StatusOr<SigningKey> LoadSigningKey(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string seed, ReadKeyFile(path));
  if (!seed.empty()) {
    StatusOr<SigningKey> key = SigningKey::FromSeed(seed);
    if (!key.ok()) return Annotate(key.status(), path);
    return key;
  }
  SigningKey made = SigningKey::Create();
  RETURN_IF_ERROR(WriteFileAtomically(path, made.Seed() + "\n", 0600));
  return made;
}

StatusOr<SealingKey> LoadSealingKey(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string secret, ReadKeyFile(path));
  if (!secret.empty()) {
    StatusOr<SealingKey> key = SealingKey::FromSecret(secret);
    if (!key.ok()) return Annotate(key.status(), path);
    return key;
  }
  SealingKey made = SealingKey::Create();
  RETURN_IF_ERROR(WriteFileAtomically(path, made.Secret() + "\n", 0600));
  return made;
}

}  // namespace

std::string IdentityDirectory(std::string_view state_directory) { return std::string(state_directory) + "/identity"; }

StatusOr<NodeKeys> NodeKeys::LoadOrCreate(const std::string& directory) {
  ASSIGN_OR_RETURN(UniqueFd lock, LockIdentity(directory));
  ASSIGN_OR_RETURN(SigningKey signing, LoadSigningKey(directory + "/" + kSigningKeyFile));
  ASSIGN_OR_RETURN(SealingKey sealing, LoadSealingKey(directory + "/" + kSealingKeyFile));
  return NodeKeys(std::move(signing), std::move(sealing));
}

StatusOr<NodeKeys> NodeKeys::Renew(const std::string& directory) {
  ASSIGN_OR_RETURN(UniqueFd lock, LockIdentity(directory));
  NodeKeys made(SigningKey::Create(), SealingKey::Create());
  RETURN_IF_ERROR(WriteFileAtomically(directory + "/" + kSigningKeyFile, made.signing_.Seed() + "\n", 0600));
  RETURN_IF_ERROR(WriteFileAtomically(directory + "/" + kSealingKeyFile, made.sealing_.Secret() + "\n", 0600));
  return made;
}

std::optional<NodePublicKeys> PublishedKeys(const Object& node) {
  const Json& keys = GetMember(node.spec, "keys");
  NodePublicKeys published{GetString(keys, "signing"), GetString(keys, "sealing")};
  if (!IsPublicKey(published.signing) || !IsPublicKey(published.sealing)) return std::nullopt;
  return published;
}

void PublishKeys(const NodePublicKeys& keys, Object* node) {
  node->spec["keys"] = {{"signing", keys.signing}, {"sealing", keys.sealing}};
}

}  // namespace mcpfleet
