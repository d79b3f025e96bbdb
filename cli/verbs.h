// Every verb of mcpctl; one file each, cli/<verb>.cc (small relatives share one). main calls them in this order, which
// is the order of `mcpctl --help`.
#pragma once

#include "cli/session.h"

namespace mcpfleet::cli {

// Changing what is desired.
void RegisterApply(CLI::App& root, Session& session);
void RegisterDiff(CLI::App& root, Session& session);
void RegisterDelete(CLI::App& root, Session& session);
void RegisterEdit(CLI::App& root, Session& session);
void RegisterLabel(CLI::App& root, Session& session);      // label, annotate
void RegisterSuspend(CLI::App& root, Session& session);    // suspend, resume
void RegisterRollout(CLI::App& root, Session& session);    // status, history, undo, restart
void RegisterProposals(CLI::App& root, Session& session);  // list, show, sign, reject
void RegisterCordon(CLI::App& root, Session& session);     // cordon, uncordon, drain
// Looking.
void RegisterGet(CLI::App& root, Session& session);
void RegisterDescribe(CLI::App& root, Session& session);
void RegisterWait(CLI::App& root, Session& session);
void RegisterEvents(CLI::App& root, Session& session);
void RegisterLogs(CLI::App& root, Session& session);
void RegisterTop(CLI::App& root, Session& session);
void RegisterAlerts(CLI::App& root, Session& session);
void RegisterUptime(CLI::App& root, Session& session);
void RegisterSyncs(CLI::App& root, Session& session);
void RegisterDashboard(CLI::App& root, Session& session);
// Using servers.
void RegisterTools(CLI::App& root, Session& session);      // list, call, lock, diff
void RegisterResources(CLI::App& root, Session& session);  // list, templates, read
void RegisterPrompts(CLI::App& root, Session& session);    // list, get
void RegisterInspect(CLI::App& root, Session& session);
void RegisterConnect(CLI::App& root, Session& session);
void RegisterProxy(CLI::App& root, Session& session);
// Manifests.
void RegisterCreate(CLI::App& root, Session& session);  // mcpserver, token, secret
void RegisterConvert(CLI::App& root, Session& session);
void RegisterRegistry(CLI::App& root, Session& session);  // search, show, install
void RegisterSecrets(CLI::App& root, Session& session);   // rewrap
void RegisterValidate(CLI::App& root, Session& session);
void RegisterRender(CLI::App& root, Session& session);
void RegisterExplain(CLI::App& root, Session& session);
void RegisterApiResources(CLI::App& root, Session& session);
// Nodes, the store, and mcpctl itself.
void RegisterNode(CLI::App& root, Session& session);   // enroll, list, accept, revoke, rotate, delete
void RegisterStore(CLI::App& root, Session& session);  // gc, store backup|restore|history
void RegisterKeys(CLI::App& root, Session& session);   // create, list
void RegisterTrust(CLI::App& root, Session& session);  // init, rotate, sign, publish, show; head renew
void RegisterConfig(CLI::App& root, Session& session);
void RegisterSupportBundle(CLI::App& root, Session& session);
void RegisterCompletion(CLI::App& root, Session& session);
void RegisterVersion(CLI::App& root, Session& session);
// `mcpctl __complete -- WORD…`: what may stand where the last word is. Not a verb of CLI11's, which would read the
// words.
void Complete(const CLI::App& root, Session& session, std::vector<std::string> words);

}  // namespace mcpfleet::cli
