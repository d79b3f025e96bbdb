// What a stranger may send as a token, and an issuer as its keys. The first byte chooses. Besides not crashing: what is
// accepted was signed by one of the three keys (their private halves are gone, so these three texts are all there are),
// base64 has one spelling, and no byte of a request gets into a challenge.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/base64url.h"
#include "edge-runtime/gateway/authenticator.h"

namespace mcpfleet::gateway {
namespace {

constexpr char kKeys[] =
    R"_({"keys":[{"kty":"RSA","kid":"r","n":"2r08tITTjauFLKT5v7N0gaHrrdeXQHdXep4mDLotV0n_-ld53x6TIYTs8UlL95Z)_"
    R"_(N4pwOqhbBl75f4-SFfTEGZqOxG53MeS_yc68AGj2J69IFMiQgpsLXWnj_yisF1-fewqT3Smh5A3BTBMFfiWoO5l5pqThMB45U7nw)_"
    R"_(xoMvdir4NQGn8UhvLx2V80dClk7VfSuCiQ2wYASW5bWyXhsu4ByHR2MB8A0TwDir8Ert0rrNi4YaKfsLtrUwCi7zxgt7hY0nnSg8)_"
    R"_(O6hgPEEFJyO2FR24wgY-I-h60s5tyEW798zLgzdpp_7EuW1iRJkueDgvMcwzczWYYdBVwq26lRfDDuw","e":"AQAB"},{"kty":)_"
    R"_("EC","crv":"P-256","kid":"e","x":"VkLieYd1doUTwFHeN_1iaqbIUdbdUCpE9jK1nR4XBZY","y":"GEt67DFsh-SJon-0)_"
    R"_(RIKuVLrWYBCbA0sSMA4KzME4M6Y"},{"kty":"OKP","crv":"Ed25519","kid":"d","x":"9RZX2ROPdBgzcEH1h8FMjSWl-L)_"
    R"_(PLsQK5cr4py8S8noI"}]})_";
constexpr std::string_view kSigned[] = {
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2kiLCJhdWQiOiJodHRwczovL2EiLCJleHAiOjQwMDAwM"
    "DAwMDAsInN1YiI6InMiLCJzY29wZSI6Im0ifQ",
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJpc3MiOiJodHRwczovL2kiLCJhdWQiOiJodHRwczovL2EiLCJleHAiOjQwMDAwM"
    "DAwMDAsInN1YiI6InMiLCJzY29wZSI6Im0ifQ",
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImQifQ.eyJpc3MiOiJodHRwczovL2kiLCJhdWQiOiJodHRwczovL2EiLCJleHAiOjQwMDAwM"
    "DAwMDAsInN1YiI6InMiLCJzY29wZSI6Im0ifQ"};

void Check(bool condition) {
  if (!condition) std::abort();
}

bool IsSigned(std::string_view text) {
  for (std::string_view known : kSigned) {
    if (text == known) return true;
  }
  return false;
}

const KeySet& Keys() {
  static const KeySet keys = *ParseKeySet(kKeys);
  return keys;
}

void FuzzToken(std::string_view text) {
  StatusOr<Jwt> jwt = ParseJwt(text);
  if (!jwt.ok()) return;
  Check(text.size() <= kMaxTokenBytes && jwt->claims.is_object());
  (void)CheckClaims(jwt->claims, {"https://i", {"https://a"}}, WallTime(std::chrono::seconds(1'790'000'000)));
  (void)ScopesOf(jwt->claims);
  if (CheckSignature(*jwt, Keys()).ok()) Check(IsSigned(jwt->signed_text));
}

void FuzzKeys(std::string_view text) {
  StatusOr<KeySet> keys = ParseKeySet(text);
  if (!keys.ok()) return;
  Check(!keys->keys.empty() && keys->keys.size() <= kMaxKeys);
  for (JwtAlg alg : {JwtAlg::kRs256, JwtAlg::kPs256, JwtAlg::kEs256, JwtAlg::kEs384, JwtAlg::kEdDsa}) {
    for (size_t size : {0, 64, 96, 256}) {
      const Jwt forged{.alg = alg, .signed_text = "a.b", .signature = std::string(size, '\x01')};
      Check(!CheckSignature(forged, *keys).ok());
    }
  }
}

void FuzzBase64(std::string_view text) {
  std::optional<std::string> bytes = Base64UrlDecode(text);
  if (bytes.has_value()) Check(Base64UrlEncode(*bytes) == text);
  Check(Base64UrlDecode(Base64UrlEncode(text)) == text);
}

void FuzzRequest(std::string_view text) {
  const FakeClock clock;
  JwksCache cache(clock,
                  [](const std::string&, const std::function<void(StatusOr<std::string>)>& done) { done(kKeys); });
  const AuthSpec jwt{.type = AuthType::kJwt, .issuer = "https://i", .jwks_uri = "https://i/k", .scopes = {"m"}};
  const size_t start = text.find("eyJ");  // of whatever could be one of the three
  const AuthSpec access{.type = AuthType::kCloudflareAccess, .audience = "https://a", .team = "t"};
  for (const AuthSpec& spec : {jwt, access}) {
    Authenticator authenticator(spec, {"https://a"}, "https://a/m", clock, cache);
    http::Request request;
    request.headers.Add("Authorization", text);
    request.headers.Add("Cf-Access-Jwt-Assertion", text);
    int answers = 0;
    authenticator.Check(request, [&](const Verdict& verdict) {
      ++answers;
      if (std::holds_alternative<Subject>(verdict))
        return Check(start != std::string_view::npos && IsSigned(text.substr(start, text.rfind('.') - start)) &&
                     spec.type == AuthType::kJwt);
      const std::string& challenge = std::get<Refusal>(verdict).www_authenticate;
      for (char c : challenge) Check(c >= 0x20 && c <= 0x7e);
      Check(challenge.starts_with("Bearer resource_metadata=\"https://a/m\""));
    });
    Check(answers == 1);
  }
}

void FuzzOne(const uint8_t* bytes, size_t size) {
  if (size == 0) return;
  std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 4) {
    case 0:
      return FuzzToken(text);
    case 1:
      return FuzzKeys(text);
    case 2:
      return FuzzBase64(text);
    default:
      return FuzzRequest(text);
  }
}

}  // namespace
}  // namespace mcpfleet::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  mcpfleet::gateway::FuzzOne(bytes, size);
  return 0;
}
