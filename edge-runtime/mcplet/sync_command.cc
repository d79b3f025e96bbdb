#include "edge-runtime/mcplet/sync_command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include <CLI/CLI.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/http/server.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "crd/labels.h"
#include "edge-runtime/gitsync/ssh_words.h"
#include "edge-runtime/gitsync/synchronizer.h"
#include "edge-runtime/telemetry/sync_series.h"
#include "store/worker_api.h"

namespace mcpfleet {
namespace {

using gitsync::SyncOutcome;

constexpr Duration kShortestInterval = std::chrono::seconds(5);
constexpr size_t kSecretBytes = 4096;

struct Arguments {
  std::string git, branch = "main", path = ".", interval = "1m", timeout = "2m", name = "fleet";
  std::string allowed_signers, gpg_home, accept, max_prune;
  std::string git_token_file, ssh_key, known_hosts;
  std::string store, store_token_file, state_directory, metrics;
  std::string trust_root;
  std::vector<std::string> head_keys;
  bool allow_unsigned = false, force = false, once = false;
};

// A file that holds a secret, and that nobody else may read.
StatusOr<std::string> ReadSecret(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  // systemd gives a credential to a unit's user by an access control list, which shows as the group's bits.
  const char* credentials = getenv("CREDENTIALS_DIRECTORY");
  const bool credential = credentials != nullptr && path.starts_with(std::string(credentials) + "/");
  if ((info.st_mode & (credential ? 007 : 077)) != 0)
    return PermissionDenied(path + ": holds a secret that others may read; run: chmod 600 " + path);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kSecretBytes));
  const std::string secret(Trim(text));
  if (secret.empty()) return InvalidArgument(path + ": is empty");
  return secret;
}

// git runs with another working directory.
StatusOr<std::string> Absolute(const std::string& path, const char* option) {
  if (path.empty()) return path;
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return ErrnoStatus(errno, std::string(option) + " " + path);
  return std::string(resolved);
}

StatusOr<gitsync::Verification> VerificationOf(const Arguments& arguments) {
  const int said = static_cast<int>(!arguments.allowed_signers.empty()) +
                   static_cast<int>(!arguments.gpg_home.empty()) + static_cast<int>(arguments.allow_unsigned);
  if (said != 1) {
    return InvalidArgument(
        "say who may sign commits, in one way: --allowed-signers FILE (ssh), --gpg-home DIRECTORY, or "
        "--allow-unsigned, with which whoever can write to the repository decides what runs");
  }
  gitsync::Verification verify{.none = arguments.allow_unsigned};
  ASSIGN_OR_RETURN(verify.allowed_signers, Absolute(arguments.allowed_signers, "--allowed-signers"));
  ASSIGN_OR_RETURN(verify.gpg_home, Absolute(arguments.gpg_home, "--gpg-home"));
  return verify;
}

// What git gets by its environment, which no other user can read.
StatusOr<std::vector<std::string>> GitEnvironment(const Arguments& arguments, const gitsync::GitUrl& url,
                                                  const gitsync::Verification& verify) {
  std::vector<std::string> env;
  if (!verify.gpg_home.empty()) env.push_back("GNUPGHOME=" + verify.gpg_home);
  if (!arguments.git_token_file.empty()) {
    if (url.protocol != "https" && url.protocol != "http")
      return InvalidArgument("--git-token-file is for https; ssh has --ssh-key");
    ASSIGN_OR_RETURN(const std::string token, ReadSecret(arguments.git_token_file));
    // A token alone, or USER:TOKEN; GitHub, GitLab and Gitea take any user.
    const std::string pair = token.find(':') == std::string::npos ? "x-access-token:" + token : token;
    env.insert(env.end(), {"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + url.url + ".extraHeader",
                           "GIT_CONFIG_VALUE_0=Authorization: Basic " + Base64Encode(pair)});
  }
  if (url.protocol == "ssh") {
    if (arguments.known_hosts.empty())
      return InvalidArgument(
          "--known-hosts is missing: a file with the host's key (ssh-keyscan HOST, then compare it)");
    gitsync::SshFiles files;
    ASSIGN_OR_RETURN(files.known_hosts, Absolute(arguments.known_hosts, "--known-hosts"));
    ASSIGN_OR_RETURN(files.key, Absolute(arguments.ssh_key, "--ssh-key"));
    ASSIGN_OR_RETURN(const std::string self, Absolute("/proc/self/exe", "mcplet"));
    const std::vector<std::string> ssh = gitsync::SshEnvironment(self, files);
    env.insert(env.end(), ssh.begin(), ssh.end());
  } else if (!arguments.ssh_key.empty() || !arguments.known_hosts.empty()) {
    return InvalidArgument("--ssh-key and --known-hosts are for ssh; this URL is " + url.protocol);
  }
  return env;
}

