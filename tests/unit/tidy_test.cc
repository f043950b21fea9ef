// Goal: the house rules that a machine can check hold for every source file. Method: each rule is a
// function from a file's name and text to complaints; one test tries it on a bad sample, one runs
// all of them over src/ and tests/.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Lines = std::vector<std::string>;

struct Source {
  std::string path;  // "src/raft/core.cc"
  Lines lines;       // As they are.
  Lines code;        // Without comments, and with the inside of literals removed.
};

using Complaints = std::vector<std::string>;

std::string at(const Source& source, std::size_t line, const std::string& what) {
  return source.path + ":" + std::to_string(line + 1) + ": " + what;
}

Lines split(const std::string& text) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

// Blanks comments and the inside of literals, keeping every newline.
class Stripper {
 public:
  explicit Stripper(const std::string& text) : text_(text) {}

  std::string strip() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        skip_until("\n");
      } else if (starts("/*")) {
        at_ += 2;
        skip_until("*/");
        at_ += 2;
      } else if (starts("R\"")) {
        raw_string();
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !is_digit_separator())) {
        literal(text_[at_]);
      } else {
        out_.push_back(text_[at_++]);
      }
    }
    return out_;
  }

 private:
  bool starts(const std::string& token) const {
    return text_.compare(at_, token.size(), token) == 0;
  }

  bool is_digit_separator() const {
    return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) != 0;
  }

  void skip_until(const std::string& end) {
    while (at_ < text_.size() && !starts(end)) {
      if (text_[at_] == '\n') out_.push_back('\n');
      ++at_;
    }
  }

  void raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string::npos) {
      at_ = text_.size();
      return;
    }
    const std::string end = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
    skip_until(end);
    at_ += end.size();
    out_ += "\"\"";
  }

  void literal(char quote) {
    out_.push_back(quote);
    for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ < text_.size() && text_[at_] == quote) ++at_;
    out_.push_back(quote);
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::string out_;
};

Source make_source(const std::string& path, const std::string& text) {
  return {path, split(text), split(Stripper(text).strip())};
}

// "src/raft/core.cc": "raft"; "src/main.cc": ""; "tests/...": "tests".
std::string room_of(const std::string& path) {
  if (!path.starts_with("src/")) return "tests";
  const std::size_t slash = path.find('/', 4);
  return slash == std::string::npos ? "" : path.substr(4, slash - 4);
}

// The rooms and what each may include besides itself.
const std::map<std::string, std::set<std::string>>& rooms() {
  static const std::map<std::string, std::set<std::string>> table = {
      {"base", {}},
      {"raft", {"base"}},
      {"machine", {"base", "raft"}},
      {"storage", {"base", "raft"}},
      {"kv", {"base", "machine", "raft"}},
      {"node", {"base", "raft", "storage", "machine"}},
      {"wire", {"base", "raft", "node"}},
      {"http", {"base"}},
      {"api", {"base", "http", "kv", "node", "machine", "raft", "storage"}},
      {"etcd", {"base", "http", "kv", "node", "machine", "raft", "api"}},
      {"uv", {"base", "raft", "machine", "storage", "kv", "node", "wire", "http", "api", "config"}},
      {"config", {"base"}},
      {"cli", {"base", "config", "http", "storage", "kv", "node", "machine", "raft"}},
  };
  return table;
}

Complaints check_rooms(const Source& source) {
  const std::string room = room_of(source.path);
  if (room == "tests" || room.empty()) return {};
  if (!rooms().contains(room)) return {source.path + ": " + room + " is not a room"};
  static const std::regex include("^\\s*#\\s*include\\s+\"([a-z_0-9]+)/[^\"]+\"");
  Complaints complaints;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    std::smatch match;
    if (source.lines[i].find('#') == std::string::npos) continue;
    if (!std::regex_search(source.lines[i], match, include)) continue;
    const std::string other = match[1];
    if (other == room || rooms().at(room).contains(other)) continue;
    complaints.push_back(at(source, i, room + " may not include " + other));
  }
  return complaints;
}

