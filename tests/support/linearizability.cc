#include "support/linearizability.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"

namespace raftd::support {
namespace {

// Calls and returns in time order, as a doubly linked list from which operations are lifted.
struct Event {
  std::int64_t time = 0;
  std::size_t operation = 0;
  bool is_return = false;
  std::size_t next = 0;
  std::size_t prev = 0;
  std::size_t matching_return = 0;  // Of a call; 0: unknown outcome, none.
};

// What an operation that is certain must find, if that says anything.
std::optional<std::uint64_t> found_by(const Operation& operation) {
  if (operation.unknown) return std::nullopt;
  switch (operation.kind) {
    case Operation::Kind::kPut:
      return std::nullopt;
    case Operation::Kind::kGet:
      return operation.found;
    case Operation::Kind::kCas:
      return operation.succeeded ? std::optional(operation.expect) : std::nullopt;
    case Operation::Kind::kDelete:
      return operation.known_before ? std::optional(operation.found) : std::nullopt;
  }
  return std::nullopt;
}

// It changes nothing, wherever it is put: as soon as it may take place, it does.
bool changes_nothing(const Operation& operation) {
  if (operation.unknown) return false;
  return operation.kind == Operation::Kind::kGet ||
         (operation.kind == Operation::Kind::kCas && !operation.succeeded);
}

// A value that was written once is gone for good when another takes its place: by then, whoever
// found it must have had its turn.
class Finders {
 public:
  explicit Finders(const std::vector<Operation>& history) {
    for (const Operation& operation : history) {
      const bool writes =
          operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kCas;
      if (writes) ++values_[operation.value].writers;
      if (const auto value = found_by(operation)) ++values_[*value].waiting;
    }
    // Absence comes back.
    values_[0].writers = 2;
  }

  void has_turn(const Operation& operation) {
    if (const auto value = found_by(operation)) --values_[*value].waiting;
  }
  void waits(const Operation& operation) {
    if (const auto value = found_by(operation)) ++values_[*value].waiting;
  }
  // Whether all who found it have had their turn, but for the one whose turn it is.
  bool may_go(std::uint64_t value, const Operation& by) const {
    const auto known = values_.find(value);
    if (known == values_.end() || known->second.writers != 1) return true;
    return known->second.waiting == (found_by(by) == value ? 1U : 0U);
  }

 private:
  struct Value {
    std::size_t writers = 0;
    std::size_t waiting = 0;
  };
  std::unordered_map<std::uint64_t, Value> values_;
};

struct Search {
  std::vector<Event> events;  // events[0] is the head; index 0 also ends the list.
  std::vector<std::uint64_t> done;
  std::uint64_t state = 0;

  void unlink(std::size_t at) {
    events[events[at].prev].next = events[at].next;
    events[events[at].next].prev = events[at].prev;
  }
  void relink(std::size_t at) {
    events[events[at].prev].next = at;
    events[events[at].next].prev = at;
  }
  void lift(std::size_t call) {
    unlink(call);
    if (events[call].matching_return != 0) unlink(events[call].matching_return);
  }
  void unlift(std::size_t call) {
    if (events[call].matching_return != 0) relink(events[call].matching_return);
    relink(call);
  }
};

struct MemoHash {
  std::size_t operator()(const std::vector<std::uint64_t>& words) const noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint64_t word : words) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

// Whether the operation may take place in this state; if so, the state after it.
bool step(const Operation& operation, std::uint64_t& state) {
  switch (operation.kind) {
    case Operation::Kind::kPut:
      state = operation.value;
      return true;
    case Operation::Kind::kGet:
      return operation.unknown || operation.found == state;
    case Operation::Kind::kCas: {
      const bool succeeds = state == operation.expect;
      if (!operation.unknown && succeeds != operation.succeeded) return false;
      if (succeeds) state = operation.value;
      return true;
    }
    case Operation::Kind::kDelete:
      if (!operation.unknown && operation.known_before && operation.found != state) return false;
      state = 0;
      return true;
  }
  return false;
}

Search prepare(const std::vector<Operation>& history) {
  Search search;
  search.events.emplace_back();
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& operation = history[i];
    if (operation.unknown && operation.kind == Operation::Kind::kGet) continue;
    search.events.push_back({operation.called, i, false});
    if (!operation.unknown) search.events.push_back({operation.returned, i, true});
  }
  // At one moment calls come before returns: such operations overlap.
  std::stable_sort(search.events.begin() + 1, search.events.end(),
                   [](const Event& a, const Event& b) {
                     return a.time != b.time ? a.time < b.time : a.is_return < b.is_return;
                   });
  std::vector<std::size_t> call_of(history.size());
  for (std::size_t at = 0; at < search.events.size(); ++at) {
    search.events[at].next = at + 1 == search.events.size() ? 0 : at + 1;
    search.events[at].prev = at == 0 ? search.events.size() - 1 : at - 1;
    if (at == 0) continue;
    if (search.events[at].is_return) {
      search.events[call_of[search.events[at].operation]].matching_return = at;
    } else {
      call_of[search.events[at].operation] = at;
    }
  }
  search.done.resize(history.size() / 64 + 1);
  return search;
}

// The call of an operation that may take place now and changes nothing; 0: there is none.
std::size_t find_still(const std::vector<Operation>& history, const Search& search) {
  for (std::size_t at = search.events[0].next; at != 0; at = search.events[at].next) {
    const Event& event = search.events[at];
    if (event.is_return) return 0;
    std::uint64_t state = search.state;
    const Operation& operation = history[event.operation];
    if (changes_nothing(operation) && step(operation, state)) return at;
  }
  return 0;
}

class Order {
 public:
  explicit Order(const std::vector<Operation>& history)
      : history_(history), search_(prepare(history)), finders_(history) {}

