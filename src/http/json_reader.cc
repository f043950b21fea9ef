// parse_json_events: the only place that knows nlohmann's library. Its event interface is used,
// because it does not recurse and does not throw.
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::http {

namespace {

class Adapter final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Adapter(JsonEvents& events) : events_(events) {}  // They outlive it.

  // Of the text; empty: the events have one.
  std::string take_problem() { return std::move(problem_); }

  bool null() override { return events_.null(); }
  bool boolean(bool value) override { return events_.boolean(value); }
  // Also of minus zero.
  bool number_integer(number_integer_t value) override {
    if (value >= 0) return events_.whole(static_cast<std::uint64_t>(value));
    return events_.negative(value);
  }
  bool number_unsigned(number_unsigned_t value) override { return events_.whole(value); }
  bool number_float(number_float_t value, const string_t&) override { return events_.real(value); }
  bool string(string_t& value) override { return events_.text(value); }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool start_object(std::size_t) override { return nest() && events_.begin_object(); }
  bool key(string_t& name) override { return events_.name(name); }
  bool end_object() override {
    --depth_;
    return events_.end_object();
  }
  bool start_array(std::size_t) override { return nest() && events_.begin_array(); }
  bool end_array() override {
    --depth_;
    return events_.end_array();
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    // position counts the byte that it could not use, too.
    return refuse(strf("no JSON at byte %zu", position == 0 ? position : position - 1));
  }

 private:
  bool nest() {
    if (depth_ == limits::kJsonDepthMax) {
      return refuse(strf("JSON nested deeper than %zu levels", limits::kJsonDepthMax));
    }
    ++depth_;
    return true;
  }
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  JsonEvents& events_;
  std::size_t depth_ = 0;
  std::string problem_;
};

}  // namespace

Status parse_json_events(std::string_view text, JsonEvents& events) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    return Error{Errc::kBadInput, "no JSON at byte 0: a byte order mark"};
  }
  // A NUL byte would end the text for nlohmann, whatever follows.
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    return Error{Errc::kBadInput, strf("no JSON at byte %zu: a NUL byte", nul)};
  }
  Adapter adapter(events);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &adapter)) return Done{};
  std::string problem = adapter.take_problem();
  return Error{Errc::kBadInput, problem.empty() ? events.take_problem() : std::move(problem)};
}

}  // namespace raftd::http