Complaints check_third_party(const Source& source) {
  static const std::vector<std::pair<std::regex, std::set<std::string>>> headers = {
      {std::regex("#\\s*include\\s+([<\"]uv\\.h|<uv/)"), {"uv"}},
      {std::regex("#\\s*include\\s+[<\"]msgpack"), {"wire"}},
      {std::regex("#\\s*include\\s+[<\"]llhttp"), {"http"}},
      {std::regex("#\\s*include\\s+[<\"]toml"), {"config"}},
      {std::regex("#\\s*include\\s+[<\"]doctest"), {"tests"}},
  };
  Complaints complaints;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    if (source.lines[i].find('#') == std::string::npos) continue;
    for (const auto& [header, allowed] : headers) {
      if (!std::regex_search(source.lines[i], header)) continue;
      const std::string room = room_of(source.path);
      if (allowed.contains(room) || room == "tests") continue;
      complaints.push_back(at(source, i, "this library is not for " + source.path));
    }
  }
  return complaints;
}

// hints: text without one of which a line cannot match; a search is much quicker than a regex.
Complaints find_words(const Source& source, const std::vector<std::string>& hints,
                      const std::regex& words, const std::string& why) {
  Complaints complaints;
  for (std::size_t i = 0; i < source.code.size(); ++i) {
    const std::string& line = source.code[i];
    const bool may_match = std::any_of(hints.begin(), hints.end(), [&](const std::string& hint) {
      return line.find(hint) != std::string::npos;
    });
    if (!may_match) continue;
    std::smatch match;
    if (std::regex_search(source.code[i], match, words)) {
      complaints.push_back(at(source, i, match.str() + ": " + why));
    }
  }
  return complaints;
}

// Time and chance come in as arguments.
Complaints check_clocks(const Source& source) {
  const std::string room = room_of(source.path);
  const bool allowed = room == "tests" || room == "uv" || room == "cli" || room.empty() ||
                       source.path.starts_with("src/base/rng.");
  if (allowed) return {};
  static const std::regex words(
      "\\b(system_clock|steady_clock|high_resolution_clock|random_device|mt19937|gettimeofday|"
      "uv_hrtime|uv_now)\\b|(^|[^\\w.>:]|std::|::)(s?rand|random|time|clock_gettime|"
      "getrandom)\\(");
  return find_words(source, {"clock", "rand", "time(", "gettimeofday", "uv_", "mt19937"}, words,
                    "clocks and randomness belong to uv/, cli/, main.cc, base/rng");
}

Complaints check_file_calls(const Source& source) {
  const std::string room = room_of(source.path);
  const bool allowed = room == "tests" || source.path.starts_with("src/storage/posix_files.") ||
                       source.path.starts_with("src/storage/direct_writer.");
  if (allowed) return {};
  static const std::regex words(
      "(^|[^\\w.>:]|[^\\w]::)(open|openat|creat|pread|pwrite|preadv|pwritev2?|fsync|fdatasync|"
      "ftruncate|fallocate|posix_fallocate|posix_fadvise|rename|renameat|unlink|unlinkat|mkdir|"
      "flock|opendir|readdir|fopen|mmap)\\(|\\buv_fs_\\w+\\(|\\bstd::ofstream\\b");
  return find_words(source,
                    {"open", "creat", "read", "write", "sync", "truncate", "alloc", "advise",
                     "rename", "unlink", "mkdir", "flock", "mmap", "uv_fs", "ofstream"},
                    words, "files belong to storage/posix_files and storage/direct_writer");
}

std::size_t columns_of(const std::string& line) {  // Characters, not bytes.
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

Complaints check_layout(const Source& source) {
  constexpr std::size_t kColumnsMax = 100;
  constexpr std::size_t kLinesMax = 600;
  Complaints complaints;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    const std::string& line = source.lines[i];
    if (columns_of(line) > kColumnsMax) complaints.push_back(at(source, i, "over 100 columns"));
    if (line.find('\t') != std::string::npos) complaints.push_back(at(source, i, "a tab"));
    if (line.ends_with(' ')) complaints.push_back(at(source, i, "a space at the end"));
    if (line.ends_with('\r')) complaints.push_back(at(source, i, "a carriage return"));
  }
  if (source.lines.size() > kLinesMax) {
    complaints.push_back(source.path + ": " + std::to_string(source.lines.size()) +
                         " lines, at most 600");
  }
  if (source.path.ends_with(".h")) {
    const bool once = std::any_of(source.lines.begin(), source.lines.end(),
                                  [](const auto& line) { return line == "#pragma once"; });
    if (!once) complaints.push_back(source.path + ": no #pragma once");
  }
  return complaints;
}

