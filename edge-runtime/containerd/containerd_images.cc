// Images: present, pulled, collected; and what crashes left behind.
#include <dirent.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/containerd/containerd_runtime.h"
#include "edge-runtime/containerd/leases.h"
#include "edge-runtime/containerd/transfer.h"
#include "edge-runtime/engine/registry_auth.h"

namespace mcpfleet {
namespace {

constexpr size_t kHostsFileBytes = size_t{64} << 10;
constexpr Duration kLeaseLife = std::chrono::hours(6);  // longer than any pull may take

class Lease {
 public:
  Lease(const containerd::Connection& connection, std::string id) : connection_(connection), id_(std::move(id)) {}
  ~Lease() { containerd::DeleteLease(connection_, id_, Deadline::After(std::chrono::seconds(10))).IgnoreError(); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Status Take(Deadline deadline) { return containerd::CreateLease(connection_, {id_, {}}, kLeaseLife, deadline); }
  const std::string& id() const { return id_; }

 private:
  const containerd::Connection& connection_;
  const std::string id_;
};

std::set<std::string> DirectoriesIn(const std::string& path) {
  std::set<std::string> names;
  DIR* listing = opendir(path.c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing)) {
    if (IsInstanceId(entry->d_name)) names.insert(entry->d_name);
  }
  closedir(listing);
  return names;
}

}  // namespace

std::string ContainerdRuntime::HowToImport(const std::string& name, const containerd::Engine& engine) const {
  const std::string ctr = "ctr --address " + options_.socket_path + " --namespace " + options_.space + " images ";
  return "containerd " + engine.version + " can't pull for its clients (1.7 and later can): import it with '" + ctr +
         "pull " + name + "' or '" + ctr + "import FILE.tar'";
}

ContainerdRuntime::Ways ContainerdRuntime::WaysTo(const std::string& name, const containerd::Engine& engine) const {
  Ways ways;
  if (engine.mirrors || options_.hosts_directory.empty()) return ways;
  const std::string registry = name.substr(0, name.find('/'));
  for (const std::string& path : containerd::HostsPaths(options_.hosts_directory, registry)) {
    const StatusOr<std::string> text = ReadFile(path, kHostsFileBytes);
    const std::string directory = path.substr(0, path.rfind('/'));
    if (text.status().code() == StatusCode::kNotFound) {
      if (access(directory.c_str(), F_OK) != 0) continue;
      // Certificates in docker's way.
      ways.unasked = "; " + directory + " was not read: containerd " + engine.version + " can't (2.0 and later can)";
      return ways;
    }
    const StatusOr<containerd::HostsFile> file = text.ok() ? containerd::ParseHostsFile(*text) : text.status();
    if (!file.ok()) {
      ways.unasked = "; " + path + " can't be used: " + Message(file.status());
      return ways;
    }
    ways.registry = containerd::IsRegistryItself(file->server, registry);
    for (const containerd::MirrorHost& mirror : file->mirrors) {
      const bool resolves = mirror.resolves || name.find('@') != std::string::npos;
      if (mirror.unusable.empty() && resolves) {
        ways.mirrors.push_back(mirror);
      } else {
        ways.unasked += "; the mirror " + Printable(mirror.url, 200) +
                        " was not asked: " + (resolves ? mirror.unusable + " (2.0 and later can)" : "it knows no tags");
      }
    }
    if (!ways.registry) ways.unasked += "; its server is " + Printable(file->server, 200) + ", says " + path;
    return ways;
  }
  return ways;
}

// A mirror gets no password: that is the registry's.
Status ContainerdRuntime::PullBy(const Ways& ways, containerd::TransferPull pull,
                                 const std::function<void(const PullProgress&)>& progress, const std::string& lease,
                                 Deadline deadline) {
  const RegistryLogin* login = std::exchange(pull.login, nullptr);
  Status status = NotFound("there is no mirror that could be asked");
  for (const containerd::MirrorHost& mirror : ways.mirrors) {
    pull.source = containerd::AtMirror(pull.name, mirror);
    status = containerd::PullByTransfer(connection_, pull, progress, lease, deadline);
    if (status.ok() || deadline.Expired()) return status;
    LOG_WARNING("a mirror could not be pulled from; the next one is asked, or the registry",
                {{"image", pull.name}, {"mirror", Printable(mirror.url, 200)}, {"error", status}});
  }
  if (ways.registry) {
    pull.source.clear();
    pull.login = login;
    status = containerd::PullByTransfer(connection_, pull, progress, lease, deadline);
  }
  return status.ok() ? status : Status(status.code(), Message(status) + ways.unasked);
}

StatusOr<std::optional<containerd::UsableImage>> ContainerdRuntime::FindUnpacked(
    const std::string& ref, const std::string& lease, const std::function<void(const PullProgress&)>& progress,
    Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<containerd::UsableImage> image, images_.Find(ref, deadline));
  if (!image) return image;
  const auto unpacked = [&](size_t done, size_t all) {
    if (progress)
      progress(
          {.done_bytes = static_cast<int64_t>(done), .total_bytes = static_cast<int64_t>(all), .phase = "installing"});
  };
  const Status status = images_.Unpack(*image, lease, unpacked, deadline);
  // A layer that is not there: as good as absent.
  if (status.code() == StatusCode::kNotFound) return std::optional<containerd::UsableImage>();
  RETURN_IF_ERROR(status);
  return image;
}

StatusOr<Artifact> ContainerdRuntime::Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                           Deadline deadline) {
  return PullAs({}, spec, std::move(progress), deadline);
}

