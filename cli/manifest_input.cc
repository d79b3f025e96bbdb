#include "cli/manifest_input.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <ostream>

#include <CLI/CLI.hpp>

#include "base/fd.h"
#include "base/limits.h"
#include "gitops/render.h"

namespace mcpfleet::cli {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostFiles = 10'000;

bool IsManifest(const fs::path& path) {
  std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

// `recursive`: else folders are passed over, and so are links to them.
template <typename Iterator>
Status AddDirectory(const std::string& directory, bool recursive, std::vector<std::string>* out) {
  std::error_code error;
  std::vector<std::string> found;
  for (Iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (const std::string wrong = WrongLink(it->path()); !wrong.empty() && (recursive || !it->is_directory(error)))
      return InvalidArgument(it->path().string() + ": " + wrong);
    if (it->is_regular_file(error) && IsManifest(it->path())) found.push_back(it->path().string());
    if (found.size() > kMostFiles)
      return InvalidArgument(directory + ": more than " + std::to_string(kMostFiles) + " manifests");
  }
  if (error) return InvalidArgument(directory + ": " + error.message());
  if (found.empty()) return InvalidArgument(directory + ": no *.yaml, *.yml or *.json file in this directory");
  std::sort(found.begin(), found.end());
  out->insert(out->end(), found.begin(), found.end());
  return OkStatus();
}

Status AddGlob(const std::string& pattern, std::vector<std::string>* out) {
  glob_t matches{};
  int result = glob(pattern.c_str(), GLOB_BRACE, nullptr, &matches);
  for (size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) out->push_back(matches.gl_pathv[i]);
  globfree(&matches);
  if (result != 0) return InvalidArgument(pattern + ": no such file, and nothing matches it as a pattern");
  return OkStatus();
}

StatusOr<std::string> ReadStdin() {
  std::string content;
  char buffer[65536];
  for (;;) {
    ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "stdin");
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > limits::kManifestBytes)
      return ResourceExhausted("stdin: more than " + std::to_string(limits::kManifestBytes) + " bytes");
  }
}

}  // namespace

void AddFileOptions(CLI::App& command, FileOptions* options) {
  command.add_option("-f,--filename", options->files, "file, directory, glob, or - for stdin; repeatable")
      ->allow_extra_args(false);
  command.add_flag("-R,--recursive", options->recursive, "also the directories below");
  command.add_option("-k,--kustomize", options->kustomize, "a folder to render first: see mcpctl render --help");
}

StatusOr<std::vector<std::string>> ExpandFiles(const FileOptions& options) {
  std::vector<std::string> out;
  for (const std::string& file : options.files) {
    std::error_code error;
    const bool is_stdin = file == "-";
    if (!is_stdin && fs::is_directory(file, error)) {
      RETURN_IF_ERROR(options.recursive ? AddDirectory<fs::recursive_directory_iterator>(file, true, &out)
                                        : AddDirectory<fs::directory_iterator>(file, false, &out));
    } else if (is_stdin || fs::exists(file, error)) {
      out.push_back(file);
    } else {
      RETURN_IF_ERROR(AddGlob(file, &out));
    }
  }
  return out;
}

StatusOr<std::string> ReadManifestFile(const std::string& file) {
  return file == "-" ? ReadStdin() : ReadFile(file, limits::kManifestBytes);
}

StatusOr<std::vector<ManifestObject>> ReadManifests(Session& session, const FileOptions& options,
                                                    std::vector<Violation>* violations) {
  if (options.empty())
    return InvalidArgument("say which manifests: -f FILE, -f DIRECTORY, -f - for stdin, or -k FOLDER to render one");
  if (!options.files.empty() && !options.kustomize.empty())
    return InvalidArgument("-f and -k exclude each other: one of them says which manifests are meant");
  std::vector<ManifestObject> objects;
  if (!options.kustomize.empty()) {
    const size_t before = violations->size();
    StatusOr<std::vector<ManifestObject>> rendered = RenderFolder(options.kustomize, {}, violations);
    if (!rendered.ok() && violations->size() == before) return rendered.status();
    if (rendered.ok()) objects = *std::move(rendered);
  }
  ASSIGN_OR_RETURN(std::vector<std::string> files, ExpandFiles(options));
  for (const std::string& file : files) {
    StatusOr<std::string> content = ReadManifestFile(file);
    if (!content.ok()) return content.status();
    auto parsed = ParseManifest(*content, file == "-" ? "stdin" : file, violations);
    if (!parsed.ok()) continue;  // what is wrong is in `violations`
    for (ManifestObject& object : *parsed) objects.push_back(std::move(object));
  }
  // -n, else the context's where there is one (validate needs none).
  const bool said = !session.options().namespace_.empty();
  const std::string wanted = session.Namespace().value_or(kDefaultNamespace);
  for (ManifestObject& manifest : objects) {
    std::string& has = manifest.object.metadata.namespace_;
    if (has.empty() || has == wanted) continue;
    if (manifest.lines.count("metadata.namespace") == 0) {
      has = wanted;
    } else if (said) {
      violations->push_back({manifest.file, manifest.lines["metadata.namespace"], "metadata.namespace",
                             "is \"" + has + "\" but --namespace says \"" + wanted + "\"",
                             "the same, or one of them only"});
    }
  }
  if (options.kustomize.empty()) {  // a rendered folder has none
    for (Violation& violation : FindDuplicates(objects)) violations->push_back(std::move(violation));
  }
  if (objects.empty() && violations->empty()) return InvalidArgument("no objects in the given manifests");
  return objects;
}

StatusOr<std::vector<ManifestObject>> ReadValidManifests(Session& session, const FileOptions& options) {
  std::vector<Violation> violations;
  ASSIGN_OR_RETURN(std::vector<ManifestObject> objects, ReadManifests(session, options, &violations));
  if (violations.empty()) return objects;
  for (const Violation& violation : violations) session.err() << ToString(violation) << "\n";
  return InvalidArgument(std::to_string(violations.size()) + (violations.size() == 1 ? " violation" : " violations") +
                         " in the manifests; nothing was written");
}

}  // namespace mcpfleet::cli
