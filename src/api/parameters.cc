#include "api/parameters.h"

#include <bit>
#include <charconv>
#include <limits>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::api {
namespace {

constexpr std::array<std::string_view, kParams> kNames{
    "after",        "all",     "cas",        "consistency", "count",        "cursor",  "delimiter",
    "dry_run",      "exclude", "filter",     "force",       "format",       "id",      "if",
    "incr",         "init",    "keep_lease", "key64",       "keys",         "lease",   "limit",
    "limits",       "list",    "max_stale",  "meta",        "min_revision", "name",    "owner",
    "prefix",       "prev",    "redirect",   "replaces",    "rev",          "reverse", "role",
    "serializable", "strict",  "timeout",    "to",          "token",        "touch",   "ttl",
    "value",        "voter",   "wait",       "watch"};

std::optional<Param> find_param(std::string_view name) {
  for (std::size_t i = 0; i < kParams; ++i) {
    if (kNames[i] == name) return static_cast<Param>(i);
  }
  return std::nullopt;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShownMax = 64;
  return percent_escape(text.substr(0, kShownMax));
}

// Digits of a decimal fraction as a part of unit.
std::optional<std::int64_t> fraction_of(std::string_view digits, std::int64_t unit) {
  constexpr std::size_t kDigitsMax = 6;  // 10^6 hours in nanoseconds fit in 64 bits.
  std::uint64_t value = 0;
  if (digits.size() > kDigitsMax || !parse_u64(digits, value)) return std::nullopt;
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < digits.size(); ++i)
    scale *= 10;
  return static_cast<std::int64_t>(value) * unit / scale;
}

}  // namespace

std::string_view param_name(Param param) {
  return kNames[static_cast<std::size_t>(param)];
}

std::optional<Param> ParamSet::first_not_in(ParamSet other) const {
  const std::uint64_t others = bits_ & ~other.bits_;
  if (others == 0) return std::nullopt;
  return static_cast<Param>(std::countr_zero(others));
}

std::optional<ApiError> Parameters::parse(std::string_view query) {
  if (query.empty()) return std::nullopt;
  Result<std::vector<http::QueryParameter>> parsed = http::parse_query(query);
  if (!parsed) return bad_request("the query: " + parsed.error().message);
  given_ = *std::move(parsed);
  for (std::size_t i = 0; i < given_.size(); ++i) {
    if (auto error = add(i)) return error;
  }
  return std::nullopt;
}

std::optional<ApiError> Parameters::add(std::size_t place) {
  const std::string& name = given_[place].name;
  const std::optional<Param> param = find_param(name);
  if (!param) return bad_parameter(name, "unknown parameter " + shown(name));
  if (present_.contains(*param)) {
    return bad_parameter(name, "parameter " + name + " is given twice");
  }
  present_.add(*param);
  ASSERT_CMP(place, <, kParams);  // Each is given once.
  places_[static_cast<std::size_t>(*param)] = static_cast<std::uint8_t>(place);
  return std::nullopt;
}

std::optional<ApiError> Parameters::only(ParamSet allowed) const {
  const std::optional<Param> other = present_.first_not_in(allowed);
  if (!other) return std::nullopt;
  const std::string name(param_name(*other));
  return bad_parameter(name, "this call takes no parameter " + name);
}

bool ParamReader::flag(Param param, bool otherwise) {
  if (!parameters_.has(param)) return otherwise;
  const std::string_view value = parameters_.value(param);
  if (value.empty() || value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  fail(param, std::string(param_name(param)) + " is on when empty, 1 or true, off with 0 or false");
  return otherwise;
}

std::uint64_t ParamReader::number(Param param, std::uint64_t otherwise, std::uint64_t min,
                                  std::uint64_t max) {
  if (!parameters_.has(param)) return otherwise;
  std::uint64_t value = 0;
  if (parse_u64(parameters_.value(param), value) && value >= min && value <= max) return value;
  std::string message(param_name(param));
  message += " must be a whole number of at least " + std::to_string(min);
  if (max != std::numeric_limits<std::uint64_t>::max()) {
    message += " and at most " + std::to_string(max);
  }
  fail(param, std::move(message));
  return otherwise;
}

std::int64_t ParamReader::signed_number(Param param, std::int64_t if_empty) {
  const std::string_view text = parameters_.value(param);
  if (text.empty()) return if_empty;
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return value;
  fail(param, std::string(param_name(param)) + " must be a whole number of 64 bits");
  return if_empty;
}

Duration ParamReader::duration(Param param, Duration otherwise, Duration min, Duration max) {
  if (!parameters_.has(param)) return otherwise;
  const std::optional<Duration> value = parse_duration(parameters_.value(param));
  if (value && *value >= min && *value <= max) return *value;
  const auto ms = [](Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  std::string message(param_name(param));
  message += value ? " must be from " + ms(min) + "ms to " + ms(max) + "ms"
                   : " must be a duration such as 500ms, 30s, 10m, 2h or a number of seconds";
  fail(param, std::move(message));
  return otherwise;
}

void ParamReader::exclude(Param one, Param other) {
  if (!has(one) || !has(other)) return;
  fail(one, std::string(param_name(one)) + " and " + std::string(param_name(other)) +
                " do not go together");
}

void ParamReader::fail(Param param, std::string message) {
  fail(bad_parameter(param_name(param), std::move(message)));
}

void ParamReader::fail(ApiError error) {
  if (!error_) error_ = std::move(error);
}

ApiError ParamReader::take_error() {
  ASSERT(failed());
  return *std::move(error_);
}

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view suffix;
    std::int64_t ns;
  };
  static constexpr Unit kUnits[] = {{"ms", 1'000'000},
                                    {"s", 1'000'000'000},
                                    {"m", 60'000'000'000},
                                    {"h", 3'600'000'000'000},
                                    {"", 1'000'000'000}};
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.suffix)) continue;
    const std::string_view number = text.substr(0, text.size() - unit.suffix.size());
    const std::size_t point = number.find('.');
    std::uint64_t whole = 0;
    if (!parse_u64(number.substr(0, point), whole)) return std::nullopt;
    std::int64_t ns = 0;
    if (point != std::string_view::npos) {
      const auto fraction = fraction_of(number.substr(point + 1), unit.ns);
      if (!fraction) return std::nullopt;
      ns = *fraction;
    }
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    if (whole >= static_cast<std::uint64_t>(kMax / unit.ns)) return std::nullopt;
    return Duration(static_cast<std::int64_t>(whole) * unit.ns + ns);
  }
  return std::nullopt;
}

}  // namespace raftd::api
