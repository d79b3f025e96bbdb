#include "cli/key_ring.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/context.h"
#include "crd/labels.h"

namespace mcpfleet::cli {
namespace {

constexpr std::string_view kSuffix = ".key";
constexpr size_t kKeyBytes = 256;  // of a file

StatusOr<NamedKey> LoadKey(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name + std::string(kSuffix);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if ((info.st_mode & 077) != 0)
    return PermissionDenied(path + ": a private key that others may read; run: chmod 600 " + path);
  ASSIGN_OR_RETURN(std::string seed, ReadFile(path, kKeyBytes));
  StatusOr<SigningKey> key = SigningKey::FromSeed(Trim(seed));
  if (!key.ok()) return Annotate(key.status(), path);
  return NamedKey{name, *std::move(key)};
}

}  // namespace

std::string KeyDirectory() {
  const std::string contexts = ContextPath();
  const size_t slash = contexts.rfind('/');
  return (slash == std::string::npos ? "." : contexts.substr(0, slash)) + "/keys";
}

StatusOr<std::vector<NamedKey>> LoadKeys() {
  const std::string directory = KeyDirectory();
  std::vector<std::string> names;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) {
    if (errno == ENOENT) return std::vector<NamedKey>();
    return ErrnoStatus(errno, directory);
  }
  for (const dirent* entry = readdir(listing); entry != nullptr; entry = readdir(listing)) {
    const std::string_view file = entry->d_name;
    if (file.size() > kSuffix.size() && file.ends_with(kSuffix))
      names.emplace_back(file.substr(0, file.size() - kSuffix.size()));
  }
  closedir(listing);
  std::sort(names.begin(), names.end());
  std::vector<NamedKey> keys;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(NamedKey key, LoadKey(directory, name));
    keys.push_back(std::move(key));
  }
  return keys;
}

std::vector<SigningKey> KeysOf(std::vector<NamedKey> named) {
  std::vector<SigningKey> keys;
  for (NamedKey& each : named) keys.push_back(std::move(each.key));
  return keys;
}

StatusOr<std::string> StoreKey(const std::string& name, const SigningKey& key) {
  if (std::string wrong = CheckName(name); !wrong.empty())
    return InvalidArgument("\"" + Printable(name, 80) + "\": " + wrong);
  const std::string directory = KeyDirectory(), path = directory + "/" + name + std::string(kSuffix);
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  if (access(path.c_str(), F_OK) == 0) return AlreadyExists(path + ": there is a key of that name");
  RETURN_IF_ERROR(WriteFileAtomically(path, key.Seed() + "\n", 0600));
  return path;
}

}  // namespace mcpfleet::cli