// The store with an operator's rights: a node's token may not change what is desired.
struct Store {
  std::unique_ptr<KvClient> config, state;
  std::unique_ptr<WorkerApi> worker;  // null: the store is Cloudflare's own API
};

StatusOr<Store> OpenStore(const Arguments& arguments, const Config& config) {
  RestOptions options{.base_url = arguments.store, .proxy = config.store.proxy, .ca_file = config.store.ca_file};
  std::string token_file = arguments.store_token_file;
  if (options.base_url.empty()) {
    const bool everywhere = config.store.address == "0.0.0.0" || config.store.address == "::";
    const std::string host = everywhere ? "127.0.0.1" : config.store.address;
    options.base_url = !config.store.embedded
                           ? config.store.url
                           : "http://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
                                 std::to_string(config.store.port);
    if (token_file.empty() && config.store.embedded) token_file = config.StoreDirectory() + "/operator-token";
  }
  if (token_file.empty())
    return InvalidArgument(
        "--store-token-file is missing: a file with an operator's token; a node's own may not change what is desired");
  ASSIGN_OR_RETURN(options.token, ReadSecret(token_file));
  const bool cloudflare = arguments.store.empty() && config.store.cloudflare;
  const std::string account = cloudflare ? config.store.account : "local";
  Store store;
  ASSIGN_OR_RETURN(store.config,
                   NewRestKvClient(options, {.id = cloudflare ? config.store.config_namespace : kConfigNamespace,
                                             .account = account}));
  ASSIGN_OR_RETURN(store.state,
                   NewRestKvClient(options, {.id = cloudflare ? config.store.state_namespace : kServerStateNamespace,
                                             .account = account}));
  if (!cloudflare) {
    ASSIGN_OR_RETURN(store.worker, WorkerApi::Create(options));
  }
  return store;
}

Status AskDown(WorkerApi* worker, Deadline deadline) {
  if (worker == nullptr)
    return FailedPrecondition("the store is Cloudflare's own API, without a Worker in front of it");
  return worker->Get("/v1/down", deadline).status();
}

// As `mcpctl keys` makes them; read each time, so that they can be replaced.
StatusOr<std::vector<SigningKey>> ReadHeadKeys(const std::vector<std::string>& files) {
  std::vector<SigningKey> keys;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string seed, ReadSecret(file));
    StatusOr<SigningKey> key = SigningKey::FromSeed(seed);
    if (!key.ok()) return Annotate(key.status(), file);
    keys.push_back(*std::move(key));
  }
  return keys;
}

// Nobody looks on when this signs: it builds only on heads that it has verified from the trust root on, none of them
// older than the last, which it keeps in its directory.
StatusOr<HeadSigner> SignerOf(const Arguments& arguments, const Config& config, const std::string& directory,
                              const Clock& clock) {
  const std::string root = arguments.trust_root.empty() ? config.store.trust_root : arguments.trust_root;
  if (!root.empty() && !IsSha256Hex(root))
    return InvalidArgument("--trust-root: 64 hex digits are expected, as `mcpctl trust init` prints them");
  HeadVerifier verifier(
      root, RememberTrustIn(directory + "/head.json", root), clock,
      "`mcpctl trust init` printed its fingerprint: --trust-root FINGERPRINT, or spec.store.trustRoot "
      "in this machine's mcplet.yaml");
  return HeadSigner(std::move(verifier), [files = arguments.head_keys] { return ReadHeadKeys(files); });
}