Complaints check_words(const Source& source) {
  // Put together here so that this file does not find itself.
  static const std::regex words(std::string("\\b(TO") + "DO|FIX" + "ME|XX" + "X|HA" + "CK)\\b");
  Complaints complaints;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    if (source.lines[i].find_first_of("XTFH") == std::string::npos) continue;
    if (std::regex_search(source.lines[i], words)) {
      complaints.push_back(at(source, i, "unfinished work belongs in an issue"));
    }
  }
  return complaints;
}

Complaints check_exceptions(const Source& source) {
  static const std::regex words("\\bcatch\\s*\\(\\s*\\.\\.\\.\\s*\\)");
  return find_words(source, {"catch"}, words, "catch what is expected, by its name");
}

// A function begins where a '{' opens, outside of another function, after something that ends like
// a parameter list; it ends at the matching brace.
class FunctionFinder {
 public:
  explicit FunctionFinder(const Source& source) : source_(source) {}

  Complaints longer_than(std::size_t lines_max) {
    Complaints complaints;
    for (line_ = 0; line_ < source_.code.size(); ++line_) {
      const std::string& code = source_.code[line_];
      if (is_directive(code)) continue;
      for (const char c : code) {
        step(c);
        if (ended_ && line_ - begin_ + 1 > lines_max) {
          complaints.push_back(at(source_, begin_,
                                  "a function of " + std::to_string(line_ - begin_ + 1) +
                                      " lines, at most " + std::to_string(lines_max)));
        }
        ended_ = false;
      }
      head_.push_back(' ');
    }
    return complaints;
  }

 private:
  bool is_directive(const std::string& code) {
    const std::size_t first = code.find_first_not_of(" \t");
    const bool directive = continued_ || (first != std::string::npos && code[first] == '#');
    continued_ = directive && code.ends_with('\\');
    return directive;
  }

  void step(char c) {
    if (c == '{') {
      if (function_depth_ == 0 && is_function_head()) {
        function_depth_ = depth_ + 1;
        begin_ = head_line_;
      }
      ++depth_;
      clear_head();
    } else if (c == '}') {
      if (depth_ > 0 && depth_ == function_depth_) {
        function_depth_ = 0;
        ended_ = true;
      }
      depth_ -= depth_ > 0 ? 1 : 0;
      clear_head();
    } else if (c == ';' && parentheses_ == 0) {
      clear_head();
    } else {
      if (c == '(') ++parentheses_;
      if (c == ')' && parentheses_ > 0) --parentheses_;
      if (head_.find_first_not_of(' ') == std::string::npos) head_line_ = line_;
      head_.push_back(c);
    }
  }

  // "int f(int a) const noexcept ", "A::A(int a) : a_(a) ", "TEST_CASE() ": not "class A ",
  // "namespace ", "enum class E : int ", "T x = ".
  bool is_function_head() const {
    if (head_.find('(') == std::string::npos) return false;
    static const std::regex not_function("^\\s*(class|struct|union|enum|namespace|extern)\\b");
    if (std::regex_search(head_, not_function)) return false;
    static const std::regex tail(
        "\\)\\s*((const|noexcept|override|final|mutable|&&?|->[^(){}]*|requires[^{}]*)\\s*)*$");
    return std::regex_search(head_, tail);
  }

  void clear_head() {
    head_.clear();
    parentheses_ = 0;
  }

  const Source& source_;
  std::size_t line_ = 0;
  std::size_t depth_ = 0;
  std::size_t function_depth_ = 0;  // Of the function's inside; 0: in none.
  std::size_t begin_ = 0;
  std::size_t head_line_ = 0;
  std::size_t parentheses_ = 0;
  std::string head_;  // Since the last ';', '{' or '}'.
  bool continued_ = false;
  bool ended_ = false;
};

Complaints check_functions(const Source& source) {
  constexpr std::size_t kLinesMax = 70;
  return FunctionFinder(source).longer_than(kLinesMax);
}

