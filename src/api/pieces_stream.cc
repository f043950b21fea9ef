#include "api/pieces_stream.h"

namespace raftd::api {

PiecesStream::~PiecesStream() {
  if (asked_) site_.feeder.drop(*asked_);
}

http::BodySource::Next PiecesStream::next(std::string& out) {
  if (!ready_.empty()) {
    out += ready_;
    ready_.clear();
    return Next::kMore;
  }
  if (after_ != Next::kMore) return after_;
  if (!asked_) asked_ = site_.feeder.ask(*this, ask_more());
  return Next::kLater;
}

void PiecesStream::on_result(node::ClientResult result) {
  asked_.reset();
  if (auto* done = std::get_if<node::Done>(&result)) {
    after_ = take(*done, ready_);
  } else if (const auto* refused = std::get_if<node::Refused>(&result)) {
    after_ = fail(error_of(*refused, Asked::kRead, site_.options.election_timeout_min), ready_);
  } else {
    after_ = fail(error_of(std::get<node::Unknown>(result), Asked::kRead), ready_);
  }
  site_.feeder.wake(request_);
}

}  // namespace raftd::api
