#include "uv/open_files.h"

#include <sys/resource.h>

namespace raftd::uv {

std::uint64_t raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  // A shell's soft limit is for programs that use select(). Under a system call filter this is
  // refused; the service manager has set the limit there.
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

}  // namespace raftd::uv