using Check = Complaints (*)(const Source&);
constexpr Check kChecks[] = {check_rooms,  check_third_party, check_clocks,     check_file_calls,
                             check_layout, check_words,       check_exceptions, check_functions};

std::size_t complaints_of(Check check, const std::string& path, const std::string& text) {
  return check(make_source(path, text)).size();
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i)
    out += text;
  return out;
}

}  // namespace

TEST_CASE("a room that includes what it must not know is found") {
  CHECK(complaints_of(check_rooms, "src/raft/a.cc", "#include \"storage/journal.h\"\n") == 1);
  CHECK(complaints_of(check_rooms, "src/node/a.cc", "#include \"kv/store.h\"\n") == 1);
  CHECK(complaints_of(check_rooms, "src/api/a.h", "  # include \"uv/loop.h\"\n") == 1);
  CHECK(complaints_of(check_rooms, "src/attic/a.h", "") == 1);
  CHECK(complaints_of(check_rooms, "src/raft/a.cc",
                      "#include \"base/bytes.h\"\n#include \"raft/log.h\"\n#include <map>\n") == 0);
  CHECK(complaints_of(check_rooms, "src/main.cc", "#include \"uv/loop.h\"\n") == 0);
}

TEST_CASE("the rooms are a DAG") {
  std::set<std::string> done;
  while (done.size() < rooms().size()) {
    const std::size_t before = done.size();
    for (const auto& [room, others] : rooms()) {
      if (std::includes(done.begin(), done.end(), others.begin(), others.end())) done.insert(room);
    }
    REQUIRE(done.size() > before);
  }
}

TEST_CASE("a library's header in another room is found") {
  CHECK(complaints_of(check_third_party, "src/api/a.cc", "#include <uv.h>\n") == 1);
  CHECK(complaints_of(check_third_party, "src/api/a.cc", "#include <msgpack.hpp>\n") == 1);
  CHECK(complaints_of(check_third_party, "src/uv/a.cc", "#include \"llhttp.h\"\n") == 1);
  CHECK(complaints_of(check_third_party, "src/main.cc", "#include <toml.hpp>\n") == 1);
  CHECK(complaints_of(check_third_party, "src/base/a.cc", "#include <doctest/doctest.h>\n") == 1);
  CHECK(complaints_of(check_third_party, "src/wire/a.cc", "#include <msgpack.hpp>\n") == 0);
  CHECK(complaints_of(check_third_party, "src/main.cc", "#include \"uv/handle.h\"\n") == 0);
}

TEST_CASE("a clock or a random number where none belongs is found") {
  for (const char* line :
       {"auto t = std::chrono::steady_clock::now();", "x = system_clock::now();", "int r = rand();",
        "std::random_device d;", "clock_gettime(CLOCK_MONOTONIC, &t);", "return time(nullptr);",
        "return std::time(nullptr);", "getrandom(&s, 8, 0);", "uv_hrtime();"}) {
    CAPTURE(line);
    CHECK(complaints_of(check_clocks, "src/raft/a.cc", line) == 1);
    CHECK(complaints_of(check_clocks, "src/uv/a.cc", line) == 0);
    CHECK(complaints_of(check_clocks, "src/main.cc", line) == 0);
  }
  CHECK(complaints_of(check_clocks, "src/base/rng.cc", "getrandom(&s, 8, 0);") == 0);
  CHECK(complaints_of(check_clocks, "src/raft/a.cc", "// steady_clock\ncluster_time(1);") == 0);
  CHECK(complaints_of(check_clocks, "src/raft/a.cc", "x = \"time(\"; cluster.time(1);") == 0);
}

TEST_CASE("a file call outside storage/posix_files is found") {
  for (const char* line : {"int fd = open(path, 0);", "x = ::fsync(fd);", "if (rename(a, b)) {}",
                           "uv_fs_write(loop);", "std::ofstream out(path);"}) {
    CAPTURE(line);
    CHECK(complaints_of(check_file_calls, "src/storage/journal.cc", line) == 1);
    CHECK(complaints_of(check_file_calls, "src/storage/posix_files.cc", line) == 0);
  }
  CHECK(complaints_of(check_file_calls, "src/uv/a.cc", "link.open(1); reopen(2); p->unlink(3);") ==
        0);
}

