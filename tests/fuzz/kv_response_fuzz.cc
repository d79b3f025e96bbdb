// Whatever a store answers: envelopes, lists, bulk results, the head, trust documents, blobs with their own right hash,
// form bodies.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "store/blob_metadata.h"
#include "store/kv_response.h"
#include "store/server/multipart.h"
#include "store/snapshot.h"
#include "store/trust/trust.h"

namespace {

template <typename T, typename Encode>
void RoundTrip(const mcpfleet::StatusOr<T>& value, Encode encode) {
  if (value.ok()) (void)encode(*value).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace mcpfleet;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  (void)KvErrorStatus(404, input).ok();
  (void)CheckKvEnvelope(input).ok();
  (void)ParseKvPage(input).ok();
  (void)ParseKvBulkGet(input).ok();
  (void)ParseKvBulkResult(input).ok();
  (void)ParseRetryAfter(input, 300);
  (void)BlobWritten(input);
  (void)ParseHeadOrder(input).ok();
  std::string hash = Sha256Hex(input);
  RoundTrip(ParseHead(input), EncodeHead);
  RoundTrip(ParseTrust(input), EncodeTrust);
  RoundTrip(ParseSnapshot(input, hash), EncodeSnapshot);
  RoundTrip(ParseShard(input, hash), EncodeShard);
  RoundTrip(ParseObjectBlob(input, hash), EncodeObject);
  (void)ParseMultipart("multipart/form-data; boundary=b", input).ok();
  return 0;
}
