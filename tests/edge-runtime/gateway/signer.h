// An issuer for tests: a key pair made on the spot, its public key as JWK, and tokens signed with it.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/json.h"

namespace mcpfleet::gateway {

class Signer {
 public:
  // `key`: "RSA-2048", "RSA-1024", "P-256", "P-384", "Ed25519".
  explicit Signer(std::string kid, const std::string& key = "P-256") : kid_(std::move(kid)) {
    if (key.starts_with("RSA-"))
      key_ = EVP_RSA_gen(static_cast<unsigned>(std::stoi(key.substr(4))));
    else if (key == "Ed25519")
      key_ = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    else
      key_ = EVP_EC_gen(key.c_str());
    EXPECT_NE(key_, nullptr) << key;
  }
  ~Signer() { EVP_PKEY_free(key_); }
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  const std::string& kid() const { return kid_; }

  Json Jwk() const {
    Json jwk = {{"kid", kid_}, {"use", "sig"}};
    switch (EVP_PKEY_get_base_id(key_)) {
      case EVP_PKEY_RSA:
        jwk["kty"] = "RSA";
        jwk["n"] = Number(OSSL_PKEY_PARAM_RSA_N, 0);
        jwk["e"] = Number(OSSL_PKEY_PARAM_RSA_E, 0);
        break;
      case EVP_PKEY_EC: {
        const int size = EVP_PKEY_get_bits(key_) / 8;
        jwk["kty"] = "EC";
        jwk["crv"] = "P-" + std::to_string(size * 8);
        jwk["x"] = Number(OSSL_PKEY_PARAM_EC_PUB_X, size);
        jwk["y"] = Number(OSSL_PKEY_PARAM_EC_PUB_Y, size);
        break;
      }
      default: {
        std::string raw(32, '\0');
        size_t size = raw.size();
        EXPECT_EQ(EVP_PKEY_get_raw_public_key(key_, Writable(&raw), &size), 1);
        jwk["kty"] = "OKP";
        jwk["crv"] = "Ed25519";
        jwk["x"] = Base64UrlEncode(raw);
      }
    }
    return jwk;
  }

  // A JWS of `header` (alg and kid are added where they are missing) and `claims`.
  std::string Token(const std::string& alg, const Json& claims, Json header = Json::object()) const {
    if (!header.contains("alg")) header["alg"] = alg;
    if (!header.contains("kid")) header["kid"] = kid_;
    const std::string text = Base64UrlEncode(DumpJson(header)) + "." + Base64UrlEncode(DumpJson(claims));
    return text + "." + Base64UrlEncode(Sign(alg, text));
  }

  std::string Sign(const std::string& alg, const std::string& text) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* settings = nullptr;
    const std::string bits = alg.substr(alg.size() - 3);
    const EVP_MD* hash = alg == "EdDSA" ? nullptr : EVP_get_digestbyname(("SHA" + bits).c_str());
    EXPECT_EQ(EVP_DigestSignInit(context, &settings, hash, nullptr, key_), 1) << alg;
    if (alg.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST);
    }
    std::string signature(1024, '\0');
    size_t size = signature.size();
    EXPECT_EQ(EVP_DigestSign(context, Writable(&signature), &size, reinterpret_cast<const unsigned char*>(text.data()),
                             text.size()),
              1)
        << alg;
    EVP_MD_CTX_free(context);
    signature.resize(size);
    return alg.starts_with("ES") ? FromDer(signature, EVP_PKEY_get_bits(key_) / 8) : signature;
  }

  // The public key's bytes as somebody would use them for the secret of an HMAC.
  std::string PublicDer() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_, &der);
    std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return out;
  }

 private:
  static unsigned char* Writable(std::string* text) { return reinterpret_cast<unsigned char*>(text->data()); }

  static std::string Padded(const BIGNUM* number, int size) {
    std::string bytes(static_cast<size_t>(size == 0 ? BN_num_bytes(number) : size), '\0');
    BN_bn2binpad(number, Writable(&bytes), static_cast<int>(bytes.size()));
    return bytes;
  }

  std::string Number(const char* parameter, int size) const {
    BIGNUM* number = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(key_, parameter, &number), 1);
    std::string out = Base64UrlEncode(Padded(number, size));
    BN_free(number);
    return out;
  }

  static std::string FromDer(const std::string& der, int size) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out = Padded(ECDSA_SIG_get0_r(parts), size) + Padded(ECDSA_SIG_get0_s(parts), size);
    ECDSA_SIG_free(parts);
    return out;
  }

  const std::string kid_;
  EVP_PKEY* key_ = nullptr;
};

inline std::string KeySetText(const std::vector<Json>& keys) { return DumpJson({{"keys", keys}}); }

}  // namespace mcpfleet::gateway
