// `mcpctl connect`: how a client gets to a server's endpoint, printed or put into the client's own file.
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/client_config.h"
#include "cli/gateway.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kFileBytes = size_t{4} << 20;
constexpr char kBackup[] = ".mcpctl-backup";

struct ConnectOptions {
  std::string server, client = "raw", name, file;
  bool write = false, overwrite = false;
  GatewayOptions gateway;
};

std::string Absolute(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) == nullptr ? path : resolved;
}

StatusOr<std::string> OwnPath() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0 || n == sizeof path) return Internal("/proc/self/exe can't be read");
  return std::string(path, static_cast<size_t>(n));
}

// spec.auth.type as applied, "" where it isn't known: then a given token decides.
std::string AuthTypeOf(Session& session, const ServerEndpoint& endpoint, Deadline deadline) {
  if (endpoint.is_url) return "";
  StatusOr<KvClient*> kv = session.Config();
  StatusOr<StoredState> state = kv.ok() ? ReadState(**kv, deadline) : StatusOr<StoredState>(kv.status());
  if (!state.ok()) return "";
  auto found = state->objects.find({kKindServer, endpoint.namespace_, endpoint.name});
  return found == state->objects.end() ? "" : GetString(GetMember(found->second.spec, "auth"), "type", "None");
}

Status CheckEntryName(const std::string& name) {
  const bool fits =
      !name.empty() && name.size() <= 64 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string::npos;
  if (fits) return OkStatus();
  return InvalidArgument("--name " + Printable(name, 80) + ": allowed are 1 to 64 letters, digits, _ and -");
}

// What the file was: its text, mode and owner; of an absent one the text "" and what a new one shall have.
struct Existing {
  bool exists = false;
  std::string content;
  struct stat info = {};
};

StatusOr<Existing> ReadExisting(const std::string& path) {
  Existing existing;
  if (stat(path.c_str(), &existing.info) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, path);
    existing.info.st_mode = 0644;
    return existing;
  }
  existing.exists = true;
  ASSIGN_OR_RETURN(existing.content, ReadFile(path, kFileBytes));
  return existing;
}

Status WriteConfig(Session& session, const ConnectOptions& options, ClientKind client, const ClientEntry& entry,
                   const Json& value) {
  std::string path = options.file;
  if (path.empty()) {
    ASSIGN_OR_RETURN(path, DefaultPath(client));
  }
  path = Absolute(path);  // a link stays a link: what it points to is replaced
  ASSIGN_OR_RETURN(Existing existing, ReadExisting(path));
  StatusOr<std::string> merged = Merge(client, entry, value, existing.content, options.overwrite);
  if (!merged.ok()) return Annotate(merged.status(), path);
  if (existing.exists && *merged == existing.content) {
    session.out() << path << " unchanged\n";
    return OkStatus();
  }
  if (const size_t slash = path.rfind('/'); slash != std::string::npos && slash != 0 && !existing.exists) {
    RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash)));
  }
  const int mode = static_cast<int>(existing.info.st_mode & 07777);
  if (existing.exists) RETURN_IF_ERROR(WriteFileAtomically(path + kBackup, existing.content, mode));
  RETURN_IF_ERROR(WriteFileAtomically(path, *merged, mode));
  // Root writing a user's file: it stays the user's.
  if (existing.exists && geteuid() == 0) {
    for (const std::string& file : {path, path + kBackup}) {
      if (chown(file.c_str(), existing.info.st_uid, existing.info.st_gid) != 0) return ErrnoStatus(errno, file);
    }
  }
  session.out() << path << (existing.exists ? " configured\n" : " created\n");
  if (existing.exists) session.err() << "What it was is in " << path << kBackup << ".\n";
  return OkStatus();
}

