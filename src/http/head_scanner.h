// The guard in front of llhttp: reads the bytes of a request's head, or of a chunked body's
// trailers, one by one and finds where they end. It refuses what llhttp lets through even in its
// strict mode (a folded line, an empty field name, any version), what must be refused before the
// whole head is there (sizes and counts), and every byte that two parsers could read differently.
// What it says depends on the bytes alone, never on how they were cut in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace raftd::http {

class HeadScanner {
 public:
  enum class Part : std::uint8_t { kHead, kTrailers };
  enum class Outcome : std::uint8_t { kMore, kEnd, kRefused };

  explicit HeadScanner(Part part) { restart(part); }
  void restart(Part part);

  // Reads up to and including the empty line that ends the part. consumed: how many bytes it took,
  // all of them unless the end was reached or they were refused.
  Outcome scan(std::string_view bytes, std::size_t bytes_max, std::size_t& consumed);

  bool begun() const { return total_ != 0; }
  std::string_view method() const { return {method_, method_bytes_}; }  // As far as it has come.
  const Refusal& refusal() const { return refusal_; }                   // After kRefused.

 private:
  enum class State : std::uint8_t {
    kStart,      // Empty lines before the request line.
    kStartLf,    //
    kMethod,     //
    kTarget,     //
    kVersion,    //
    kLineLf,     // After the CR of the request line.
    kLineStart,  // Of a field, or of the empty line.
    kName,       //
    kValue,      //
    kValueLf,    // After the CR of a field line.
    kEndLf,      // After the CR of the empty line.
  };

  bool step(unsigned char byte);  // False: refused.
  bool step_request_line(unsigned char byte);
  bool step_field(unsigned char byte);
  bool end_request_line();
  bool refuse(int status, const char* error, const char* message, const char* limit = "",
              std::uint64_t max = 0);
  bool bad(const char* message) { return refuse(400, "bad_request", message); }
  // How many bytes from the front can be taken without leaving the state.
  std::size_t run_of_ordinary(std::string_view bytes) const;

  Part part_ = Part::kHead;
  State state_ = State::kStart;
  bool ended_ = false;
  std::uint8_t empty_lines_ = 0;
  std::uint8_t method_bytes_ = 0;
  std::uint8_t version_bytes_ = 0;
  std::size_t fields_ = 0;
  std::size_t line_bytes_ = 0;  // Of the request line.
  std::size_t target_bytes_ = 0;
  std::size_t total_ = 0;
  char method_[32];  // kHttpMethodBytesMax.
  char version_[8];  // "HTTP/1.1".
  Refusal refusal_;
};

// Methods that HTTP knows, whether raftd offers them or not.
bool is_known_method(std::string_view name);

}  // namespace raftd::http
