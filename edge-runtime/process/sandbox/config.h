// What mcp-sandbox was told to make. Strings point into the file's bytes, which live as long as the program.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet::sandbox {

enum class Network { kNone, kOutbound, kHost };
enum class MountKind { kBind, kTmpfs, kLink, kFile };

struct Mount {
  MountKind kind;
  const char* flags;   // bind
  const char* source;  // bind: path; link: text; file: content
  const char* target;
  int64_t bytes;  // tmpfs
};

struct Network4 {
  uint32_t address;  // in network order
  uint8_t bits;
};

struct Config {
  const char* id = nullptr;
  uint32_t uid = 65534, gid = 65534;
  Network network = Network::kNone;
  const char* relay = nullptr;  // program; null: outbound shares the host's network
  Network4 unreachable[kMaxUnreachable];
  int unreachable_count = 0;
  int listen_port = 0;
  bool root_read_only = true;
  int64_t root_bytes = 0, tmp_bytes = 0;
  Mount mounts[kMaxRecords];
  int mount_count = 0;
  const char* cgroups[16];
  int cgroup_count = 0;
  const char* oom_file = nullptr;
  uint64_t capabilities = 0;  // bit n: capability n is kept
  uint64_t nofile_soft = 1024, nofile_hard = 4096;
  int64_t log_bytes = 0;
  int log_files = 1;
  int owner = 0;      // 0: nobody
  int owner_fd = -1;  // its pidfd, from main
  const char* env[kMaxRecords + 1];
  int env_count = 0;
  const char* argv[kMaxRecords + 1];
  int argc = 0;
};

// Whether the instance gets a network namespace of its own.
inline bool OwnNetwork(const Config& config) {
  return config.network == Network::kNone || (config.network == Network::kOutbound && config.relay != nullptr);
}

// Reads `file` in the working directory. False: Failure() says what is wrong with it.
bool LoadConfig(const char* file, Config* config);

}  // namespace mcpfleet::sandbox
