// Rows of JSON in a file, a line each, written as they come. What a crash left of the last one is no row and takes none
// with it.
//
// Not thread-safe. What can't be read or written is logged, once; whoever uses it goes on with what it has in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::dashboard {

class Journal {
 public:
  // `what` is for people: "the dashboard's audit".
  Journal(std::string path, std::string what) : path_(std::move(path)), what_(std::move(what)) {}
  // Every row, in the order in which they were written; call it before the others, once.
  void Load(const std::function<void(Json)>& take);
  void Append(const Json& row);
  // Instead of all that is there, at once or not at all.
  void Replace(const std::vector<Json>& rows);
  // Rows in the file.
  size_t rows() const { return rows_; }
  // When the file was last written or touched; nullopt: there is none.
  std::optional<WallTime> Touched() const;
  void Touch(WallTime now);

 private:
  void Wrote(const Status& written);

  const std::string path_, what_;
  size_t rows_ = 0;
  bool torn_ = false;  // the last line has no end
  bool failed_ = false;
};

}  // namespace mcpfleet::dashboard
