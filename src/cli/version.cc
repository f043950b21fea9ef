#include "cli/version.h"

namespace raftd::cli {

std::string version_text() {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
#if defined(RAFTD_COMMIT)
  const std::string commit = RAFTD_COMMIT;
#else
  const std::string commit = "unknown";
#endif
  return std::string("raftd ") + kVersion + "\ncommit: " + commit + "\ncompiler: " + compiler +
         "\nfeatures: http log-v1\n";
}

}  // namespace raftd::cli
