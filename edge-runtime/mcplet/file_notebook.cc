#include "edge-runtime/mcplet/file_notebook.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

namespace mcpfleet {
namespace {

constexpr Duration kQuiet = std::chrono::seconds(1), kQuietAfterFailure = std::chrono::seconds(30);
constexpr size_t kPageBytes = size_t{16} << 10;  // a tail of stderr and some words; longer is not kept
constexpr size_t kFileBytes = size_t{64} << 20;
constexpr size_t kChecksum = 64;

// The first line is the hash of the rest.
std::map<std::string, std::string> Load(const std::string& path) {
  std::map<std::string, std::string> pages;
  StatusOr<std::string> file = ReadFile(path, kFileBytes);
  if (!file.ok() || file->size() <= kChecksum) return pages;
  const std::string_view body = std::string_view(*file).substr(kChecksum + 1);
  if (Sha256Hex(body) != std::string_view(*file).substr(0, kChecksum)) return pages;
  StatusOr<Json> json = ParseJson(body, {.bytes = kFileBytes});
  if (!json.ok() || !json->is_object()) return pages;
  for (const auto& [server, text] : json->items()) {
    if (text.is_string()) pages[server] = text.get<std::string>();
  }
  return pages;
}

Status Save(const std::string& path, const std::map<std::string, std::string>& pages) {
  const std::string body = DumpJson(Json(pages));
  return WriteFileAtomically(path, Sha256Hex(body) + "\n" + body, 0600);
}

}  // namespace

FileNotebook::FileNotebook(std::string path) : path_(std::move(path)), pages_(Load(path_)) {}

FileNotebook::~FileNotebook() { Stop(); }

void FileNotebook::Start() {
  thread_ = std::thread([this] { Run(); });
}

void FileNotebook::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::string FileNotebook::Read(const ServerKey& server) const {
  MutexLock lock(&mu_);
  auto page = pages_.find(ToString(server));
  return page == pages_.end() ? "" : page->second;
}

void FileNotebook::Write(const ServerKey& server, std::string text) {
  if (text.size() > kPageBytes) text.clear();
  MutexLock lock(&mu_);
  if (text.empty()) {
    if (pages_.erase(ToString(server)) == 0) return;
  } else {
    pages_[ToString(server)] = std::move(text);
  }
  changed_ = true;
  wake_.NotifyAll();
}

void FileNotebook::Retain(const std::set<ServerKey>& servers) {
  std::set<std::string> kept;
  for (const ServerKey& server : servers) kept.insert(ToString(server));
  MutexLock lock(&mu_);
  if (std::erase_if(pages_, [&](const auto& page) { return !kept.contains(page.first); }) == 0) return;
  changed_ = true;
  wake_.NotifyAll();
}

void FileNotebook::Run() {
  Duration pause{};
  bool told = false;
  for (;;) {
    std::map<std::string, std::string> pages;
    bool last = false;
    {
      MutexLock lock(&mu_);
      const Deadline quiet = Deadline::After(pause);
      while (!stopping_ && wake_.WaitUntil(&mu_, quiet)) {
      }
      while (!stopping_ && !changed_) wake_.Wait(&mu_);
      if (!changed_) return;
      changed_ = false;
      last = stopping_;
      pages = pages_;
    }
    const Status saved = Save(path_, pages);
    if (!saved.ok() && !std::exchange(told, true))
      LOG_WARNING("notes can't be saved; the next start begins without them", {{"file", path_}, {"error", saved}});
    if (saved.ok()) told = false;
    if (last) return;
    pause = saved.ok() ? kQuiet : kQuietAfterFailure;
    if (saved.ok()) continue;
    MutexLock lock(&mu_);
    changed_ = true;
  }
}

}  // namespace mcpfleet
