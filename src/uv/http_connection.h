// One client's connection: bytes to requests, requests to the front end in order, responses to
// bytes in order.
//
// The happy path is: bytes are parsed where libuv has read them; a whole request takes a place in
// the queue and is handed to the front end; the response finds its place; flush() writes all
// responses that are next in line with one system call, up to a large body one each.
//
// Possible failure modes are: the bytes are no HTTP (the refusal is answered in its turn, then the
// connection closes); the client is too slow (408, or closed); it does not read (nothing more is
// read from it, then it is closed: at once if too much memory is held for clients, and most of it
// for this one); it hangs up (the front end is told); it closes its sending side
// only (the front end is told that, too, and it still gets its answers, but no lasting stream).
//
// A request may be handed to the front end when only its head has come (uv/http_bodies.cc).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/front.h"
#include "base/limits.h"
#include "http/parser.h"
#include "http/response.h"
#include "uv/handle.h"
#include "uv/http_server.h"

namespace raftd::uv {

class HttpConnection;

using ClientStream = std::variant<Handle<uv_tcp_t>, Handle<uv_pipe_t>>;
uv_stream_t* raw_stream(ClientStream& stream);

// What the connections of a server have in common.
struct HttpShared {
  HttpShared(api::Front& front_end, const HttpServerOptions& settings)
      : front(front_end), options(settings), streamed_paths(front_end.streamed_paths()) {}

  api::RequestId next_id(std::uint32_t index) {
    ASSERT_CMP(index, <, 1u << kIndexBits);
    return {++sequence << kIndexBits | index};
  }
  static std::uint32_t index_of(api::RequestId id) {
    return static_cast<std::uint32_t>(id.value & ((1u << kIndexBits) - 1));
  }

  static constexpr unsigned kIndexBits = 17;  // kHttpConnectionsMax and those turned away fit.
  static constexpr std::size_t kReadBytes = 128 * limits::kKiB;

  api::Front& front;
  HttpServerOptions options;
  const std::span<const std::string_view> streamed_paths;
  bool stopping = false;
  bool handed_in_flush = false;  // The front end may have work: the loop must not sleep now.
  std::size_t held_bytes = 0;    // Of all connections.
  std::uint64_t sequence = 0;
  std::string date;
  std::string output;  // What is being written; kept for its memory.
  std::string piece;   // Of a stream; the same.
  std::vector<char> input = std::vector<char>(kReadBytes);  // Filled and parsed in one callback.
  std::vector<HttpConnection*> dirty;                       // To be flushed in this iteration,
  std::vector<std::uint32_t> again;     //   and by index in the next one, which must not sleep.
  std::vector<HttpConnection*> doomed;  // Dead, to be deleted when no callback can be inside them.
};

class HttpConnection {
 public:
  HttpConnection(HttpShared& shared, std::uint32_t index, ClientStream stream);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void start(Instant now);      // Reads from now on.
  void turn_away(Instant now);  // Too many clients: answers 503 and closes.
  bool turned_away() const { return turned_away_; }
  std::uint32_t index() const { return index_; }

  void respond(api::RequestId id, http::Response response);
  void wake(api::RequestId id);

  void mark_dirty();
  void flush(Instant now);
  void sweep(Instant now);  // Every now and then: looks at the timeouts.
  void stop();              // Closes unless something is in progress.
  void die();               // Closes, whatever is in progress.

  // What is in memory for its client: of requests that have not been handed over, and of answers
  // that have not been written. As of the last callback or flush().
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Write;
  enum class Stage : std::uint8_t { kWaiting, kHanded, kAnswered, kStreaming };

  // A request in progress, from its last byte to the last byte of its response.
  struct Place {
    api::RequestId id;
    Stage stage = Stage::kWaiting;
    bool changes = false;  // Not one of GET, HEAD, OPTIONS.
    bool head = false;
    bool http_1_0 = false;
    bool keep_alive = true;
    http::BodyForm form = http::BodyForm::kComplete;  // Of a stream.
    http::Request request;                            // While it waits.
    http::Response response;                          // Once it is answered.
  };

