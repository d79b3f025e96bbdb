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

constexpr std::string_view kSigningSuffix = ".key", kSealingSuffix = ".sealing";
constexpr size_t kKeyBytes = 256;  // of a file

// The text of a key's file, if nobody else can read it.
StatusOr<std::string> ReadKey(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if ((info.st_mode & 077) != 0)
    return PermissionDenied(path + ": a private key that others may read; run: chmod 600 " + path);
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kKeyBytes));
  return std::string(Trim(text));
}

// Names of the keys with this suffix, sorted.
StatusOr<std::vector<std::string>> NamesOf(std::string_view suffix) {
  const std::string directory = KeyDirectory();
  std::vector<std::string> names;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) {
    if (errno == ENOENT) return names;
    return ErrnoStatus(errno, directory);
  }
  for (const dirent* entry = readdir(listing); entry != nullptr; entry = readdir(listing)) {
    const std::string_view file = entry->d_name;
    if (file.size() > suffix.size() && file.ends_with(suffix))
      names.emplace_back(file.substr(0, file.size() - suffix.size()));
  }
  closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

StatusOr<std::string> Store(const std::string& name, std::string_view suffix, const std::string& secret) {
  if (std::string wrong = CheckName(name); !wrong.empty())
    return InvalidArgument("\"" + Printable(name, 80) + "\": " + wrong);
  const std::string directory = KeyDirectory(), path = directory + "/" + name + std::string(suffix);
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  if (access(path.c_str(), F_OK) == 0) return AlreadyExists(path + ": there is a key of that name");
  RETURN_IF_ERROR(WriteFileAtomically(path, secret + "\n", 0600));
  return path;
}

template <typename Named, typename Key>
StatusOr<std::vector<Named>> Load(std::string_view suffix, StatusOr<Key> (*parse)(std::string_view)) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOf(suffix));
  std::vector<Named> keys;
  for (const std::string& name : names) {
    const std::string path = KeyDirectory() + "/" + name + std::string(suffix);
    ASSIGN_OR_RETURN(const std::string text, ReadKey(path));
    StatusOr<Key> key = parse(text);
    if (!key.ok()) return Annotate(key.status(), path);
    keys.push_back(Named{name, *std::move(key)});
  }
  return keys;
}

}  // namespace

std::string KeyDirectory() {
  const std::string contexts = ContextPath();
  const size_t slash = contexts.rfind('/');
  return (slash == std::string::npos ? "." : contexts.substr(0, slash)) + "/keys";
}

StatusOr<std::vector<NamedKey>> LoadKeys() { return Load<NamedKey, SigningKey>(kSigningSuffix, SigningKey::FromSeed); }

StatusOr<std::vector<NamedSealingKey>> LoadSealingKeys() {
  return Load<NamedSealingKey, SealingKey>(kSealingSuffix, SealingKey::FromSecret);
}

std::vector<SigningKey> KeysOf(std::vector<NamedKey> named) {
  std::vector<SigningKey> keys;
  for (NamedKey& each : named) keys.push_back(std::move(each.key));
  return keys;
}

StatusOr<std::string> StoreKey(const std::string& name, const SigningKey& key) {
  return Store(name, kSigningSuffix, key.Seed());
}

StatusOr<std::string> StoreSealingKey(const std::string& name, const SealingKey& key) {
  return Store(name, kSealingSuffix, key.Secret());
}

}  // namespace mcpfleet::cli
