#include "uv/http_connection.h"

#include <algorithm>

#include "base/limits.h"
#include "base/spares.h"

namespace raftd::uv {

namespace {

using Phase = http::RequestParser::Phase;

// A client that reads our last answer only after it has sent everything must not find the answer
// destroyed by a reset: so long it may take.
constexpr Duration kLingerTimeout = std::chrono::seconds(1);
// Rounds of parsing and answering in one flush: other connections want their turn, too.
constexpr int kRoundsPerFlush = 8;
constexpr int kPiecesPerFlush = 64;  // Of a stream, if they are so small.
// Of a lasting stream, in the kernel: left to itself, it keeps megabytes for who does not read.
constexpr int kLastingSocketBytes = 128 * limits::kKiB;
constexpr std::size_t kSpareBytesKept = 4 * limits::kKiB;  // Of an idle connection's buffers.

Instant read_clock() {
  return {std::chrono::nanoseconds(uv_hrtime())};
}

bool changes_something(http::Method method) {
  switch (method) {
    case http::Method::kGet:
    case http::Method::kHead:
    case http::Method::kOptions:
      return false;
    case http::Method::kPut:
    case http::Method::kPost:
    case http::Method::kDelete:
    case http::Method::kOther:
      return true;
  }
  ASSERT(false);
  return true;
}

}  // namespace

uv_stream_t* raw_stream(ClientStream& stream) {
  return std::visit([](auto& handle) { return handle.stream(); }, stream);
}

HttpConnection::HttpConnection(HttpShared& shared, std::uint32_t index, ClientStream stream)
    : shared_(shared), index_(index), stream_(std::move(stream)) {
  this->stream()->data = this;
}

void HttpConnection::start(Instant now) {
  since_ = now;
  moved_ = now;
  update_reading(now);
}

void HttpConnection::turn_away(Instant now) {
  turned_away_ = true;
  since_ = now;
  moved_ = now;
  refuse(now, {.status = 503,
               .error = "too_many_clients",
               .message = "this node has as many clients as it may have",
               .limit = "client.max_connections",
               .max = shared_.options.connections_max});
  update_reading(now);
}

void HttpConnection::respond(api::RequestId id, http::Response response) {
  Place* place = find(id);
  if (dead_ || place == nullptr || place->stage != Stage::kHanded) return;
  ASSERT_CMP(handed_, >, 0u);
  --handed_;
  answer(*place, std::move(response));
}

void HttpConnection::answer(Place& place, http::Response response) {
  place.stage = Stage::kAnswered;
  place.response = std::move(response);
  mark_dirty();
}

void HttpConnection::wake(api::RequestId id) {
  if (dead_ || places() == 0 || front().id != id) return;
  if (front().stage != Stage::kStreaming) return;
  stream_ready_ = true;
  mark_dirty();
}

HttpConnection::Place* HttpConnection::find(api::RequestId id) {
  for (std::size_t i = first_; i < places_.size(); ++i) {
    if (places_[i].id == id) return &places_[i];
  }
  return nullptr;
}

bool HttpConnection::lasting() {
  return places() != 0 && front().stage == Stage::kStreaming &&
         front().response.stream != nullptr && front().response.stream->lasting();
}

// It is there for long, perhaps with thousands of others.
void HttpConnection::begin_lasting() {
  clear_text(front().response.fields, 0);
  int bytes = kLastingSocketBytes;
  uv_send_buffer_size(reinterpret_cast<uv_handle_t*>(stream()), &bytes);
}

void HttpConnection::drop_input() {
  clear_text(input_, kSpareBytesKept);
  input_at_ = 0;
}

void HttpConnection::mark_dirty() {
  if (dirty_ || dead_) return;
  dirty_ = true;
  shared_.dirty.push_back(this);
}

bool HttpConnection::may_parse() const {
  if (open_ && !takes_body()) return false;
  return !input_done_ && places() < limits::kHttpPipelineMax &&
         waiting_bytes_ < limits::kHttpWaitingBytesMax;
}

bool HttpConnection::quiet() const {
  return places() == 0 && writing_bytes_ == 0 && pending_.empty() && waiting_input().empty();
}

void HttpConnection::recount() {
  std::size_t held = 0;
  if (!dead_) {
    held = waiting_input().size() + waiting_bytes_ + writing_bytes_ + pending_.size();
    if (parser_.phase() == Phase::kBody) held += parser_.request().body.size();
    for (std::size_t i = first_; i < places_.size(); ++i)
      held += places_[i].response.body.size();
  }
  shared_.held_bytes += held - held_bytes_;
  held_bytes_ = held;
}

// ---- Bytes in -------------------------------------------------------------------------------

void HttpConnection::update_reading(Instant now) {
  const bool drains = input_done_ && discarded_ <= limits::kHttpLingerBytesMax;
  const bool wanted = !eof_ && !dead_ && (drains || (waiting_input().empty() && may_parse()));
  if (wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) {
    uv_read_stop(stream());
    return;
  }
  since_ = now;  // While we did not read, the client was not slow.
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
    Loop::of(handle).note_awake();
    auto* self = owner_of<HttpConnection>(handle);
    *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                              : uv_buf_init(self->shared_.input.data(), HttpShared::kReadBytes);
  };
  const auto done = [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
    auto* self = owner_of<HttpConnection>(handle);
    if (self == nullptr || count == 0) return;
    if (count > 0) {
      self->on_read(read_clock(), {buffer->base, static_cast<std::size_t>(count)});
    } else if (count == UV_EOF) {
      self->on_eof();
    } else {
      self->die();
    }
  };
  if (uv_read_start(stream(), allocate, done) != 0) die();
}

