// Public keys: from JWK to OpenSSL's EVP, and the signatures they check.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "base/base64url.h"
#include "edge-runtime/gateway/jwt.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxMemberBytes = kMaxRsaBits / 8;
constexpr size_t kMaxExponentBytes = 8;  // larger ones only cost time

struct Free {
  void operator()(BIGNUM* p) const { BN_free(p); }
  void operator()(ECDSA_SIG* p) const { ECDSA_SIG_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
  void operator()(OSSL_PARAM_BLD* p) const { OSSL_PARAM_BLD_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;
using Key = Owned<EVP_PKEY>;

// What failed here must not be found by the TLS connections of this thread, which ask the same queue.
struct ClearErrors {
  ~ClearErrors() { ERR_clear_error(); }
};

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Owned<BIGNUM> Number(std::string_view big_endian) {
  return Owned<BIGNUM>(BN_bin2bn(Bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

StatusOr<std::string> Member(const Json& jwk, const char* name, size_t max) {
  std::optional<std::string> bytes = Base64UrlDecode(GetString(jwk, name));
  if (!bytes.has_value() || bytes->empty() || bytes->size() > max)
    return InvalidArgument(std::string("key: ") + name + " is missing, too large or not base64url");
  return *std::move(bytes);
}

Key Make(const char* type, OSSL_PARAM_BLD* build) {
  Owned<OSSL_PARAM> params(OSSL_PARAM_BLD_to_param(build));
  Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) return nullptr;
  return Key(key);
}

StatusOr<Key> MakeRsa(const Json& jwk) {
  ASSIGN_OR_RETURN(std::string modulus, Member(jwk, "n", kMaxMemberBytes));
  ASSIGN_OR_RETURN(std::string exponent, Member(jwk, "e", kMaxExponentBytes));
  Owned<BIGNUM> n = Number(modulus), e = Number(exponent);
  Owned<OSSL_PARAM_BLD> build(OSSL_PARAM_BLD_new());
  if (n == nullptr || e == nullptr || build == nullptr) return ResourceExhausted("key: no memory");
  if (BN_num_bits(n.get()) < kMinRsaBits) return InvalidArgument("key: RSA of less than 2048 bits is not allowed");
  if (BN_is_odd(n.get()) == 0 || BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1)
    return InvalidArgument("key: n or e is no RSA number");
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  Key key = Make("RSA", build.get());
  if (key == nullptr) return InvalidArgument("key: n and e are no RSA key");
  return key;
}

StatusOr<Key> MakeEc(const Json& jwk, const char* group, size_t size) {
  ASSIGN_OR_RETURN(std::string x, Member(jwk, "x", size));
  ASSIGN_OR_RETURN(std::string y, Member(jwk, "y", size));
  if (x.size() != size || y.size() != size) return InvalidArgument("key: x or y is not of the curve's size");
  const std::string point = "\x04" + x + y;
  Owned<OSSL_PARAM_BLD> build(OSSL_PARAM_BLD_new());
  if (build == nullptr) return ResourceExhausted("key: no memory");
  OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
  OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  Key key = Make("EC", build.get());
  if (key == nullptr) return InvalidArgument("key: x and y are no point of the curve");
  return key;
}

StatusOr<Key> MakeEd25519(const Json& jwk) {
  ASSIGN_OR_RETURN(std::string x, Member(jwk, "x", 32));
  Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(x), x.size()));
  if (key == nullptr) return InvalidArgument("key: x is no Ed25519 key");
  return key;
}

// RFC 7517 §4.2, §4.3: a key for encryption checks no signature.
bool IsForSignatures(const Json& jwk) {
  if (jwk.contains("use") && GetString(jwk, "use") != "sig") return false;
  const Json& operations = GetMember(jwk, "key_ops");
  return operations.is_null() ||
         (operations.is_array() && std::find(operations.begin(), operations.end(), Json("verify")) != operations.end());
}

const EVP_MD* HashOf(JwtAlg alg) {
  switch (alg) {
    case JwtAlg::kRs256:
    case JwtAlg::kPs256:
    case JwtAlg::kEs256:
      return EVP_sha256();
    case JwtAlg::kRs384:
    case JwtAlg::kEs384:
      return EVP_sha384();
    case JwtAlg::kRs512:
      return EVP_sha512();
    case JwtAlg::kEdDsa:
      return nullptr;  // has its own
  }
  return nullptr;
}

// JWS writes r and s one behind the other (RFC 7518 §3.4), OpenSSL wants DER. "" when it is no such signature.
std::string ToDer(std::string_view signature, size_t size) {
  if (signature.size() != 2 * size) return "";
  Owned<ECDSA_SIG> parts(ECDSA_SIG_new());
  Owned<BIGNUM> r = Number(signature.substr(0, size)), s = Number(signature.substr(size));
  if (parts == nullptr || r == nullptr || s == nullptr) return "";
  if (ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return "";
  (void)r.release();  // its from here on
  (void)s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(parts.get(), &der);
  std::string out(reinterpret_cast<char*>(der), length > 0 ? static_cast<size_t>(length) : 0);
  OPENSSL_free(der);
  return out;
}

}  // namespace

StatusOr<PublicKey> PublicKey::FromJwk(const Json& jwk) {
  const ClearErrors clear;
  if (!jwk.is_object()) return InvalidArgument("key: is no object");
  if (!IsForSignatures(jwk)) return InvalidArgument("key: use or key_ops is not for signatures");
  PublicKey made;
  made.kid_ = GetString(jwk, "kid");
  if (jwk.contains("alg")) {
    made.only_ = JwtAlgFromString(GetString(jwk, "alg"));
    if (!made.only_.has_value()) return InvalidArgument("key: alg is not one that is taken");
  }
  const std::string type = GetString(jwk, "kty"), curve = GetString(jwk, "crv");
  StatusOr<Key> key = InvalidArgument("key: kty or crv; taken are RSA, EC with P-256 or P-384, OKP with Ed25519");
  if (type == "RSA") {
    made.kind_ = Kind::kRsa;
    key = MakeRsa(jwk);
  } else if (type == "EC" && curve == "P-256") {
    made.kind_ = Kind::kP256;
    key = MakeEc(jwk, "P-256", 32);
  } else if (type == "EC" && curve == "P-384") {
    made.kind_ = Kind::kP384;
    key = MakeEc(jwk, "P-384", 48);
  } else if (type == "OKP" && curve == "Ed25519") {
    made.kind_ = Kind::kEd25519;
    key = MakeEd25519(jwk);
  }
  if (!key.ok()) return key.status();
  made.key_ = std::shared_ptr<EVP_PKEY>(*std::move(key));
  return made;
}

bool PublicKey::Fits(JwtAlg alg) const {
  if (only_.has_value() && *only_ != alg) return false;
  switch (alg) {
    case JwtAlg::kRs256:
    case JwtAlg::kRs384:
    case JwtAlg::kRs512:
    case JwtAlg::kPs256:
      return kind_ == Kind::kRsa;
    case JwtAlg::kEs256:
      return kind_ == Kind::kP256;
    case JwtAlg::kEs384:
      return kind_ == Kind::kP384;
    case JwtAlg::kEdDsa:
      return kind_ == Kind::kEd25519;
  }
  return false;
}

bool PublicKey::Verify(JwtAlg alg, std::string_view signed_text, std::string_view signature) const {
  const ClearErrors clear;
  std::string der;
  if (alg == JwtAlg::kEs256 || alg == JwtAlg::kEs384) {
    der = ToDer(signature, alg == JwtAlg::kEs256 ? 32 : 48);
    if (der.empty()) return false;
    signature = der;
  }
  Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* settings = nullptr;  // the context's
  if (context == nullptr || EVP_DigestVerifyInit(context.get(), &settings, HashOf(alg), nullptr, key_.get()) != 1)
    return false;
  if (alg == JwtAlg::kPs256 && (EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) != 1 ||
                                EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  return EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(signed_text), signed_text.size()) ==
         1;
}

bool KeySet::Has(std::string_view kid) const {
  return std::any_of(keys.begin(), keys.end(), [&](const PublicKey& key) { return kid.empty() || key.kid() == kid; });
}

StatusOr<KeySet> ParseKeySet(std::string_view body) {
  ASSIGN_OR_RETURN(Json set, ParseJson(body, {.bytes = kMaxKeySetBytes, .depth = 16}));
  const Json& list = GetMember(set, "keys");
  if (!list.is_array()) return InvalidArgument("key set: keys is no list");
  if (list.size() > kMaxKeys) return InvalidArgument("key set: more than 64 keys");
  KeySet made;
  Status first = InvalidArgument("key set: is empty");
  for (const Json& jwk : list) {
    StatusOr<PublicKey> key = PublicKey::FromJwk(jwk);
    if (key.ok())
      made.keys.push_back(*std::move(key));
    else if (&jwk == &list.front())
      first = key.status();
  }
  if (made.keys.empty()) return Annotate(first, "key set: no key that can be used");
  return made;
}

}  // namespace mcpfleet::gateway
