#include "edge-runtime/mcplet/file_notebook.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

const ServerKey kWeather{"default", "weather"}, kClock{"default", "clock"};

class FileNotebookTest : public ::testing::Test {
 protected:
  std::string Path() const { return dir_ / "restarts"; }
  // What a mcplet notes and finds at its next start.
  void Note(const ServerKey& server, const std::string& text) {
    FileNotebook notebook(Path());
    notebook.Start();
    notebook.Write(server, text);
    notebook.Stop();
  }
  std::string Found(const ServerKey& server) const { return FileNotebook(Path()).Read(server); }
  testing::TempDir dir_;
};

TEST_F(FileNotebookTest, WhatWasNotedIsThereForTheNext) {
  Note(kWeather, "w1");
  Note(kClock, "c1");
  Note(kWeather, "w2");
  EXPECT_EQ(Found(kWeather), "w2");
  EXPECT_EQ(Found(kClock), "c1");
  Note(kWeather, "");
  EXPECT_EQ(Found(kWeather), "");
}

TEST_F(FileNotebookTest, ADamagedFileIsAnEmptyNotebookAndIsReplaced) {
  Note(kWeather, "w1");
  StatusOr<std::string> content = ReadFile(Path(), 1 << 20);
  ASSERT_TRUE(content.ok());
  for (const std::string& damaged :
       {std::string(), std::string("x"), content->substr(0, content->size() - 1), content->substr(0, 64) + "\n[]"}) {
    ASSERT_TRUE(WriteFileAtomically(Path(), damaged).ok());
    EXPECT_EQ(Found(kWeather), "");
    Note(kClock, "c2");
    EXPECT_EQ(Found(kClock), "c2");
  }
}

TEST_F(FileNotebookTest, OnlyWhatIsWantedIsRetainedAndAnEndlessTextIsNotKept) {
  Note(kWeather, "w1");
  Note(kClock, std::string(1 << 20, 'x'));
  EXPECT_EQ(Found(kClock), "");
  FileNotebook notebook(Path());
  notebook.Start();
  notebook.Retain({kClock});
  notebook.Stop();
  EXPECT_EQ(Found(kWeather), "");
}

TEST_F(FileNotebookTest, NothingIsWrittenWhenNothingChanged) {
  Note(kWeather, "");
  EXPECT_EQ(ReadFile(Path(), 1 << 20).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace mcpfleet
