#include "edge-runtime/mcp/handshake.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace mcpfleet::mcp {
namespace {

constexpr size_t kMaxText = 200;  // of a name or version shown in a status
constexpr size_t kMaxCapabilities = 64;
constexpr char kDiscover[] = "server/discover";
constexpr char kInitialize[] = "initialize";
constexpr char kInitialized[] = "notifications/initialized";

std::vector<std::string> CapabilityNames(const Json& capabilities) {
  std::vector<std::string> names;
  if (!capabilities.is_object()) return names;
  for (auto it = capabilities.begin(); it != capabilities.end() && names.size() < kMaxCapabilities; ++it) {
    if (!it.value().is_null()) names.push_back(Printable(it.key(), 64));
  }
  return names;
}

void ReadServerInfo(const Json& info, PeerInfo* peer) {
  peer->name = Printable(GetString(info, "name"), kMaxText);
  peer->version = Printable(GetString(info, "version"), kMaxText);
}

std::string_view PhaseName(Handshake::Phase phase) {
  switch (phase) {
    case Handshake::Phase::kNew:
      return "new";
    case Handshake::Phase::kDiscovering:
      return "discovering";
    case Handshake::Phase::kInitializing:
      return "initializing";
    case Handshake::Phase::kReady:
      return "ready";
    case Handshake::Phase::kFailed:
      return "failed";
  }
  return "";
}

std::optional<Handshake::Phase> PhaseFromName(std::string_view name) {
  using Phase = Handshake::Phase;
  for (Phase phase : {Phase::kNew, Phase::kDiscovering, Phase::kInitializing, Phase::kReady, Phase::kFailed}) {
    if (PhaseName(phase) == name) return phase;
  }
  return std::nullopt;
}

}  // namespace

bool PeerInfo::Has(std::string_view capability) const {
  return std::find(capabilities.begin(), capabilities.end(), capability) != capabilities.end();
}

Handshake::Handshake(ClientIdentity identity, Era known) : identity_(std::move(identity)), known_(known) {}

std::vector<Outgoing> Handshake::Start(uint64_t* next_id) {
  if (phase_ != Phase::kNew) return {};
  if (known_ == Era::kLegacy) return SendInitialize(next_id);
  phase_ = Phase::kDiscovering;
  discover_id_ = std::to_string((*next_id)++);
  Json params = WithModernMeta(Json::object(), identity_.name, identity_.version);
  return {{discover_id_, kDiscover, SerializeRequest(discover_id_, kDiscover, params)}};
}

std::vector<Outgoing> Handshake::OnResponse(const Message& response, uint64_t* next_id) {
  if (!response.IsResponse() || response.id.empty()) return {};
  if (response.id == discover_id_) return OnDiscover(response, next_id);
  if (response.id == initialize_id_ && phase_ == Phase::kInitializing) return OnInitialize(response, next_id);
  return {};
}

std::vector<Outgoing> Handshake::OnNoDiscoverAnswer(uint64_t* next_id) {
  if (phase_ != Phase::kDiscovering) return {};
  if (asked_again_) return Fail("server/discover: no answer, and initialize was refused");
  return SendInitialize(next_id);
}

std::vector<Outgoing> Handshake::SendInitialize(uint64_t* next_id) {
  phase_ = Phase::kInitializing;
  initialize_id_ = std::to_string((*next_id)++);
  Json params = {{"protocolVersion", std::string(kLegacyVersion)},
                 {"capabilities", Json::object()},
                 {"clientInfo", {{"name", identity_.name}, {"version", identity_.version}}}};
  return {{initialize_id_, kInitialize, SerializeRequest(initialize_id_, kInitialize, params)}};
}

std::vector<Outgoing> Handshake::OnDiscover(const Message& response, uint64_t* next_id) {
  EraVerdict verdict = JudgeDiscover(response);
  bool modern_result = verdict.era == Era::kModern && response.kind == MessageKind::kResult;
  if (phase_ == Phase::kInitializing) {
    // Too late to choose: `initialize` is on its way, and its answer decides.
    if (modern_result) late_discover_ = response.result;
    return {};
  }
  if (phase_ != Phase::kDiscovering) return {};
  switch (verdict.era) {
    case Era::kModern:
      return modern_result ? BecomeModern(response.result) : Fail("server/discover: " + DescribeError(response));
    case Era::kLegacy:
      if (asked_again_) return Fail("initialize and server/discover: " + DescribeError(response));
      return SendInitialize(next_id);
    case Era::kUnknown:
      return Fail(verdict.problem);
  }
  return {};
}

