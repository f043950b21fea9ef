// Objects that are done with, kept for the memory that they hold: who needs one of these for every
// request makes it of the last one that was given back, and in steady state nothing is allocated.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace raftd {

// Empties a text. Its memory stays if it is not more than that; to assign an empty text to it would
// keep any amount.
inline void clear_text(std::string& text, std::size_t bytes_kept_max) {
  text.clear();
  if (text.capacity() > bytes_kept_max) std::string().swap(text);
}

template <class T>
class Spares {
 public:
  // As many requests are in progress at once on a busy node.
  static constexpr std::size_t kSparesMax = 256;

  // The last that was given, as it was given; without one a new one. The caller makes it empty.
  T take() {
    if (spares_.empty()) return T();
    T spare = std::move(spares_.back());
    spares_.pop_back();
    return spare;
  }
  void give(T spare) {
    if (spares_.size() < kSparesMax) spares_.push_back(std::move(spare));
  }

 private:
  std::vector<T> spares_;
};

}  // namespace raftd
