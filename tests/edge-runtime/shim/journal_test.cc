// The journal by itself: what each instant of a crash leaves, and what is never trusted.
#include "edge-runtime/shim/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace mcpfleet::shim {
namespace {

std::unique_ptr<Journal> Fresh() {
  auto journal = Journal::Create(5);
  EXPECT_TRUE(journal.ok()) << journal.status();
  return *std::move(journal);
}
// What the next mcplet gets, while the first still stands: no destructor has put anything in order.
StatusOr<std::unique_ptr<Journal>> Next(const Journal& journal) {
  return Journal::Adopt(UniqueFd(dup(journal.fd())), 5);
}

void Read(Journal* journal, std::string_view bytes) {
  while (!bytes.empty()) {
    Journal::Room room = journal->OutRoom();
    size_t n = std::min(room.size, bytes.size());
    memcpy(room.at, bytes.data(), n);
    journal->OutDidRead(n);
    bytes.remove_prefix(n);
  }
}

std::vector<std::string> TakeLines(Journal* journal) {
  std::vector<std::string> lines;
  for (std::string_view line; journal->OutLine(&line); journal->OutConsume()) lines.emplace_back(line);
  return lines;
}

// The header as the tests of damage need it.
struct Mapped {
  explicit Mapped(const Journal& journal) {
    at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, journal.fd(), 0);
    header = static_cast<JournalHeader*>(at);
  }
  ~Mapped() { munmap(at, 4096); }
  void* at;
  JournalHeader* header;
};

TEST(JournalTest, LinesComeOutWholeAndInOrder) {
  auto journal = Fresh();
  Read(journal.get(), "one\ntw");
  EXPECT_EQ(TakeLines(journal.get()), std::vector<std::string>{"one"});
  Read(journal.get(), "o\n\nfour\n");
  EXPECT_EQ(TakeLines(journal.get()), (std::vector<std::string>{"two", "", "four"}));
}

TEST(JournalTest, BytesReadButNotCountedAreFound) {
  auto journal = Fresh();
  Read(journal.get(), "one\nhal");
  Journal::Room room = journal->OutRoom();
  memcpy(room.at, "f\nthree\n", 8);  // died here
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(TakeLines(next->get()), (std::vector<std::string>{"one", "half", "three"}));
}

TEST(JournalTest, ADeliveredLineThatWasNotCountedComesAgain) {
  auto journal = Fresh();
  Read(journal.get(), "one\ntwo\n");
  std::string_view line;
  ASSERT_TRUE(journal->OutLine(&line));  // delivered; died before OutConsume
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(TakeLines(next->get()), (std::vector<std::string>{"one", "two"}));
}

TEST(JournalTest, EveryLengthPassesAroundTheRing) {
  auto journal = Fresh();
  std::string pending;
  for (int i = 0; i < 400; ++i) {
    std::string line(static_cast<size_t>(i) * 997 % 300'000, static_cast<char>('a' + i % 26));
    Read(journal.get(), line + "\n" + "tail");  // never empty, so the ring is really walked around
    std::vector<std::string> lines = TakeLines(journal.get());
    ASSERT_EQ(lines.size(), 1u);
    ASSERT_EQ(lines[0], (i == 0 ? "" : "tail") + line);
    if (i % 37 == 0) {
      auto next = Next(*journal);
      ASSERT_TRUE(next.ok()) << next.status();
      journal = *std::move(next);
    }
  }
}

TEST(JournalTest, AnIdleJournalHoldsFewPages) {
  auto journal = Fresh();
  for (int i = 0; i < 20; ++i) {
    Read(journal.get(), std::string(1 << 20, 'x') + "\n");
    EXPECT_EQ(TakeLines(journal.get()).size(), 1u);
    ASSERT_TRUE(journal->InAppend(std::string(1 << 20, 'y')).ok());
    while (!journal->InPiece().empty()) {
      size_t size = journal->InPiece().size();
      journal->InBegin();
      journal->InEnd(size);
    }
  }
  ASSERT_TRUE(journal->InAppend("small").ok());
  struct stat info {};
  ASSERT_EQ(fstat(journal->fd(), &info), 0);
  EXPECT_LE(info.st_blocks * 512, 256 << 10);
}

TEST(JournalTest, ALineBeyondTheLimitIsDroppedAlsoOverACrash) {
  auto journal = Fresh();
  std::string piece(1 << 20, 'x');
  for (size_t bytes = 0; bytes <= limits::kChildLineBytes + piece.size(); bytes += piece.size()) {
    Read(journal.get(), piece);
    EXPECT_TRUE(TakeLines(journal.get()).empty());
  }
  EXPECT_EQ(journal->out_dropped(), 1u);
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok()) << next.status();
  Read(next->get(), "rest of it\nshort\n");
  EXPECT_EQ(TakeLines(next->get()), std::vector<std::string>{"short"});
}

TEST(JournalTest, WhatIsSpilledIsTheReadersAndTheRestOfTheLineIsNoLineForAnotherMcplet) {
  auto journal = Fresh();
  std::string spilled;
  Read(journal.get(), "short\nbegin");
  EXPECT_FALSE(journal->OutSpill(3, &spilled)) << "a whole line is there";
  EXPECT_EQ(TakeLines(journal.get()), std::vector<std::string>{"short"});
  EXPECT_FALSE(journal->OutSpill(5, &spilled)) << "not longer than that";
  ASSERT_TRUE(journal->OutSpill(4, &spilled));
  EXPECT_EQ(spilled, "begin");
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok()) << next.status();
  Read(next->get(), "rest of it\nafter\n");
  EXPECT_EQ(TakeLines(next->get()), std::vector<std::string>{"after"});
  journal->OutPutBack("one\ntw");
  Read(journal.get(), "o\n");
  EXPECT_EQ(TakeLines(journal.get()), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(journal->out_dropped(), 0u);
}

