// GET /election/{name}?watch and ?wait: hearing of a change instead of asking again and again
// (native API, section 11).
//
// The happy path of a watch is: a read of this node's state is its opening, and from the revision
// of that read on the stream of api/watch_stream.h follows the one key of the election. That of a
// long-poll is: a read that is as fresh as the client wants, a sleep until the first event after
// the client's revision, and another read, which is the answer.
//
// Possible failure modes are those of the stream, and: nothing changes before the time is over
// (304); history does not reach back to the client's revision (a watch: 410; a long-poll: the
// state of now, as if there had been a change); the node stops (503).
#include <utility>

#include "api/answer.h"
#include "api/locks.h"
#include "api/watch_stream.h"
#include "kv/lock_record.h"

namespace raftd::api {
namespace {

constexpr ParamSet kWatchParams = kCommonParams | ParamSet{Param::kWatch, Param::kAfter};
constexpr ParamSet kPollParams =
    kLockReadParams | ParamSet{Param::kWait, Param::kAfter, Param::kWatch};

kv::KeySpan span_of(const LockName& lock) {
  return {kv::KeySpan::Kind::kKey, lock.name, {}, lock.space};
}

kv::LockQuery query_of(const LockName& lock, kv::Revision min_revision) {
  kv::LockQuery query;
  query.space = lock.space;
  query.name = lock.name;
  query.min_revision = min_revision;
  return query;
}

void add_state(std::string& out, const char* event, kv::Revision id, const kv::LockView& view) {
  out += "id: ";
  add_number(out, id);
  out.append("\nevent: ").append(event).append("\ndata: ");
  add_lock_json(out, view, true);
  out += "\n\n";
}

class WatchElectionCall final : public Call {
 public:
  WatchElectionCall(LockName lock, WatchQuery query)
      : lock_(std::move(lock)), query_(std::move(query)) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = reply_as<kv::LockQueryReply>(done);
    query_.span = span_of(lock_);
    if (!query_.after) {
      const bool held = reply.lock.token != 0;
      query_.after = reply.revision;
      add_state(query_.opening, held ? "elected" : "vacant", held ? reply.lock.mod : reply.revision,
                reply.lock);
    }
    return start_watch(site, request, std::move(query_), done.index);
  }

 private:
  LockName lock_;
  WatchQuery query_;
};

class PollElectionCall final : public Call {
 public:
  PollElectionCall(LockName lock, const ReadOptions& options, const Polling& polling)
      : lock_(std::move(lock)), options_(options), polling_(polling) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::LockQueryReply>(done);
    if (timed_out_at_) return not_changed(site, done.index);
    if (changed_ || *polling_.after < site.store.stats().compact_revision) {
      return lock_shown(site, lock_, options_, reply, done.index);
    }
    return Park{span_of(lock_), *polling_.after, site.watches.now + polling_.wait};
  }

  Step on_woken(const Site&, const Woken& woken) override {
    changed_ = woken.why == Woken::Why::kChanged;
    if (!changed_) timed_out_at_ = woken.position;
    return read_op(query_of(lock_, 0), node::Consistency::kLocal);
  }

 private:
  http::Response not_changed(const Site& site, raft::Index at) const {
    http::Response response;
    response.status = 304;
    add_read_headers(response.fields, options_, *timed_out_at_, at);
    response.fields += site.headers.block();
    return response;
  }

  LockName lock_;
  ReadOptions options_;
  Polling polling_;
  bool changed_ = false;
  std::optional<kv::Revision> timed_out_at_;
};

}  // namespace

void add_election_event(std::string& out, const kv::Store& store, const kv::Event& event) {
  const LockName lock{kv::Space::kElections, event.item.key};
  const std::unique_ptr<machine::Reply> reply = store.query(query_of(lock, 0), {});
  const auto* now = dynamic_cast<const kv::LockQueryReply*>(reply.get());
  ASSERT(now != nullptr);
  kv::LockView view;
  view.name = event.item.key;
  view.waiting = now->lock.waiting;
  if (event.kind != kv::EventKind::kPut) return add_state(out, "vacant", event.item.mod, view);
  std::optional<kv::LockRecord> record = kv::decode_lock_record(event.item.value);
  ASSERT(record);
  view.token = event.item.create;
  view.owner = std::move(record->owner);
  view.value = std::move(record->value);
  view.remaining_ms = event.item.ttl_ms;
  const bool begins = event.item.mod == event.item.create;
  add_state(out, begins ? "elected" : "value", event.item.mod, view);
}

Handled watch_election(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  WatchQuery query;
  query.format = WatchFormat::kElection;
  read_watch_start(context, reader, query);
  if (auto error = context.parameters.only(kWatchParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (negotiate_watch(context.headers.accept) != WatchFormat::kSse) {
    return refuse(site, watch_not_acceptable(false));
  }
  if (context.head_only) return AwaitBody{};
  if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  kv::LockQuery first = query_of(lock, 0);
  return Started{std::make_unique<WatchElectionCall>(std::move(lock), std::move(query)),
                 read_op(std::move(first), node::Consistency::kLocal)};
}

Handled poll_election(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  const Polling polling = read_polling(reader, site, context, false);
  if (auto error = context.parameters.only(kPollParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  kv::LockQuery first = query_of(lock, options.min_revision);
  return Started{std::make_unique<PollElectionCall>(std::move(lock), options, polling),
                 read_op(std::move(first), options.consistency)};
}

}  // namespace raftd::api
