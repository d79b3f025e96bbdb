// The shim's protocol as the agent and the shim decode it, and a journal as the next agent finds it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "edge-runtime/shim/journal.h"
#include "edge-runtime/shim/wire.h"

namespace {

using namespace mcpfleet;        // NOLINT: a fuzz target is a program of its own
using namespace mcpfleet::shim;  // NOLINT

template <typename M>
void Decode(const uint8_t* bytes, size_t size) {
  Reader reader(bytes, size);
  Header header;
  M m;
  if (Take(&reader, &header)) Take(&reader, &m);
}

void Walk(const StringList& list) {
  Reader reader(list.at, list.size);
  for (uint32_t i = 0; i < list.count; ++i) {
    Bytes b = reader.String();
    if (!reader.ok()) abort();  // it was accepted
    if (b.size > kMaxMessage) abort();
  }
}

void Wire(const uint8_t* bytes, size_t size) {
  Decode<Hello>(bytes, size);
  Decode<shim::Session>(bytes, size);
  Decode<Spawned>(bytes, size);
  Decode<SpawnFailed>(bytes, size);
  Decode<Signal>(bytes, size);
  Decode<End>(bytes, size);
  Decode<Exited>(bytes, size);
  Decode<Gone>(bytes, size);
  Decode<Shutdown>(bytes, size);
  Decode<shim::PutFile>(bytes, size);
  Reader reader(bytes, size);
  Header header;
  Spawn spawn;
  if (!Take(&reader, &header) || !Take(&reader, &spawn)) return;
  Walk(spawn.argv);
  Walk(spawn.env);
}

// The first bytes are words of the header, the rest lies at the start of both rings.
void AdoptJournal(const uint8_t* bytes, size_t size) {
  auto journal = Journal::Create(1);
  if (!journal.ok()) return;
  size_t header = sizeof(JournalHeader) - 24;
  size_t words = size < header ? size : header;
  // Written as an earlier agent would have: through the file.
  if (pwrite((*journal)->fd(), bytes, words, 24) < 0) return;
  bytes += words;
  size -= words;
  for (size_t at : {Journal::kRingsAt, Journal::kRingsAt + Journal::kRingBytes}) {
    if (size > 0 && pwrite((*journal)->fd(), bytes, size, static_cast<off_t>(at)) < 0) return;
  }
  auto next = Journal::Adopt(UniqueFd(dup((*journal)->fd())), 1);
  if (!next.ok()) return;
  (*next)->LoadNote();
  std::string_view line;
  for (int i = 0; i < 1000 && (*next)->OutLine(&line); ++i) {
    if (line.size() > limits::kChildLineBytes || line.find('\n') != line.npos) abort();
    (*next)->OutConsume();
  }
  for (int i = 0; i < 1000 && !(*next)->InPiece().empty(); ++i) {
    std::string_view piece = (*next)->InPiece();
    if (piece.back() != '\n') abort();
    (*next)->InBegin();
    (*next)->InEnd(piece.size());
  }
  // Whatever was accepted goes on being acceptable.
  if ((*next)->InAppend("line").ok() && !Journal::Adopt(UniqueFd(dup((*next)->fd())), 1).ok()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  if (bytes[0] % 2 == 0) {
    Wire(bytes + 1, size - 1);
  } else {
    AdoptJournal(bytes + 1, size - 1);
  }
  return 0;
}
