// A real containerd of a test's own: its own root, state and socket. One per test process and version, started at first
// use, stopped at exit by its pid; it also ends when the test process is killed.
//
//   ContainerdEngine* engine = ContainerdEngine::Shared("1.6");
//   if (engine == nullptr) GTEST_SKIP() << ContainerdEngine::WhyNot("1.6");
//   engine->socket(); engine->image();
//
// Versions: "1.6" and "1.7" and "2" are whichever containerd of that series is found: the system's, or programs below
// $MCPFLEET_CONTAINERDS/<version>/ (containerd, containerd-shim-runc-v2 and ctr of an unpacked package, anywhere
// below). There is none without root. MCPFLEET_REQUIRE_CONTAINERD=1 makes a missing 1.6 or 1.7 a failure (abort)
// instead.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "tests/fakes/docker_engine.h"
#include "tests/fakes/engine_process.h"

namespace mcpfleet {

class ContainerdEngine {
 public:
  static ContainerdEngine* Shared(const std::string& version);
  static const std::string& WhyNot(const std::string& version);
  // The system's, or any that is found.
  static ContainerdEngine* Any();

  const std::string& version() const { return version_; }
  const std::string& socket() const { return socket_; }
  const std::string& directory() const { return directory_; }
  const std::string& snapshotter() const { return snapshotter_; }
  // "mcpfleet-test/busybox:1", as DockerEngine::image().
  const std::string& image() const { return image_; }
  // Of a registry on 127.0.0.1 that this engine trusts: PEM files.
  std::string registry_certificate() const { return directory_ + "/registry.crt"; }
  std::string registry_key() const { return directory_ + "/registry.key"; }
  // In this containerd namespace; the image is imported into it at first use.
  Status Use(const std::string& space);

  // The engine's own client, in a namespace; its stdout. Unavailable, with what it said, when it fails.
  StatusOr<std::string> Ctr(const std::string& space, const std::vector<std::string>& arguments);
  // A docker archive of one layer, imported. `config`: JSON of the image's config.
  Status Import(const std::string& space, const std::string& ref, const std::vector<ImageFile>& files,
                const std::string& config);
  // Makes the archive only, and returns its path.
  StatusOr<std::string> Archive(const std::string& ref, const std::vector<ImageFile>& files, const std::string& config);

  // Ends the engine by `signal` and starts it again over the same data; what runs in it goes on.
  Status Restart(int signal);
  // Kills the shims of all its containers, as `k3s-killall.sh` does; returns how many there were.
  int KillShims();

  ~ContainerdEngine();

 private:
  ContainerdEngine() = default;
  static ContainerdEngine* Start(const std::string& version, std::string* why_not);
  Status Launch();
  Status Spawn();
  std::vector<pid_t> Shims() const;
  void Stop();

  std::string version_, binaries_, directory_, socket_, snapshotter_ = "overlayfs", image_;
  std::vector<std::string> used_;
  int archives_ = 0;
  EngineProcess process_;
};

}  // namespace mcpfleet
