// Goal: a renewal counts from where it was first asked for, and what is not renewed in time is lost
// then and not later. Method: scripted answers that take their time, on one clock.
#include "cli/renewal.h"

#include <doctest/doctest.h>

#include "unit/cli/fake_transport.h"

namespace raftd::cli {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a renewal whose answer came late, at the second try, counts from the first") {
  FakeTransport net;
  Client client = net.client("a:1");
  Renewal renewal(client, "/lock/l/keepalive?token=1", seconds(30), net.now() + seconds(30));
  CHECK(renewal.pause() == seconds(10));
  net.pass(seconds(10));
  CHECK(renewal.pause() == Duration());
  net.delay = milliseconds(400);
  net.answer(503, R"({"message":"no leader","outcome":"none"})");
  net.answer(503, R"({"message":"no leader","outcome":"none"})");
  CHECK(renewal.attempt() == Renewal::State::kTryAgain);
  CHECK(net.now().since_origin == seconds(11));  // A try is a second long.
  net.pass(renewal.pause());
  CHECK(net.now().since_origin == seconds(12));
  net.answer(200, "{}");
  CHECK(renewal.attempt() == Renewal::State::kRenewed);
  CHECK(net.now() + renewal.pause() == Instant{seconds(20)});
  const auto key = [&](std::size_t i) {
    const std::string& request = net.asked[i].request;
    return request.substr(request.find("Idempotency-Key: "), 17 + 32);
  };
  CHECK(key(0) == key(2));  // Both tries are one write.

  net.delay = Duration();
  net.refuse_forever();
  Renewal::State state = Renewal::State::kTryAgain;
  while (state == Renewal::State::kTryAgain) {
    net.pass(renewal.pause());
    state = renewal.attempt();
  }
  CHECK(state == Renewal::State::kLost);
  CHECK_FALSE(renewal.was_refused());
  CHECK(net.now().since_origin == seconds(40));
  CHECK(key(0) != key(3));
}

TEST_CASE("whoever was stopped for longer than the ttl asks once what is true") {
  const auto after = [](FakeTransport& net) {
    Client client = net.client("a:1");
    Renewal renewal(client, "/t", seconds(3), net.now() + seconds(3));
    net.pass(seconds(3600));
    return renewal.attempt();
  };
  FakeTransport held;
  held.answer(200, "{}");
  CHECK(after(held) == Renewal::State::kRenewed);
  FakeTransport gone;
  gone.answer(409, R"({"message":"it is lost"})");
  CHECK(after(gone) == Renewal::State::kLost);
  FakeTransport silent;
  silent.refuse();
  CHECK(after(silent) == Renewal::State::kLost);
}

TEST_CASE("an answer that says nothing of it, such as a refused token, is asked again") {
  FakeTransport net;
  Client client = net.client("a:1");
  Renewal renewal(client, "/t", seconds(30), net.now() + seconds(30));
  net.pass(seconds(10));
  net.answer(401, R"({"message":"no such token"})");
  CHECK(renewal.attempt() == Renewal::State::kTryAgain);
  CHECK(renewal.problem() == "no such token");
  CHECK(renewal.pause() == seconds(1));
}

}  // namespace raftd::cli
