#include "edge-runtime/dashboard/audit.h"

#include <fcntl.h>

#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kText = 500;
constexpr size_t kFileBytes = size_t{32} << 20;
constexpr size_t kShown = 5;

Status Append(const std::string& path, const std::string& line) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  return WriteAll(file.get(), line, Deadline::Never());
}

}  // namespace

void Audit::Load() {
  if (std::exchange(loaded_, true)) return;
  const StatusOr<std::string> text = ReadFile(path_, kFileBytes);
  if (!text.ok()) {
    if (text.status().code() != StatusCode::kNotFound)
      LOG_WARNING("the dashboard's audit can't be read", {{"error", text.status()}});
    return;
  }
  for (const std::string& line : Split(*text, '\n')) {
    StatusOr<Json> row = ParseJson(line, {.bytes = 16384});
    if (row.ok() && GetInt(*row, "id") > 0) rows_.push_back(*std::move(row));  // half a line: a crash in between
  }
}

void Audit::Note(const Deed& deed, WallTime now) {
  Load();
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  rows_.push_back({{"id", rows_.empty() ? 1 : GetInt(rows_.back(), "id") + 1},
                   {"at", at},
                   {"who", deed.who.substr(0, kText)},
                   {"what", deed.what.substr(0, kText)},
                   {"subject", deed.subject.substr(0, kText)},
                   {"detail", deed.detail.substr(0, kText)}});
  Status written;
  if (rows_.size() < 2 * kAuditRows) {
    written = Append(path_, DumpJson(rows_.back()) + "\n");
  } else {
    rows_.erase(rows_.begin(), rows_.end() - static_cast<std::ptrdiff_t>(kAuditRows));
    std::string text;
    for (const Json& row : rows_) text += DumpJson(row) + "\n";
    written = WriteFileAtomically(path_, text, 0600);
  }
  if (!written.ok()) LOG_WARNING("the dashboard's audit can't be written", {{"error", written}});
}

Json Audit::List(int64_t before, size_t most) {
  Load();
  Json found = Json::array();
  for (auto row = rows_.rbegin(); row != rows_.rend() && found.size() < most; ++row) {
    if (before == 0 || GetInt(*row, "id") < before) found.push_back(*row);
  }
  return found;
}

std::string DetailOf(const Json& result) {
  std::vector<std::string> done;
  size_t more = 0;
  for (const Json& each : GetMember(result, "changes")) {
    const std::string change = GetString(each, "change"), ns = GetString(each, "namespace");
    if (change == "unchanged" || change == "not found") continue;
    if (done.size() == kShown) {
      ++more;
      continue;
    }
    done.push_back(GetString(each, "kind") + "/" + (ns.empty() ? "" : ns + "/") + GetString(each, "name") + " " +
                   change);
  }
  if (done.empty()) return "";
  const std::string proposal = GetString(result, "proposal").substr(0, 12);
  return (proposal.empty() ? "" : "proposed " + proposal + ": ") + Join(done, ", ") +
         (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

}  // namespace mcpfleet::dashboard
