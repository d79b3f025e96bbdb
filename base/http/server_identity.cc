#include "base/http/server_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <ctime>
#include <utility>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::http {
namespace {

constexpr size_t kPemBytes = size_t{1} << 20;  // a chain of certificates has some KiB
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

using Bio = std::unique_ptr<BIO, int (*)(BIO*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;
using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

// A client that asks for nothing we speak is refused (RFC 7301 §3.2); one that does not ask gets HTTP/1.1.
int SelectProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                   unsigned int offered_size, void*) {
  unsigned char* out = nullptr;
  if (SSL_select_next_proto(&out, chosen_size, kHttp11, sizeof kHttp11, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

TlsContext NewServerContext() {
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Of 1.2 only what has forward secrecy and an AEAD; 1.3 has nothing else.
  SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20");
  // Thousands of idle connections hold no buffers; a write that waits is repeated from where the rest lies then.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // tickets do it without memory
  SSL_CTX_set_alpn_select_cb(raw, SelectProtocol, nullptr);
  return context;
}

std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "can't be read" : reason;
}

StatusOr<Bio> OpenPem(const std::string& path, const std::string& where) {
  StatusOr<std::string> text = ReadFile(path, kPemBytes);
  if (!text.ok()) return InvalidArgument(where + Message(text.status()));
  Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  BIO_write(bio.get(), text->data(), static_cast<int>(text->size()));
  OPENSSL_cleanse(text->data(), text->size());
  return bio;
}

// Leaf first, then what signed it.
StatusOr<WallTime> UseCertificates(SSL_CTX* context, const TlsFiles& files) {
  const std::string where = files.setting + "certFile: ";
  const std::string& path = files.cert_file;
  ASSIGN_OR_RETURN(Bio pem, OpenPem(path, where));
  Certificate leaf(PEM_read_bio_X509_AUX(pem.get(), nullptr, nullptr, nullptr), X509_free);
  if (leaf == nullptr) {
    ERR_clear_error();
    return InvalidArgument(where + path + ": holds no certificate in PEM");
  }
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return InvalidArgument(where + path + ": the certificate can't be used: " + LastError());
  while (X509* issuer = PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, issuer) == 1) continue;
    X509_free(issuer);
    return InvalidArgument(where + path + ": a certificate of the chain can't be used: " + LastError());
  }
  const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!end) return InvalidArgument(where + path + ": behind the first certificate: " + LastError());
  ERR_clear_error();
  tm expires{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf.get()), &expires) != 1)
    return InvalidArgument(where + path + ": it can't be read when the certificate expires");
  return std::chrono::system_clock::from_time_t(timegm(&expires));
}

int NoPassphrase(char*, int, int, void*) { return 0; }

Status UseKey(SSL_CTX* context, const TlsFiles& files) {
  const std::string where = files.setting + "keyFile: ";
  ASSIGN_OR_RETURN(Bio pem, OpenPem(files.key_file, where));
  Key key(PEM_read_bio_PrivateKey(pem.get(), nullptr, NoPassphrase, nullptr), EVP_PKEY_free);
  if (key == nullptr) {
    ERR_clear_error();
    return InvalidArgument(where + files.key_file + ": holds no private key in PEM without a passphrase");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1) return OkStatus();
  ERR_clear_error();
  return InvalidArgument(where + files.key_file + ": is not the key of the certificate in " + files.cert_file);
}

bool Same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

}  // namespace

bool FileMark::operator==(const FileMark& other) const {
  return device == other.device && inode == other.inode && size == other.size && Same(modified, other.modified) &&
         Same(changed, other.changed);
}

ServerIdentity::Marks ServerIdentity::MarksNow() const {
  const auto mark = [](const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return FileMark{};
    return FileMark{info.st_dev, info.st_ino, info.st_size, info.st_mtim, info.st_ctim};
  };
  return {mark(files_.cert_file), mark(files_.key_file)};
}

StatusOr<std::unique_ptr<ServerIdentity>> ServerIdentity::Load(const TlsFiles& files) {
  std::unique_ptr<ServerIdentity> identity(new ServerIdentity(files));
  identity->seen_ = identity->MarksNow();
  RETURN_IF_ERROR(identity->Read());
  return identity;
}

Status ServerIdentity::Read() {
  read_ = seen_;
  TlsContext fresh = NewServerContext();
  ASSIGN_OR_RETURN(const WallTime expires, UseCertificates(fresh.get(), files_));
  RETURN_IF_ERROR(UseKey(fresh.get(), files_));
  struct stat info {};
  if (stat(files_.key_file.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0)
    LOG_WARNING("a private key may be read or written by every user: chmod o= it", {{"file", files_.key_file}});
  if (expires <= std::chrono::system_clock::now())
    LOG_WARNING("a certificate has expired: clients will refuse it", {{"file", files_.cert_file}});
  context_ = std::move(fresh);
  expires_ = expires;
  return OkStatus();
}

std::optional<Status> ServerIdentity::Look() {
  const Marks now = MarksNow();
  // Two looks must agree: the certificate may be there and its key not yet.
  if (std::exchange(seen_, now) != now || now == read_) return std::nullopt;
  return Read();
}

}  // namespace mcpfleet::http
