#include "support/linearizability.h"

#include <algorithm>
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

Verdict search_order(const std::vector<Operation>& history, std::uint64_t steps_max) {
  Search search = prepare(history);
  std::unordered_set<std::vector<std::uint64_t>, MemoHash> seen;
  std::vector<std::pair<std::size_t, std::uint64_t>> chosen;  // Call, state before it.
  std::size_t at = search.events[0].next;
  for (std::uint64_t steps = 0; at != 0; ++steps) {
    if (steps >= steps_max) return Verdict::kGaveUp;
    const Event& event = search.events[at];
    if (!event.is_return) {
      std::uint64_t state = search.state;
      const std::uint64_t bit = 1ULL << (event.operation % 64);
      std::uint64_t& word = search.done[event.operation / 64];
      if (step(history[event.operation], state)) {
        word |= bit;
        std::vector<std::uint64_t> memo = search.done;
        memo.push_back(state);
        if (seen.insert(std::move(memo)).second) {
          chosen.emplace_back(at, search.state);
          search.state = state;
          search.lift(at);
          at = search.events[0].next;
          continue;
        }
        word &= ~bit;
      }
      at = event.next;
      continue;
    }
    // Something had to happen before this return and could not: take back the last choice.
    if (chosen.empty()) return Verdict::kNotLinearizable;
    const auto [call, before] = chosen.back();
    chosen.pop_back();
    search.unlift(call);
    search.state = before;
    const std::size_t operation = search.events[call].operation;
    search.done[operation / 64] &= ~(1ULL << (operation % 64));
    at = search.events[call].next;
  }
  // What is left in the list never returned, and need not have happened.
  return Verdict::kLinearizable;
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
