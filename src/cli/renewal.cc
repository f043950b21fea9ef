// The happy path is: every third of its time it is renewed, which leaves room for two more tries
// like it. Possible failure modes are: a node says that it is gone; nobody answers, and it is asked
// again, elsewhere, until the time is over that the last renewal has given; whoever asks was
// stopped for longer than that, and a node says what is true.
#include "cli/renewal.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "config/units.h"

namespace raftd::cli {
namespace {

constexpr std::chrono::seconds kTryTime{1};
constexpr int kTriesPerTtl = 10;  // While they fail, if that is not slower than kTryTime.

}  // namespace

Renewal::Renewal(Client& client, std::string target, Duration ttl, Instant valid_until)
    : client_(client),
      target_(std::move(target)),
      ttl_(ttl),
      valid_until_(valid_until),
      due_(std::min(valid_until, client.now() + ttl / 3)) {
  ASSERT(ttl > Duration());
}

Duration Renewal::pause() const {
  return std::max(Duration(), due_ - client_.now());
}

Renewal::State Renewal::attempt() {
  const Instant now = client_.now();
  if (!under_way_) {
    under_way_ = true;
    begun_ = now;
    key_ = new_key();
  }
  const Duration left = valid_until_ - now;
  client_.restart_clock(left > Duration() ? std::min<Duration>(left, kTryTime) : kTryTime);
  Result<Answer> answer =
      client_.write({.method = "POST", .target = target_, .body = {}, .key = key_});
  if (answer && answer->http.status == 200) {
    valid_until_ = begun_ + ttl_;
    due_ = begun_ + ttl_ / 3;
    under_way_ = false;
    answer_ = std::move(answer->http);
    return State::kRenewed;
  }
  problem_ = answer ? error_message(answer->http) : answer.error().message;
  was_refused_ = answer && (answer->http.status == 404 || answer->http.status == 409);
  if (was_refused_) return State::kLost;
  if (client_.now() >= valid_until_) {
    const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(ttl_);
    problem_ = "it was not renewed for " + config::duration_text(ttl) + ": " + problem_;
    return State::kLost;
  }
  const Duration rest = std::min<Duration>(ttl_ / kTriesPerTtl, kTryTime);
  due_ = std::min(valid_until_, client_.now() + rest);
  return State::kTryAgain;
}

}  // namespace raftd::cli
