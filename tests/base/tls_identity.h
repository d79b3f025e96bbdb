// A key and a certificate for tests of TLS, made on the spot: of a CA, or of a server and signed by one.
#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

namespace mcpfleet::testing {

struct TlsIdentity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();

  // `names` as in subjectAltName ("DNS:localhost", "IP:127.0.0.1"); "" makes a CA. Without an issuer it signs itself.
  explicit TlsIdentity(const std::string& names, const TlsIdentity* issuer = nullptr) {
    static long serial = 0;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    const std::string name = names.empty() ? "mcpfleet test CA" : "mcpfleet test";
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer == nullptr ? certificate : issuer->certificate));
    if (names.empty()) {
      Extend(NID_basic_constraints, "critical,CA:TRUE");
      Extend(NID_key_usage, "critical,keyCertSign");
    } else {
      Extend(NID_subject_alt_name, names.c_str());
    }
    X509_sign(certificate, issuer == nullptr ? key : issuer->key, EVP_sha256());
  }
  ~TlsIdentity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  void WriteTo(const std::string& path) const {
    FILE* file = fopen(path.c_str(), "w");
    PEM_write_X509(file, certificate);
    fclose(file);
  }
  void WriteKeyTo(const std::string& path) const {
    FILE* file = fopen(path.c_str(), "w");
    fchmod(fileno(file), 0600);
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(file);
  }
  // Of a server with this identity; the caller frees it.
  SSL_CTX* ServerContext() const {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    return context;
  }

 private:
  void Extend(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
};

}  // namespace mcpfleet::testing
