#include "cli/table.h"

#include <doctest/doctest.h>

namespace raftd::cli {
namespace {

Table logs() {
  Table table;
  table.columns = {{"index", Align::kCentre, Align::kCentre},
                   {"type", Align::kCentre, Align::kCentre},
                   {"data", Align::kLeft, Align::kCentre},
                   {"term", Align::kCentre, Align::kCentre}};
  table.rows = {{"2", "ConfChange", "ConfChangeV2 { .. }", "1"}, {"10", "Normal", "Put", "1"}};
  return table;
}

}  // namespace

TEST_CASE("a table has full borders, dashed inner lines, and centred cells lean to the right") {
  CHECK(boxed(logs(), Charset::kUtf8) ==
        "┌───────┬────────────┬─────────────────────┬──────┐\n"
        "│ index ┆    type    ┆         data        ┆ term │\n"
        "╞═══════╪════════════╪═════════════════════╪══════╡\n"
        "│   2   ┆ ConfChange ┆ ConfChangeV2 { .. } ┆   1  │\n"
        "├╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌┤\n"
        "│   10  ┆   Normal   ┆ Put                 ┆   1  │\n"
        "└───────┴────────────┴─────────────────────┴──────┘\n");
}

TEST_CASE("without UTF-8 the same table is drawn with + - and |") {
  CHECK(boxed(logs(), Charset::kAscii) ==
        "+-------+------------+---------------------+------+\n"
        "| index |    type    |         data        | term |\n"
        "+=======+============+=====================+======+\n"
        "|   2   | ConfChange | ConfChangeV2 { .. } |   1  |\n"
        "+-------+------------+---------------------+------+\n"
        "|   10  |   Normal   | Put                 |   1  |\n"
        "+-------+------------+---------------------+------+\n");
}

TEST_CASE("an empty table still has its header") {
  CHECK(boxed({{{"a"}}, {}}, Charset::kAscii) == "+---+\n| a |\n+===+\n+---+\n");
  CHECK(plain({{{"A"}, {"B"}}, {}}) == "A  B\n");
}

TEST_CASE("in a pipe a table has no borders and no space at the end of a line") {
  CHECK(plain({{{"ID"}, {"NAME"}, {"X"}}, {{"1", "longer", "a"}, {"22", "b", ""}}}) ==
        "ID  NAME    X\n"
        "1   longer  a\n"
        "22  b\n");
}

TEST_CASE("cells count characters, and bytes that would break a line are escaped") {
  CHECK(boxed({{{"k"}}, {{"é"}, {"100%"}}}, Charset::kAscii) ==
        "+------+\n| k    |\n+======+\n| é    |\n+------+\n| 100% |\n+------+\n");
  CHECK(plain({{{"k"}}, {{"a\nb\x1b[2J"}, {"\xff"}}}) == "k\na%0Ab%1B[2J\n%FF\n");
}

}  // namespace raftd::cli
