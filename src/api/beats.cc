#include "api/beats.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace raftd::api {
namespace {

// What each of many waiters is told.
node::ClientResult copy_of_failure(const node::ClientResult& result) {
  if (const auto* refused = std::get_if<node::Refused>(&result)) return *refused;
  return std::get<node::Unknown>(result);
}

}  // namespace

void Beats::add(node::ClientToken token, kv::LeaseId lease, Instant deadline) {
  const Beat beat{token, lease, deadline};
  if (gathered_.size() >= limits::kProposalsPendingMax) {
    return tell(beat, node::Refused{{Errc::kBusy, "too many writes are waiting"}});
  }
  gathered_.push_back(beat);
  earliest_ = std::min(earliest_, deadline);
  if (sent_.empty()) send();
}

void Beats::tell(const Beat& beat, node::ClientResult result) {
  if (!beat.told && outside_.waits(beat.token)) outside_.complete(beat.token, std::move(result));
}

void Beats::send() {
  ASSERT(sent_.empty());
  std::erase_if(gathered_, [&](const Beat& beat) { return !outside_.waits(beat.token); });
  if (gathered_.empty()) return;
  const std::size_t count = std::min(gathered_.size(), limits::kLeasesKeptMax);
  const auto end = gathered_.begin() + static_cast<std::ptrdiff_t>(count);
  sent_.assign(gathered_.begin(), end);
  gathered_.erase(gathered_.begin(), end);
  kv::KeepLeases command;
  Instant deadline{};
  for (const Beat& beat : sent_) {
    command.ids.push_back(beat.lease);
    deadline = std::max(deadline, beat.deadline);
  }
  outside_.ask(node::Write{node::Propose{kv::encode(command)}}, deadline);
}

void Beats::on_turn(Instant now) {
  if (now < earliest_) return;
  earliest_ = Instant::never();
  // What is still here was never proposed.
  const std::vector<Beat> unsent = take_expired(gathered_, now);
  std::erase_if(gathered_, [](const Beat& beat) { return beat.told; });
  const std::vector<Beat> unanswered = take_expired(sent_, now);
  // Whoever is told may ask again at once.
  for (const Beat& beat : unsent)
    tell(beat, node::Refused{{Errc::kTimeout, "nothing was done before the timeout"}});
  for (const Beat& beat : unanswered)
    tell(beat, node::Unknown{});
}

std::vector<Beats::Beat> Beats::take_expired(std::vector<Beat>& beats, Instant now) {
  std::vector<Beat> expired;
  for (Beat& beat : beats) {
    if (beat.told) continue;
    if (beat.deadline > now) {
      earliest_ = std::min(earliest_, beat.deadline);
      continue;
    }
    expired.push_back(beat);
    beat.told = true;
  }
  return expired;
}

void Beats::on_result(node::ClientResult result) {
  const std::vector<Beat> answered = std::exchange(sent_, {});
  ASSERT(!answered.empty());
  send();  // The next ones first: they need not wait while these are answered.
  auto* done = std::get_if<node::Done>(&result);
  const kv::KeepLeasesReply* reply = nullptr;
  if (done != nullptr) {
    reply = &reply_as<kv::KeepLeasesReply>(*done);
    ASSERT_CMP(reply->ttls_ms.size(), ==, answered.size());
  }
  for (std::size_t i = 0; i < answered.size(); ++i) {
    if (reply == nullptr) {
      tell(answered[i], copy_of_failure(result));
      continue;
    }
    auto own = std::make_unique<kv::KeepLeasesReply>();
    own->result = reply->result;
    own->revision = reply->revision;
    own->message = reply->message;
    own->ttls_ms.push_back(reply->ttls_ms[i]);
    tell(answered[i], node::Done{done->index, done->term, done->forwarded, std::move(own)});
  }
}

}  // namespace raftd::api
