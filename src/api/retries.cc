#include "api/retries.h"

#include "api/answer.h"
#include "api/read_options.h"

namespace raftd::api {
namespace {

// Looks for the answer of the first time, and is then the call that would have got it.
class AnsweredBefore final : public Call {
 public:
  AnsweredBefore(std::unique_ptr<Call> call, ApiError error)
      : call_(std::move(call)), error_(std::move(error)) {}

  Asked asked() const override { return found_ ? call_->asked() : Asked::kRead; }
  Step on_woken(const Site& site, const Woken& woken) override {
    return call_->on_woken(site, woken);
  }
  std::optional<ApiError> refusal_of(const Site& site,
                                     const node::Refused& refused) const override {
    return found_ ? call_->refusal_of(site, refused) : std::nullopt;
  }
  AfterGone on_gone() override { return found_ ? call_->on_gone() : AfterGone(Forget{}); }
  std::optional<node::ClientOp> on_input_end() override {
    return found_ ? call_->on_input_end() : std::nullopt;
  }

  Step on_done(const Site& site, RequestId request, node::Done done) override {
    if (found_) return take_result(site, *call_, request, std::move(done));
    auto& retry = reply_as<kv::RetryReply>(done);
    if (retry.reply == nullptr) return to_response(error_, site.headers);
    found_ = true;
    std::unique_ptr<kv::StoreReply> reply = std::move(retry.reply);
    done.reply = std::move(reply);
    return take_result(site, *call_, request, std::move(done));
  }

 private:
  std::unique_ptr<Call> call_;
  ApiError error_;
  bool found_ = false;
};

}  // namespace

Handled refuse_if_new(const Site& site, const Context& context, kv::ReplyKind kind, ApiError error,
                      std::unique_ptr<Call> call) {
  const kv::Terms terms = context.terms.view();
  if (terms.idempotency_key.empty()) return refuse(site, error);
  kv::RetryQuery query;
  query.idempotency_key = terms.idempotency_key;
  query.request_hash = terms.request_hash;
  query.kind = kind;
  return Started{std::make_unique<AnsweredBefore>(std::move(call), std::move(error)),
                 read_op(std::move(query), node::Consistency::kLinearizable)};
}

Step take_result(const Site& site, Call& call, RequestId request, node::Done done) {
  if (const auto* reply = dynamic_cast<const kv::StoreReply*>(done.reply.get())) {
    // These are of no kind that the call knows.
    if (reply->result == kv::StoreReply::Result::kMismatch ||
        reply->result == kv::StoreReply::Result::kBadCommand) {
      return to_response(*error_of(*reply), site.headers);
    }
    if (reply->replayed) {
      call.replayed = true;
      done.index = {reply->index};
    }
  }
  Step step = call.on_done(site, request, std::move(done));
  if (auto* response = std::get_if<http::Response>(&step); response != nullptr && call.replayed) {
    add_header(response->fields, "Idempotency-Replayed", "true");
  }
  return step;
}

}  // namespace raftd::api
