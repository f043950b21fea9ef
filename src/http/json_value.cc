// A whole text as values: parse_json.
#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::http {

namespace {

class Builder final : public JsonEvents {
 public:
  JsonValue take() { return std::move(root_); }

  bool null() override { return add(JsonValue()); }
  bool boolean(bool value) override { return add(JsonValue(value)); }
  bool whole(std::uint64_t value) override { return add(JsonValue(value)); }
  bool negative(std::int64_t value) override { return add(JsonValue(value)); }
  bool real(double value) override { return add(JsonValue(value)); }
  bool text(std::string_view value) override { return add(JsonValue(std::string(value))); }
  bool begin_object() override { return nest(JsonValue(JsonObject())); }
  bool name(std::string_view name) override {
    name_ = name;
    return true;
  }
  bool end_object() override {
    const JsonObject& fields = *open_.back()->object();
    open_.pop_back();
    return names_are_unique(fields);
  }
  bool begin_array() override { return nest(JsonValue(JsonArray())); }
  bool end_array() override {
    open_.pop_back();
    return true;
  }

  std::string take_problem() override { return std::move(problem_); }

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
    problem_ = "field " + percent_escape(*twice) + " is there twice";
    return false;
  }

  JsonValue root_;
  std::vector<JsonValue*> open_;
  std::string name_;
  std::string problem_;
};

}  // namespace

const JsonValue* JsonValue::field(std::string_view name) const {
  const JsonObject* fields = object();
  if (fields == nullptr) return nullptr;
  for (const JsonField& candidate : *fields) {
    if (candidate.name == name) return &candidate.value;
  }
  return nullptr;
}

Result<JsonValue> parse_json(std::string_view text) {
  Builder builder;
  if (Status status = parse_json_events(text, builder); !status) {
    return std::move(status).error();
  }
  return builder.take();
}

}  // namespace raftd::http
