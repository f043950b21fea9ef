// What comes back to a load generator, looked at no more than counting needs: whole answers, and
// the events of a watch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "cli/load_tally.h"

namespace raftd::cli {

// One answer after the other, of which only the status and the length are read.
class AnswerScanner {
 public:
  // kBadInput: these are not the answer to one request.
  Status feed(std::string_view bytes);
  bool complete() const { return status_ != 0 && left_ == 0; }
  int status() const { return status_; }
  bool closes() const { return closes_; }    // The connection; of an error.
  void begin() { *this = AnswerScanner(); }  // The next one.

 private:
  Status take_head(std::string_view head);

  std::string head_;  // The beginning of one.
  int status_ = 0;    // 0: the head has not come whole.
  bool closes_ = false;
  std::uint64_t left_ = 0;  // Bytes of the body that are still to come.
};

// The lines of a watch: events of our own puts are counted, with the time from when their put was
// due. Others write what they like.
class EventLines {
 public:
  // kBadInput: a line is longer than any event.
  Status take(std::string_view bytes, Instant now, Tally& tally);

 private:
  std::string line_;  // The beginning of one.
};

}  // namespace raftd::cli
