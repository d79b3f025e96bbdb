#include "edge-runtime/log/file_tail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <utility>

#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {

constexpr int64_t kHashedBytes = 256;
// Of a file that is there already, what is looked at for the lines since a time: some seconds of a flood.
constexpr int64_t kSinceBytes = 256 << 10;
// A rotation takes microseconds; a writer that keeps no count never will.
constexpr int kUnsureLooks = 3;
constexpr char kPlace[] = "file %" SCNu64 " %" SCNd64 " %" SCNx64 " %" SCNd64;

// FNV-1a of the first bytes, as many as lie before `offset`.
uint64_t HashOfBeginning(int fd, int64_t offset) {
  char bytes[kHashedBytes];
  const ssize_t n = pread(fd, bytes, static_cast<size_t>(std::min(offset, kHashedBytes)), 0);
  uint64_t hash = 0xcbf29ce484222325;
  for (ssize_t i = 0; i < n; ++i) hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3;
  return hash;
}

int64_t SizeOf(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_size : 0;
}

// Where the first line since then begins, of the file's end.
int64_t OffsetOf(WallTime since, int fd) {
  const int64_t size = SizeOf(fd), from = std::max<int64_t>(0, size - kSinceBytes);
  std::string bytes(static_cast<size_t>(size - from), '\0');
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(0, pread(fd, bytes.data(), bytes.size(), from))));
  size_t at = 0, newline = 0;
  if (from > 0) at = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
  for (; (newline = bytes.find('\n', at)) != std::string::npos; at = newline + 1) {
    const std::string_view line = std::string_view(bytes).substr(at, newline - at);
    const StatusOr<WallTime> time = ParseTime(line.substr(0, line.find(' ')));
    if (time.ok() && *time >= since) break;
  }
  return from + static_cast<int64_t>(at);
}

std::string PreviousBase() { return std::string("previous.") + kLogFile; }

}  // namespace

FileTail::FileTail(std::string directory, const TailFrom& from)
    : directory_(std::move(directory)), from_birth_(from.from_birth), since_(from.since) {
  have_place_ =
      std::sscanf(from.place.c_str(), kPlace, &wanted_.inode, &wanted_.offset, &wanted_.hash, &wanted_.line) == 4 &&
      wanted_.offset >= 0 && wanted_.line >= -1;
}

std::string FileTail::Place() const {
  Wanted at = wanted_;
  if (file_.fd.valid()) {
    at = {.inode = file_.inode,
          .hash = HashOfBeginning(file_.fd.get(), offset_),
          .offset = offset_,
          .line = line_known_ ? line_ : -1};
  } else if (!have_place_) {
    return "";
  }
  char text[128];
  snprintf(text, sizeof text, "file %" PRIu64 " %" PRId64 " %" PRIx64 " %" PRId64, at.inode, at.offset, at.hash,
           at.line);
  return text;
}

void FileTail::Take(LogFile file, bool previous, int64_t offset) {
  file_ = std::move(file);
  previous_ = previous;
  offset_ = offset;
}

bool FileTail::BeginAfterGap(std::vector<LogFile> files, LogPiece* piece) {
  if (files.empty()) return false;
  // What lies before the oldest file that is left: the writer's count for the newest, less what is in the others.
  std::optional<int64_t> before = LinesBefore(directory_, files.back());
  for (size_t i = 0; before && i + 1 < files.size(); ++i) *before -= CountLines(files[i].fd.get());
  if (before && *before < 0) before.reset();  // a rotation came between
  const bool gap = have_place_ || file_.fd.valid();
  if (!before && (gap || from_birth_) && ++unsure_ < kUnsureLooks) return false;
  unsure_ = 0;
  if (gap && line_known_ && before && *before >= line_) {
    piece->lost += *before - line_;
  } else if (gap) {
    // Nobody counted; or these files are another incarnation's, of which nothing was read.
    piece->lost += line_known_ ? std::max<int64_t>(1, before.value_or(0)) : 1;
  } else if (from_birth_) {
    piece->lost += before.value_or(0);
  }
  line_ = before.value_or(0);
  line_known_ = before.has_value();
  Take(std::move(files.front()), false, 0);
  return true;
}

bool FileTail::BeginSince(WallTime since) {
  std::vector<LogFile> files = OpenLogFiles(directory_, kLogFile);
  since_.reset();
  if (files.empty()) return false;  // nothing is written yet: all that comes is since then
  const int64_t offset = OffsetOf(since, files.back().fd.get());
  Take(std::move(files.back()), false, offset);
  return true;
}