TEST(JournalTest, ANulBecomesAByteThatNoJsonHas) {
  auto journal = Fresh();
  Read(journal.get(), std::string_view("a\0b\0\n", 5));
  EXPECT_EQ(TakeLines(journal.get()), std::vector<std::string>{"a\x01"
                                                               "b\x01"});
  EXPECT_TRUE(Next(*journal).ok());
}

TEST(JournalTest, WritingGoesOnInTheMiddleOfALine) {
  auto journal = Fresh();
  ASSERT_TRUE(journal->InAppend("first").ok());
  ASSERT_TRUE(journal->InAppend("second").ok());
  EXPECT_EQ(journal->InPiece(), "first\n");
  journal->InBegin();
  journal->InEnd(2);
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->InPiece(), "rst\n");
  EXPECT_EQ((*next)->DoubtfulLine(), "");
  (*next)->InBegin();
  (*next)->InEnd(4);
  EXPECT_EQ((*next)->InPiece(), "second\n");
}

TEST(JournalTest, AWriteUnderWayIsGivenUpWithANewlineAndNamed) {
  auto journal = Fresh();
  ASSERT_TRUE(journal->InAppend("zeroth").ok());
  ASSERT_TRUE(journal->InAppend("first").ok());
  ASSERT_TRUE(journal->InAppend("second").ok());
  journal->InBegin();
  journal->InEnd(7);
  journal->InBegin();
  journal->InEnd(2);
  journal->InBegin();  // died in write(2)
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->DoubtfulLine(), "first");
  EXPECT_EQ((*next)->InPiece(), "\n");
  (*next)->InBegin();  // and again, in the newline: one too many does no harm
  auto third = Next(**next);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ((*third)->DoubtfulLine(), "first") << "nobody has seen to it yet";
  EXPECT_EQ((*third)->InPiece(), "\n");
  (*third)->InBegin();
  (*third)->InEnd(1);
  EXPECT_EQ((*third)->InPiece(), "") << "one doubt at a time";
  ASSERT_TRUE((*third)->InAppend("third").ok());
  (*third)->SettleDoubt();
  EXPECT_EQ((*third)->InPiece(), "second\n");
  auto fourth = Next(**third);
  ASSERT_TRUE(fourth.ok());
  EXPECT_EQ((*fourth)->DoubtfulLine(), "");
}

TEST(JournalTest, AWriteThatWasCountedIsNotInDoubt) {
  auto journal = Fresh();
  ASSERT_TRUE(journal->InAppend("first").ok());
  ASSERT_TRUE(journal->InAppend("second").ok());
  journal->InBegin();
  Mapped mapped(*journal);
  uint64_t busy = mapped.header->in_busy;
  journal->InEnd(6);
  mapped.header->in_busy = busy;  // died between counting and clearing,
  mapped.header->in_line = 0;     // and before the line was counted as done
  auto next = Next(*journal);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->DoubtfulLine(), "");
  EXPECT_EQ((*next)->InPiece(), "second\n");
  (*next)->InBegin();
  auto third = Next(**next);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ((*third)->DoubtfulLine(), "second");
}

TEST(JournalTest, TheNoteIsTheOldOrTheNewOne) {
  auto journal = Fresh();
  EXPECT_EQ(journal->LoadNote(), "");
  ASSERT_TRUE(journal->SaveNote("old").ok());
  ASSERT_TRUE(journal->SaveNote(std::string(Journal::kNoteBytes, 'n')).ok());
  EXPECT_EQ((*Next(*journal))->LoadNote().size(), Journal::kNoteBytes);
  Mapped mapped(*journal);
  mapped.header->note_active = 1 - mapped.header->note_active;  // died before the switch
  EXPECT_EQ((*Next(*journal))->LoadNote(), "old");
}

TEST(JournalTest, WhatWeDidNotWriteIsRefused) {
  EXPECT_FALSE(Journal::Adopt(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), 5).ok());
  UniqueFd unsealed(memfd_create("unsealed", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(unsealed.get(), Journal::kFileBytes), 0);
  EXPECT_FALSE(Journal::Adopt(std::move(unsealed), 5).ok());
  auto journal = Fresh();
  EXPECT_FALSE(Journal::Adopt(UniqueFd(dup(journal->fd())), 6).ok()) << "another session";
  Read(journal.get(), "one\ntwo");
  ASSERT_TRUE(journal->InAppend("in").ok());
  Mapped mapped(*journal);
  using Word = std::atomic<uint64_t> JournalHeader::*;
  for (Word word :
       {&JournalHeader::out_head, &JournalHeader::out_tail, &JournalHeader::out_zero, &JournalHeader::in_head,
        &JournalHeader::in_tail, &JournalHeader::in_busy, &JournalHeader::in_newline, &JournalHeader::note_active}) {
    uint64_t good = mapped.header->*word;
    mapped.header->*word = uint64_t{1} << 62 | 12345;
    EXPECT_FALSE(Next(*journal).ok());
    mapped.header->*word = good;
  }
  mapped.header->out_tail = 100;
  EXPECT_FALSE(Next(*journal).ok()) << "zeros inside what was read";
}

}  // namespace
}  // namespace mcpfleet::shim
