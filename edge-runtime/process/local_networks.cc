#include "edge-runtime/process/local_networks.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

struct Network {
  uint32_t address;  // in host order
  int bits;
  uint32_t Mask() const { return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits); }
  bool Holds(const Network& other) const { return bits <= other.bits && (other.address & Mask()) == address; }
};

constexpr uint32_t At(uint32_t a, uint32_t b) { return a << 24 | b << 16; }

// RFC 6890 and its registry: what no host on the internet has. Not 127/8, which is a namespace's own.
constexpr Network kSpecial[] = {{At(0, 0), 8},     {At(10, 0), 8},   {At(100, 64), 10},  {At(169, 254), 16},
                                {At(172, 16), 12}, {At(192, 0), 24}, {At(192, 168), 16}, {At(198, 18), 15},
                                {At(224, 0), 4},   {At(240, 0), 4}};
// A route for more than this is a way to the internet, whatever it is called: a VPN has it in two halves.
constexpr int kLeastBits = 8;
constexpr size_t kRouteBytes = size_t{4} << 20;

std::string TextOf(const Network& network) {
  const in_addr address{htonl(network.address)};
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address, text, sizeof text);
  return std::string(text) + "/" + std::to_string(network.bits);
}

// Device, destination, gateway, flags, …, mask as the eighth: addresses as the machine has them in memory.
bool RouteOf(const std::string& line, Network* out) {
  const std::vector<std::string> fields = Split(line, '\t');
  if (fields.size() < 8 || fields[0] == "lo") return false;
  char *end = nullptr, *mask_end = nullptr;
  const auto address = static_cast<uint32_t>(std::strtoul(fields[1].c_str(), &end, 16));
  const auto mask = static_cast<uint32_t>(std::strtoul(fields[7].c_str(), &mask_end, 16));
  if (fields[1].size() != 8 || fields[7].size() != 8 || *end != '\0' || *mask_end != '\0') return false;
  out->bits = std::popcount(mask);
  out->address = ntohl(address) & out->Mask();
  return out->bits >= kLeastBits;
}

}  // namespace

std::vector<std::string> LocalNetworksOf(std::string_view routes, const std::vector<std::string>& addresses) {
  std::vector<Network> all(std::begin(kSpecial), std::end(kSpecial));
  for (const std::string& line : Split(routes, '\n')) {
    if (Network network{}; RouteOf(line, &network)) all.push_back(network);
  }
  for (const std::string& text : addresses) {
    in_addr address{};
    if (inet_pton(AF_INET, text.c_str(), &address) == 1) all.push_back({ntohl(address.s_addr), 32});
  }
  const Network loopback{At(127, 0), 8};
  // The wider one first: what it holds is dropped.
  std::sort(all.begin(), all.end(), [](const Network& a, const Network& b) {
    return a.bits != b.bits ? a.bits < b.bits : a.address < b.address;
  });
  std::vector<Network> kept;
  for (const Network& network : all) {
    const auto holds = [&](const Network& wider) { return wider.Holds(network); };
    if (!loopback.Holds(network) && std::none_of(kept.begin(), kept.end(), holds)) kept.push_back(network);
  }
  std::vector<std::string> out;
  out.reserve(kept.size());
  for (const Network& network : kept) out.push_back(TextOf(network));
  std::sort(out.begin(), out.end());
  return out;
}

StatusOr<std::vector<std::string>> LocalNetworks() {
  ASSIGN_OR_RETURN(const std::string routes, ReadFile("/proc/thread-self/net/route", kRouteBytes));
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return ErrnoStatus(errno, "the addresses of this machine");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(list, freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    if (inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) addresses.emplace_back(text);
  }
  return LocalNetworksOf(routes, addresses);
}

}  // namespace mcpfleet
