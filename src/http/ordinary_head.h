// Heads as nearly all are, read in one pass: whole, of a usual method, without anything that two
// parsers could read differently. What is not ordinary is left to HeadScanner and llhttp, which
// refuse it or accept it; what is ordinary they would have read as the same request.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/message.h"

namespace raftd::http {

// How many bytes the head at the front of these has, its empty line included; into has all that is
// in it. 0: it is not ordinary, or not there as a whole, or larger than bytes_max; into may hold a
// part of it. Precondition: nothing is in into.
std::size_t read_ordinary_head(std::string_view bytes, std::size_t bytes_max, Request& into);

}  // namespace raftd::http