void HttpConnection::on_read(Instant now, std::string_view bytes) {
  if (input_done_) {
    discarded_ += bytes.size();
    if (lingering_ && discarded_ > limits::kHttpLingerBytesMax) die();
    update_reading(now);
    return;
  }
  ASSERT(waiting_input().empty());
  const std::size_t consumed = parse(now, bytes);
  if (!input_done_ && consumed < bytes.size()) input_.assign(bytes.substr(consumed));
  recount();
  update_reading(now);
}

void HttpConnection::on_eof() {
  ASSERT(waiting_input().empty());  // Else nothing was read.
  eof_ = true;
  input_done_ = true;
  reading_ = false;  // libuv has stopped it.
  if (lingering_ || lasting() || takes_body()) return die();
  mark_dirty();  // Closes at once if nothing is in progress.
  std::vector<api::RequestId> handed;
  for (std::size_t i = first_; i < places_.size(); ++i) {
    if (places_[i].stage == Stage::kHanded) handed.push_back(places_[i].id);
  }
  for (const api::RequestId id : handed) {
    if (!dead_) shared_.front.on_input_end(id);
  }
}

std::size_t HttpConnection::parse(Instant now, std::string_view bytes) {
  const http::ParserLimits bounds{.header_bytes = shared_.options.header_bytes,
                                  .body_bytes = shared_.options.request_bytes,
                                  .streamed_paths = shared_.streamed_paths};
  std::size_t at = 0;
  while (at < bytes.size() && !dead_ && may_parse()) {
    const http::RequestParser::Step step = parser_.feed(bytes.substr(at), bounds);
    at += step.consumed;
    if (parser_.discarding()) count_discarded(step.consumed);
    switch (step.event) {
      case http::RequestParser::Event::kMore:
        ASSERT_CMP(at, ==, bytes.size());
        if (open_) pass_body();
        break;
      case http::RequestParser::Event::kHead:
        on_head(now);
        break;
      case http::RequestParser::Event::kOpened:
        on_opened(now);
        break;
      case http::RequestParser::Event::kRequest:
        on_whole(now);
        break;
      case http::RequestParser::Event::kRefused:
        if (open_) {
          die();  // What is said of it would come after a stream that may have no end.
        } else {
          refuse(now, parser_.refusal());
        }
        break;
    }
    if (parser_.phase() != phase_ || step.event == http::RequestParser::Event::kRequest) {
      phase_ = parser_.phase();
      since_ = now;
    }
  }
  return at;
}

