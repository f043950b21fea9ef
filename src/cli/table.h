// Tables of text: with borders for people, without for pipes.
#pragma once

#include <string>
#include <vector>

namespace raftd::cli {

enum class Align : unsigned char { kLeft, kCentre, kRight };
enum class Charset : unsigned char { kUtf8, kAscii };

struct Column {
  std::string title;
  Align align = Align::kLeft;  // Of the cells.
  Align title_align = Align::kLeft;
};

// Cells are one line each; control bytes in them are percent-encoded.
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // As many cells as columns.
};

// Full borders, dashed lines between rows and columns, a double line under the header. kAscii:
// the same with + - |.
std::string boxed(const Table& table, Charset charset);

// Columns side by side, two spaces between them, no space at the end of a line.
std::string plain(const Table& table);

}  // namespace raftd::cli
