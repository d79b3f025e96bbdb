// kubectl-style tables: upper-case headers, columns padded to their widest cell, three spaces between.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace mcpfleet::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // Width counts code points, so that names in any script line up.
  void Print(std::ostream& out, bool with_headers = true) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mcpfleet::cli
