#include "edge-runtime/shim/wire.h"

#include <string>

#include <gtest/gtest.h>

namespace mcpfleet::shim {
namespace {

TEST(WireTest, AMessageSurvivesTheJourney) {
  uint8_t buffer[256];
  Writer writer(buffer, sizeof buffer);
  std::string name = "weather-1", token = "sesame";
  Encode(&writer, {kVersion, Type::kHello, 9, 0}, Hello{{name.data(), 9}, {token.data(), 6}, 123, 4, 7});
  ASSERT_TRUE(writer.ok());
  Reader reader(buffer, writer.size());
  Header header;
  Hello hello;
  ASSERT_TRUE(Take(&reader, &header));
  ASSERT_TRUE(Take(&reader, &hello));
  EXPECT_EQ(header.seq, 9u);
  EXPECT_TRUE(hello.instance.Equals("weather-1"));
  EXPECT_TRUE(hello.token.Equals("sesame"));
  EXPECT_EQ(hello.landlock_abi, 7u);
}

TEST(WireTest, EveryShorterMessageIsRefused) {
  uint8_t buffer[256];
  Writer writer(buffer, sizeof buffer);
  Put(&writer, Header{kVersion, Type::kSpawn, 1, 2});
  writer.U32(0);
  writer.U32(2);
  writer.String("node", 4);
  writer.String("x.js", 4);
  writer.U32(1);
  writer.String("A=b", 3);
  writer.String("/", 1);
  for (size_t size = 0; size < writer.size(); ++size) {
    Reader reader(buffer, size);
    Header header;
    Spawn spawn;
    EXPECT_FALSE(Take(&reader, &header) && Take(&reader, &spawn)) << size;
  }
  Reader reader(buffer, writer.size());
  Header header;
  Spawn spawn;
  EXPECT_TRUE(Take(&reader, &header) && Take(&reader, &spawn));
  EXPECT_EQ(spawn.argv.count, 2u);
}

TEST(WireTest, AStringWithANulOrATooLongCountIsRefused) {
  uint8_t buffer[64];
  Writer writer(buffer, sizeof buffer);
  writer.U32(3);
  writer.Raw("a\0b", 3);
  Reader reader(buffer, writer.size());
  reader.String();
  EXPECT_FALSE(reader.ok());
  Writer huge(buffer, sizeof buffer);
  huge.U32(0);
  huge.U32(0xffffffff);
  Reader huge_reader(buffer, huge.size());
  Spawn spawn;
  EXPECT_FALSE(Take(&huge_reader, &spawn));
}

TEST(WireTest, AFilesContentIsAnyBytesAndItsPathIsText) {
  uint8_t buffer[64];
  Writer writer(buffer, sizeof buffer);
  Put(&writer, PutFile{3, {"/run/a", 6}, {"a\0\n", 3}});
  ASSERT_TRUE(writer.ok());
  Reader reader(buffer, writer.size());
  PutFile file;
  ASSERT_TRUE(Take(&reader, &file));
  EXPECT_EQ(file.index, 3u);
  EXPECT_TRUE(file.path.Equals("/run/a"));
  EXPECT_EQ(std::string_view(file.content.at, file.content.size), std::string_view("a\0\n", 3));
  Reader cut(buffer, writer.size() - 1);
  EXPECT_FALSE(Take(&cut, &file));
  Writer nul(buffer, sizeof buffer);
  Put(&nul, PutFile{0, {"/r\0n", 4}, {"x", 1}});
  Reader of_nul(buffer, nul.size());
  EXPECT_FALSE(Take(&of_nul, &file));
}

TEST(WireTest, UnknownVersionsAndTypesAreRefused) {
  for (auto [version, type] :
       {std::pair<uint16_t, uint16_t>{0, 1}, {kVersion + 1, 1}, {kVersion, 0}, {kVersion, kLastType + 1}}) {
    uint8_t buffer[16] = {0};
    memcpy(buffer, &version, 2);
    memcpy(buffer + 2, &type, 2);
    Reader reader(buffer, sizeof buffer);
    Header header;
    EXPECT_FALSE(Take(&reader, &header)) << version << " " << type;
  }
}

TEST(WireTest, AWriterThatIsFullSaysSo) {
  uint8_t buffer[20];
  Writer writer(buffer, sizeof buffer);
  Put(&writer, Header{});
  writer.String("too long", 8);
  EXPECT_FALSE(writer.ok());
}

}  // namespace
}  // namespace mcpfleet::shim
