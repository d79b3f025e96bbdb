// See ContainerdRuntime::UnderWay.
#pragma once

#include <string>

#include "edge-runtime/containerd/containerd_runtime.h"

namespace mcpfleet {

class ContainerdRuntime::UnderWay {
 public:
  UnderWay(ContainerdRuntime* runtime, std::string id) : runtime_(*runtime), id_(std::move(id)) {
    MutexLock lock(&runtime_.mu_);
    runtime_.under_way_.insert(id_);
  }
  ~UnderWay() {
    MutexLock lock(&runtime_.mu_);
    runtime_.under_way_.erase(runtime_.under_way_.find(id_));
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  ContainerdRuntime& runtime_;
  const std::string id_;
};

}  // namespace mcpfleet