// One process at a time works in a directory.
StatusOr<UniqueFd> LockDirectory(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  UniqueFd lock(open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return ErrnoStatus(errno, directory + "/lock");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return FailedPrecondition(directory + ": another mcplet sync of this name works here");
  return lock;
}

StatusOr<std::unique_ptr<http::Server>> ServeMetrics(const std::string& address, const SyncSeries& series) {
  if (address.empty()) return std::unique_ptr<http::Server>();
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  if (port < 0 || port > 65535) return InvalidArgument("--metrics " + address + ": allowed: HOST:PORT");
  http::Server::Options options{.address = address.substr(0, colon), .port = static_cast<uint16_t>(port)};
  return http::Server::Create(options, [&series](http::Request& request, const std::shared_ptr<http::Responder>& to) {
    if (request.method != "GET") return to->Send(http::TextResponse(405, "GET only\n"));
    if (request.Path() == "/healthz") return to->Send(http::TextResponse(200, "ok\n"));
    if (request.Path() != "/metrics") return to->Send(http::TextResponse(404, "/metrics and /healthz\n"));
    http::Response response = http::TextResponse(200, series.Serialize());
    response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    to->Send(std::move(response));
  });
}

std::vector<std::string> Results() {
  std::vector<std::string> results;
  for (const SyncOutcome outcome : gitsync::kSyncOutcomes) results.push_back(ToString(outcome));
  return results;
}

// Steps until the process is ended, or one with --once; whether the last was good.
bool Follow(gitsync::Synchronizer* sync, SyncSeries* series, Duration interval, Duration timeout, bool once,
            const Clock& clock) {
  std::string said;
  for (;;) {
    const MonoTime begin = clock.Now();
    const SyncOutcome outcome = sync->Step(Deadline::After(timeout));
    const bool good = IsGood(outcome);
    series->Ran(ToString(outcome), good, clock.Now() - begin, clock.Wall());
    series->Objects(sync->status().objects);
    const std::string now = ToString(outcome) + " " + sync->message();
    if (good && (outcome == SyncOutcome::kApplied || now != said)) {
      LOG_INFO("the store is as the branch says", {{"result", ToString(outcome)}, {"message", sync->message()}});
    } else if (!good && now != said) {
      LOG_WARNING("the store stays as it was", {{"result", ToString(outcome)}, {"message", sync->message()}});
    }
    said = now;
    if (once) return good;
    poll(nullptr, 0, Deadline::After(interval).PollMillis());
  }
}

StatusOr<bool> RunSync(const Arguments& arguments, const Config& config) {
  ASSIGN_OR_RETURN(const gitsync::GitUrl url, gitsync::ParseGitUrl(arguments.git));
  if (const std::string wrong = CheckName(arguments.name); !wrong.empty())
    return InvalidArgument("--applyset \"" + Printable(arguments.name, 80) + "\": " + wrong);
  if (const std::string wrong = gitsync::CheckBranch(arguments.branch); !wrong.empty())
    return InvalidArgument("--branch \"" + Printable(arguments.branch, 80) + "\": " + wrong);
  if (const std::string wrong = gitsync::CheckTreePath(arguments.path); !wrong.empty())
    return InvalidArgument("--path \"" + Printable(arguments.path, 80) + "\": " + wrong);
  if (!arguments.accept.empty() && !gitsync::IsCommitId(arguments.accept))
    return InvalidArgument("--accept wants a whole commit id, 40 or 64 hex digits");
  ASSIGN_OR_RETURN(const Duration interval, ParseDuration(arguments.interval));
  ASSIGN_OR_RETURN(const Duration timeout, ParseDuration(arguments.timeout));
  if (interval < kShortestInterval) return InvalidArgument("--interval: allowed: 5s or more");
  if (timeout < std::chrono::seconds(1)) return InvalidArgument("--timeout: allowed: 1s or more");
  gitsync::SyncOptions options{.name = arguments.name,
                               .shown_url = url.shown,
                               .branch = arguments.branch,
                               .path = arguments.path,
                               .interval = interval,
                               .limit = {.force = arguments.force},
                               .accept = arguments.accept,
                               .version = Version()};
  if (!arguments.max_prune.empty()) {
    StatusOr<int> percent = ParsePercent(arguments.max_prune);
    if (!percent.ok()) return Annotate(percent.status(), "--max-prune");
    options.limit.most_percent = *percent;
  }
  ASSIGN_OR_RETURN(const gitsync::Verification verify, VerificationOf(arguments));
  ASSIGN_OR_RETURN(std::vector<std::string> env, GitEnvironment(arguments, url, verify));
  ASSIGN_OR_RETURN(const Store store, OpenStore(arguments, config));
  const std::string state = arguments.state_directory.empty() ? config.state_directory : arguments.state_directory;
  RETURN_IF_ERROR(MakeDirectories(state, 0755));
  std::error_code error;
  options.directory = std::filesystem::absolute(state, error).string() + "/sync/" + arguments.name;
  ASSIGN_OR_RETURN(const UniqueFd lock, LockDirectory(options.directory));
  SystemClock clock;
  ASSIGN_OR_RETURN(HeadSigner signer, SignerOf(arguments, config, options.directory, clock));
  ASSIGN_OR_RETURN(
      gitsync::GitProgram git,
      gitsync::GitProgram::Create({.directory = options.directory, .protocols = url.protocol, .env = std::move(env)}));
  SyncSeries series(Results());
  ASSIGN_OR_RETURN(const std::unique_ptr<http::Server> metrics, ServeMetrics(arguments.metrics, series));
  gitsync::Synchronizer sync(options, gitsync::Repository(std::move(git), url, arguments.branch, verify),
                             {*store.config, *store.state, std::move(signer),
                              [worker = store.worker.get()](Deadline deadline) { return AskDown(worker, deadline); }},
                             clock);
  // The store may be a node that starts at the same time.
  for (;;) {
    const Status recalled = sync.Recall(Deadline::After(timeout));
    if (recalled.ok()) break;
    if (arguments.once || !IsRetryable(recalled)) return recalled;
    LOG_WARNING("not begun yet", {{"error", recalled}});
    poll(nullptr, 0, Deadline::After(interval).PollMillis());
  }
  if (metrics != nullptr) LOG_INFO("metrics are served", {{"port", metrics->port()}});
  LOG_INFO("mcplet sync runs", {{"version", Version()}, {"url", url.shown}, {"branch", arguments.branch}});
  const bool good = Follow(&sync, &series, interval, timeout, arguments.once, clock);
  if (arguments.once) std::cout << sync.message() << "\n";
  return good;
}

void AddOptions(CLI::App& sync, Arguments* a) {
  sync.add_option("--git", a->git, "URL of the repository: https, ssh, file, or a path of this machine")->required();
  sync.add_option("--branch", a->branch, "the branch to follow; main without it");
  sync.add_option("--path", a->path, "the folder in it: one with a kustomization.yaml, or plain manifests");
  sync.add_option("--interval", a->interval, "how often to look; 1m without it");
  sync.add_option("--applyset", a->name, "the set that owns the objects, and the name of this sync; fleet without it");
  sync.add_option("--allowed-signers", a->allowed_signers, "who may sign commits by ssh: a file as of ssh-keygen(1)");
  sync.add_option("--gpg-home", a->gpg_home,
                  "who may sign commits by GnuPG: a directory with their keys and no others");
  sync.add_flag("--allow-unsigned", a->allow_unsigned, "whoever can write to the repository decides what runs");
  sync.add_option("--accept", a->accept, "a commit that need not follow the last applied one, after a force-push");
  sync.add_option("--max-prune", a->max_prune, "the share of its objects that a commit may delete, in percent; 50");
  sync.add_flag("--force", a->force, "delete however much it is; with --once, or it holds for every commit to come");
  sync.add_option("--git-token-file", a->git_token_file, "for https: a file with a token, or USER:TOKEN; mode 0600");
  sync.add_option("--ssh-key", a->ssh_key, "for ssh: a private key without a passphrase");
  sync.add_option("--known-hosts", a->known_hosts, "for ssh: the only host keys that are believed");
  sync.add_option("--store", a->store, "URL of the store; without it, that of the configuration");
  sync.add_option("--store-token-file", a->store_token_file,
                  "an operator's token, mode 0600; without it, that of this node's embedded store");
  sync.add_option("--head-key", a->head_keys,
                  "in a signed fleet: a head key, as `mcpctl keys create` makes it; repeatable")
      ->allow_extra_args(false);
  sync.add_option("--trust-root", a->trust_root,
                  "in a signed fleet: the fingerprint of its trust root; without it, spec.store.trustRoot");
  sync.add_option("--state-directory", a->state_directory, "where it keeps its repository; without it, mcplet's");
  sync.add_option("--metrics", a->metrics, "serve /metrics and /healthz at HOST:PORT");
  sync.add_option("--timeout", a->timeout, "of one look with what follows from it; 2m without it");
  sync.add_flag("--once", a->once, "look once and end; exit code 0: the store is as the branch says");
}

}  // namespace

