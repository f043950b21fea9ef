#include "config/toml_reader.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <toml.hpp>
#include <vector>

#include "base/limits.h"
#include "base/text.h"

namespace raftd::config {
namespace {

Error bad(const std::string& name, Place place, const std::string& sentence) {
  return {Errc::kBadInput, strf("%s:%u:%u: ", name.c_str(), place.line, place.column) + sentence};
}

// One pass over the raw text. It knows just enough of TOML to tell brackets and dots from the
// inside of strings and comments.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // The first thing the library must not see, as a sentence, with its place.
  std::optional<std::pair<Place, std::string>> refuse() {
    while (at_ < text_.size()) {
      if (!utf8_character()) return refused("the text is not UTF-8 here");
      const char c = text_[at_];
      const auto u = static_cast<unsigned char>(c);
      if ((u < 0x20 && c != '\t' && c != '\n' && c != '\r') || u == 0x7f) {
        return refused(
            strf("found the control byte 0x%02x (expected text)", static_cast<unsigned>(u)));
      }
      if (in_comment_) {
        in_comment_ = c != '\n';
      } else if (!quote_.empty()) {
        inside_string(c);
      } else {
        if (endless_binary()) return refused("found a binary integer of more than 62 digits");
        outside_string(c);
      }
      if (depth_ > limits::kConfigDepthMax || dots_ > limits::kConfigDepthMax) {
        return refused(strf("nested deeper than %zu", limits::kConfigDepthMax));
      }
      advance();
    }
    return std::nullopt;
  }

 private:
  std::pair<Place, std::string> refused(std::string sentence) const {
    return {place_, std::move(sentence)};
  }

  bool utf8_character() {
    const auto lead = static_cast<unsigned char>(text_[at_]);
    bytes_ = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return is_utf8(text_.substr(at_, bytes_)) && at_ + bytes_ <= text_.size();
  }

  // The library multiplies past 64 bits before it looks how many there are.
  bool endless_binary() const {
    constexpr std::size_t kDigitsMax = 62;
    if (text_.substr(at_, 2) != "0b") return false;
    std::size_t digits = 0;
    for (std::size_t i = at_ + 2; i < text_.size(); ++i) {
      if (text_[i] != '0' && text_[i] != '1' && text_[i] != '_') break;
      digits += text_[i] != '_' ? 1 : 0;
    }
    return digits > kDigitsMax;
  }

  void inside_string(char c) {
    if (c == '\\' && quote_[0] == '"' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n' &&
        static_cast<unsigned char>(text_[at_ + 1]) < 0x80) {
      bytes_ = 2;
    } else if (text_.substr(at_, quote_.size()) == quote_) {
      bytes_ = quote_.size();
      quote_.clear();
    } else if (c == '\n' && quote_.size() == 1) {
      quote_.clear();  // Not TOML; the library says so.
    }
  }

  void outside_string(char c) {
    if (c == '#') {
      in_comment_ = true;
    } else if (c == '"' || c == '\'') {
      const std::string triple(3, c);
      quote_ = text_.substr(at_, 3) == triple ? triple : std::string(1, c);
      bytes_ = quote_.size();
    } else if (c == '.') {
      ++dots_;
    } else if (c == '[' || c == '{') {
      ++depth_;
      dots_ = 0;
    } else if (c == ']' || c == '}') {
      depth_ -= depth_ > 0 ? 1 : 0;
      dots_ = 0;
    } else if (c == '=' || c == ',' || c == '\n') {
      dots_ = 0;
    }
  }

