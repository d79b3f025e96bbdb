#include "store/kubernetes/plain_secret.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/secret_spec.h"
#include "store/trust/hmac.h"

namespace mcpfleet::kube {

StatusOr<std::shared_ptr<const PlainSecret>> PlainSecretOf(const Json& secret) {
  auto out = std::make_shared<PlainSecret>();
  const std::string uid = GetString(GetMember(secret, "metadata"), "uid");
  const Json& data = GetMember(secret, "data");
  std::string digests;
  size_t total = 0;
  if (data.is_object()) {
    for (auto it = data.begin(); it != data.end(); ++it) {
      std::string value;
      if (!it->is_string() || !Base64Decode(it->get_ref<const std::string&>(), &value))
        return InvalidArgument("the value of " + Printable(it.key(), 60) + " is no base64");
      total += value.size();
      if (total > kSecretBytes)
        return InvalidArgument("its values are larger than " + std::to_string(kSecretBytes) + " bytes together");
      digests += it.key() + "=" + Sha256Hex(value) + "\n";
      out->data.emplace(it.key(), SecretText(std::move(value)));
    }
  }
  out->version = HmacSha256Hex(uid, digests).substr(0, 32);
  WipeText(&digests);
  return std::shared_ptr<const PlainSecret>(std::move(out));
}

}  // namespace mcpfleet::kube
