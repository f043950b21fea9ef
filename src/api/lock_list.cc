// GET /lock: all locks that are held, as a stream.
//
// The happy path is: the first piece is read as fresh as the client asked; further ones are read on
// this node when the connection has room, so that no list holds up the loop. What changes while the
// list is sent is seen or not; each lock is there at most once. Possible failure modes are: the
// node stops (the body is cut off); the client goes away (the stream is destroyed and forgets
// its question).
#include <utility>

#include "api/answer.h"
#include "api/locks.h"

namespace raftd::api {
namespace {

class LockStream final : public http::BodySource, Feed {
 public:
  LockStream(const Site& site, RequestId request) : site_(site), request_(request) {}
  ~LockStream() override {
    if (asked_) site_.feeder.drop(*asked_);
  }
  LockStream(const LockStream&) = delete;
  LockStream& operator=(const LockStream&) = delete;

  void take(const kv::LocksReply& reply) {
    if (!std::exchange(begun_, true)) {
      ready_ = "{";
      add_member(ready_, "revision", reply.revision);
      ready_ += ",\"locks\":[";
    }
    for (const kv::LockView& lock : reply.locks) {
      if (std::exchange(listed_, true)) ready_ += ',';
      add_lock_json(ready_, lock, false);
    }
    start_ = reply.next;
    if (!start_.empty()) return;
    ready_ += "]}\n";
    ended_ = Next::kEnd;
  }

  Next next(std::string& out) override {
    if (!ready_.empty()) {
      out += ready_;
      ready_.clear();
      return Next::kMore;
    }
    if (ended_) return *ended_;
    if (!asked_) {
      kv::LocksQuery query;
      query.start = start_;
      asked_ = site_.feeder.ask(*this, read_op(std::move(query), node::Consistency::kLocal));
    }
    return Next::kLater;
  }

 private:
  void on_result(node::ClientResult result) override {
    asked_.reset();
    if (auto* done = std::get_if<node::Done>(&result)) {
      take(reply_as<kv::LocksReply>(*done));
    } else {
      ended_ = Next::kBroken;  // There is no place for an error: the body is cut off.
    }
    site_.feeder.wake(request_);
  }

  Site site_;
  RequestId request_;
  std::string ready_;
  std::string start_;
  bool begun_ = false;
  bool listed_ = false;
  std::optional<node::ClientToken> asked_;
  std::optional<Next> ended_;
};

// Waits for the first piece, which decides the status.
class LocksCall final : public Call {
 public:
  explicit LocksCall(const ReadOptions& options) : options_(options) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done done) override {
    const auto& reply = reply_as<kv::LocksReply>(done);
    http::Response response = json_answer(200, site.headers, "");
    add_read_headers(response.fields, options_, reply.revision, done.index);
    auto stream = std::make_unique<LockStream>(site, request);
    stream->take(reply);
    response.stream = std::move(stream);
    return response;
  }

 private:
  ReadOptions options_;
};

}  // namespace

Handled handle_locks(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  if (auto error = context.parameters.only(kLockReadParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  kv::LocksQuery query;
  query.min_revision = options.min_revision;
  return Started{std::make_unique<LocksCall>(options),
                 read_op(std::move(query), options.consistency)};
}

}  // namespace raftd::api
