#include "gitops/apply_set.h"

#include <charconv>
#include <set>

#include "base/strings.h"
#include "crd/labels.h"

namespace mcpfleet {
namespace {

std::string PlaceOf(const ManifestObject& manifest) {
  auto line = manifest.lines.find("metadata.labels");
  return manifest.file + ":" + std::to_string(line == manifest.lines.end() ? manifest.line : line->second);
}

}  // namespace

StatusOr<int> ParsePercent(std::string_view text) {
  std::string_view digits = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
  int percent = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), percent);
  if (error != std::errc() || end != digits.data() + digits.size() || percent < 0 || percent > 100)
    return InvalidArgument("\"" + Printable(text, 40) + "\" is no share; allowed: 0 to 100, with or without %");
  return percent;
}

StatusOr<ChangeSet> PlanApplySet(const std::map<ObjectKey, Object>& stored,
                                 const std::vector<ManifestObject>& manifests, const ApplySetOptions& options) {
  if (std::string wrong = CheckName(options.name); !wrong.empty())
    return InvalidArgument("apply set \"" + Printable(options.name, 80) + "\": " + wrong);
  ChangeSet changes{.manifests = true, .apply_set = options.name};
  std::set<ObjectKey> named;
  for (const ManifestObject& manifest : manifests) {
    Object object = manifest.object;
    const ObjectKey key = KeyOf(object);
    if (const std::string said = ApplySetOf(object); !said.empty() && said != options.name) {
      return InvalidArgument(PlaceOf(manifest) + ": metadata.labels[" + kApplySetLabel + "]: is \"" +
                             Printable(said, 63) + "\"; allowed: \"" + options.name + "\", or no such label");
    }
    if (auto found = stored.find(key); found != stored.end()) {
      const std::string owner = ApplySetOf(found->second);
      if (!owner.empty() && owner != options.name) {
        return FailedPrecondition(manifest.file + ":" + std::to_string(manifest.line) + ": " + FullNameOf(key) +
                                  " belongs to apply set " + owner + ", not to " + options.name +
                                  "; to hand it over, remove its label " + kApplySetLabel + " first");
      }
    }
    object.metadata.labels[kApplySetLabel] = options.name;
    named.insert(key);
    changes.set.push_back(std::move(object));
  }
  if (!options.prune) return changes;
  changes.prune = PruneRule{.apply_set = options.name,
                            .selector_text = {},
                            .selector = {},
                            .places = {},
                            .limit = options.limit,
                            .planned_on = options.planned_on};
  ASSIGN_OR_RETURN(changes.remove, DecidePrune(stored, named, *changes.prune));
  return changes;
}

}  // namespace mcpfleet
