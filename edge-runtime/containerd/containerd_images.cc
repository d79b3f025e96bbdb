// Images: present, pulled, collected; and what crashes left behind.
#include <dirent.h>
#include <unistd.h>

#include <set>

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

std::string ContainerdRuntime::UnaskedMirrors(const std::string& name, const containerd::Engine& engine) const {
  if (engine.mirrors) return "";
  for (const std::string& registry : {name.substr(0, name.find('/')), std::string("_default")}) {
    const std::string directory = options_.hosts_directory + "/" + registry;
    if (!options_.hosts_directory.empty() && access(directory.c_str(), F_OK) == 0)
      return "; " + directory + " was not read: containerd " + engine.version + " can't (2.0 and later can)";
  }
  return "";
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
  Status pulled = containerd::PullByTransfer(connection_,
                                             {.name = name,
                                              .login = login ? &*login : nullptr,
                                              .hosts_directory = options_.hosts_directory,
                                              .architecture = std::string(containerd::MachineArchitecture())},
                                             progress, lease.id(), deadline);
  if (!pulled.ok()) pulled = Status(pulled.code(), Message(pulled) + UnaskedMirrors(name, engine));
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
