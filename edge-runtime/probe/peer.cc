#include "edge-runtime/probe/peer.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/mcp/hidden_text.h"
#include "edge-runtime/mcp/tool_hash.h"

namespace mcpfleet {
namespace {

// A server with more is broken or hostile (the largest catalogue seen in practice had 32 tools).
constexpr int kMaxPages = 100;
constexpr size_t kMaxItems = 10'000;
constexpr size_t kMaxEras = 4096;
// One is enough to look at the server; more only fill the status.
constexpr size_t kMostHiddenText = 8;

// Calls `each` for every item of a paged list. An answered error is in `*error`.
Status ForEachItem(McpPeer& peer, const std::string& method, const std::string& member, Deadline deadline,
                   const std::function<Status(const Json&)>& each, std::optional<mcp::Message>* error) {
  std::set<std::string> cursors;
  size_t items = 0;
  Json params = Json::object();
  for (int page = 0; page < kMaxPages; ++page) {
    StatusOr<mcp::Message> answer = peer.Request(method, params, deadline);
    if (!answer.ok()) return Annotate(answer.status(), method);
    if (answer->kind == mcp::MessageKind::kError) {
      *error = *std::move(answer);
      return OkStatus();
    }
    const Json& list = GetMember(answer->result, member);
    if (!list.is_array()) return FailedPrecondition(method + ": the result has no array \"" + member + "\"");
    items += list.size();
    if (items > kMaxItems) return FailedPrecondition(method + ": more than " + std::to_string(kMaxItems) + " items");
    for (const Json& item : list) RETURN_IF_ERROR(each(item));
    std::string cursor = GetString(answer->result, "nextCursor");
    if (cursor.empty()) return OkStatus();
    if (!cursors.insert(cursor).second) return FailedPrecondition(method + ": the server repeats a page cursor");
    params = {{"cursor", cursor}};
  }
  return FailedPrecondition(method + ": more than " + std::to_string(kMaxPages) + " pages");
}

// Resources and prompts are only counted: a server that cannot list them is no worse a tool server for it.
StatusOr<int64_t> Count(McpPeer& peer, const std::string& kind, Deadline deadline) {
  int64_t count = 0;
  std::optional<mcp::Message> error;
  Status listed = ForEachItem(
      peer, kind + "/list", kind, deadline,
      [&](const Json&) {
        ++count;
        return OkStatus();
      },
      &error);
  if (!listed.ok() && IsRetryable(listed)) return listed;
  if (!listed.ok()) LOG_DEBUG("list not counted", {{"kind", kind}, {"error", listed}});
  return listed.ok() && !error ? count : 0;
}

}  // namespace

mcp::Era EraMemory::Get(const std::string& revision) const {
  MutexLock lock(&mu_);
  auto it = eras_.find(revision);
  return it == eras_.end() ? mcp::Era::kUnknown : it->second;
}

void EraMemory::Set(const std::string& revision, mcp::Era era) {
  if (revision.empty()) return;
  MutexLock lock(&mu_);
  if (era == mcp::Era::kUnknown) {
    eras_.erase(revision);
    return;
  }
  if (eras_.size() >= kMaxEras && eras_.count(revision) == 0) eras_.clear();  // a cache: asking again costs a second
  eras_[revision] = era;
}

Status ErrorOf(const std::string& method, const mcp::Message& answer) {
  return FailedPrecondition(method + ": " + mcp::DescribeError(answer));
}

StatusOr<Catalog> ListCatalog(McpPeer& peer, const mcp::PeerInfo& info, Deadline deadline) {
  Catalog catalog;
  if (info.Has("tools")) {
    mcp::ToolList tools;
    std::optional<mcp::Message> error;
    RETURN_IF_ERROR(ForEachItem(
        peer, "tools/list", "tools", deadline,
        [&](const Json& tool) {
          if (!tools.Add(tool)) return FailedPrecondition("tools/list: a tool without a name");
          if (catalog.hidden_text.size() < kMostHiddenText) {
            for (std::string& where : mcp::HiddenTextOf(tool)) catalog.hidden_text.push_back(std::move(where));
          }
          peer.NoteTool(tool);
          return OkStatus();
        },
        &error));
    if (error) return ErrorOf("tools/list", *error);
    catalog.tools = static_cast<int64_t>(tools.size());
    catalog.tools_hash = tools.Hash();
    catalog.tool_names = tools.SortedNames();
    catalog.tool_hashes = tools.SortedHashes();
    std::sort(catalog.hidden_text.begin(), catalog.hidden_text.end());
  }
  if (info.Has("resources")) {
    ASSIGN_OR_RETURN(catalog.resources, Count(peer, "resources", deadline));
  }
  if (info.Has("prompts")) {
    ASSIGN_OR_RETURN(catalog.prompts, Count(peer, "prompts", deadline));
  }
  return catalog;
}

}  // namespace mcpfleet
