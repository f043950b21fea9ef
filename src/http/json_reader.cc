// parse_json: the only place that knows nlohmann's library. Its event interface is used, because
// it does not recurse and does not throw.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::http {

namespace {

class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonValue take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

  bool null() override { return add(JsonValue()); }
  bool boolean(bool value) override { return add(JsonValue(value)); }
  bool number_integer(number_integer_t value) override {
    return add(JsonValue(static_cast<std::int64_t>(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add(JsonValue(static_cast<std::uint64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override {
    return add(JsonValue(static_cast<double>(value)));
  }
  bool string(string_t& value) override { return add(JsonValue(std::move(value))); }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool start_object(std::size_t) override { return nest(JsonValue(JsonObject())); }
  bool key(string_t& name) override {
    name_ = std::move(name);
    return true;
  }
  bool end_object() override {
    const JsonObject& fields = *open_.back()->object();
    open_.pop_back();
    return names_are_unique(fields);
  }
  bool start_array(std::size_t) override { return nest(JsonValue(JsonArray())); }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    // position counts the byte that it could not use, too.
    return refuse(strf("no JSON at byte %zu", position == 0 ? position : position - 1));
  }

 private:
  // The place in its parent; a parent does not grow while a child of it is open.
  JsonValue* place(JsonValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (JsonArray* items = open_.back()->array()) return &items->emplace_back(std::move(value));
    JsonObject* fields = open_.back()->object();
    ASSERT(fields != nullptr);
    return &fields->emplace_back(JsonField{std::move(name_), std::move(value)}).value;
  }
  bool add(JsonValue value) {
    place(std::move(value));
    return true;
  }
  bool nest(JsonValue value) {
    if (open_.size() == limits::kJsonDepthMax) {
      return refuse(strf("JSON nested deeper than %zu levels", limits::kJsonDepthMax));
    }
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool names_are_unique(const JsonObject& fields) {
    std::vector<std::string_view> names;
    names.reserve(fields.size());
    for (const JsonField& field : fields)
      names.push_back(field.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return true;
    return refuse("field " + percent_escape(*twice) + " is there twice");
  }
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  JsonValue root_;
  std::vector<JsonValue*> open_;
  std::string name_;
  std::string problem_;
};

}  // namespace

Result<JsonValue> parse_json(std::string_view text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    return Error{Errc::kBadInput, "no JSON at byte 0: a byte order mark"};
  }
  // A NUL byte would end the text for nlohmann, whatever follows.
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    return Error{Errc::kBadInput, strf("no JSON at byte %zu: a NUL byte", nul)};
  }
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return Error{Errc::kBadInput, builder.problem()};
  }
  return builder.take();
}

}  // namespace raftd::http
