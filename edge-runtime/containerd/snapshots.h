// containerd's Snapshots service: file systems made of layers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "edge-runtime/containerd/connection.h"
#include "edge-runtime/containerd/descriptor.h"

namespace mcpfleet::containerd {

struct Snapshot {
  std::string key, parent;
  std::map<std::string, std::string> labels;
};

class Snapshots {
 public:
  // `connection` outlives this.
  Snapshots(const Connection& connection, std::string snapshotter);
  const std::string& snapshotter() const { return snapshotter_; }

  // A new one to write to, on top of `parent` ("": empty). AlreadyExists when the key is taken.
  StatusOr<std::vector<Mount>> Prepare(const std::string& key, const std::string& parent,
                                       const std::map<std::string, std::string>& labels, const std::string& lease,
                                       Deadline deadline) const;
  // NotFound when there is no such snapshot.
  StatusOr<std::vector<Mount>> Mounts(const std::string& key, Deadline deadline) const;
  // Makes of `key` one that never changes again, called `name`. AlreadyExists when there is one of that name.
  Status Commit(const std::string& key, const std::string& name, const std::map<std::string, std::string>& labels,
                const std::string& lease, Deadline deadline) const;
  // Absent is OK.
  Status Remove(const std::string& key, Deadline deadline) const;
  StatusOr<bool> Exists(const std::string& key, Deadline deadline) const;
  // Bytes on disk that are its own.
  StatusOr<int64_t> Bytes(const std::string& key, Deadline deadline) const;
  StatusOr<std::vector<Snapshot>> List(const std::string& filter, Deadline deadline) const;

 private:
  const Connection& connection_;
  const std::string snapshotter_;
};

}  // namespace mcpfleet::containerd
