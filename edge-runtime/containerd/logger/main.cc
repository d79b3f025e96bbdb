// mcp-log: keeps the log of one container. containerd's shim starts it for a task whose output is to go to
// binary:///…/mcp-log?directory=…&bytes=…&files=…&stdout=…, with the container's stdout on descriptor 3, its stderr on
// 4, and on 5 a pipe whose end says that it is ready. It lives as long as one of the two is open, whatever becomes of
// mcplet and containerd, and never makes the server wait for a disk.
//
// Arguments are pairs, in any order.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge-runtime/log/log_rotate.h"

namespace {

constexpr int kStdout = 3, kStderr = 4, kReady = 5;

// Bytes of one stream up to whole lines, so that two streams never share one.
struct Stream {
  int fd;
  bool wanted, open;
  size_t size;
  char line[mcpfleet::LogRotate::kLineBytes];
};

mcpfleet::LogRotate writer;  // large: not on the stack
Stream streams[2];

void Take(Stream* stream, const char* bytes, size_t size) {
  while (size > 0) {
    const auto* end = static_cast<const char*>(memchr(bytes, '\n', size));
    size_t part = end == nullptr ? size : static_cast<size_t>(end - bytes) + 1;
    const size_t room = sizeof stream->line - stream->size;
    if (part > room) part = room;
    memcpy(stream->line + stream->size, bytes, part);
    stream->size += part;
    bytes += part;
    size -= part;
    if (stream->line[stream->size - 1] != '\n' && stream->size < sizeof stream->line) continue;
    writer.Add(stream->line, stream->size);  // a line that is longer than the buffer is cut into several
    stream->size = 0;
  }
}

void Close(Stream* stream) {
  if (stream->size > 0) {
    writer.Add(stream->line, stream->size);
    writer.Add("\n", 1);
    stream->size = 0;
  }
  close(stream->fd);
  stream->open = false;
}

// What is there now.
void Read(Stream* stream) {
  static char buffer[16384];
  for (int i = 0; i < 16; ++i) {
    const ssize_t n = read(stream->fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Close(stream);
    if (stream->wanted) Take(stream, buffer, static_cast<size_t>(n));
  }
}

void Loop() {
  while (streams[0].open || streams[1].open) {
    pollfd waits[2];
    for (int i = 0; i < 2; ++i) waits[i] = {streams[i].open ? streams[i].fd : -1, POLLIN, 0};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (streams[i].open && waits[i].revents != 0) Read(&streams[i]);
    }
    writer.Flush(false);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* directory = nullptr;
  long long bytes = 10 << 20;
  int files = 1;
  bool with_stdout = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "directory") == 0) directory = argv[i + 1];
    if (strcmp(argv[i], "bytes") == 0) bytes = atoll(argv[i + 1]);
    if (strcmp(argv[i], "files") == 0) files = atoi(argv[i + 1]);
    if (strcmp(argv[i], "stdout") == 0) with_stdout = argv[i + 1][0] == '1';
  }
  const int at = directory == nullptr ? -1 : open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0 || bytes <= 0 || files <= 0) {
    static const char usage[] = "usage: mcp-log directory D bytes N files N stdout 0|1, started by containerd\n";
    [[maybe_unused]] const ssize_t said = write(2, usage, sizeof usage - 1);
    return 2;
  }
  // The end of the container is told by its streams, never by a signal to the group of whoever started us.
  setsid();
  const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
  for (const int number : ignored) signal(number, SIG_IGN);
  streams[0] = {kStdout, with_stdout, true, 0, {}};
  streams[1] = {kStderr, true, true, 0, {}};
  for (const Stream& stream : streams) fcntl(stream.fd, F_SETFL, fcntl(stream.fd, F_GETFL) | O_NONBLOCK);
  writer.Open(at, bytes, files);
  close(kReady);
  Loop();
  writer.Close();
  return 0;
}