  Verdict find(std::uint64_t steps_max) {
    put_all_still();
    std::size_t at = search_.events[0].next;
    for (std::uint64_t steps = 0; at != 0; ++steps) {
      if (steps >= steps_max) return Verdict::kGaveUp;
      const Event& event = search_.events[at];
      if (event.is_return) {
        // Something had to happen before this return and could not: take back the last choice.
        const std::size_t call = take_back();
        if (call == 0) return Verdict::kNotLinearizable;
        at = search_.events[call].next;
      } else if (try_put(at)) {
        put_all_still();
        at = search_.events[0].next;
      } else {
        at = event.next;
      }
    }
    // What is left in the list never returned, and need not have happened.
    return Verdict::kLinearizable;
  }

 private:
  bool try_put(std::size_t call) {
    const std::size_t number = search_.events[call].operation;
    const Operation& operation = history_[number];
    std::uint64_t state = search_.state;
    if (!step(operation, state)) return false;
    if (state != search_.state && !finders_.may_go(search_.state, operation)) return false;
    std::uint64_t& word = search_.done[number / 64];
    const std::uint64_t bit = 1ULL << (number % 64);
    word |= bit;
    std::vector<std::uint64_t> memo = search_.done;
    memo.push_back(state);
    if (!seen_.insert(std::move(memo)).second) {
      word &= ~bit;
      return false;
    }
    put(call, state);
    return true;
  }

  void put(std::size_t call, std::uint64_t state) {
    const std::size_t number = search_.events[call].operation;
    search_.done[number / 64] |= 1ULL << (number % 64);
    finders_.has_turn(history_[number]);
    chosen_.emplace_back(call, search_.state);
    search_.state = state;
    search_.lift(call);
  }

  void put_all_still() {
    while (const std::size_t call = find_still(history_, search_))
      put(call, search_.state);
  }

  // Gives the call of the last choice that could have been another one; 0: there was none.
  std::size_t take_back() {
    while (!chosen_.empty()) {
      const auto [call, before] = chosen_.back();
      chosen_.pop_back();
      search_.unlift(call);
      search_.state = before;
      const std::size_t number = search_.events[call].operation;
      search_.done[number / 64] &= ~(1ULL << (number % 64));
      finders_.waits(history_[number]);
      if (!changes_nothing(history_[number])) return call;
    }
    return 0;
  }

  const std::vector<Operation>& history_;
  Search search_;
  Finders finders_;
  std::unordered_set<std::vector<std::uint64_t>, MemoHash> seen_;
  std::vector<std::pair<std::size_t, std::uint64_t>> chosen_;  // Call, state before it.
};

Verdict search_order(const std::vector<Operation>& history, std::uint64_t steps_max) {
  return Order(history).find(steps_max);
}

// Whether anybody has seen the value that this write of unknown outcome would have left.
bool seen(const std::vector<Operation>& history, const Operation& write) {
  return std::ranges::any_of(history, [&](const Operation& other) {
    if (other.unknown) return other.kind == Operation::Kind::kCas && other.expect == write.value;
    const bool found = other.kind == Operation::Kind::kGet || other.known_before;
    if (found && other.found == write.value) return true;
    return other.kind == Operation::Kind::kCas && other.expect == write.value;
  });
}

}  // namespace

// A write that may have happened, and that nobody saw, most likely does not matter: an order
// without it proves as much. It is looked at only if there is none.
Verdict check_linearizable(const std::vector<Operation>& history, std::uint64_t steps_max) {
  std::vector<Operation> certain;
  for (const Operation& operation : history) {
    const bool writes_value =
        operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kCas;
    if (operation.unknown && writes_value && !seen(history, operation)) continue;
    certain.push_back(operation);
  }
  const Verdict verdict = search_order(certain, steps_max);
  if (verdict == Verdict::kLinearizable || certain.size() == history.size()) return verdict;
  return search_order(history, steps_max);
}

std::string text_of(const Operation& operation) {
  const char* kinds[] = {"put", "get", "cas", "delete"};
  std::string text = strf("[%lld..%lld] %s", static_cast<long long>(operation.called),
                          static_cast<long long>(operation.unknown ? -1 : operation.returned),
                          kinds[static_cast<std::size_t>(operation.kind)]);
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  if (operation.kind != Operation::Kind::kGet) text += strf(" value %llu", number(operation.value));
  if (operation.kind == Operation::Kind::kCas) {
    text += strf(" expect %llu %s", number(operation.expect), operation.succeeded ? "ok" : "no");
  }
  if (operation.kind == Operation::Kind::kGet || operation.known_before) {
    text += strf(" found %llu", number(operation.found));
  }
  return operation.unknown ? text + " (unknown)" : text;
}

}  // namespace raftd::support
