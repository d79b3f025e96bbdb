#include "edge-runtime/docker/attachments.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_reader.h"
#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {
constexpr char kEndedFile[] = "/ended";
}  // namespace

// The writer's side of one log; the loop's thread only.
struct DockerAttachments::Log {
  UniqueFd directory;
  LogRotate file;
  ~Log() { file.Close(); }
};

StatusOr<std::unique_ptr<DockerAttachments>> DockerAttachments::Create(const std::string& state_directory,
                                                                       const Clock& clock) {
  std::string directory = state_directory + "/attach";
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN(std::shared_ptr<IoLoop> loop, IoLoop::Create());
  return std::unique_ptr<DockerAttachments>(new DockerAttachments(std::move(directory), clock, std::move(loop)));
}

DockerAttachments::~DockerAttachments() {
  loop_->Stop();
  MutexLock lock(&mu_);
  for (auto& [id, attachment] : attachments_) attachment.channel->Drop();
}

Status DockerAttachments::Attach(const std::string& instance, http::Upgraded connection, const LogSizes& sizes) {
  Drop(instance);
  const std::string path = DirectoryOf(instance);
  RETURN_IF_ERROR(MakeDirectories(path, 0700));
  unlink((path + kEndedFile).c_str());
  auto log = std::make_shared<Log>();  // shared by the two callbacks, which are copied
  log->directory.Reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!log->directory.valid()) return ErrnoStatus(errno, path);
  log->file.Open(log->directory.get(), sizes.max_bytes, std::max(1, sizes.max_files));
  auto self = std::make_shared<const AttachChannel*>(nullptr);  // tells an old channel's end from this one's
  AttachChannel::Events events;
  events.log = [log](std::string_view bytes) {
    log->file.Add(bytes.data(), bytes.size());
    log->file.Flush(false);
  };
  events.ended = [this, log, instance, self](const std::string& why) {
    log->file.Flush(true);
    Ended(instance, *self, why);
  };
  auto channel = std::make_shared<AttachChannel>(loop_, clock_, std::move(connection.fd), std::move(events));
  *self = channel.get();
  {
    MutexLock lock(&mu_);
    attachments_[instance] = {channel, {.phase = MainState::Phase::kRunning, .since = clock_.Now()}};
  }
  channel->Begin(std::move(connection.leftover));
  return OkStatus();
}

void DockerAttachments::Ended(const std::string& instance, const AttachChannel* channel, const std::string& why) {
  std::shared_ptr<std::function<void(const std::string&)>> listener;
  {
    MutexLock lock(&mu_);
    auto it = attachments_.find(instance);
    if (it == attachments_.end() || it->second.channel.get() != channel) return;
    it->second.state.phase = MainState::Phase::kExited;
    it->second.state.failure = why;
    it->second.state.since = clock_.Now();
    listener = listener_;
    moved_.NotifyAll();
  }
  const UniqueFd mark(open((DirectoryOf(instance) + kEndedFile).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!mark.valid()) LOG_WARNING("can't note the end of an attached server", {{"instance", instance}});
  if (listener) (*listener)(instance);
}

void DockerAttachments::Drop(const std::string& instance) {
  MutexLock lock(&mu_);
  auto it = attachments_.find(instance);
  if (it == attachments_.end()) return;
  it->second.channel->Drop();
  attachments_.erase(it);
  moved_.NotifyAll();
}

void DockerAttachments::EndInput(const std::string& instance, Deadline deadline) {
  MutexLock lock(&mu_);
  auto it = attachments_.find(instance);
  if (it == attachments_.end()) return;
  it->second.channel->CloseInput();
  while (true) {
    it = attachments_.find(instance);
    if (it == attachments_.end() || it->second.state.phase == MainState::Phase::kExited) return;
    if (!moved_.WaitUntil(&mu_, deadline)) return;
  }
}

Status DockerAttachments::Logs(const std::string& instance, const LogOptions& options,
                               const std::function<bool(std::string_view)>& sink, Deadline deadline) const {
  const auto over = [&] { return Main(instance).phase != MainState::Phase::kRunning; };
  return ReadLogs(DirectoryOf(instance), options, sink, over, deadline);
}

std::unique_ptr<LogTail> DockerAttachments::OpenTail(const std::string& instance, const TailFrom& from) const {
  return std::make_unique<FileTail>(DirectoryOf(instance), from);
}

void DockerAttachments::Remove(const std::string& instance) {
  Drop(instance);
  if (Status status = RemoveTree(DirectoryOf(instance)); !status.ok())
    LOG_WARNING("can't remove the log of an attached server", {{"instance", instance}, {"error", status}});
}

MainState DockerAttachments::Main(const std::string& instance) const {
  {
    MutexLock lock(&mu_);
    auto it = attachments_.find(instance);
    if (it != attachments_.end()) return it->second.state;
  }
  MainState unknown;
  if (access((DirectoryOf(instance) + kEndedFile).c_str(), F_OK) == 0) unknown.phase = MainState::Phase::kExited;
  return unknown;
}

std::shared_ptr<StdioChannel> DockerAttachments::Channel(const std::string& instance) const {
  MutexLock lock(&mu_);
  auto it = attachments_.find(instance);
  if (it == attachments_.end() || it->second.state.phase != MainState::Phase::kRunning) return nullptr;
  return it->second.channel;
}

void DockerAttachments::SetListener(std::function<void(const std::string& instance)> changed) {
  MutexLock lock(&mu_);
  listener_ = changed ? std::make_shared<std::function<void(const std::string&)>>(std::move(changed)) : nullptr;
}

}  // namespace mcpfleet
