// HTTP/1.1 requests and responses as values (RFC 9110, RFC 9112).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace raftd::http {

enum class Method : std::uint8_t { kGet, kHead, kPut, kPost, kDelete, kOptions, kOther };

struct Header {
  std::string name;   // Lower case.
  std::string value;  // Without space around it.
};

struct Request {
  Method method = Method::kGet;
  std::string method_name;  // As received: PUT, PATCH.
  std::string target;       // Origin form ("/kv/a?meta") or "*"; an absolute form is cut to that.
  std::vector<Header> headers;
  std::string body;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;

  std::string_view path() const;   // Up to the first '?', not decoded.
  std::string_view query() const;  // After it; empty if there is none.
  // The first header of that lower-case name; nullptr: absent.
  const std::string* header(std::string_view name) const;
  std::size_t header_count(std::string_view name) const;

  void clear();  // As a new one, but for the memory of an ordinary request.
};

// A body that is made while it is sent. The connection asks for more whenever its output is below
// kHttpStreamBytes.
class BodySource {
 public:
  enum class Next : std::uint8_t {
    kMore,    // Something was appended: ask again when there is room.
    kLater,   // Nothing now; Responder::wake() follows.
    kWork,    // Perhaps nothing yet, after some work: ask again when others have had their turn.
    kEnd,     // That was all.
    kBroken,  // The stream cannot be finished: close without the end mark.
  };
  virtual ~BodySource() = default;
  virtual Next next(std::string& out) = 0;
  // It waits for what may never happen: a client that does not read for a while is not hung up on,
  // and one that closes its side wants no more of it.
  virtual bool lasting() const { return false; }
  // If the body of the request is given as it comes: the next piece of it, of which the connection
  // keeps nothing; and that it has ended. next() follows without a wake(). Neither comes after kEnd
  // or kBroken. A body that is cut off has no end: the source is destroyed.
  virtual void on_body(std::string_view /*bytes*/) {}
  virtual void on_body_end() {}
  // After kEnd: whole header lines that follow a chunked body (RFC 9110, 6.5).
  virtual std::string trailers() { return {}; }
};

struct Response {
  int status = 200;
  std::string fields;  // Whole header lines "Name: value\r\n"; Date, Content-Length or
                       // Transfer-Encoding, and Connection are added by the connection.
  std::string body;
  std::unique_ptr<BodySource> stream;  // Not null: instead of body.
  bool close = false;
};

// Why a request was refused before it was one. The front end makes the response of it.
struct Refusal {
  int status = 400;
  std::string error;    // "bad_request", "headers_too_large"...
  std::string message;  // A sentence.
  std::string limit;    // Name of the limit that was hit; empty: none.
  std::uint64_t max = 0;
  std::string path{};  // Of the request, if it was refused for its body.
};

// With the line's end. Empty: not one that raftd answers with.
std::string_view status_line(int status);

}  // namespace raftd::http
