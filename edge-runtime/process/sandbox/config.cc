#include "edge-runtime/process/sandbox/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"

namespace mcpfleet::sandbox {
namespace {

struct Cursor {
  const char* at;
  const char* end;
  const char* Next() {
    if (at >= end) return nullptr;
    const char* word = at;
    at += strlen(at) + 1;
    return word;
  }
};

bool Number(const char* text, int64_t low, int64_t high, int64_t* out) {
  if (text == nullptr || *text < '0' || *text > '9') return false;
  char* end = nullptr;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0' || value < low || value > high) return false;
  *out = value;
  return true;
}

// Absolute, and without a ".." that could lead out of where the caller meant.
bool PathOk(const char* path) {
  if (path == nullptr || path[0] != '/') return false;
  for (const char* p = path; (p = strstr(p, "..")) != nullptr; p += 2) {
    if (p[-1] == '/' && (p[2] == '/' || p[2] == '\0')) return false;
  }
  return true;
}

bool AddMount(Config* c, const Mount& mount) {
  if (c->mount_count == kMaxRecords || !PathOk(mount.target)) return false;
  c->mounts[c->mount_count++] = mount;
  return true;
}

bool ParseBind(Cursor* in, Config* c) {
  const char *flags = in->Next(), *source = in->Next(), *target = in->Next();
  return flags != nullptr && strspn(flags, "rwxod") == strlen(flags) && PathOk(source) &&
         AddMount(c, {MountKind::kBind, flags, source, target, 0});
}

bool ParseNetwork(const char* word, Config* c) {
  if (word == nullptr) return false;
  if (strcmp(word, "none") == 0) {
    c->network = Network::kNone;
  } else if (strcmp(word, "outbound") == 0) {
    c->network = Network::kOutbound;
  } else if (strcmp(word, "host") == 0) {
    c->network = Network::kHost;
  } else {
    return false;
  }
  return true;
}

bool ParseWord(const char* word, const char** list, int* count, int limit) {
  if (word == nullptr || *count >= limit) return false;
  list[(*count)++] = word;
  return true;
}

// "a.b.c.d/n", without bits behind the n.
bool ParseUnreachable(const char* word, Config* c) {
  char address[INET_ADDRSTRLEN];
  const char* slash = word == nullptr ? nullptr : strchr(word, '/');
  if (slash == nullptr || slash - word >= INET_ADDRSTRLEN || c->unreachable_count == kMaxUnreachable) return false;
  memcpy(address, word, static_cast<size_t>(slash - word));
  address[slash - word] = '\0';
  struct in_addr parsed;
  int64_t bits = 0;
  if (inet_pton(AF_INET, address, &parsed) != 1 || !Number(slash + 1, 1, 32, &bits)) return false;
  if ((ntohl(parsed.s_addr) & ((uint64_t{1} << (32 - bits)) - 1)) != 0) return false;
  c->unreachable[c->unreachable_count++] = {parsed.s_addr, static_cast<uint8_t>(bits)};
  return true;
}

constexpr int64_t kMaxBytes = int64_t{1} << 50;

bool ParseRecord(const char* key, Cursor* in, Config* c) {
  int64_t n = 0, m = 0;
  const auto is = [key](const char* name) { return strcmp(key, name) == 0; };
  if (is("id")) return (c->id = in->Next()) != nullptr && *c->id != '\0' && strlen(c->id) <= 60;
  if (is("uid")) return Number(in->Next(), 0, 0xfffffffe, &n) && ((c->uid = static_cast<uint32_t>(n)), true);
  if (is("gid")) return Number(in->Next(), 0, 0xfffffffe, &n) && ((c->gid = static_cast<uint32_t>(n)), true);
  if (is("network")) return ParseNetwork(in->Next(), c);
  if (is("relay")) return PathOk(c->relay = in->Next());
  if (is("unreachable")) return ParseUnreachable(in->Next(), c);
  if (is("listen")) return Number(in->Next(), 1, 65535, &n) && ((c->listen_port = static_cast<int>(n)), true);
  if (is("root")) {
    const char* mode = in->Next();
    if (mode == nullptr || (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)) return false;
    c->root_read_only = mode[1] == 'o';
    return Number(in->Next(), 4096, kMaxBytes, &c->root_bytes);
  }
  if (is("tmp")) return Number(in->Next(), 4096, kMaxBytes, &c->tmp_bytes);
  if (is("bind")) return ParseBind(in, c);
  if (is("tmpfs")) {
    return Number(in->Next(), 4096, kMaxBytes, &n) && AddMount(c, {MountKind::kTmpfs, "", "", in->Next(), n});
  }
  if (is("link")) {
    const char* text = in->Next();
    return text != nullptr && AddMount(c, {MountKind::kLink, "", text, in->Next(), 0});
  }
  if (is("file")) {
    const char *path = in->Next(), *content = in->Next();
    return content != nullptr && AddMount(c, {MountKind::kFile, "", content, path, 0});
  }
  if (is("cgroup")) {
    const char* path = in->Next();
    return PathOk(path) && ParseWord(path, c->cgroups, &c->cgroup_count, 16);
  }
  if (is("oomfile")) return PathOk(c->oom_file = in->Next());
  if (is("cap")) return Number(in->Next(), 0, 63, &n) && ((c->capabilities |= uint64_t{1} << n), true);
  if (is("nofile")) {
    if (!Number(in->Next(), 8, 1 << 30, &n) || !Number(in->Next(), n, 1 << 30, &m)) return false;
    c->nofile_soft = static_cast<uint64_t>(n);
    c->nofile_hard = static_cast<uint64_t>(m);
    return true;
  }
  if (is("log")) {
    if (!Number(in->Next(), 1024, kMaxBytes, &c->log_bytes) || !Number(in->Next(), 1, 100, &m)) return false;
    c->log_files = static_cast<int>(m);
    return true;
  }
  if (is("owner")) return Number(in->Next(), 2, 1 << 30, &n) && ((c->owner = static_cast<int>(n)), true);
  if (is("env")) return ParseWord(in->Next(), c->env, &c->env_count, kMaxRecords);
  if (is("arg")) return ParseWord(in->Next(), c->argv, &c->argc, kMaxRecords);
  return false;
}

}  // namespace

bool LoadConfig(const char* file, Config* config) {
  const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return FailErrno("%s", file);
  if (st.st_size <= 0 || st.st_size > kMaxConfigBytes) return Fail("%s: size out of range", file);
  const void* bytes = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (bytes == MAP_FAILED) return FailErrno("%s", file);
  Cursor in{static_cast<const char*>(bytes), static_cast<const char*>(bytes) + st.st_size};
  if (in.end[-1] != '\0') return Fail("%s: does not end with NUL", file);
  if (strcmp(in.Next(), kFormatVersion) != 0) return Fail("%s: is not of version %s", file, kFormatVersion);
  while (const char* key = in.Next()) {
    if (!ParseRecord(key, &in, config)) return Fail("%s: bad record %s", file, key);
  }
  config->env[config->env_count] = nullptr;
  config->argv[config->argc] = nullptr;
  if (config->id == nullptr || config->argc == 0 || config->argv[0][0] != '/' || config->root_bytes == 0 ||
      config->tmp_bytes == 0 || config->log_bytes == 0) {
    return Fail("%s: id, arg, root, tmp and log are required, the first arg absolute", file);
  }
  // Where there are no routes of its own these would be the host's.
  if (config->unreachable_count > 0 && !(config->network == Network::kOutbound && config->relay != nullptr))
    return Fail("%s: unreachable needs network outbound and a relay", file);
  return true;
}

}  // namespace mcpfleet::sandbox
