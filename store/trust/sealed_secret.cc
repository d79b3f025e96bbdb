#include "store/trust/sealed_secret.h"

#include <algorithm>
#include <utility>

#include "base/base64url.h"
#include "base/digest.h"
#include "store/trust/sodium.h"

namespace mcpfleet {
namespace {

constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kContextBytes = 32;
constexpr size_t kVersionBytes = 16;

using sodium::Bytes;

// Each part with its length before it: no two lists of parts have the same text.
std::string Bound(std::string_view purpose, const SecretName& of, const SecretSpec& spec, std::string_view last) {
  std::string text(purpose);
  for (const std::string_view part :
       {std::string_view(of.namespace_), std::string_view(of.name), std::string_view(spec.data_version), last}) {
    text.append("\n").append(std::to_string(part.size())).append(":").append(part);
  }
  return text;
}

std::string ValueContext(const SecretName& of, const SecretSpec& spec, std::string_view key) {
  return Bound("mcpfleet secret value v1", of, spec, key);
}

std::string KeyContext(const SecretName& of, const SecretSpec& spec, std::string_view public_key) {
  return Sha256Bytes(Bound("mcpfleet secret key v1", of, spec, public_key));
}

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

std::string Encrypt(std::string_view value, const std::string& context, const DataKey& key) {
  const std::string nonce = RandomBytes(kNonceBytes);
  std::string sealed = nonce + std::string(value.size() + kTagBytes, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(Bytes(sealed) + kNonceBytes, nullptr, Bytes(value), value.size(),
                                             Bytes(context), context.size(), nullptr, Bytes(nonce), Bytes(key.bytes()));
  return Base64UrlEncode(sealed);
}

Status CheckValues(const std::map<std::string, SecretText>& values) {
  if (values.empty()) return InvalidArgument("a secret needs at least one value");
  if (values.size() > kSecretKeys)
    return InvalidArgument("a secret has at most " + std::to_string(kSecretKeys) + " values");
  size_t sum = 0;
  for (const auto& [key, value] : values) {
    sum += value.view().size();
    if (value.view().size() > kSecretValueBytes)
      return InvalidArgument("value \"" + key + "\": larger than " + std::to_string(kSecretValueBytes) + " bytes");
  }
  if (sum > kSecretBytes)
    return InvalidArgument("the values are larger than " + std::to_string(kSecretBytes) + " bytes together");
  return OkStatus();
}

}  // namespace

StatusOr<SecretSpec> SealSecret(const SecretName& of, const std::map<std::string, SecretText>& values,
                                const std::vector<SecretRecipient>& recipients) {
  RETURN_IF_ERROR(CheckValues(values));
  sodium::Begin();
  SecretSpec spec;
  spec.data_version = RandomHex(kVersionBytes);
  const DataKey key{SecretText(RandomBytes(kKeyBytes))};
  for (const auto& [name, value] : values) spec.data[name] = Encrypt(value.view(), ValueContext(of, spec, name), key);
  return SealTo(of, spec, key, recipients);
}

StatusOr<SecretSpec> SealTo(const SecretName& of, const SecretSpec& spec, const DataKey& data_key,
                            const std::vector<SecretRecipient>& recipients) {
  if (recipients.empty()) return InvalidArgument("a secret needs at least one recipient");
  SecretSpec out = spec;
  out.recipients.clear();
  for (const SecretRecipient& each : recipients) {
    if (IsRecipient(out, each.public_key)) continue;
    std::string joined = KeyContext(of, spec, each.public_key);
    joined += data_key.bytes();
    const SecretText text(std::move(joined));
    StatusOr<std::string> sealed = Seal(each.public_key, text.view());
    if (!sealed.ok()) return Annotate(sealed.status(), "recipient " + each.name);
    SecretRecipient recipient = each;
    recipient.sealed_key = Base64UrlEncode(*sealed);
    out.recipients.push_back(std::move(recipient));
  }
  return out;
}

StatusOr<DataKey> OpenDataKey(const SecretName& of, const SecretSpec& spec, const SealingKey& key) {
  const auto mine = std::find_if(spec.recipients.begin(), spec.recipients.end(),
                                 [&](const SecretRecipient& each) { return each.public_key == key.public_key(); });
  if (mine == spec.recipients.end()) return NotFound("it is not sealed to this key");
  const std::optional<std::string> sealed = Base64UrlDecode(mine->sealed_key);
  if (!sealed) return PermissionDenied("the sealed data key is not base64url");
  StatusOr<std::string> opened = key.Open(*sealed);
  if (!opened.ok()) return PermissionDenied("the sealed data key can't be opened: " + Message(opened.status()));
  const SecretText text(*std::move(opened));
  if (text.view().size() != kContextBytes + kKeyBytes) return PermissionDenied("the sealed data key has a wrong size");
  if (!EqualsInConstantTime(text.view().substr(0, kContextBytes), KeyContext(of, spec, key.public_key())))
    return PermissionDenied("the sealed data key belongs to another secret or version");
  return DataKey(SecretText::CopyOf(text.view().substr(kContextBytes)));
}

StatusOr<SecretText> OpenValue(const SecretName& of, const SecretSpec& spec, const DataKey& data_key,
                               std::string_view key) {
  const auto found = spec.data.find(std::string(key));
  if (found == spec.data.end()) return NotFound("it has no key \"" + std::string(key) + "\"");
  const std::string damaged = "the value \"" + std::string(key) + "\" was altered or belongs to another secret";
  const std::optional<std::string> sealed = Base64UrlDecode(found->second);
  if (!sealed || sealed->size() < kNonceBytes + kTagBytes || data_key.bytes().size() != kKeyBytes)
    return PermissionDenied(damaged);
  const std::string context = ValueContext(of, spec, key);
  std::string value(sealed->size() - kNonceBytes - kTagBytes, '\0');
  const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
      Bytes(value), nullptr, nullptr, Bytes(*sealed) + kNonceBytes, sealed->size() - kNonceBytes, Bytes(context),
      context.size(), Bytes(*sealed), Bytes(data_key.bytes()));
  if (opened != 0) return PermissionDenied(damaged);
  return SecretText(std::move(value));
}

bool IsRecipient(const SecretSpec& spec, std::string_view public_key) {
  return std::any_of(spec.recipients.begin(), spec.recipients.end(),
                     [&](const SecretRecipient& each) { return each.public_key == public_key; });
}

}  // namespace mcpfleet