TEST_CASE("long lines, tabs, spaces at the end, long files, headers without a guard are found") {
  CHECK(complaints_of(check_layout, "src/a.cc", repeated("x", 101) + "\n") == 1);
  CHECK(complaints_of(check_layout, "src/a.cc", repeated("\u00e9", 100) + "\n") == 0);
  CHECK(complaints_of(check_layout, "src/a.cc", "\tx\nx \nx\r\n") == 3);
  CHECK(complaints_of(check_layout, "src/a.cc", repeated("x\n", 601)) == 1);
  CHECK(complaints_of(check_layout, "src/a.cc", repeated("x\n", 600)) == 0);
  CHECK(complaints_of(check_layout, "src/a.h", "// x\n") == 1);
  CHECK(complaints_of(check_layout, "src/a.h", "// x\n#pragma once\n") == 0);
}

TEST_CASE("words for unfinished work, and catching everything, are found") {
  CHECK(complaints_of(check_words, "src/a.cc", std::string("// TO") + "DO: more\n") == 1);
  CHECK(complaints_of(check_words, "src/a.cc", std::string("x(); // XX") + "X\n") == 1);
  CHECK(complaints_of(check_words, "src/a.cc", "mkdtemp(\"raftd-XXXXXX\");\n") == 0);
  CHECK(complaints_of(check_exceptions, "src/a.cc", "} catch (...) {\n") == 1);
  CHECK(complaints_of(check_exceptions, "src/a.cc", "} catch (const E& e) {\n") == 0);
}

TEST_CASE("a function of more than 70 lines is found, wherever it stands") {
  const std::string body = repeated("  if (x) {\n    y({1, 2});\n  }\n", 23);  // 69 lines.
  for (const std::string head :
       {"void f(int a) ", "A::A(int a) : a_(a) ", "int A::f() const noexcept ", "TEST_CASE(\"x\") ",
        "auto f() -> std::vector<int> ", "template <class T>\nT f(T a) ",
        "Result<int> f(int a,\n    int b = g(1)) "}) {
    CAPTURE(head);
    const std::size_t head_lines =
        static_cast<std::size_t>(std::count(head.begin(), head.end(), '\n'));
    const std::string fits = repeated("  x();\n", 68 - head_lines);
    CHECK(complaints_of(check_functions, "src/a.cc", head + "{\n" + fits + "}\n") == 0);
    CHECK(complaints_of(check_functions, "src/a.cc", head + "{\n" + body + "}\n") == 1);
    CHECK(complaints_of(check_functions, "src/a.cc",
                        "namespace n {\nclass A {\n" + head + "{\n" + body + "}\n};\n}\n") == 1);
  }
  const std::string fields = repeated("  int x = f(1);\n", 100);
  CHECK(complaints_of(check_functions, "src/a.cc", "struct A {\n" + fields + "};\n") == 0);
  CHECK(complaints_of(check_functions, "src/a.cc", "namespace {\n" + fields + "}\n") == 0);
  CHECK(complaints_of(check_functions, "src/a.cc",
                      "constexpr A kTable = {{\n" + repeated("  {1, 2},\n", 100) + "}};\n") == 0);
  CHECK(complaints_of(check_functions, "src/a.cc",
                      "#define M(x) \\\n  do { \\\n  } while (0)\nvoid f() {\n" + body + "}\n") ==
        1);
}

TEST_CASE("comments and literals are not code") {
  const Source source =
      make_source("src/a.cc", "a /* b\nc */ d // e\n\"f\\\"g\" h 'i' 1'000 R\"x(j\n\")x\" k\n");
  CHECK(source.code == Lines{"a ", " d ", "\"\" h '' 1'000 ", "\"\" k"});
}

TEST_CASE("every source file keeps the rules of the house") {
  const std::filesystem::path root = RAFTD_SOURCE_DIR;
  std::size_t files = 0;
  for (const char* folder : {"src", "tests"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const Source source =
          make_source(std::filesystem::relative(entry.path(), root).generic_string(), text);
      for (const Check check : kChecks) {
        for (const std::string& complaint : check(source))
          FAIL_CHECK(complaint);
      }
      ++files;
    }
  }
  CHECK(files > 30);
}