std::vector<Outgoing> Handshake::BecomeModern(const Json& result) {
  peer_ = PeerInfo{};
  peer_.era = Era::kModern;
  peer_.protocol_version = std::string(kModernVersion);
  peer_.capabilities = CapabilityNames(GetMember(result, "capabilities"));
  const Json& in_meta = GetMember(GetMember(result, "_meta"), "io.modelcontextprotocol/serverInfo");
  ReadServerInfo(in_meta.is_object() ? in_meta : GetMember(result, "serverInfo"), &peer_);
  phase_ = Phase::kReady;
  return {};
}

std::vector<Outgoing> Handshake::OnInitialize(const Message& response, uint64_t* next_id) {
  if (response.kind == MessageKind::kError) {
    if (late_discover_) return BecomeModern(*late_discover_);
    // Too slow to answer server/discover in time, and modern all the same.
    if (JudgeDiscover(response).era == Era::kModern && !std::exchange(asked_again_, true)) {
      phase_ = Phase::kNew;
      known_ = Era::kModern;
      return Start(next_id);
    }
    return Fail("initialize: " + DescribeError(response));
  }
  std::string version = GetString(response.result, "protocolVersion");
  if (!IsLegacyVersion(version)) {
    return Fail("initialize: the server answered protocol version \"" + Printable(version, 40) +
                "\"; mcpfleet speaks 2024-10-07 to " + std::string(kLegacyVersion));
  }
  peer_ = PeerInfo{};
  peer_.era = Era::kLegacy;
  peer_.protocol_version = version;
  peer_.capabilities = CapabilityNames(GetMember(response.result, "capabilities"));
  ReadServerInfo(GetMember(response.result, "serverInfo"), &peer_);
  phase_ = Phase::kReady;
  owes_announcement_ = true;
  return Owed();
}

std::vector<Outgoing> Handshake::Owed() const {
  if (!owes_announcement_) return {};
  return {{"", kInitialized, SerializeNotification(kInitialized, Json())}};
}

std::vector<Outgoing> Handshake::Fail(std::string why) {
  phase_ = Phase::kFailed;
  failure_ = std::move(why);
  return {};
}

Json Handshake::ToNote() const {
  Json note = {{"phase", std::string(PhaseName(phase_))}, {"discover", discover_id_}, {"initialize", initialize_id_}};
  if (phase_ == Phase::kFailed) note["failure"] = failure_;
  if (phase_ == Phase::kReady) {
    note["era"] = std::string(ToString(peer_.era));
    note["name"] = peer_.name;
    note["version"] = peer_.version;
    note["protocol"] = peer_.protocol_version;
    note["capabilities"] = peer_.capabilities;
    note["owes"] = owes_announcement_;
  }
  return note;
}

StatusOr<Handshake> Handshake::FromNote(ClientIdentity identity, const Json& note) {
  std::optional<Phase> phase = PhaseFromName(GetString(note, "phase"));
  if (!phase) return InvalidArgument("handshake note without a phase");
  Handshake handshake(std::move(identity), Era::kUnknown);
  handshake.phase_ = *phase;
  handshake.discover_id_ = GetString(note, "discover");
  handshake.initialize_id_ = GetString(note, "initialize");
  handshake.failure_ = GetString(note, "failure");
  PeerInfo& peer = handshake.peer_;
  peer.era = EraFromString(GetString(note, "era"));
  if (*phase == Phase::kReady && peer.era == Era::kUnknown) return InvalidArgument("handshake note without an era");
  peer.name = GetString(note, "name");
  peer.version = GetString(note, "version");
  peer.protocol_version = GetString(note, "protocol");
  peer.capabilities = StringsOf(GetMember(note, "capabilities"));
  handshake.owes_announcement_ = GetBool(note, "owes");
  return handshake;
}

}  // namespace mcpfleet::mcp
