#include "edge-runtime/dashboard/journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kFileBytes = size_t{32} << 20;
constexpr size_t kRowBytes = 16384;

Status AppendTo(const std::string& path, const std::string& text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  return WriteAll(file.get(), text, Deadline::Never());
}

}  // namespace

void Journal::Load(const std::function<void(Json)>& take) {
  const StatusOr<std::string> text = ReadFile(path_, kFileBytes);
  if (!text.ok()) {
    if (text.status().code() != StatusCode::kNotFound)
      LOG_WARNING(what_ + " can't be read", {{"error", text.status()}});
    return;
  }
  std::string_view rest = *text;
  torn_ = !rest.empty() && !rest.ends_with('\n');
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    StatusOr<Json> row = ParseJson(rest.substr(0, end), {.bytes = kRowBytes});
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++rows_;
    if (row.ok() && row->is_object()) take(*std::move(row));
  }
}

void Journal::Append(const Json& row) {
  const Status written = AppendTo(path_, (torn_ ? "\n" : "") + DumpJson(row) + "\n");
  torn_ = !written.ok();  // some of it may be there
  ++rows_;
  Wrote(written);
}

void Journal::Replace(const std::vector<Json>& rows) {
  std::string text;
  for (const Json& row : rows) text += DumpJson(row) + "\n";
  const Status written = WriteFileAtomically(path_, text, 0600);
  rows_ = rows.size();  // whether or not: else each row that comes would try again
  if (written.ok()) torn_ = false;
  Wrote(written);
}

void Journal::Wrote(const Status& written) {
  if (std::exchange(failed_, !written.ok()) || written.ok()) return;
  LOG_WARNING(what_ + " can't be written", {{"error", written}});
}

std::optional<WallTime> Journal::Touched() const {
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) return std::nullopt;
  return WallTime(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

void Journal::Touch(WallTime now) {
  const auto since = now.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const timespec at{.tv_sec = seconds.count(), .tv_nsec = (since - seconds).count()};
  const timespec times[2] = {at, at};
  (void)utimensat(AT_FDCWD, path_.c_str(), times, 0);  // there is none yet: nothing was known
}

}  // namespace mcpfleet::dashboard
