#include "edge-runtime/dashboard/feed.h"

#include <charconv>
#include <optional>

#include <nlohmann/json.hpp>

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kPartRows = 2000;  // servers and nodes in one message, of some 300 bytes each

std::string KeyOf(const Json& server) { return GetString(server, "namespace") + "/" + GetString(server, "name"); }

std::map<std::string, const Json*> ByKey(const std::vector<Json>& servers) {
  std::map<std::string, const Json*> found;
  for (const Json& server : servers) found[KeyOf(server)] = &server;
  return found;
}

// Equal but for the time of the last sign of life: that alone is no news.
bool SameNode(Json a, Json b) {
  a.erase("lastSeen");
  b.erase("lastSeen");
  return a == b;
}

}  // namespace

std::vector<Json> Feed::Update(std::map<std::string, FeedRow> rows) {
  std::vector<Json> deltas;
  for (auto& [name, row] : rows) {
    Kept& kept = nodes_[name];
    const bool known = kept.at != 0;
    const auto before = ByKey(kept.row.servers), after = ByKey(row.servers);
    Json set = Json::array(), gone = Json::array();
    for (const auto& [key, server] : after) {
      const auto old = before.find(key);
      if (old == before.end() || *old->second != *server) set.push_back(*server);
    }
    for (const auto& [key, server] : before) {
      if (!after.contains(key)) gone.push_back({GetString(*server, "namespace"), GetString(*server, "name")});
    }
    if (known && set.empty() && gone.empty() && SameNode(kept.row.node, row.node)) {
      kept.row.node = std::move(row.node);
      continue;
    }
    kept.at = ++last_;
    deltas.push_back({{"type", "delta"},
                      {"cursor", Cursor(kept.at)},
                      {"node", row.node},
                      {"name", name},
                      {"set", std::move(set)},
                      {"gone", std::move(gone)}});
    kept.row = std::move(row);
  }
  std::erase_if(nodes_, [&](const auto& each) {
    if (rows.contains(each.first)) return false;
    deltas.push_back({{"type", "delta"},
                      {"cursor", Cursor(last_)},
                      {"node", nullptr},
                      {"name", each.first},
                      {"set", Json::array()},
                      {"gone", Json::array()}});
    return true;
  });
  return deltas;
}

std::vector<Json> Feed::State(std::string_view since) const {
  std::optional<int64_t> seen;
  if (since.starts_with(boot_ + ".")) {
    const std::string_view digits = since.substr(boot_.size() + 1);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number >= 0 && number <= last_) seen = number;
  }
  const auto message = [&] {
    return Json{{"type", "state"}, {"cursor", since},        {"whole", !seen.has_value()},
                {"last", false},   {"names", Json::array()}, {"nodes", Json::array()}};
  };
  std::vector<Json> messages{message()};
  size_t weight = 0;
  for (const auto& [name, kept] : nodes_) {
    const size_t own = 1 + kept.row.servers.size();
    if (weight > 0 && weight + own > kPartRows) {
      messages.push_back(message());
      weight = 0;
    }
    weight += own;
    Json servers = nullptr;
    if (!seen || kept.at > *seen) servers = kept.row.servers;
    messages.back()["nodes"].push_back({{"node", kept.row.node}, {"servers", std::move(servers)}});
  }
  Json& last = messages.back();
  last["last"] = true;
  last["cursor"] = Cursor(last_);
  for (const auto& [name, kept] : nodes_) last["names"].push_back(name);
  return messages;
}

}  // namespace mcpfleet::dashboard
