#include "edge-runtime/mcplet/join.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "crd/manifest.h"
#include "crd/map_edit.h"
#include "crd/node_name.h"
#include "store/local_cache.h"
#include "store/store_url.h"
#include "store/trust/node_keys.h"
#include "store/worker_api.h"

namespace mcpfleet {
namespace {

constexpr size_t kDeviceTokenBytes = 512;
constexpr int64_t kAnyQuota = int64_t{1} << 40;  // the cache is only read

std::string Short(const std::string& fleet) { return fleet.substr(0, 8); }

// The fleet of the cached state; "" when there is none.
std::string CachedFleet(const std::string& state_directory) {
  const std::string directory = state_directory + "/desired";
  if (access(directory.c_str(), F_OK) != 0) return "";
  const StatusOr<std::unique_ptr<LocalCache>> cache = LocalCache::Open(directory, kAnyQuota);
  const std::optional<std::string> saved = cache.ok() ? (*cache)->LoadState() : std::nullopt;
  const StatusOr<Head> head =
      saved ? ParseHead(std::string_view(*saved).substr(0, saved->find('\n'))) : StatusOr<Head>(NotFound(""));
  return head.ok() ? head->fleet : "";
}

// Held while what another fleet left on disk is removed: not under a running mcplet.
StatusOr<UniqueFd> LockState(const std::string& state_directory) {
  const std::string path = state_directory + "/mcplet.pid";
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return ErrnoStatus(errno, path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return FailedPrecondition("mcplet runs here with the state of another fleet; first: systemctl stop mcplet");
  return lock;
}

// The file as it is, "" when there is none, and what it says.
struct Present {
  std::string yaml;
  Config config;
  int mode = 0644;
};
StatusOr<Present> ReadConfiguration(const std::string& path) {
  Present present{.config = DefaultConfig()};
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return present;
    return ErrnoStatus(errno, path);
  }
  present.mode = static_cast<int>(info.st_mode & 07777);
  ASSIGN_OR_RETURN(present.yaml, ReadFile(path, limits::kManifestBytes));
  ASSIGN_OR_RETURN(present.config, ParseConfig(present.yaml, path, nullptr));
  return present;
}

// The settings to go on from.
StatusOr<Present> Settings(const JoinOptions& options) {
  if (options.from.empty()) return ReadConfiguration(options.config_path);
  if (access(options.from.c_str(), F_OK) != 0) return ErrnoStatus(errno, options.from);
  ASSIGN_OR_RETURN(Present settings, ReadConfiguration(options.from));
  settings.mode = 0644;  // that of a mounted file says nothing
  return settings;
}

// Writes `joined` to the configuration's path; what can't be edited there is kept beside it.
Status WriteConfiguration(const JoinOptions& options, const Present& settings, const JoinedConfiguration& joined,
                          std::ostream& err) {
  if (joined.rewritten && options.from.empty()) {
    const std::string before = options.config_path + ".before-join";
    RETURN_IF_ERROR(WriteFileAtomically(before, settings.yaml, settings.mode));
    err << "warning: " << options.config_path << " was written anew, without its comments; as it was: " << before
        << "\n";
  }
  if (const size_t slash = options.config_path.rfind('/'); slash != std::string::npos && slash > 0)
    RETURN_IF_ERROR(MakeDirectories(options.config_path.substr(0, slash), 0755));
  return WriteFileAtomically(options.config_path, joined.yaml, settings.mode);
}

struct Redeemed {
  std::string token, expires, fleet;
};
StatusOr<Redeemed> Redeem(const JoinOptions& options, const JoinToken& token, const Presented& presented) {
  ASSIGN_OR_RETURN(std::unique_ptr<WorkerApi> worker,
                   WorkerApi::Create({.base_url = options.url, .proxy = options.proxy, .ca_file = options.ca_file}));
  StatusOr<WorkerAnswer> answer =
      worker->Send("POST", "/v1/joins/" + token.id + "/redeem", ToJson(presented), Deadline::After(options.timeout));
  if (!answer.ok()) return RefusedJoin(answer.status(), presented.node);
  Redeemed redeemed{.token = GetString(answer->result, "token"),
                    .expires = Printable(GetString(answer->result, "expires"), 40),
                    .fleet = GetString(answer->result, "fleet")};
  if (redeemed.token.empty() || redeemed.token.size() > kDeviceTokenBytes ||
      redeemed.token.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
          std::string::npos)
    return Unavailable("the answer holds no device token: it is not the Worker's");
  if (redeemed.fleet != token.fleet)
    return FailedPrecondition("the Worker there is of another fleet than the join token; is the URL right?");
  return redeemed;
}

std::string WithoutSlash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string Absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return path.empty() || realpath(path.c_str(), resolved) == nullptr ? path : std::string(resolved);
}

}  // namespace

