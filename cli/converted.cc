#include "cli/converted.h"

#include <algorithm>
#include <ostream>

#include "base/strings.h"
#include "cli/convert/package_name.h"
#include "cli/registry/package_versions.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kMostShown = 500;  // of a path or text, which contain names of theirs

void PrintEach(std::ostream& err, const char* word, const std::string& file,
               const std::vector<convert::Remark>& remarks) {
  for (const convert::Remark& remark : remarks) {
    err << word << ": " << file << ": " << Printable(remark.path, kMostShown) << ": "
        << Printable(remark.text, kMostShown) << "\n";
  }
}

}  // namespace

void PrintSecrets(Session& session, const convert::Conversion& conversion, const std::string& space) {
  if (conversion.secrets.empty()) return;
  std::ostream& err = session.err();
  err << "secrets to make before the servers are applied (values are not shown here):\n";
  for (const convert::SecretNeed& need : conversion.secrets) {
    err << "  mcpctl create secret " << need.name;
    const std::string where = need.namespace_.empty() ? space : need.namespace_;
    if (!where.empty()) err << " -n " << where;
    // One value is read from stdin, more from a file each.
    for (const convert::SecretValue& value : need.values)
      err << " --from-file " << value.key << "=" << (need.values.size() == 1 ? "-" : value.key + ".txt");
    err << "\n";
    for (const convert::SecretValue& value : need.values) {
      err << "    " << value.key << ": " << Printable(value.path, kMostShown)
          << (value.hint.empty() ? "" : " (" + Printable(value.hint, kMostShown) + ")") << "\n";
    }
  }
}

void PrintRemarks(Session& session, const convert::Conversion& conversion, const std::string& file,
                  const std::string& space) {
  PrintEach(session.err(), "not carried over", file, conversion.losses);
  PrintEach(session.err(), "note", file, conversion.notes);
  PrintSecrets(session, conversion, space);
}

StatusOr<std::map<std::string, std::string>> ParsePairs(const std::vector<std::string>& given,
                                                        const std::string& option) {
  std::map<std::string, std::string> pairs;
  for (const std::string& pair : given) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return InvalidArgument(option + ": is NAME=VALUE");
    if (!pairs.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second)
      return InvalidArgument(option + ": " + Printable(pair.substr(0, equals), 80) + " is given twice");
  }
  return pairs;
}

StatusOr<std::string> LookUpVersion(Session& session, const convert::PackageRef& package) {
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  registry::OnRequest on_request;
  if (session.options().verbosity > 0) {
    on_request = [&](const std::string& line) { session.err() << package.manager << ": " << line << "\n"; };
  }
  StatusOr<std::string> version = registry::NewestVersion(registry::SourcesOfEnvironment(), package.manager,
                                                          package.name, package.tag, on_request, deadline);
  if (!version.ok())
    return Annotate(version.status(), "the newest version of " + Printable(package.name, 100) +
                                          " can't be looked up; write an exact one");
  if (!convert::IsExact(package.manager, *version))
    return FailedPrecondition(package.manager + ": the newest version of " + Printable(package.name, 100) + ", " +
                              Printable(*version, 60) + ", is none that an MCPServer can have; write an exact one");
  return version;
}

StatusOr<convert::Conversion> ConvertResolved(Session& session, std::string_view bytes, const std::string& file,
                                              convert::Options options, bool resolve) {
  ASSIGN_OR_RETURN(convert::Conversion conversion, convert::Convert(bytes, file, options));
  if (!resolve || conversion.unpinned.empty()) return conversion;
  for (const convert::PackageRef& package : conversion.unpinned) {
    ASSIGN_OR_RETURN(options.versions[package], LookUpVersion(session, package));
  }
  return convert::Convert(bytes, file, options);
}

}  // namespace mcpfleet::cli
