// Networks that an instance may not reach though its relay would: routes of type "unreachable" in its own network
// namespace. The kernel then refuses each packet to there before anything else sees it, and only CAP_NET_ADMIN, which
// is dropped, could take them away. The relay's own network (10.0.2.0/24) is a longer prefix than any private range, so
// its gateway and resolver stay; it lets nobody pass there but to port 53 of the host's resolver.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

struct RouteRequest {
  nlmsghdr header;
  rtmsg route;
  rtattr attribute;
  uint32_t destination;
};

bool AddRoute(int fd, const Network4& network, uint32_t sequence) {
  RouteRequest request;
  memset(&request, 0, sizeof request);
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWROUTE;
  // Not exclusive: one of the relay's own routes for the same prefix is taken over.
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request.header.nlmsg_seq = sequence;
  request.route.rtm_family = AF_INET;
  request.route.rtm_dst_len = network.bits;
  request.route.rtm_table = RT_TABLE_MAIN;
  request.route.rtm_protocol = RTPROT_STATIC;
  request.route.rtm_scope = RT_SCOPE_UNIVERSE;
  request.route.rtm_type = RTN_UNREACHABLE;
  request.attribute.rta_len = RTA_LENGTH(sizeof request.destination);
  request.attribute.rta_type = RTA_DST;
  request.destination = network.address;
  if (send(fd, &request, sizeof request, 0) != static_cast<ssize_t>(sizeof request)) return false;
  alignas(nlmsghdr) char answer[512];
  const ssize_t n = recv(fd, answer, sizeof answer, 0);
  if (n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) {
    if (n >= 0) errno = EPROTO;
    return false;
  }
  nlmsghdr header;
  nlmsgerr result;
  memcpy(&header, answer, sizeof header);
  memcpy(&result, answer + NLMSG_HDRLEN, sizeof result);
  if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq != sequence) {
    errno = EPROTO;
    return false;
  }
  errno = -result.error;
  return result.error == 0;
}

}  // namespace

bool MakeUnreachable(const Config& config) {
  if (config.unreachable_count == 0) return true;
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return FailErrno("unreachable: netlink");
  bool ok = true;
  for (int i = 0; ok && i < config.unreachable_count; ++i) {
    const Network4& network = config.unreachable[i];
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &network.address, text, sizeof text);
    ok = AddRoute(fd, network, static_cast<uint32_t>(i + 1)) || FailErrno("unreachable %s/%d", text, network.bits);
  }
  close(fd);
  return ok;
}

}  // namespace mcpfleet::sandbox