Status MayJoin(const StoreConfig& before, const std::string& cached, const JoinToken& token, const std::string& url) {
  const auto refused = [](const std::string& why) {
    return FailedPrecondition(why + "; --force leaves that for the fleet of the token");
  };
  if (!before.fleet.empty() && before.fleet != token.fleet)
    return refused("this machine is a node of the fleet " + Short(before.fleet) + "…, spec.store.fleet says");
  if (!cached.empty() && cached != token.fleet)
    return refused("this machine runs what the fleet " + Short(cached) + "… asks for");
  if (!before.embedded && before.fleet.empty() && cached.empty() && before.url != url)
    return refused("this machine follows the store at " + before.url);
  if (!before.trust_root.empty() && before.trust_root != token.fingerprint) {
    return refused("this machine follows heads of the trust root " + before.trust_root + ", and the join token names " +
                   (token.fingerprint.empty() ? "none" : token.fingerprint));
  }
  return OkStatus();
}

Json StoreMembers(const StoreConfig& before, const JoinToken& token, const JoinOptions& options,
                  const std::string& token_file) {
  const bool same_store = !before.embedded && before.url == options.url;
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  const auto kept = [&](const std::string& given, const std::string& there) {
    return text(!given.empty() || !same_store ? given : there);
  };
  return {{"type", "Remote"},
          {"url", options.url},
          {"tokenFile", token_file},
          {"trustRoot", text(token.fingerprint)},
          {"fleet", token.fleet},
          {"minimumHead", ToString(token.minimum)},
          {"caFile", kept(options.ca_file, before.ca_file)},
          {"proxy", kept(options.proxy, before.proxy)},
          // The Worker goes by names, not by ids of an account; what is embedded is no more.
          {"account", nullptr},
          {"configNamespace", nullptr},
          {"stateNamespace", nullptr},
          {"address", nullptr},
          {"port", nullptr}};
}

Json JoinedMembers(const StoreConfig& before, const JoinOptions& options) {
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  return {{"type", "Remote"},
          {"url", before.url},
          {"tokenFile", before.token_file},
          {"trustRoot", text(before.trust_root)},
          {"fleet", before.fleet},
          {"minimumHead", ToString(before.minimum_head)},
          {"caFile", text(options.ca_file.empty() ? before.ca_file : options.ca_file)},
          {"proxy", text(options.proxy.empty() ? before.proxy : options.proxy)}};
}

StatusOr<JoinedConfiguration> ConfigurationWith(const std::string& yaml, const std::string& file_name,
                                                const std::string& node, const Json& store_members) {
  const Json name = {{"name", node}};
  const std::vector<std::string> metadata{"metadata"}, store{"spec", "store"};
  JoinedConfiguration joined;
  if (yaml.empty()) {
    const Json document = {{"apiVersion", kApiVersion}, {"kind", "MCPletConfiguration"}};
    joined.yaml = "# The configuration of mcplet on this node; every field is in mcplet.yaml(5).\n" +
                  ObjectToYaml(PatchedMembers(PatchedMembers(document, metadata, name), store, store_members));
  } else {
    StatusOr<std::string> edited = WithMembers(yaml, file_name, metadata, name);
    if (edited.ok()) edited = WithMembers(*edited, file_name, store, store_members);
    if (!edited.ok()) {
      ASSIGN_OR_RETURN(const Json document, ParseYaml(yaml, file_name, nullptr, nullptr));
      edited = ObjectToYaml(PatchedMembers(PatchedMembers(document, metadata, name), store, store_members));
      joined.rewritten = true;
    }
    joined.yaml = *std::move(edited);
  }
  // What it says besides must go with a remote store.
  RETURN_IF_ERROR(ParseConfig(joined.yaml, file_name, nullptr).status());
  return joined;
}

Status RefusedJoin(const Status& refusal, const std::string& node) {
  const std::string again = "; a new one: mcpctl node enroll " + node;
  switch (refusal.code()) {
    case StatusCode::kNotFound:
      return NotFound(
          "the Worker knows no such join token for a node named \"" + node +
          "\": either it was made for another name (--name NAME joins as that), or it is not of this fleet, or was "
          "removed" +
          again);
    case StatusCode::kAlreadyExists:
      return AlreadyExists("another machine has used this join token, with other keys" + again +
                           ". If that was not you: mcpctl node revoke " + node);
    case StatusCode::kFailedPrecondition:
      return FailedPrecondition(Message(refusal) + again);
    case StatusCode::kUnauthenticated:
    case StatusCode::kPermissionDenied:
      return MakeStatus(refusal.code(),
                        "what answers at this URL asks for credentials before it looks at a join token (" +
                            Message(refusal) +
                            "): it is no Worker, or Cloudflare Access in front of it does not let "
                            "/v1/joins/* through");
    default:
      return refusal;
  }
}

