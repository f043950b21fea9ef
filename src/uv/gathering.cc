#include "uv/gathering.h"

#include <utility>

namespace raftd::uv {

bool Gathering::goes_on(std::size_t writes, Instant now) {
  const bool more = writes > std::exchange(known_, writes) && writes > 1;
  if (!more) return false;
  if (!begun_) begun_ = now;
  return now - *begun_ < kPatience;
}

void Gathering::acted(std::size_t writes) {
  known_ = writes;
  begun_.reset();
}

}  // namespace raftd::uv
