#include "cli/resource.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "crd/schema.h"

namespace mcpfleet::cli {

void AddResourceOptions(CLI::App& command, ResourceOptions* options, bool many) {
  command.add_option("resource", options->arguments, "KIND [NAME…] or KIND/NAME…");
  command.add_option("-l,--selector", options->selector, "label selector: a=b,c!=d,e in (x,y),!f");
  if (many) command.add_flag("-A,--all-namespaces", options->all_namespaces, "objects of every namespace");
}

void AddAllOption(CLI::App& command, ResourceOptions* options) {
  command.add_flag("--all", options->all, "every object of the kind in the namespace");
}

bool Selection::Matches(const Object& object) const {
  if (object.kind != kind) return false;
  if (!namespace_.empty() && object.metadata.namespace_ != namespace_) return false;
  if (!names.empty() && std::find(names.begin(), names.end(), object.metadata.name) == names.end()) return false;
  return selector.Matches(object.metadata.labels);
}

namespace {

StatusOr<const KindSchema*> FindKind(std::string_view word) {
  const KindSchema* kind = Schema::Builtin().Find(word);
  if (kind != nullptr) return kind;
  // Here no other nodes could be meant.
  if (EqualsIgnoreCase(word, "node") || EqualsIgnoreCase(word, "nodes")) return Schema::Builtin().Find(kKindNode);
  // Nor other secrets.
  if (EqualsIgnoreCase(word, "secret") || EqualsIgnoreCase(word, "secrets")) return Schema::Builtin().Find(kKindSecret);
  if (word.find(',') != std::string_view::npos)
    return InvalidArgument("one kind at a time, not " + Printable(word, 60));
  if (EqualsIgnoreCase(word, "events") || EqualsIgnoreCase(word, "event"))
    return InvalidArgument("events have a verb of their own: mcpctl events");
  std::vector<std::string> known, all;
  for (const auto& k : Schema::Builtin().kinds()) {
    known.push_back(k->plural);
    all.push_back(k->plural);
    all.push_back(k->singular);
    all.insert(all.end(), k->short_names.begin(), k->short_names.end());
  }
  std::string near = Nearest(word, all);
  return InvalidArgument("there is no kind \"" + Printable(word, 60) + "\"" +
                         (near.empty() ? "" : ", did you mean \"" + near + "\"?") + "; kinds: " + Join(known, ", "));
}

// "mcp/weather" -> kind and name; false when there is no slash.
bool SplitSlash(std::string_view argument, std::string* kind, std::string* name) {
  size_t slash = argument.find('/');
  if (slash == std::string_view::npos) return false;
  *kind = argument.substr(0, slash);
  *name = argument.substr(slash + 1);
  return true;
}

}  // namespace

StatusOr<Selection> Select(Session& session, const ResourceOptions& options, std::string_view only_kind) {
  Selection selection;
  const KindSchema* kind = only_kind.empty() ? nullptr : Schema::Builtin().Find(only_kind);
  for (const std::string& argument : options.arguments) {
    std::string kind_word, name;
    if (SplitSlash(argument, &kind_word, &name)) {
      ASSIGN_OR_RETURN(const KindSchema* found, FindKind(kind_word));
      if (kind != nullptr && kind != found) {
        return InvalidArgument("only one kind at a time: " + argument + " is a " + found->kind + ", not a " +
                               kind->kind);
      }
      kind = found;
      if (name.empty()) return InvalidArgument("\"" + argument + "\" has no name behind the slash");
    } else if (kind == nullptr) {
      ASSIGN_OR_RETURN(kind, FindKind(argument));
      continue;
    } else {
      name = argument;
      // `mcpctl logs mcp weather`: the kind may be said even where there is only one.
      if (!only_kind.empty() && selection.names.empty() && Schema::Builtin().Find(name) == kind &&
          (options.arguments.size() > 1 || options.all || !options.selector.empty()))
        continue;
    }
    if (std::find(selection.names.begin(), selection.names.end(), name) == selection.names.end())
      selection.names.push_back(name);
  }
  if (kind == nullptr)
    return InvalidArgument(
        "say what: KIND [NAME…], for example mcpservers, mcp/weather or mcpnodes; all kinds: mcpctl api-resources");
  selection.kind = kind->kind;
  if (!selection.names.empty() && (!options.selector.empty() || options.all)) {
    return InvalidArgument(std::string("names and ") + (options.all ? "--all" : "--selector") + " exclude each other");
  }
  ASSIGN_OR_RETURN(selection.selector, LabelSelector::Parse(options.selector));
  if (kind->namespaced && !options.all_namespaces) {
    ASSIGN_OR_RETURN(selection.namespace_, session.Namespace());
  }
  return selection;
}

Status CheckDeliberate(const Selection& selection, const ResourceOptions& options) {
  if (!selection.names.empty() && options.all_namespaces)
    return InvalidArgument("names and --all-namespaces exclude each other: one name may be in several");
  if (!selection.names.empty() || !selection.selector.empty() || options.all) return OkStatus();
  return InvalidArgument("say which: names, --selector, or --all for every one");
}

std::string Described(const ObjectKey& key) { return ToLower(key.kind) + ".mcpfleet.dev/" + key.name; }

std::string NameOf(const ObjectKey& key) { return key.namespace_.empty() ? key.name : key.namespace_ + "/" + key.name; }

}  // namespace mcpfleet::cli
