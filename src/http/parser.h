// Requests out of the bytes of one connection, one at a time. llhttp in its strict mode parses the
// heads; HeadScanner and ChunkedDecoder refuse what it lets through. After a refusal the connection
// is good for nothing: where the next request begins is anybody's guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "http/chunked.h"
#include "http/head_scanner.h"
#include "http/message.h"

namespace raftd::http {

struct ParserLimits {
  std::size_t header_bytes = 0;  // 431; the request line counts, too.
  std::size_t body_bytes = 0;    // 413.
  // The body of a POST to one of these paths is given as it comes. It may have any length.
  std::span<const std::string_view> streamed_paths{};
};

class RequestParser {
 public:
  enum class Event : std::uint8_t {
    kMore,     // Everything was consumed.
    kHead,     // A head whose body is still to come: request() has all but the body. Feed on. Not
               // if the body came with it: what there is to say of the head is said of the request.
    kOpened,   // A head whose body is given as it comes, if there is one: it is kWhole now if not.
               // Else feed on and take_body() each time, until kRequest, where next() is called.
    kRequest,  // request() is whole; take() it, or let it go with next(). What was not consumed
               // belongs to the next one.
    kRefused,  // refusal() says why. Feed no more.
  };
  enum class Phase : std::uint8_t { kBetween, kHead, kBody, kWhole, kRefused };

  struct Step {
    Event event = Event::kMore;
    std::size_t consumed = 0;
  };

  RequestParser();
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  // Precondition: the last event was neither kRefused nor a kRequest that was not taken.
  Step feed(std::string_view bytes, const ParserLimits& bounds);

  const Request& request() const { return request_; }  // From kHead on.
  Request take();                                      // After kRequest,
  void next();                                         //   or this, which keeps its memory.
  // What came of the body since the last time. After kOpened.
  std::string take_body() { return std::exchange(request_.body, {}); }
  const Refusal& refusal() const { return refusal_; }  // After kRefused.

  // The rest of this request's body is counted and checked, but not kept.
  void discard_body() { discard_ = true; }
  bool discarding() const { return discard_; }

  Phase phase() const { return phase_; }
  // Bytes of the body that are announced and have not come; of a chunked one nobody knows: max.
  std::uint64_t body_left() const;
  // The request that is being read, or was refused, is known to be a HEAD: its answer has no body.
  bool is_head() const;

 private:
  struct HeadParser;  // llhttp.

  Step feed_head(std::string_view bytes, const ParserLimits& bounds);
  Step end_head(bool accepted, std::size_t consumed, std::string_view bytes,
                const ParserLimits& bounds);
  Step feed_body(std::string_view bytes, const ParserLimits& bounds);
  bool parse_head(std::string_view head);  // False: refused.
  bool check_fields();
  bool check_target();
  bool refuse(Refusal refusal);
  void refuse_body(Refusal refusal);
  bool bad(const char* message);

  Phase phase_ = Phase::kBetween;
  bool discard_ = false;
  bool chunked_ = false;
  bool streamed_ = false;
  std::uint64_t content_left_ = 0;
  Request request_;
  Refusal refusal_;
  std::string head_;  // The part of a head that came first, if it did not come at once.
  HeadScanner scanner_;
  ChunkedDecoder chunks_;
  std::unique_ptr<HeadParser> head_parser_;
};

}  // namespace raftd::http
