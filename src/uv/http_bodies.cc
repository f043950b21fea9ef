// Bodies that are not read to their end before the request is handed over or answered.
//
// The happy path is: the head of a request to a streamed path is handed over; nothing behind it is
// parsed until the answer begins; then each piece of the body goes to the stream that is the
// answer, as it is read, and that the body has ended; what comes behind it is the next request.
//
// Possible failure modes are: the answer is no stream, or the front end refuses an ordinary request
// by its head (what is left of the body is skipped if that is not much, else the connection
// closes); the stream ends before the body (the connection closes behind it); the body is cut off
// or malformed (the connection is closed, and with it the stream).
#include "base/limits.h"
#include "uv/http_connection.h"

namespace raftd::uv {

using Phase = http::RequestParser::Phase;

// The head of a request whose body is still to come.
void HttpConnection::on_head(Instant now) {
  const http::Request& head = parser_.request();
  std::optional<http::Response> response = shared_.front.on_head(now, head);
  if (!response) {
    wants_continue_ = head.expects_continue;
    if (wants_continue_) mark_dirty();
    return;
  }
  Place& place = add_place(head);
  answer(place, std::move(*response));
  leave_body(place);
}

// Nobody wants the rest of it.
void HttpConnection::leave_body(Place& place) {
  // Who asked first will perhaps not send the body now: then nobody knows where the next request
  // begins. And a large body is not worth waiting for.
  const http::Request& head = parser_.request();
  const bool chunked = head.header("transfer-encoding") != nullptr;
  const bool large = !chunked && parser_.body_left() > limits::kHttpDrainBytesMax;
  if (head.expects_continue || large || place.response.status == 413 || !head.keep_alive) {
    place.keep_alive = false;
    input_done_ = true;
  } else {
    discarded_ = 0;
    parser_.discard_body();
  }
}

void HttpConnection::count_discarded(std::size_t bytes) {
  discarded_ += bytes;
  if (discarded_ <= limits::kHttpDrainBytesMax) return;
  input_done_ = true;
  mark_dirty();
}

// ---- Bodies that are read while the answer is sent --------------------------------------------

void HttpConnection::on_opened(Instant now) {
  const http::Request& head = parser_.request();
  Place& place = add_place(head);
  open_ = place.id;
  wants_continue_ = head.expects_continue;
  if (waiting_ == 0 && may_hand(place)) return hand(now, place, head);
  place.request = head;
  ++waiting_;
}

// The answer is about to begin: is it one that reads the body?
void HttpConnection::settle_body(Place& place) {
  ASSERT(place.id == open_ && place.stage == Stage::kAnswered);
  const bool wanted = place.response.stream != nullptr;
  // Once the answer has begun it is too late to say that.
  if (wanted && wants_continue_) output() += http::kContinue;
  wants_continue_ = false;
  if (wanted) return;
  open_ = {};
  if (parser_.phase() == Phase::kBody) return leave_body(place);
  parser_.next();
}

void HttpConnection::pass_body() {
  ASSERT(takes_body());
  const std::string bytes = parser_.take_body();
  if (bytes.empty()) return;
  shared_.handed_in_flush = true;
  front().response.stream->on_body(bytes);
  stream_ready_ = true;
  mark_dirty();
}

void HttpConnection::end_body() {
  ASSERT(takes_body());
  pass_body();
  open_ = {};
  parser_.next();
  if (!front().keep_alive) input_done_ = true;
  shared_.handed_in_flush = true;
  front().response.stream->on_body_end();
  stream_ready_ = true;
  mark_dirty();
}

}  // namespace raftd::uv
