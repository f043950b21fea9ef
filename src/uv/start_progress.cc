#include "uv/start_progress.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace raftd::uv {
namespace {

constexpr Duration kInterval = std::chrono::seconds(1);
// From each line on: as long as there is progress a start is never too long. A disk that answers
// nothing for that long is.
constexpr std::chrono::microseconds kMoreTime = std::chrono::minutes(2);

unsigned long long mib(std::uint64_t bytes) {
  return bytes / limits::kMiB;
}

}  // namespace

void StartProgress::on_read(Instant now, const storage::RecoveryProgress& progress) {
  if (now - said_at_ < kInterval) return;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - said_at_).count();
  const std::uint64_t rate =
      (progress.read - std::min(said_read_, progress.read)) * 1000 / static_cast<std::uint64_t>(ms);
  const std::uint64_t percent = progress.total == 0 ? 0 : progress.read * 100 / progress.total;
  const std::string text = strf("recovering: %llu %% of %llu MiB read, %llu MiB/s, now %s",
                                static_cast<unsigned long long>(percent), mib(progress.total),
                                mib(rate), percent_escape(progress.file).c_str());
  log_.info("%s", text.c_str());
  notifier_.send(strf("STATUS=%s\nEXTEND_TIMEOUT_USEC=%lld", text.c_str(),
                      static_cast<long long>(kMoreTime.count())));
  said_at_ = now;
  said_read_ = progress.read;
}

}  // namespace raftd::uv
