#include "api/retries.h"

#include <typeinfo>

#include "api/answer.h"
#include "api/read_options.h"

namespace raftd::api {
namespace {

// Looks for the answer of the first time, and is then the call that would have got it. What was
// sent before may be in the log and not committed yet: an entry behind it, which changes nothing,
// tells.
class AnsweredBefore final : public Call {
 public:
  AnsweredBefore(std::unique_ptr<Call> call, kv::RetryQuery query, ApiError error)
      : call_(std::move(call)), query_(std::move(query)), error_(std::move(error)) {}

  Asked asked() const override { return found() ? call_->asked() : Asked::kWrite; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    switch (stage_) {
      case Stage::kOrdering:
        stage_ = Stage::kLooking;
        return read_op(std::move(query_), node::Consistency::kLocal);
      case Stage::kLooking: {
        std::unique_ptr<kv::StoreReply> before = std::move(reply_as<kv::RetryReply>(done).reply);
        if (before == nullptr) return to_response(error_, site.headers);
        stage_ = Stage::kFound;
        done.reply = std::move(before);
        break;
      }
      case Stage::kFound:
        break;
    }
    return take_result(site, *call_, request, done);
  }

  Step on_woken(const Site& site, const Woken& woken) override {
    return call_->on_woken(site, woken);
  }
  std::optional<ApiError> refusal_of(const Site& site,
                                     const node::Refused& refused) const override {
    return found() ? call_->refusal_of(site, refused) : std::nullopt;
  }
  AfterGone on_gone() override { return found() ? call_->on_gone() : Forget{}; }
  std::optional<node::ClientOp> on_input_end() override {
    return found() ? call_->on_input_end() : std::nullopt;
  }

 private:
  enum class Stage : std::uint8_t { kOrdering, kLooking, kFound };
  bool found() const { return stage_ == Stage::kFound; }

  std::unique_ptr<Call> call_;
  kv::RetryQuery query_;
  ApiError error_;
  Stage stage_ = Stage::kOrdering;
};

// Null: of a read. The two that nearly all are need not be asked for their bases.
const kv::StoreReply* store_reply_of(const node::Done& done) {
  if (done.reply == nullptr) return nullptr;
  const machine::Reply& reply = *done.reply;
  if (typeid(reply) == typeid(kv::WriteReply)) return static_cast<const kv::WriteReply*>(&reply);
  if (typeid(reply) == typeid(kv::GetReply)) return nullptr;
  return dynamic_cast<const kv::StoreReply*>(&reply);
}

}  // namespace

Handled refuse_if_new(const Site& site, const Context& context, kv::ReplyKind kind, ApiError error,
                      std::unique_ptr<Call> call) {
  const kv::Terms terms = context.terms.view();
  if (terms.idempotency_key.empty()) return refuse(site, error);
  kv::RetryQuery query;
  query.idempotency_key = terms.idempotency_key;
  query.request_hash = terms.request_hash;
  query.kind = kind;
  return Started{
      std::make_unique<AnsweredBefore>(std::move(call), std::move(query), std::move(error)),
      node::Write{node::Propose{kv::encode(kv::KeepLeases{})}}};
}

Step take_result(const Site& site, Call& call, RequestId request, node::Done& done) {
  if (const kv::StoreReply* reply = store_reply_of(done)) {
    // These are of no kind that the call knows.
    if (reply->result == kv::StoreReply::Result::kMismatch ||
        reply->result == kv::StoreReply::Result::kBadCommand) {
      return call.refuse(site, *error_of(*reply));
    }
    if (reply->replayed) {
      call.replayed = true;
      done.index = {reply->index};
    }
  }
  Step step = call.on_done(site, request, done);
  if (auto* response = std::get_if<http::Response>(&step); response != nullptr && call.replayed) {
    add_header(response->fields, "Idempotency-Replayed", "true");
  }
  return step;
}

}  // namespace raftd::api
