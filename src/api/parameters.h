// Query parameters of the native API: which there are, and how each kind of value is read. An
// unknown, repeated or misread parameter is a refusal: a misspelt "cas" must not become an
// unconditional write.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/errors.h"
#include "base/time.h"
#include "http/uri.h"

namespace raftd::api {

enum class Param : std::uint8_t {
  kAfter,
  kAll,
  kCas,
  kConsistency,
  kCount,
  kCursor,
  kDelimiter,
  kDryRun,
  kExclude,
  kFilter,
  kForce,
  kFormat,
  kId,
  kIf,
  kIncr,
  kInit,
  kKeepLease,
  kKey64,
  kKeys,
  kLease,
  kLimit,
  kLimits,
  kList,
  kMaxStale,
  kMeta,
  kMinRevision,
  kName,
  kOwner,
  kPrefix,
  kPrev,
  kRedirect,
  kReplaces,
  kRev,
  kReverse,
  kRole,
  kSerializable,
  kStrict,
  kTimeout,
  kTo,
  kToken,
  kTouch,
  kTtl,
  kValue,
  kVoter,
  kWait,
  kWatch,
};
inline constexpr std::size_t kParams = static_cast<std::size_t>(Param::kWatch) + 1;

std::string_view param_name(Param param);

class ParamSet {
 public:
  constexpr ParamSet(std::initializer_list<Param> params) {
    for (const Param param : params)
      add(param);
  }
  constexpr bool contains(Param param) const { return (bits_ & bit(param)) != 0; }
  constexpr void add(Param param) { bits_ |= bit(param); }
  constexpr ParamSet operator|(ParamSet other) const {
    other.bits_ |= bits_;
    return other;
  }
  // The first in this set that is not in the other one.
  std::optional<Param> first_not_in(ParamSet other) const;

 private:
  static_assert(kParams <= 64);
  static constexpr std::uint64_t bit(Param param) { return 1ULL << static_cast<unsigned>(param); }
  std::uint64_t bits_ = 0;
};

inline constexpr ParamSet kCommonParams{Param::kTimeout, Param::kRedirect};

// The query's parameters, decoded. Values are views into this object, which therefore stays where
// it is.
class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  // Refuses what is malformed, unknown, or given twice.
  std::optional<ApiError> parse(std::string_view query);

  bool has(Param param) const { return present_.contains(param); }
  std::string_view value(Param param) const {
    if (!has(param)) return {};
    return given_[places_[static_cast<std::size_t>(param)]].value;
  }
  // Refuses parameters that this call does not take.
  std::optional<ApiError> only(ParamSet allowed) const;

 private:
  std::optional<ApiError> add(std::size_t place);

  std::vector<http::QueryParameter> given_;
  ParamSet present_{};
  std::array<std::uint8_t, kParams> places_;  // In given_, of those that are present.
};

// Reads values one after the other and remembers the first refusal, so that callers read all they
// need and then look once.
class ParamReader {
 public:
  explicit ParamReader(const Parameters& parameters) : parameters_(parameters) {}

  bool has(Param param) const { return parameters_.has(param); }
  bool flag(Param param, bool otherwise = false);
  std::uint64_t number(Param param, std::uint64_t otherwise, std::uint64_t min, std::uint64_t max);
  std::int64_t signed_number(Param param, std::int64_t if_empty);  // Precondition: it is given.
  Duration duration(Param param, Duration otherwise, Duration min, Duration max);
  std::string_view text(Param param) const { return parameters_.value(param); }
  // The two do not go together.
  void exclude(Param one, Param other);
  void fail(Param param, std::string message);
  void fail(ApiError error);

  bool failed() const { return error_.has_value(); }
  ApiError take_error();  // Precondition: failed().

 private:
  const Parameters& parameters_;
  std::optional<ApiError> error_;
};

// "500ms", "30s", "10m", "2h", "30", "1.5": one number, one unit, seconds if there is none.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace raftd::api
