// Where a command's words go, and what kind of reader is there. Commands get it as an argument, so
// that a test can look at what they print.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/table.h"

namespace raftd::cli {

struct Output {
  bool terminal = false;  // Standard output is one.
  Charset charset = Charset::kUtf8;
  std::function<void(std::string_view)> out;  // To standard output, as it is.
  // What was given to out is on its way now. False: nobody can read it.
  std::function<bool()> flush = [] { return true; };
  std::function<void(std::string_view)> error;  // One sentence: "raftd: MESSAGE\n".

  void table(const Table& rows) const { out(terminal ? boxed(rows, charset) : plain(rows)); }
};

}  // namespace raftd::cli
