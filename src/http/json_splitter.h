// JSON objects one after the other, out of bytes that come in any pieces, with or without white
// space between them. Looks for where an object ends and at nothing else: what is in it is for
// parse_json() to judge, and may be no JSON at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace raftd::http {

class JsonSplitter {
 public:
  enum class Event : std::uint8_t {
    kMore,      // Everything was consumed.
    kObject,    // object() is whole; what was not consumed comes after it.
    kNoObject,  // The byte behind what was consumed begins no object.
    kTooLarge,  // The object is larger than it may be.
  };
  struct Step {
    Event event = Event::kMore;
    std::size_t consumed = 0;
  };

  explicit JsonSplitter(std::size_t object_bytes_max) : bytes_max_(object_bytes_max) {}

  // Precondition: the last event was neither kNoObject nor kTooLarge: where the next object begins
  // is anybody's guess.
  Step feed(std::string_view bytes);

  // After kObject, until the next feed(); a part of the bytes that were fed if they had all of it.
  std::string_view object() const { return object_; }
  bool between() const { return depth_ == 0; }  // No object has begun and not ended.

 private:
  enum class State : std::uint8_t { kPlain, kString, kEscape };

  std::size_t find_end(std::string_view bytes);  // npos: it is not there.
  Step refuse(Event why, std::size_t consumed);

  std::size_t bytes_max_;
  std::size_t depth_ = 0;  // Of braces: where brackets cross them it is no JSON anyway.
  State state_ = State::kPlain;
  bool refused_ = false;
  std::string part_;  // Of an object that did not come at once: at most bytes_max_.
  std::string_view object_;
};

}  // namespace raftd::http
