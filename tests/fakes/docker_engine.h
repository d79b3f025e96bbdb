// A real Docker Engine of a test's own: its own data, socket, containerd namespace, and no hand on the machine's
// network (no bridge, no iptables; containers use network none or host). One per test process, started at first use,
// stopped at exit by its pid; it also ends when the test process is killed.
//
//   DockerEngine* engine = DockerEngine::Shared();
//   if (engine == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
//   engine->socket(); engine->image();
//
// There is none without root or without dockerd. MCPFLEET_REQUIRE_DOCKER=1 makes that a failure (abort) instead.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "tests/fakes/engine_process.h"

namespace mcpfleet {

// A file of an image that a test makes: absolute path inside, and its bytes; "" as content of a path that ends in '/'
// is a directory, `link` a symbolic link.
struct ImageFile {
  std::string path, content, link;
  int mode = 0755;
};
// The files as a ustar archive.
std::string MakeTar(const std::vector<ImageFile>& files);

class DockerEngine {
 public:
  static DockerEngine* Shared();
  static const std::string& WhyNot();

  const std::string& socket() const { return socket_; }
  const std::string& directory() const { return directory_; }
  // "mcpfleet-test/busybox:1": static busybox as /bin/busybox and /bin/sh, ENTRYPOINT ["/bin/busybox"], CMD ["true"].
  const std::string& image() const { return image_; }

  struct Answer {
    int status = 0;
    std::string body;
  };
  // One raw request to the engine, independent of the product's client. `target` begins with '/', no version.
  StatusOr<Answer> Request(std::string_view method, std::string_view target, std::string_view body = "",
                           std::string_view type = "application/json");
  // `docker import` of the files as `ref`; `changes` as in a Dockerfile: `ENTRYPOINT ["/server"]`.
  Status Import(const std::string& ref, const std::vector<ImageFile>& files, const std::vector<std::string>& changes);

  // Ends the engine by `signal` and starts it again over the same data, as an upgrade or a crash of Docker does.
  Status Restart(int signal);

  ~DockerEngine();

 private:
  DockerEngine() = default;
  static DockerEngine* Start(std::string* why_not);
  Status Launch(const std::string& storage_driver);
  Status Spawn(const std::string& storage_driver);
  void EndStrays();
  void Stop();

  std::string directory_, socket_, image_, storage_driver_;
  EngineProcess process_;
};

}  // namespace mcpfleet