HttpConnection::Place& HttpConnection::add_place(const http::Request& request) {
  if (first_ == places_.size()) {
    places_.clear();
    first_ = 0;
  } else if (first_ >= limits::kHttpPipelineMax) {
    places_.erase(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  ASSERT_CMP(places(), <, limits::kHttpPipelineMax);
  Place& place = places_.emplace_back();
  place.id = shared_.next_id(index_);
  place.changes = changes_something(request.method);
  place.head = request.method == http::Method::kHead;
  place.http_1_0 = request.http_1_0;
  place.keep_alive = request.keep_alive;
  return place;
}

void HttpConnection::on_whole(Instant now) {
  if (open_) return end_body();
  wants_continue_ = false;
  if (parser_.discarding()) {  // It is answered already.
    discarded_ = 0;
    return parser_.next();
  }
  Place& place = add_place(parser_.request());
  if (!place.keep_alive) input_done_ = true;
  // In most cases nothing is in its way: then it never leaves the parser's memory.
  if (waiting_ == 0 && may_hand(place)) {
    hand(now, place, parser_.request());
    return parser_.next();
  }
  place.request = parser_.take();
  ++waiting_;
  waiting_bytes_ += place.request.body.size();
}

void HttpConnection::refuse(Instant now, const http::Refusal& refusal) {
  input_done_ = true;
  wants_continue_ = false;
  mark_dirty();
  if (parser_.discarding()) return;  // It is answered already.
  Place& place = add_place(parser_.request());
  place.head = parser_.is_head();
  place.keep_alive = false;
  answer(place, shared_.front.refusal(now, refusal));
}

// Pipelined requests take effect in order. Reads do not disturb each other, and the log keeps the
// order of writes; between the two kinds, the earlier ones must be finished first.
void HttpConnection::hand_over(Instant now) {
  for (std::size_t i = first_; waiting_ != 0 && i < places_.size() && !dead_; ++i) {
    Place& place = places_[i];
    if (place.stage != Stage::kWaiting) continue;
    if (!may_hand(place)) return;
    --waiting_;
    waiting_bytes_ -= place.request.body.size();
    const http::Request request = std::move(place.request);
    hand(now, place, request);
  }
}

void HttpConnection::hand(Instant now, Place& place, const http::Request& request) {
  ASSERT(may_hand(place));
  place.stage = Stage::kHanded;
  ++handed_;
  handed_changes_ = place.changes;
  shared_.handed_in_flush = true;
  // The front end may answer at once; that moves nothing in places_.
  shared_.front.on_request(now, place.id, request);
  if (eof_) shared_.front.on_input_end(place.id);
}

// ---- Bytes out ------------------------------------------------------------------------------

void HttpConnection::flush(Instant now) {
  dirty_ = false;
  if (dead_ || lingering_) return;
  if (writing_bytes_ == 0) {
    shared_.output.clear();
    if (!pending_.empty()) shared_.output.swap(pending_);
    clear_text(pending_, kSpareBytesKept);
  }
  int rounds = 0;
  for (bool progress = true; progress && !dead_; ++rounds) {
    if (rounds == kRoundsPerFlush) {
      shared_.again.push_back(index_);
      break;
    }
    progress = append_answers(now);
    if (!closing_) hand_over(now);
    if (!waiting_input().empty()) {
      const std::size_t consumed = parse(now, waiting_input());
      input_at_ += consumed;
      progress = progress || consumed != 0;
    }
    if (input_done_ || waiting_input().empty()) drop_input();
    progress = progress || (places() != 0 && front().stage == Stage::kAnswered &&
                            unwritten() < limits::kHttpOutputBytesMax);
  }
  // An interim response comes after all that belongs before it, and not once the body has begun.
  if (wants_continue_ && places() == 0) {
    wants_continue_ = false;
    if (parser_.phase() == Phase::kBody && parser_.request().body.empty()) {
      output() += http::kContinue;
    }
  }
  write(now);
  if (!dead_) settle(now);
  recount();
}

bool HttpConnection::append_answers(Instant now) {
  bool freed = false;
  while (places() != 0 && !closing_) {
    Place& place = front();
    if (place.stage == Stage::kAnswered) {
      // The places then fill up, and nothing more is read.
      if (unwritten() >= limits::kHttpOutputBytesMax) return freed;
      if (place.id == open_) settle_body(place);
      const bool last_before_stop = shared_.stopping && places() == 1 && waiting_input().empty() &&
                                    parser_.phase() != Phase::kBody;
      const http::Appended appended =
          http::append_head(output(), place.response,
                            {.head_request = place.head,
                             .http_1_0 = place.http_1_0,
                             .keep_alive = place.keep_alive && !last_before_stop,
                             .date = shared_.date});
      if (appended.body) append_body(now, place.response.body);
      if (dead_) return freed;
      if (appended.close) place.keep_alive = false;
      place.form = appended.form;
      place.stage = Stage::kStreaming;
      stream_ready_ = true;
      if (lasting()) {
        if (eof_) {
          die();  // Nobody could tell when its client is gone.
          return freed;
        }
        begin_lasting();
      }
      if (takes_body() && parser_.phase() == Phase::kWhole) end_body();
    }
    if (place.stage != Stage::kStreaming) return freed;
    if (place.form != http::BodyForm::kComplete && !append_stream(place)) return freed;
    if (place.id == open_) place.keep_alive = false;
    if (place.keep_alive) {
      pop_place();
      freed = true;
    } else {
      pop_place();
      close_after_output();
    }
  }
  if (places() == 0 && parser_.phase() == Phase::kBetween) since_ = now;
  return freed;
}

bool HttpConnection::append_stream(Place& place) {
  ASSERT(place.response.stream != nullptr);
  for (int pieces = 0; stream_ready_; ++pieces) {
    if (unwritten() >= limits::kHttpStreamBytes || pieces == kPiecesPerFlush) {
      // A write in flight comes back when it is done; else there is room again right away.
      if (writing_bytes_ == 0) shared_.again.push_back(index_);
      return false;
    }
    shared_.piece.clear();
    const http::BodySource::Next next = place.response.stream->next(shared_.piece);
    if (place.form == http::BodyForm::kChunked) {
      http::append_chunk(output(), shared_.piece);
    } else {
      output() += shared_.piece;
    }
    switch (next) {
      case http::BodySource::Next::kMore:
        break;
      case http::BodySource::Next::kLater:
        stream_ready_ = false;
        break;
      case http::BodySource::Next::kWork:
        shared_.again.push_back(index_);
        return false;
      case http::BodySource::Next::kEnd:
        if (place.form == http::BodyForm::kChunked) {
          http::append_last_chunk(output(), place.response.stream->trailers());
        }
        return true;
      case http::BodySource::Next::kBroken:
        place.keep_alive = false;  // The missing end mark tells the client.
        return true;
    }
  }
  return false;
}

void HttpConnection::pop_place() {
  ASSERT(front().stage == Stage::kStreaming);
  if (front().response.stream == nullptr) shared_.front.take_back(std::move(front().response));
  front() = Place();  // Frees its stream now.
  if (++first_ == places_.size()) {
    places_.clear();
    first_ = 0;
  }
}

void HttpConnection::close_after_output() {
  closing_ = true;
  input_done_ = true;
  open_ = {};
  wants_continue_ = false;
  drop_input();
  std::vector<api::RequestId> gone;
  for (std::size_t i = first_; i < places_.size(); ++i) {
    const Stage stage = places_[i].stage;
    if (stage == Stage::kHanded || stage == Stage::kStreaming) gone.push_back(places_[i].id);
  }
  places_.clear();
  first_ = 0;
  handed_ = 0;
  waiting_ = 0;
  waiting_bytes_ = 0;
  for (const api::RequestId id : gone)
    shared_.front.on_gone(id);
}

void HttpConnection::on_written(int status) {
  if (status < 0) return die();
  writing_bytes_ = 0;
  moved_ = read_clock();
  mark_dirty();
}

void HttpConnection::settle(Instant now) {
  const bool all_out = places() == 0 && writing_bytes_ == 0 && pending_.empty();
  if (input_done_ && all_out) return eof_ ? die() : linger(now);
  if (shared_.stopping && quiet() && parser_.phase() != Phase::kBody) return die();
  update_reading(now);
}

// Our side is shut, so that the client sees the end; its side is read until it is shut, too.
void HttpConnection::linger(Instant now) {
  lingering_ = true;
  lingering_since_ = now;
  discarded_ = 0;
  auto* request = new uv_shutdown_t;
  const auto done = [](uv_shutdown_t* finished, int) noexcept { delete finished; };
  if (uv_shutdown(request, stream(), done) != 0) {
    delete request;
    return die();
  }
  update_reading(now);
}

// ---- Time and end ---------------------------------------------------------------------------

void HttpConnection::sweep(Instant now) {
  if (dead_) return;
  const HttpServerOptions& options = shared_.options;
  if (lingering_) {
    if (now - lingering_since_ >= kLingerTimeout) die();
    return;
  }
  if (writing_bytes_ != 0) {
    const std::size_t queued = uv_stream_get_write_queue_size(stream());
    if (queued != queue_seen_) moved_ = now;
    queue_seen_ = queued;
    const bool patient = lasting();  // What it has not read costs no more than its place.
    const Duration patience = shared_.stopping && patient ? kLingerTimeout : options.idle_timeout;
    if (now - moved_ >= patience && (shared_.stopping || !patient)) return die();
  }
  if (!reading_ || input_done_) return;
  const Duration elapsed = now - since_;
  switch (parser_.phase()) {
    case Phase::kBetween:
      if (quiet() && elapsed >= options.idle_timeout) die();
      return;
    case Phase::kHead:
    case Phase::kBody: {
      if (open_) return;
      const bool head = parser_.phase() == Phase::kHead;
      if (elapsed < (head ? options.header_timeout : options.body_timeout)) return;
      refuse(now, {.status = 408,
                   .error = "request_timeout",
                   .message = head ? "the head of the request did not arrive in time"
                                   : "the body of the request did not arrive in time",
                   .limit = head ? "client.header_timeout" : "client.body_timeout",
                   .max = 0});
      return;
    }
    case Phase::kWhole:
    case Phase::kRefused:
      return;
  }
}

void HttpConnection::stop() {
  if (quiet() && parser_.phase() != Phase::kBody) die();
}

void HttpConnection::die() {
  if (dead_) return;
  close_after_output();  // Tells the front end.
  dead_ = true;
  recount();
  reading_ = false;
  uv_read_stop(stream());
  shared_.doomed.push_back(this);
}

}  // namespace raftd::uv