Status Join(const JoinOptions& given, const std::string& text, std::ostream& out, std::ostream& err) {
  JoinOptions options = given;
  options.url = WithoutSlash(options.url);
  ASSIGN_OR_RETURN(const http::Endpoint endpoint, ParseStoreUrl(options.url));
  ASSIGN_OR_RETURN(const JoinToken token, ParseJoinToken(text));
  options.ca_file = Absolute(options.ca_file);
  ASSIGN_OR_RETURN(const Present settings, Settings(options));
  ASSIGN_OR_RETURN(const Present present, ReadConfiguration(options.config_path));
  const Config& config = settings.config;
  const StoreConfig& before = present.config.store;
  ASSIGN_OR_RETURN(const std::string node, ParseNodeName(options.name.empty() ? config.node : options.name, "--name"));
  if (!endpoint.tls && endpoint.host != "127.0.0.1" && endpoint.host != "::1" && endpoint.host != "localhost")
    err << "warning: " << options.url << " is not https: whoever sits on the way gets this node's token\n";
  const std::string cached = CachedFleet(config.state_directory);
  if (!options.force) RETURN_IF_ERROR(MayJoin(before, cached, token, options.url));

  // All that can be wrong here is found before the token is used.
  const std::string identity = IdentityDirectory(config.state_directory);
  const std::string token_file = identity + "/" + kDeviceTokenFile;
  const Json members = StoreMembers(before, token, options, token_file);
  ASSIGN_OR_RETURN(const JoinedConfiguration joined,
                   ConfigurationWith(settings.yaml, options.config_path, node, members));
  RETURN_IF_ERROR(MakeDirectories(config.state_directory, 0711));
  UniqueFd lock;
  const bool foreign_state = !cached.empty() && cached != token.fleet;
  if (foreign_state) {
    ASSIGN_OR_RETURN(lock, LockState(config.state_directory));
  }
  ASSIGN_OR_RETURN(const NodeKeys keys,
                   options.new_keys ? NodeKeys::Renew(identity) : NodeKeys::LoadOrCreate(identity));
  Presented presented{.node = node, .keys = keys.Public()};
  presented.mac = JoinMac(token.secret, node, presented.keys);
  // The one that the configuration names is used even when the command line does not say it again.
  if (const std::string file = GetString(members, "caFile"); !file.empty()) options.ca_file = file;
  if (const std::string proxy = GetString(members, "proxy"); !proxy.empty()) options.proxy = proxy;
  ASSIGN_OR_RETURN(const Redeemed redeemed, Redeem(options, token, presented));

  RETURN_IF_ERROR(WriteFileAtomically(token_file, redeemed.token + "\n", 0600));
  // mcplet would refuse to start with it.
  if (foreign_state) RETURN_IF_ERROR(RemoveTree(config.state_directory + "/desired"));
  RETURN_IF_ERROR(WriteConfiguration(options, settings, joined, err));
  out << "node " << node << " joined the fleet " << Short(token.fleet) << "… at " << options.url << "; its token is in "
      << token_file << (redeemed.expires.empty() ? "" : ", good until " + redeemed.expires) << "\n"
      << "now, here: systemctl restart mcplet\n"
      << "and, where the node was enrolled, so that it is given secrets: mcpctl node accept " << node
      << " (enroll --wait does it by itself)\n";
  return OkStatus();
}

StatusOr<bool> WriteJoinedAgain(const JoinOptions& given, std::ostream& out, std::ostream& err) {
  JoinOptions options = given;
  options.ca_file = Absolute(options.ca_file);
  ASSIGN_OR_RETURN(const Present present, ReadConfiguration(options.config_path));
  const StoreConfig& before = present.config.store;
  ASSIGN_OR_RETURN(const Present settings, Settings(options));
  const std::string node = options.name.empty() ? settings.config.node : options.name;
  if (before.embedded || before.fleet.empty() || before.url != WithoutSlash(options.url) ||
      present.config.node != node || access(before.token_file.c_str(), R_OK) != 0)
    return false;
  ASSIGN_OR_RETURN(const JoinedConfiguration joined,
                   ConfigurationWith(settings.yaml, options.config_path, node, JoinedMembers(before, options)));
  RETURN_IF_ERROR(WriteConfiguration(options, settings, joined, err));
  out << "node " << node << " has joined the fleet " << Short(before.fleet) << "… at " << before.url << " before\n";
  return true;
}

}  // namespace mcpfleet