bool FileTail::Begin(LogPiece* piece) {
  if (since_ && !have_place_) return BeginSince(*since_);
  std::vector<LogFile> files = OpenLogFiles(directory_, kLogFile);
  if (!have_place_) return BeginAfterGap(std::move(files), piece);
  const auto is_wanted = [&](const LogFile& file) {
    return file.inode == wanted_.inode && SizeOf(file.fd.get()) >= wanted_.offset &&
           HashOfBeginning(file.fd.get(), wanted_.offset) == wanted_.hash;
  };
  line_ = std::max<int64_t>(0, wanted_.line);
  line_known_ = wanted_.line >= 0;
  if (auto it = std::find_if(files.begin(), files.end(), is_wanted); it != files.end()) {
    Take(std::move(*it), false, wanted_.offset);
    return true;
  }
  std::vector<LogFile> previous = OpenLogFiles(directory_, PreviousBase());
  if (auto it = std::find_if(previous.begin(), previous.end(), is_wanted); it != previous.end()) {
    Take(std::move(*it), true, wanted_.offset);
    return true;
  }
  return BeginAfterGap(std::move(files), piece);
}

bool FileTail::IsNewest() const {
  struct stat st;
  return !previous_ && stat((directory_ + "/" + kLogFile).c_str(), &st) == 0 && st.st_ino == file_.inode;
}

bool FileTail::GoOn(LogPiece* piece) {
  // Its inode can't be another file's: this one is open.
  const auto is_present = [&](const LogFile& file) { return file.inode == file_.inode; };
  std::vector<LogFile> files = OpenLogFiles(directory_, kLogFile);
  if (auto it = std::find_if(files.begin(), files.end(), is_present); it != files.end()) {
    if (++it == files.end()) return false;
    Take(std::move(*it), false, 0);
    return true;
  }
  std::vector<LogFile> previous = OpenLogFiles(directory_, PreviousBase());
  auto it = std::find_if(previous.begin(), previous.end(), is_present);
  if (it == previous.end()) return BeginAfterGap(std::move(files), piece);
  if (++it != previous.end()) {
    Take(std::move(*it), true, 0);
    return true;
  }
  if (files.empty()) return false;
  // Another incarnation begins, of which nothing was read: what it has rotated away already is a gap.
  line_ = 0;
  line_known_ = true;
  return BeginAfterGap(std::move(files), piece);
}

size_t FileTail::ReadLines(std::string* out, size_t max, LogPiece* piece) {
  if (const int64_t size = SizeOf(file_.fd.get()); size < offset_) offset_ = size;  // a full disk: cut off again
  if (room_bytes_ < max + 1) {
    room_bytes_ = max + 1;
    room_.reset(new char[room_bytes_]);  // not make_unique: it would fill it
  }
  // The byte before is read too: it ends a line, unless the file was cut and written on meanwhile.
  const int64_t from = std::max<int64_t>(0, offset_ - 1);
  const ssize_t n = std::max<ssize_t>(0, pread(file_.fd.get(), room_.get(), max + 1, from));
  std::string_view bytes(room_.get(), static_cast<size_t>(n));
  size_t skip = 0;
  if (offset_ > 0) {
    if (bytes.empty()) return 0;
    skip = 1;
    if (bytes.front() != '\n') {
      const size_t newline = bytes.find('\n');
      skip = newline == std::string_view::npos ? bytes.size() : newline + 1;
      ++piece->lost;
      ++line_;
    }
  }
  bytes.remove_prefix(skip);
  const size_t newline = bytes.rfind('\n');
  size_t whole = newline == std::string_view::npos ? 0 : newline + 1;
  const bool endless = whole == 0 && bytes.size() >= max;  // longer than any line of the writer: damage, cut here
  if (endless) whole = bytes.size();
  const int64_t lines = CountLines(bytes.substr(0, whole));
  offset_ = from + static_cast<int64_t>(skip + whole);
  out->append(bytes.substr(0, whole));
  if (endless) {
    out->push_back('\n');
    // The byte before the next place ends no line: it would be taken for a cut. Skip to the end of this one.
    ++piece->lost;
    for (char c = 0; pread(file_.fd.get(), &c, 1, offset_) == 1 && c != '\n';) ++offset_;
    offset_ = std::min(offset_ + 1, SizeOf(file_.fd.get()));
  }
  piece->lines += lines + (endless ? 1 : 0);
  line_ += lines + (endless ? 1 : 0);
  piece->more = piece->more || static_cast<size_t>(n) == max + 1;
  return whole;
}

StatusOr<LogPiece> FileTail::Read(std::string* out, size_t max, Deadline) {
  LogPiece piece;
  piece.at_end = true;
  if (!file_.fd.valid() && !Begin(&piece)) return piece;
  for (;;) {
    // The order makes it exact: what was written before the rotation is read after that was seen.
    const bool newest = IsNewest();
    if (ReadLines(out, max, &piece) > 0 || piece.more) {
      piece.more = piece.more || !newest;  // the next file
      piece.at_end = !piece.more;
      return piece;
    }
    if (newest || !GoOn(&piece)) return piece;
  }
}

}  // namespace mcpfleet
