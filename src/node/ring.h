// A queue in one block of memory that grows by doubling and never shrinks: in steady state neither
// end allocates.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace raftd::node {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // i counts from the front. Precondition: i < size().
  T& operator[](std::size_t i) {
    ASSERT(i < size_);
    return slots_[(head_ + i) & (slots_.size() - 1)];
  }
  const T& operator[](std::size_t i) const {
    ASSERT(i < size_);
    return slots_[(head_ + i) & (slots_.size() - 1)];
  }
  T& front() { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }

  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(head_ + size_) & (slots_.size() - 1)] = std::move(value);
    ++size_;
  }
  T pop_front() {
    ASSERT(size_ > 0);
    T value = std::exchange(slots_[head_], T());
    head_ = (head_ + 1) & (slots_.size() - 1);
    --size_;
    return value;
  }
  // Puts value before position i; everything behind it moves. For the rare case only.
  void insert(std::size_t i, T value) {
    push_back(std::move(value));
    for (std::size_t at = size_ - 1; at > i; --at)
      std::swap((*this)[at], (*this)[at - 1]);
  }
  // Keeps the order of what stays.
  template <class Predicate>
  void erase_if(Predicate&& gone) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (gone((*this)[i])) continue;
      if (kept != i) (*this)[kept] = std::move((*this)[i]);
      ++kept;
    }
    for (std::size_t i = kept; i < size_; ++i)
      (*this)[i] = T();
    size_ = kept;
  }

 private:
  void grow() {
    std::vector<T> bigger(slots_.empty() ? 16 : 2 * slots_.size());
    for (std::size_t i = 0; i < size_; ++i)
      bigger[i] = std::move((*this)[i]);
    slots_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<T> slots_;  // A power of two, or empty.
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace raftd::node