void AddSync(CLI::App& app, std::function<StatusOr<Config>()> configuration, int* code) {
  auto arguments = std::make_shared<Arguments>();
  auto* sync = app.add_subcommand("sync", "Keep the store as a branch of a Git repository says");
  sync->fallthrough();
  sync->footer(
      "Only commits that are signed by somebody who may are applied, and only those that follow the last one. What is "
      "in\n"
      "the folder is rendered, validated and applied as one apply set, as `mcpctl apply -k PATH --applyset NAME "
      "--prune`\n"
      "does; whatever is wrong with a commit, the last good one stays in force. `mcpctl syncs` shows how it goes.\n\n"
      "Examples:\n"
      "  mcplet sync --git https://git.example.com/fleet.git --path sites/berlin --allowed-signers "
      "/etc/mcpfleet/allowed-signers\n"
      "  mcplet sync --git git@git.example.com:fleet.git --ssh-key /etc/mcpfleet/deploy-key --known-hosts "
      "/etc/mcpfleet/known-hosts \\\n    --gpg-home /etc/mcpfleet/gnupg --interval 5m --metrics 127.0.0.1:8703\n"
      "  mcplet sync --git /srv/fleet.git --allow-unsigned --once --store http://127.0.0.1:8702 --store-token-file "
      "token");
  AddOptions(*sync, arguments.get());
  sync->callback([arguments, configuration = std::move(configuration), code] {
    *code = 1;
    StatusOr<Config> config = configuration();
    if (!config.ok()) return;
    SetLogLevel(config->log_level);
    SetLogFormat(config->log_format);
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    InitRestThreads();
    const StatusOr<bool> good = RunSync(*arguments, *config);
    if (!good.ok()) std::cerr << "error: " << Message(good.status()) << "\n";
    if (good.ok() && *good) *code = 0;
  });
}

}  // namespace mcpfleet
