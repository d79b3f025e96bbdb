#include "edge-runtime/dashboard/audit.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kText = 500;
constexpr size_t kShown = 5;

}  // namespace

void Audit::Load() {
  if (std::exchange(loaded_, true)) return;
  journal_.Load([this](Json row) {
    if (GetInt(row, "id") > 0) rows_.push_back(std::move(row));
  });
}

void Audit::Note(const Deed& deed, WallTime now) {
  Load();
  rows_.push_back({{"id", rows_.empty() ? 1 : GetInt(rows_.back(), "id") + 1},
                   {"at", ToMillis(now)},
                   {"who", deed.who.substr(0, kText)},
                   {"what", deed.what.substr(0, kText)},
                   {"subject", deed.subject.substr(0, kText)},
                   {"detail", deed.detail.substr(0, kText)}});
  if (rows_.size() < 2 * kAuditRows) return journal_.Append(rows_.back());
  rows_.erase(rows_.begin(), rows_.end() - static_cast<std::ptrdiff_t>(kAuditRows));
  journal_.Replace(rows_);
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
