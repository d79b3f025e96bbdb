// The file that tells mcp-sandbox what to make: written by ProcessRuntime (sandbox_config.h), read by the program in
// sandbox/. A sequence of NUL-terminated strings: a version, then records, each a key followed by a fixed number of
// arguments. The reader refuses unknown keys, missing arguments and values out of range; the order of binds counts.
//
//   id <name>                         host name and the name in messages
//   uid <n>   gid <n>                 of the first process
//   network none|outbound|host
//   relay <program>                   outbound: slirp4netns, which is the way out of a network namespace of its own;
//                                     without it the host's is shared
//   unreachable <network>             relayed: nothing in it is reached, "192.168.0.0/16"; without ones of its own the
//                                     instance reaches what the host reaches, but its loopback
//   listen <port>                     shared network: the one TCP port that may be bound
//   root ro|rw <bytes>                root file system: a tmpfs of this size
//   tmp <bytes>                       size of /tmp
//   bind <flags> <source> <target>    flags: r read-only, w writable, x nosymlink: source must contain no symbolic
//                                     link, o optional: skipped when the source is absent
//   tmpfs <bytes> <target>            owned by uid
//   link <text> <path>                symbolic link
//   file <path> <content>             small generated file, read-only
//   cgroup <directory>                joined by the first process
//   oomfile <path>                    has the line "oom_kill <n>"
//   cap <number>                      kept; all others are dropped
//   nofile <soft> <hard>
//   log <bytes> <files>               rotation
//   owner <pid>                       who starts mcp-sandbox: the instance ends with it, where it would else live on
//   env <NAME=value>   arg <word>     of the first process
#pragma once

namespace mcpfleet::sandbox {

inline constexpr char kFormatVersion[] = "mcp-sandbox/1";
inline constexpr int kMaxConfigBytes = 256 * 1024;
inline constexpr int kMaxRecords = 512;
inline constexpr int kMaxUnreachable = 128;

// File names in the instance's directory.
inline constexpr char kConfigFile[] = "sandbox.conf";
inline constexpr char kLockFile[] = "lock";
inline constexpr char kPidFile[] = "pid";
inline constexpr char kExitFile[] = "exit.json";
inline constexpr char kRootDirectory[] = "rootfs";

// Descriptor on which mcp-sandbox answers once: "R" when the first process runs, else "E<stage>: <error>".
inline constexpr int kStatusFd = 3;

}  // namespace mcpfleet::sandbox
