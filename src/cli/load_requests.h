// What a load generator asks: the text of each kind of request, made once; only the number of its
// key changes from one to the next.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace raftd::cli {

enum class Workload : std::uint8_t { kPut, kGet, kMixed, kList, kTransaction, kWatch };

// What one measured thing is; kEvent: of a watch.
enum class LoadKind : std::uint8_t { kGet, kPut, kList, kTransaction, kEvent };
inline constexpr std::size_t kLoadKinds = 5;
inline constexpr std::array<std::string_view, kLoadKinds> kLoadKindNames = {"get", "put", "list",
                                                                            "txn", "event"};

inline constexpr std::uint64_t kLoadKeysMax = 100'000'000;  // A key's number has eight digits.
inline constexpr std::uint64_t kLoadListItems = 100;
inline constexpr std::string_view kLoadPrefix = "bench/";
// A value that a watcher is to see begins with the time, in nanoseconds, at which it was due.
inline constexpr std::size_t kLoadStampDigits = 20;

struct LoadPlan {
  Workload workload = Workload::kPut;
  std::size_t connections = 64;
  std::uint64_t seconds = 10;
  std::size_t value_bytes = 100;
  std::uint64_t keys = 10'000;
  std::uint64_t rate = 0;   // Requests a second; 0: as many as can be.
  std::string consistency;  // Of reads; empty: not said.
  std::string token;        // Empty: none.
};

struct LoadRequest {
  LoadKind kind{};
  std::string_view text;  // Valid until the next one is made.
};

class RequestMaker {
 public:
  // seed: of the chance that chooses keys.
  RequestMaker(const LoadPlan& plan, std::uint64_t seed);
  // Puts every key once, in order.
  static RequestMaker filling(const LoadPlan& plan);

  // The next one, which is due at this time; nothing: there are no more.
  std::optional<LoadRequest> next(Instant due);
  // The request of a watcher.
  static std::string watch_text(const LoadPlan& plan);

 private:
  // Digits to be written into the text: of the key's number, which is divided first.
  struct Place {
    std::size_t at = 0;
    std::size_t digits = 0;
    std::uint64_t divisor = 1;
  };
  struct Template {
    std::string text;
    std::vector<Place> places;
    std::optional<std::size_t> stamp_at;
  };

  LoadKind choose();
  void make_put();
  void make_transaction();
  static void put_key(Template& made, std::string_view before);
  Template& template_of(LoadKind kind) { return templates_[static_cast<std::size_t>(kind)]; }

  LoadPlan plan_;
  std::array<Template, kLoadKinds> templates_;  // Those that the workload needs.
  Rng rng_;
  std::optional<std::uint64_t> next_key_;  // Set: in order.
};

}  // namespace raftd::cli