// What is left to do for the person.
void Advise(Session& session, const ConnectOptions& options, ClientKind client, const ClientEntry& entry,
            const std::string& auth) {
  std::ostream& err = session.err();
  if (client == ClientKind::kRaw) return;
  if (!options.write) {
    StatusOr<std::string> path = DefaultPath(client);
    err << "This belongs into " << path.value_or("the client's file") << "; --write puts it there.\n";
  }
  if (auth == "CloudflareAccess")
    err << "The server is behind Cloudflare Access: its clients must come through that.\n";
  if (!entry.ca_file.empty() && client != ClientKind::kClaude)
    err << "Start " << TitleOf(client) << " with NODE_EXTRA_CA_CERTS=" << entry.ca_file << " in its environment.\n";
  if (!entry.wants_token || client == ClientKind::kClaude) return;
  if (client == ClientKind::kVsCode)
    err << "VS Code asks for the token at the first start and keeps it.\n";
  else
    err << "Start " << TitleOf(client) << " with MCPCTL_TOKEN in its environment.\n";
}

Status RunConnect(Session& session, const ConnectOptions& options) {
  ASSIGN_OR_RETURN(ClientKind client, ClientFromString(options.client));
  if (!options.write && (options.overwrite || !options.file.empty()))
    return InvalidArgument("--file and --overwrite say how to write: they need --write");
  if (options.write && client == ClientKind::kRaw) return DefaultPath(client).status();
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(ServerEndpoint endpoint, FindEndpoint(session, options.server, deadline));
  ASSIGN_OR_RETURN(std::string token, ReadToken(options.gateway));  // only to know that there is one
  const std::string auth = AuthTypeOf(session, endpoint, deadline);
  ClientEntry entry{.name = options.name.empty() ? endpoint.name : options.name,
                    .url = endpoint.url,
                    .wants_token = auth == "Bearer" || auth == "JWT" || (auth.empty() && !token.empty()),
                    .mcpctl = {},
                    .token_file = {},
                    .ca_file = {}};
  RETURN_IF_ERROR(CheckEntryName(entry.name));
  ASSIGN_OR_RETURN(entry.mcpctl, OwnPath());
  if (!options.gateway.token_file.empty()) entry.token_file = Absolute(options.gateway.token_file);
  const std::string ca_file = CaFileOf(options.gateway);
  if (!ca_file.empty() && entry.url.starts_with("https://")) entry.ca_file = Absolute(ca_file);
  ASSIGN_OR_RETURN(Json value, EntryFor(client, entry));
  if (!endpoint.local) {
    session.err() << "warning: " << endpoint.url << " is on the loopback of node " << endpoint.node
                  << ": only clients there reach it\n";
  }
  if (options.write) {
    RETURN_IF_ERROR(WriteConfig(session, options, client, entry, value));
  } else {
    session.out() << NewFile(client, entry, value);
  }
  Advise(session, options, client, entry, auth);
  return OkStatus();
}

}  // namespace

void RegisterConnect(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("connect", "The configuration with which a client uses a server");
  auto options = std::make_shared<ConnectOptions>();
  command->footer(
      "--write changes only the entry of this server in the client's file and keeps the file before it beside it.\n"
      "The token of a protected server is never written: the configuration says where the client finds it.\n\n"
      "Examples:\n  mcpctl connect everything\n  mcpctl connect everything --client claude-code --write\n"
      "  mcpctl connect weather --client cursor --name my-weather\n"
      "  mcpctl connect weather --client claude --token-file ~/.config/weather.token --write");
  command->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  command->add_option("--client", options->client,
                      "claude (Desktop), claude-code, cursor, vscode or raw: the entry alone");
  command->add_flag("--write", options->write, "put it into the client's file");
  command->add_option("--file", options->file, "that file, where it is not at its usual place");
  command->add_option("--name", options->name, "of the entry; the server's by default");
  command->add_flag("--overwrite", options->overwrite, "also over an entry of that name that is another server's");
  AddEndpointOptions(*command, &options->gateway);
  command->callback([options, &session] { session.Finish(RunConnect(session, *options)); });
}

}  // namespace mcpfleet::cli
