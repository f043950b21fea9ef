// One question to one address. The sockets implement it; tests put a script in their place.
#pragma once

#include <string>
#include <string_view>

#include "base/address.h"
#include "base/time.h"
#include "cli/response_reader.h"

namespace raftd::cli {

struct Exchange {
  enum class Stage : unsigned char {
    kNotSent,  // The request did not leave whole: it has no effect.
    kSent,     // It left, and no whole answer came: it may have had its effect.
    kAnswered,
  };
  Stage stage = Stage::kNotSent;
  HttpAnswer answer;    // Else: what has come of it.
  std::string problem;  // Unless kAnswered: why, for a person.
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Instant now() = 0;
  virtual void pause(Duration duration) = 0;
  // request is the whole text of one. Returns at the deadline at the latest.
  virtual Exchange exchange(const Address& address, std::string_view request, Instant deadline) = 0;
  // The same, and the body of a 200 goes to sink. Whenever a piece of it has come, the deadline is
  // patience from then, if that is later.
  virtual Exchange download(const Address& address, std::string_view request, Instant deadline,
                            Duration patience, const BodySink& sink) = 0;
};

}  // namespace raftd::cli