  void advance() {
    for (std::size_t i = 0; i < bytes_; ++i) {
      if (text_[at_ + i] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
    at_ += bytes_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t bytes_ = 1;  // Of what is at at_ and goes together.
  Place place_;
  std::string quote_;  // What ends the string; empty: outside.
  bool in_comment_ = false;
  std::size_t depth_ = 0;
  std::size_t dots_ = 0;
};

#if defined(TOML11_VERSION_MAJOR) && TOML11_VERSION_MAJOR >= 4
Place place_of(const toml::source_location& location) {
  return {static_cast<std::uint32_t>(location.first_line_number()),
          static_cast<std::uint32_t>(location.first_column_number())};
}
Place place_of(const toml::syntax_error& error) {
  return error.errors().empty() || error.errors().front().locations().empty()
             ? Place()
             : place_of(error.errors().front().locations().front().first);
}
#else
Place place_of(const toml::source_location& location) {
  return {location.line(), location.column()};
}
Place place_of(const toml::syntax_error& error) {
  return place_of(error.location());
}
#endif

// The library's values to ours. Recursive, but never deeper than the scanner allowed.
class Converter {
 public:
  Converter(const std::string& text, const std::string& name) : name_(name) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
      lines_.push_back(line);
  }

  Result<Value> convert(const toml::value& from) {
    Value to;
    to.place = place_of(from.location());
    if (from.is_table()) {
      to.kind = Value::Kind::kTable;
      return convert_table(from, std::move(to));
    }
    if (from.is_array()) {
      to.kind = Value::Kind::kArray;
      for (const toml::value& item : from.as_array()) {
        TRY(Value converted, convert(item));
        to.items.push_back(std::move(converted));
      }
      return to;
    }
    if (from.is_boolean()) {
      to.kind = Value::Kind::kBoolean;
      to.boolean = from.as_boolean();
      return to;
    }
    if (from.is_integer()) return convert_integer(from, std::move(to));
    if (from.is_string()) {
      to.text = toml::get<std::string>(from);
      return to;
    }
    to.kind = from.is_floating() ? Value::Kind::kFloat : Value::Kind::kTime;
    to.text = literal(to.place);
    return to;
  }

 private:
  Result<Value> convert_table(const toml::value& from, Value to) {
    for (const auto& [key, field] : from.as_table()) {
      TRY(Value converted, convert(field));
      to.fields.push_back({key, std::move(converted)});
    }
    std::sort(to.fields.begin(), to.fields.end(), [](const auto& a, const auto& b) {
      return std::tie(a.value.place, a.name) < std::tie(b.value.place, b.name);
    });
    return to;
  }

  // The library clamps or wraps what does not fit: the literal decides.
  Result<Value> convert_integer(const toml::value& from, Value to) {
    to.kind = Value::Kind::kInteger;
    to.integer = from.as_integer();
    to.text = literal(to.place);
    std::string digits;
    for (const char c : to.text)
      if (c != '_') digits.push_back(c);
    int base = 10;
    if (digits.starts_with("0x")) base = 16;
    if (digits.starts_with("0o")) base = 8;
    if (digits.starts_with("0b")) base = 2;
    std::string_view view = digits;
    if (base != 10) view.remove_prefix(2);
    if (view.starts_with('+')) view.remove_prefix(1);
    std::int64_t value = 0;
    const auto end = std::from_chars(view.data(), view.data() + view.size(), value, base);
    if (end.ec != std::errc() || end.ptr != view.data() + view.size() || value != to.integer) {
      return bad(name_, to.place, "found " + found_text(to) + " (expected one of at most 64 bits)");
    }
    return to;
  }

  std::string literal(Place place) const {
    if (place.line == 0 || place.line > lines_.size()) return "";
    const std::string& line = lines_[place.line - 1];
    std::string out;
    for (std::size_t i = place.column - 1; i < line.size(); ++i) {
      const char c = line[i];
      const bool part = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '+' ||
                        c == '-' || c == '.';
      if (!part) break;
      out.push_back(c);
    }
    return out;
  }

  const std::string& name_;
  std::vector<std::string> lines_;
};

// The library explains itself over several lines, the first of which begins with its function, and
// may quote a key as it reads, unescaped.
std::string first_sentence(std::string what) {
  what = what.substr(0, what.find('\n'));
  if (what.starts_with("[error] ")) what.erase(0, 8);
  if (what.starts_with("toml::")) {
    const std::size_t colon = what.find(": ");
    if (colon != std::string::npos) what.erase(0, colon + 2);
  }
  return percent_escape(what);
}

}  // namespace

Result<std::string> read_config_text(const std::string& path) {
  const auto cannot = [&](const std::string& why) {
    return Error{Errc::kBadInput, path + ":1:1: " + why + " (expected a configuration file)"};
  };
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::status_known(status) || !std::filesystem::exists(status)) {
    return cannot(error ? error.message() : "No such file or directory");
  }
  if (std::filesystem::is_directory(status)) return cannot("found a directory");
  std::ifstream in(path, std::ios::binary);
  if (!in) return cannot(std::error_code(errno, std::generic_category()).message());
  std::string text(limits::kConfigFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad()) return cannot("cannot be read");
  if (text.size() > limits::kConfigFileBytesMax) return cannot("found more than 1MiB");
  return text;
}

Result<Value> parse_toml(const std::string& text, const std::string& name) {
  if (const auto refused = Scanner(text).refuse())
    return bad(name, refused->first, refused->second);
  try {
    std::istringstream in(text);
    const toml::value root = toml::parse(in, name);
    return Converter(text, name).convert(root);
  } catch (const toml::syntax_error& error) {
    return bad(name, place_of(error), "not TOML: " + first_sentence(error.what()));
  } catch (const toml::exception& error) {
    return bad(name, Place(), "not TOML: " + first_sentence(error.what()));
  } catch (const std::out_of_range& error) {  // What 3.7 throws for some dates and escapes.
    return bad(name, Place(), "not TOML: " + first_sentence(error.what()));
  } catch (const std::runtime_error& error) {
    return bad(name, Place(), "not TOML: " + first_sentence(error.what()));
  }
}

}  // namespace raftd::config