StatusOr<Artifact> ContainerdRuntime::PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                                             std::function<void(const PullProgress&)> progress, Deadline deadline) {
  const auto* source = std::get_if<ImageSource>(&spec.source);
  if (source == nullptr) return InvalidArgument("spec.source: the containerd runtime runs images only");
  const std::string& ref = source->ref;
  const std::string what = "image \"" + ref + "\"";
  Lease lease(connection_, LeaseOf("pull-" + RandomHex(8)));
  RETURN_IF_ERROR(lease.Take(deadline));
  ASSIGN_OR_RETURN(std::optional<containerd::UsableImage> image, FindUnpacked(ref, lease.id(), progress, deadline));
  if (image && source->pull_policy != PullPolicy::kAlways) {
    RETURN_IF_ERROR(images_.Hold(*image, false, deadline));
    return image->ToArtifact();
  }
  ASSIGN_OR_RETURN(const containerd::Engine engine, Connect(deadline));
  const std::string name = containerd::WholeImageName(ref);
  if (source->pull_policy == PullPolicy::kNever) {
    return NotFound(what + " is not in containerd's namespace " + options_.space +
                    " and pullPolicy is Never: import it (ctr --namespace " + options_.space +
                    " images import), or set pullPolicy: IfNotPresent");
  }
  if (!engine.transfer) {
    const std::string problem = image ? " is there, and pullPolicy is Always, but "
                                      : " is not in containerd's namespace " + options_.space + ", and ";
    return NotFound(what + problem + HowToImport(name, engine) + (image ? ", and set pullPolicy: IfNotPresent" : ""));
  }
  std::optional<RegistryLogin> login;
  if (!credentials.empty()) {
    ASSIGN_OR_RETURN(login, RegistryLoginOf(credentials, ref));
  }
  if (progress) progress({.done_bytes = 0, .total_bytes = 0, .phase = "resolving"});
  const Status pulled = PullBy(WaysTo(name, engine),
                               {.name = name,
                                .source = {},
                                .login = login ? &*login : nullptr,
                                .hosts_directory = options_.hosts_directory,
                                .architecture = std::string(containerd::MachineArchitecture())},
                               progress, lease.id(), deadline);
  if (pulled.code() == StatusCode::kNotFound) {
    return Annotate(
        pulled, what + " could not be pulled: check spec.source.image.ref and that this node may read its registry");
  }
  if (!pulled.ok()) return Annotate(pulled, what + " could not be pulled");
  const std::string before = image ? image->manifest.config.digest : "";
  ASSIGN_OR_RETURN(image, FindUnpacked(name, lease.id(), progress, deadline));
  if (!image) return Unavailable(what + " was pulled and is gone again");
  RETURN_IF_ERROR(images_.Hold(*image, before != image->manifest.config.digest, deadline));
  return image->ToArtifact();
}

StatusOr<int64_t> ContainerdRuntime::ArtifactBytes(Deadline deadline) { return images_.HeldBytes(deadline); }

Status ContainerdRuntime::CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes,
                                           Deadline deadline) {
  const Status cleared = ClearAway(deadline);
  const Status collected = images_.Collect(keep, quota_bytes, deadline);
  return cleared.ok() ? collected : cleared;
}

Status ContainerdRuntime::ClearAway(Deadline deadline) {
  const std::string mine = containerd::OfNode(options_.node_name);
  // In this order: what is under way when we look, and finished after that, is among the containers by then.
  ASSIGN_OR_RETURN(const std::vector<containerd::Snapshot> snapshots, snapshots_.List(mine, deadline));
  ASSIGN_OR_RETURN(const std::vector<containerd::Lease> leases, containerd::ListLeases(connection_, mine, deadline));
  std::set<std::string> left = DirectoriesIn(instances_);
  for (const std::string& holder : network_.Holders()) left.insert(holder);
  std::map<std::string, std::vector<std::string>> keys, held;
  const auto note = [&left](const std::map<std::string, std::string>& labels, const std::string& key,
                            std::map<std::string, std::vector<std::string>>* to) {
    const auto instance = labels.find(containerd::kLabelInstance);
    if (instance == labels.end() || !IsInstanceId(instance->second)) return;
    left.insert(instance->second);
    (*to)[instance->second].push_back(key);
  };
  for (const containerd::Snapshot& snapshot : snapshots) note(snapshot.labels, snapshot.key, &keys);
  for (const containerd::Lease& lease : leases) note(lease.labels, lease.id, &held);
  {
    MutexLock lock(&mu_);
    for (const std::string& id : under_way_) left.erase(id);
  }
  if (left.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<containerd::Container> containers,
                   containerd::ListContainers(connection_, mine, deadline));
  Status first_error;
  const auto check = [&first_error](const Status& status) {
    if (first_error.ok()) first_error = status;
  };
  for (const containerd::Container& container : containers) {
    left.erase(container.id);
    for (const std::string& lease : held[container.id]) check(containerd::DeleteLease(connection_, lease, deadline));
  }
  for (const std::string& id : left) {
    LOG_INFO("cleared away what a crash left of an instance", {{"instance", id}});
    check(EndProcesses(id, deadline));
    check(network_.Disconnect(id, DirectoryOf(id), deadline));
    for (const std::string& key : keys[id]) check(snapshots_.Remove(key, deadline));
    for (const std::string& lease : held[id]) check(containerd::DeleteLease(connection_, lease, deadline));
    containerd::RemoveCgroup(cgroups_, CgroupOf(id));
    check(RemoveTree(DirectoryOf(id)));
  }
  return first_error;
}

}  // namespace mcpfleet
