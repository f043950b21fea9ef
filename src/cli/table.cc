#include "cli/table.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::cli {
namespace {

// What the lines are drawn with.
struct Line {
  std::string_view left;
  std::string_view fill;
  std::string_view middle;
  std::string_view right;
};
struct Drawing {
  Line top;
  Line under_header;
  Line between;
  Line bottom;
  std::string_view border;
  std::string_view divider;
};

constexpr Drawing kUtf8 = {
    {"┌", "─", "┬", "┐"},
    {"╞", "═", "╪", "╡"},
    {"├", "╌", "┼", "┤"},
    {"└", "─", "┴", "┘"},
    "│",
    "┆",
};
constexpr Drawing kAscii = {
    {"+", "-", "+", "+"},
    {"+", "=", "+", "+"},
    {"+", "-", "+", "+"},
    {"+", "-", "+", "+"},
    "|",
    "|",
};

// Characters, not bytes: cells are valid UTF-8 once they are escaped.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// A cell that is text stays as it is, '%' included: nobody decodes a table.
std::string one_line(const std::string& cell) {
  const bool clean = is_utf8(cell) && std::none_of(cell.begin(), cell.end(), [](char c) {
                       return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
                     });
  return clean ? cell : percent_escape(cell);
}

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::size_t missing = width - width_of(text);
  std::size_t left = 0;
  if (align == Align::kRight) left = missing;
  if (align == Align::kCentre) left = missing - missing / 2;
  return std::string(left, ' ') + text + std::string(missing - left, ' ');
}

std::vector<std::size_t> widths_of(const Table& table) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns)
    widths.push_back(width_of(column.title));
  for (const auto& row : table.rows) {
    ASSERT_CMP(row.size(), ==, widths.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width_of(row[i]));
  }
  return widths;
}

Table escaped(const Table& table) {
  Table out = table;
  for (auto& row : out.rows) {
    for (std::string& cell : row)
      cell = one_line(cell);
  }
  return out;
}

std::string drawn(const Line& line, const std::vector<std::size_t>& widths) {
  std::string out(line.left);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (i > 0) out += line.middle;
    for (std::size_t n = 0; n < widths[i] + 2; ++n)
      out += line.fill;
  }
  out += line.right;
  return out + "\n";
}

template <class Cell>
std::string row_of(const Drawing& drawing, std::size_t columns, const Cell& cell) {
  std::string out(drawing.border);
  for (std::size_t i = 0; i < columns; ++i) {
    if (i > 0) out += drawing.divider;
    out += " " + cell(i) + " ";
  }
  out += drawing.border;
  return out + "\n";
}

}  // namespace

std::string boxed(const Table& table, Charset charset) {
  const Table clean = escaped(table);
  const Drawing& drawing = charset == Charset::kUtf8 ? kUtf8 : kAscii;
  const std::vector<std::size_t> widths = widths_of(clean);
  std::string out = drawn(drawing.top, widths);
  out += row_of(drawing, widths.size(), [&](std::size_t i) {
    return padded(clean.columns[i].title, widths[i], clean.columns[i].title_align);
  });
  for (std::size_t r = 0; r < clean.rows.size(); ++r) {
    out += drawn(r == 0 ? drawing.under_header : drawing.between, widths);
    out += row_of(drawing, widths.size(), [&](std::size_t i) {
      return padded(clean.rows[r][i], widths[i], clean.columns[i].align);
    });
  }
  if (clean.rows.empty()) out += drawn(drawing.under_header, widths);
  return out + drawn(drawing.bottom, widths);
}

std::string plain(const Table& table) {
  const Table clean = escaped(table);
  const std::vector<std::size_t> widths = widths_of(clean);
  std::string out;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(cell(i), widths[i],
                     clean.columns[i].align == Align::kRight ? Align::kRight : Align::kLeft);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) { return clean.columns[i].title; });
  for (const auto& row : clean.rows)
    add_line([&](std::size_t i) { return row[i]; });
  return out;
}

}  // namespace raftd::cli