  void on_read(Instant now, std::string_view bytes);
  void on_eof();
  bool lasting();  // A stream without an end is being sent.
  void begin_lasting();
  void on_written(int status);

  std::size_t parse(Instant now, std::string_view bytes);  // How many were consumed.
  void on_whole(Instant now);
  void refuse(Instant now, const http::Refusal& refusal);
  Place& add_place(const http::Request& request);
  void answer(Place& place, http::Response response);
  void hand_over(Instant now);
  void hand(Instant now, Place& place, const http::Request& request);
  bool may_hand(const Place& place) const {
    return handed_ == 0 || place.changes == handed_changes_;
  }

  // In uv/http_bodies.cc.
  void on_head(Instant now);
  void leave_body(Place& place);
  void count_discarded(std::size_t bytes);
  void on_opened(Instant now);
  void settle_body(Place& place);
  void pass_body();
  void end_body();
  bool takes_body() const {  // The answer to open_ has begun, and is a stream.
    return open_ && places() != 0 && places_[first_].id == open_ &&
           places_[first_].stage == Stage::kStreaming;
  }

  bool append_answers(Instant now);  // True: places became free.
  void append_body(Instant now, std::string& body);
  bool append_stream(Place& place);  // True: the stream has ended.
  void pop_place();
  void close_after_output();
  void write(Instant now);
  void write_with(Instant now, std::string& body);
  void settle(Instant now);  // What follows from what was just written: read on, or close.
  void linger(Instant now);
  void update_reading(Instant now);
  void drop_input();
  void recount();
  std::string_view waiting_input() const { return std::string_view(input_).substr(input_at_); }

  std::size_t places() const { return places_.size() - first_; }
  Place& front() { return places_[first_]; }
  Place* find(api::RequestId id);
  bool may_parse() const;
  bool quiet() const;  // Nothing is in progress and nothing is left to be written.
  std::size_t unwritten() const { return writing_bytes_ + output().size(); }
  std::string& output() { return writing_bytes_ != 0 ? pending_ : shared_.output; }
  const std::string& output() const { return writing_bytes_ != 0 ? pending_ : shared_.output; }
  uv_stream_t* stream() { return raw_stream(stream_); }

  HttpShared& shared_;
  std::uint32_t index_;
  ClientStream stream_;
  http::RequestParser parser_;
  std::vector<Place> places_;  // From first_ on; those before it are done.
  std::size_t first_ = 0;
  std::size_t handed_ = 0;         // Places in stage kHanded, all of one kind:
  bool handed_changes_ = false;    //   this one.
  std::size_t waiting_ = 0;        // Places in stage kWaiting,
  std::size_t waiting_bytes_ = 0;  //   and their bodies.
  std::size_t held_bytes_ = 0;     // As counted in what all connections hold.
  api::RequestId open_;            // Its body is given as it comes, and has not ended.
  std::string input_;              // Read; not parsed from input_at_ on: it is not their turn yet.
  std::size_t input_at_ = 0;
  std::string pending_;            // To be written when the write in flight is done.
  std::size_t writing_bytes_ = 0;  // Of the write in flight; 0: there is none.
  std::size_t discarded_ = 0;      // Bytes thrown away of a refused body, or while closing.
  std::size_t queue_seen_ = 0;     // Of libuv's write queue, when it last moved.
  Instant moved_{};                // When output last moved.
  Instant since_{};                // When the parser's phase began; when all became quiet.
  Instant lingering_since_{};
  http::RequestParser::Phase phase_ = http::RequestParser::Phase::kBetween;
  bool reading_ = false;
  bool dirty_ = false;
  bool dead_ = false;
  bool eof_ = false;         // The client will send no more.
  bool input_done_ = false;  // What it sends is not parsed any more.
  bool closing_ = false;     // Nothing is answered any more; close when all is written.
  bool lingering_ = false;   // Our side is shut: waits for the client's.
  bool wants_continue_ = false;
  bool stream_ready_ = false;  // The front place's stream may have something.
  bool turned_away_ = false;
};

}  // namespace raftd::uv
