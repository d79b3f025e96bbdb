#include "edge-runtime/containerd/image_format.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::containerd {
namespace {

bool IsDigest(std::string_view text) { return text.starts_with("sha256:") && IsSha256Hex(text.substr(7)); }

StatusOr<Descriptor> DescriptorOf(const Json& json, std::string_view what) {
  Descriptor descriptor{GetString(json, "mediaType"), GetString(json, "digest"), GetInt(json, "size")};
  if (!IsDigest(descriptor.digest))
    return InvalidArgument("image: " + std::string(what) + " has no sha256 digest: " + Printable(descriptor.digest));
  return descriptor;
}

StatusOr<Json> ParseObject(std::string_view text, std::string_view what) {
  StatusOr<Json> json = ParseJson(text, {.bytes = size_t{8} << 20, .depth = 32});
  if (!json.ok()) return Annotate(json.status(), "image: " + std::string(what));
  if (!json->is_object()) return InvalidArgument("image: " + std::string(what) + " is no JSON object");
  return json;
}

}  // namespace

std::string WholeImageName(std::string_view ref) {
  const size_t slash = ref.find('/');
  const std::string_view first = ref.substr(0, slash);
  const bool host =
      slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  std::string name(ref);
  if (!host) name = (slash == std::string_view::npos ? "docker.io/library/" : "docker.io/") + name;
  const std::string_view last = std::string_view(name).substr(name.rfind('/') + 1);
  if (last.find_first_of(":@") == std::string_view::npos) name += ":latest";
  return name;
}

std::string_view MachineArchitecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__arm__)
  return "arm";
#else
#error "say how images name this architecture"
#endif
}

bool IsIndex(std::string_view media_type) {
  return media_type == "application/vnd.oci.image.index.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

StatusOr<Descriptor> ManifestFor(std::string_view index, std::string_view architecture) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(index, "index"));
  std::vector<std::string> there;
  const Json& manifests = GetMember(json, "manifests");
  if (manifests.is_array()) {
    for (const Json& manifest : manifests) {
      const Json& platform = GetMember(manifest, "platform");
      // An index of a lone manifest says nothing of platforms.
      if (platform.is_null() && manifests.size() == 1) return DescriptorOf(manifest, "manifest");
      const std::string os = GetString(platform, "os"), machine = GetString(platform, "architecture");
      if (os == "linux" && machine == architecture) return DescriptorOf(manifest, "manifest");
      if (os != "unknown") there.push_back(os + "/" + machine);
    }
  }
  return NotFound("image: has no manifest for linux/" + std::string(architecture) + "; it has " +
                  (there.empty() ? "none" : Printable(Join(there, ", "))));
}

StatusOr<Manifest> ParseManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text, "manifest"));
  Manifest manifest;
  ASSIGN_OR_RETURN(manifest.config, DescriptorOf(GetMember(json, "config"), "configuration"));
  const Json& layers = GetMember(json, "layers");
  if (!layers.is_array()) return InvalidArgument("image: manifest without layers (schema 1 is not supported)");
  for (const Json& layer : layers) {
    ASSIGN_OR_RETURN(Descriptor descriptor, DescriptorOf(layer, "layer"));
    manifest.layers.push_back(std::move(descriptor));
  }
  return manifest;
}

StatusOr<ImageConfig> ParseImageConfig(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text, "configuration"));
  const Json& config = GetMember(json, "config");
  ImageConfig out{.entrypoint = StringsOf(GetMember(config, "Entrypoint")),
                  .cmd = StringsOf(GetMember(config, "Cmd")),
                  .env = StringsOf(GetMember(config, "Env")),
                  .working_directory = GetString(config, "WorkingDir"),
                  .diff_ids = StringsOf(GetMember(GetMember(json, "rootfs"), "diff_ids"))};
  for (const std::string& diff_id : out.diff_ids) {
    if (!IsDigest(diff_id)) return InvalidArgument("image: configuration: malformed diff id " + Printable(diff_id));
  }
  return out;
}

std::string ChainId(const std::vector<std::string>& diff_ids, size_t layers) {
  std::string chain;
  for (size_t i = 0; i < layers; ++i) chain = i == 0 ? diff_ids[0] : "sha256:" + Sha256Hex(chain + " " + diff_ids[i]);
  return chain;
}

}  // namespace mcpfleet::containerd
