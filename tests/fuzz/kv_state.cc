// libFuzzer: any bytes as a reply that was kept, or as a state that is restored and as the commands
// that follow. Proves: nothing is read out of bounds, no input fails an assertion; two stores that
// applied the same are the same, whether somebody waits for answers or not and also when one of
// them comes from a snapshot, which reads back as the same bytes; what is counted can be listed.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/assert.h"
#include "input.h"
#include "kv/command.h"
#include "kv/reply_codec.h"
#include "kv/store.h"

namespace {

using namespace raftd;

constexpr kv::HistoryLimits kHistory{.age_ms = 30'000, .bytes = 4096};
constexpr std::uint64_t kStepsMs[] = {0, 1, 500, 2'000, 14'999, 31'000, 599'999, 700'000};
constexpr std::size_t kPieceMax = 4096;
constexpr std::uint64_t kRestoredMs = 1'000'000;  // When a state of the input was cut.

std::unique_ptr<kv::Store> fresh() {
  return std::make_unique<kv::Store>(kHistory);
}

Bytes whole(kv::Store& store) {
  Bytes bytes;
  const auto writer = store.snapshot();
  while (!writer->write_slice(bytes, kPieceMax)) {
  }
  ASSERT(writer->intact());
  return bytes;
}

// Null: no state, in pieces of this size.
std::unique_ptr<kv::Store> restored(ByteView bytes, std::size_t piece, std::uint64_t index,
                                    std::uint64_t time_ms) {
  std::unique_ptr<kv::Store> store = fresh();
  const auto reader = store->restore();
  while (!bytes.empty()) {
    const ByteView next = bytes.first(std::min(piece, bytes.size()));
    if (const Status fed = reader->feed(next); !fed) {
      ASSERT(!fed.error().message.empty());
      return nullptr;
    }
    bytes = bytes.subspan(next.size());
  }
  if (!reader->complete()) return nullptr;
  reader->commit({index}, {time_ms});
  return store;
}

void check_reply(const kv::StoreReply& reply) {
  const Bytes first = kv::encode_reply(reply);
  const auto again = kv::decode_reply(first);
  ASSERT(again != nullptr);
  ASSERT(kv::encode_reply(*again) == first);
}

bool only_reads(const kv::Transaction& transaction) {
  const auto reads = [](const kv::TransactionOp& op) {
    const auto* nested = std::get_if<kv::Transaction>(&op.op);
    if (nested != nullptr) return only_reads(*nested);
    return std::holds_alternative<kv::Get>(op.op) || std::holds_alternative<kv::List>(op.op);
  };
  return std::ranges::all_of(transaction.then, reads) &&
         std::ranges::all_of(transaction.otherwise, reads);
}

// A store, and another one beside it that nobody asks.
class Pair {
 public:
  void begin_with(ByteView state) {
    auto store = restored(state, state.size(), 0, kRestoredMs);
    if (store == nullptr) return;
    asked_ = std::move(store);
    time_ms_ = applied_ms_ = kRestoredMs;
    start_again();
    foreign_ = true;
  }

  void pass(std::uint64_t ms) { time_ms_ += ms; }

  void apply(ByteView command) {
    ++index_;
    applied_ms_ = time_ms_;
    const std::uint64_t writes = asked_->stats().revision;
    const auto reply = apply(*asked_, command, true);
    ASSERT((reply != nullptr) == !command.empty());
    ASSERT_CMP(asked_->stats().revision, >=, writes);
    if (const auto* known = dynamic_cast<const kv::StoreReply*>(reply.get())) check_reply(*known);
    ASSERT(apply(*silent_, command, false) == nullptr);
    check_same();
    const auto request = kv::decode(command);
    if (!request) return;
    const auto* transaction = std::get_if<kv::Transaction>(&request->command);
    if (transaction != nullptr && only_reads(*transaction)) ask(*transaction);
  }

  void do_chore() {
    if (const auto chore = asked_->chore({time_ms_})) {
      apply(ByteView(*chore).subspan(machine::kStampBytes));
    }
  }

  void tidy() {
    asked_->tidy_slice();
    asked_->check_invariants();
  }

  // From now on the silent one is a store that has read all that the other one writes.
  void start_again() {
    const Bytes state = whole(*asked_);
    auto store = restored(state, 1 + state.size() / 3, index_, applied_ms_);
    ASSERT(store != nullptr || foreign_);
    if (store == nullptr) return;
    silent_ = std::move(store);
    ASSERT(whole(*silent_) == state);
    check_same();
  }

  void look() const {
    const kv::StoreStats stats = asked_->stats();
    look_at_keys(stats, false);
    look_at_keys(stats, true);
    look_at_spans(stats);
    look_at_leases(stats);
    for (const kv::Space space : {kv::Space::kLocks, kv::Space::kElections})
      look_at_locks(space);
    look_at_events(stats);
  }

 private:
  std::unique_ptr<machine::Reply> apply(kv::Store& store, ByteView command, bool reply_wanted) {
    auto outcome = store.apply({{index_}, {1}, {time_ms_}, command}, reply_wanted);
    while (!outcome.finished)
      outcome = store.apply_slice();
    return std::move(outcome.reply);
  }

  void check_same() const {
    asked_->check_invariants();
    ASSERT_CMP(asked_->digest(), ==, silent_->digest());
    ASSERT_CMP(asked_->state_hash(), ==, silent_->state_hash());
  }

  template <class Reply>
  std::unique_ptr<Reply> answer(const machine::Query& query) const {
    auto reply = asked_->query(query, {time_ms_});
    auto* wanted = dynamic_cast<Reply*>(reply.get());
    ASSERT(wanted != nullptr);
    reply.release();
    return std::unique_ptr<Reply>(wanted);
  }

  void ask(const kv::Transaction& transaction) const {
    kv::TransactionQuery query;
    query.transaction = kv::encode(transaction);
    const auto reply = answer<kv::TransactionQueryReply>(query);
    ASSERT(reply->result == kv::TransactionQueryReply::Result::kDone);
    ASSERT_CMP(reply->revision, ==, asked_->stats().revision);
  }

  void look_at_keys(const kv::StoreStats& stats, bool reverse) const {
    kv::RangeQuery page;
    page.reverse = reverse;
    page.limit = 3;
    std::uint64_t keys = 0;
    std::uint64_t bytes = 0;
    for (;;) {
      const auto reply = answer<kv::RangeReply>(page);
      for (const kv::RangeReply::Row& row : reply->rows) {
        ++keys;
        bytes += row.item.key.size() + row.item.value.size();
        kv::GetQuery get;
        get.key = row.item.key;
        ASSERT_CMP(answer<kv::GetReply>(get)->item.mod, ==, row.item.mod);
      }
      if (!reply->more) break;
      page.start = reply->next;
    }
    ASSERT_CMP(keys, ==, stats.keys);
    ASSERT_CMP(bytes, ==, stats.bytes);
  }

  void look_at_spans(const kv::StoreStats& stats) const {
    kv::SpanQuery span;
    span.to = kv::Span::kEndless;
    span.limit = 3;
    span.count_rest = true;
    const auto reply = answer<kv::SpanReply>(span);
    ASSERT_CMP(reply->count, ==, stats.keys);
    ASSERT(reply->page_full == (stats.keys > 3));
    const kv::HashQuery hash;
    const auto beside = silent_->query(hash, {time_ms_});
    ASSERT_CMP(answer<kv::HashReply>(hash)->hash, ==,
               dynamic_cast<const kv::HashReply&>(*beside).hash);
  }

  void look_at_leases(const kv::StoreStats& stats) const {
    kv::LeasesQuery page;
    std::uint64_t leases = 0;
    do {
      const auto reply = answer<kv::LeasesReply>(page);
      for (const kv::LeaseRow& row : reply->rows) {
        ++leases;
        kv::LeaseQuery one;
        one.id = row.id;
        one.with_keys = true;
        const auto lease = answer<kv::LeaseQueryReply>(one);
        ASSERT(lease->found);
        ASSERT_CMP(lease->keys.size(), ==, row.keys);
      }
      page.start = reply->next;
    } while (page.start != 0);
    ASSERT_CMP(leases, ==, stats.leases);
  }

  void look_at_locks(kv::Space space) const {
    kv::LocksQuery page;
    page.space = space;
    do {
      const auto reply = answer<kv::LocksReply>(page);
      for (const kv::LockView& listed : reply->locks) {
        kv::LockQuery one;
        one.space = space;
        one.name = listed.name;
        const kv::LockView lock = answer<kv::LockQueryReply>(one)->lock;
        ASSERT_CMP(lock.token, ==, listed.token);
        ASSERT_CMP(lock.waiting, ==, listed.waiting);
        if (space == kv::Space::kLocks) ASSERT_CMP(lock.waiters.size(), ==, lock.waiting);
      }
      page.start = reply->next;
    } while (!page.start.empty());
  }

  // Each revision that wrote a key ends with an event that says so.
  void look_at_events(const kv::StoreStats& stats) const {
    const kv::KeySpan span{kv::KeySpan::Kind::kPrefix, "", "", kv::Space::kKeys};
    kv::EventCursor cursor;
    cursor.after = stats.compact_revision;
    std::vector<kv::Event> events;
    for (auto read = kv::EventsRead::kMore; read == kv::EventsRead::kMore;) {
      read = asked_->read_events(cursor, {.span = span, .prev = true}, {2, 64}, events);
      ASSERT(read != kv::EventsRead::kCompacted);
    }
    for (std::size_t i = 0; i < events.size(); ++i) {
      const bool last = i + 1 == events.size() || events[i + 1].item.mod != events[i].item.mod;
      ASSERT(events[i].last == last);
      if (i > 0) ASSERT_CMP(events[i].item.mod, >=, events[i - 1].item.mod);
    }
  }

  std::unique_ptr<kv::Store> asked_ = fresh();
  std::unique_ptr<kv::Store> silent_ = fresh();
  std::uint64_t index_ = 0;
  std::uint64_t time_ms_ = 0;
  std::uint64_t applied_ms_ = 0;  // Of the entry applied last.
  bool foreign_ = false;          // It began with a state that may hold times of the future.
};

void play(fuzz::Input input) {
  Pair pair;
  pair.begin_with(input.bytes(input.below(65'536)));
  while (!input.empty()) {
    const std::uint8_t step = input.byte();
    pair.pass(kStepsMs[step % std::size(kStepsMs)]);
    switch (step / std::size(kStepsMs) % 8) {
      case 0:
        pair.do_chore();
        break;
      case 1:
        pair.start_again();
        break;
      case 2:
        pair.tidy();
        break;
      case 3:
        pair.look();
        break;
      default:
        pair.apply(input.bytes(input.below(kPieceMax)));
    }
  }
  pair.look();
  pair.start_again();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.flag()) {
    play(input);
  } else if (const auto reply = kv::decode_reply(input.rest())) {
    check_reply(*reply);
  }
  return 0;
}
