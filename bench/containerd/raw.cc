// A client of containerd that does what mcplet does for a container and nothing else: the peer of
// bench/containerd_bench.
//
//   bench_containerd SOCKET SPACE TEMPLATE COUNT WIDTH LOG
//
// Makes COUNT containers like TEMPLATE, WIDTH at once, prints the seconds until the last runs, and removes them. It
// makes mcplet's calls in mcplet's order: is the image there, hold it while a container is made of it, is there such a
// container, make it, look at it, start it. What mcplet does besides is its own time: it decides, keeps its state,
// writes files (here they are made before the clock starts), and talks to the servers that run already.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/containers.h"
#include "edge-runtime/containerd/images.h"
#include "edge-runtime/containerd/leases.h"
#include "edge-runtime/containerd/snapshots.h"
#include "edge-runtime/containerd/tasks.h"

#include <nlohmann/json.hpp>

namespace mcpfleet::containerd {
namespace {

namespace fs = std::filesystem;

Deadline Soon() { return Deadline::After(std::chrono::seconds(120)); }

void Must(const Status& status, const std::string& what) {
  if (status.ok()) return;
  fprintf(stderr, "bench_containerd: %s: %s\n", what.c_str(), status.ToString().c_str());
  std::exit(1);
}

std::string WithName(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// The directories of the template's mounts, for another container.
void CopyDirectories(const Json& spec, const std::string& from, const std::string& to) {
  for (const Json& mount : GetMember(spec, "mounts")) {
    const std::string source = GetString(mount, "source");
    const size_t at = source.find(from);
    if (at == std::string::npos) continue;
    const fs::path old_root = source.substr(0, source.find('/', at)), new_root = WithName(old_root, from, to);
    fs::create_directories(new_root);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(old_root)) {
      const fs::path target = new_root / fs::relative(entry.path(), old_root);
      if (entry.is_directory()) fs::create_directories(target);
      if (entry.is_regular_file()) fs::copy_file(entry.path(), target, fs::copy_options::overwrite_existing);
    }
  }
}

class Raw {
 public:
  Raw(const Connection& connection, const std::string& name, std::string log)
      : connection_(connection),
        template_(Get(connection, name)),
        snapshots_(connection, template_.snapshotter),
        log_(std::move(log)) {
    const auto list = snapshots_.List("name==" + template_.snapshot_key, Soon());
    Must(list.status(), "snapshots");
    for (const Snapshot& snapshot : *list) {
      if (snapshot.key == template_.snapshot_key) parent_ = snapshot.parent;
    }
    const auto spec = ParseJson(template_.spec);
    Must(spec.status(), "spec");
    spec_ = *spec;
  }
  void Place(const std::string& id) const { CopyDirectories(spec_, template_.id, id); }
  void Start(const std::string& id) const {
    const std::string lease = "raw-" + id;
    Held(lease, [&] { Must(GetImage(connection_, template_.image, Soon()).status(), "hold"); });
    (void)GetContainer(connection_, id, Soon());
    Held(lease, [&] {
      Must(snapshots_.Prepare(id, parent_, {}, lease, Soon()).status(), "snapshot " + id);
      Container container = template_;
      container.id = container.snapshot_key = id;
      container.labels = {{"raw", "1"}};
      container.spec = WithName(template_.spec, template_.id, id);
      Must(CreateContainer(connection_, container, lease, Soon()), "container " + id);
    });
    Must(GetContainer(connection_, id, Soon()).status(), "look at " + id);
    Must(GetTask(connection_, id, Soon()).status(), "look at " + id);
    Must(GetContainer(connection_, id, Soon()).status(), "find " + id);
    const auto mounts = snapshots_.Mounts(id, Soon());
    Must(mounts.status(), "mounts of " + id);
    Must(CreateTask(connection_, id, *mounts, WithName(log_, "ID", id), Soon()).status(), "task " + id);
    Must(LabelContainer(connection_, id, "started", "1", Soon()), "label " + id);
    Must(StartTask(connection_, id, Soon()), "start " + id);
  }
  void Remove(const std::string& id) const {
    KillTask(connection_, id, SIGKILL, true, Soon()).IgnoreError();
    Must(AwaitTask(connection_, id, Soon()), "end of " + id);
    Must(DeleteTask(connection_, id, Soon()), "task " + id);
    Must(DeleteContainer(connection_, id, Soon()), "container " + id);
    Must(snapshots_.Remove(id, Soon()), "snapshot " + id);
  }

 private:
  // `work` under a lease, after a look at the image.
  template <typename Work>
  void Held(const std::string& lease, Work work) const {
    Must(CreateLease(connection_, {lease, {}}, std::chrono::minutes(10), Soon()), "lease");
    Must(GetImage(connection_, template_.image, Soon()).status(), "image");
    Must(snapshots_.Exists(parent_, Soon()).status(), "unpacked image");
    work();
    Must(DeleteLease(connection_, lease, Soon()), "lease");
  }
  static Container Get(const Connection& connection, const std::string& name) {
    const auto container = GetContainer(connection, name, Soon());
    Must(container.status(), name);
    return *container;
  }
  const Connection& connection_;
  const Container template_;
  const Snapshots snapshots_;
  const std::string log_;
  std::string parent_;
  Json spec_;
};

template <typename Work>
void Together(int count, int width, Work work) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < width; ++i) {
    threads.emplace_back([&] {
      for (int mine; (mine = next++) < count;) work("raw-" + std::to_string(mine));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

int Make(const Connection& connection, char** words) {
  const Raw raw(connection, words[0], words[3]);
  const int count = std::atoi(words[1]), width = std::atoi(words[2]);
  for (int i = 0; i < count; ++i) raw.Place("raw-" + std::to_string(i));
  const auto begun = std::chrono::steady_clock::now();
  Together(count, width, [&](const std::string& id) { raw.Start(id); });
  printf("%.4f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  Together(count, 4, [&](const std::string& id) { raw.Remove(id); });
  return 0;
}

}  // namespace
}  // namespace mcpfleet::containerd

int main(int argc, char** argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: bench_containerd SOCKET SPACE TEMPLATE COUNT WIDTH LOG\n");
    return 2;
  }
  const mcpfleet::containerd::Connection connection(argv[1], argv[2]);
  return mcpfleet::containerd::Make(connection, argv + 3);
}
