// How runs are drawn, written down, made smaller and run in numbers.
#include <doctest/doctest.h>

#include <algorithm>

#include "sim/corpus.h"
#include "sim/runner.h"
#include "sim/script.h"
#include "sim/shrink.h"
#include "sim/stats.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Profile kProfiles[] = {Profile::kSwarm, Profile::kLite,   Profile::kDisk,
                                 Profile::kReads, Profile::kBeyond, Profile::kMembership};

std::size_t count(const Plan& plan, FaultKind kind) {
  return static_cast<std::size_t>(std::ranges::count(plan, kind, &Fault::kind));
}

std::string error_of(std::string_view text) {
  const Result<Script> script = parse_script("x.sim", text);
  return script ? "" : script.error().message;
}

}  // namespace

TEST_CASE("the plan of a seed is always the same, and a rate changes no other kind of fault") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Options options = draw_options(seed);
    const Plan plan = draw_plan(seed, options);
    CHECK(plan == draw_plan(seed, draw_options(seed)));
    CHECK(std::ranges::is_sorted(plan, {}, &Fault::at));
    Plan without = plan;
    std::erase_if(without, [](const Fault& fault) { return fault.kind == FaultKind::kPause; });
    options.pause_every = {};
    CHECK(draw_plan(seed, options) == without);
  }
}

TEST_CASE("every kind of fault is drawn, and stands at its place in the table") {
  std::vector<std::size_t> drawn(fault_kinds().size());
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    for (const Profile profile : {Profile::kSwarm, Profile::kMembership}) {
      for (const Fault& fault : draw_script(seed, profile).plan)
        ++drawn[static_cast<std::size_t>(fault.kind)];
    }
  }
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    CAPTURE(i);
    CHECK(static_cast<std::size_t>(fault_kinds()[i].kind) == i);
    CHECK(drawn[i] > 0);
  }
}

TEST_CASE("a script is read as it was written") {
  for (const Profile profile : kProfiles) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      const Script script = draw_script(seed, profile);
      const Result<Script> read = parse_script("x", text_of(script));
      REQUIRE_MESSAGE(read, read.error().message);
      CHECK(*read == script);
    }
  }
}

TEST_CASE("a script that nobody understands is refused, and the line is named") {
  CHECK(
      error_of("seed 1\n# only a remark\n\nset nodes 3 # so many\nat 1.5s kill leader/2 for 3ms") ==
      "");
  CHECK(error_of("seed 1\nseed x\n").starts_with("x.sim:2: want: seed N"));
  CHECK(error_of("jump").starts_with("x.sim:1: a line begins with"));
  CHECK(error_of("set nodes").starts_with("x.sim:1: want: set OPTION VALUE"));
  CHECK(error_of("set knots 3") == "x.sim:1: no option is called that: knots");
  for (const char* wrong : {"nodes 0", "nodes 99", "nodes -1", "nodes 3x", "pre_vote maybe",
                            "think 3", "think 3 s", "think -1s", "think nans", "think 1e999s",
                            "skew x", "clients 0", "value_bytes 0", "segment_bytes 1"}) {
    CAPTURE(wrong);
    CHECK(error_of(std::string("\nset ") + wrong).starts_with("x.sim:2: "));
  }
  for (const char* wrong :
       {"", "1s", "1s kill", "1 kill 1", "1s dance 1", "1s kill 0", "1s kill leader", "1s kill me",
        "1s kill 1 for", "1s kill 1 for 3", "1s kill 1 how x", "1s kill 1 why 3",
        "1s kill 1 with 99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK(error_of(std::string("\nat ") + wrong).starts_with("x.sim:2: "));
  }
  CHECK(error_of("set heartbeat 2s\nset election 1s\n").starts_with("x.sim:2: election"));
  CHECK(error_of(std::string(2 * limits::kMiB, ' ')).starts_with("x.sim:1: "));
  CHECK(error_of("\xff\x01 1").find('\xff') == std::string::npos);
}

TEST_CASE("shrinking leaves what the failure needs, and nothing else") {
  Script script = draw_script(1, Profile::kDisk);
  script.options.nodes = 7;
  script.options.clients = 9;
  script.plan.clear();
  for (int i = 0; i < 200; ++i) {
    Fault fault;
    fault.at = milliseconds(50 * i);
    fault.kind = static_cast<FaultKind>(static_cast<std::size_t>(i) % fault_kinds().size());
    script.plan.push_back(fault);
  }
  // A kill and, later, a partition, of three nodes at least, while the fifth client is at work.
  const auto judge = [](const Script& each) -> std::string {
    const auto kill = std::ranges::find(each.plan, FaultKind::kKill, &Fault::kind);
    const auto later = std::find_if(kill, each.plan.end(), [](const Fault& fault) {
      return fault.kind == FaultKind::kPartition;
    });
    const bool fifth = (each.options.without_clients >> 4 & 1) == 0;
    if (each.plan.size() % 2 == 1) return "something else";
    return later != each.plan.end() && each.options.nodes >= 3 && fifth ? "planted" : "";
  };
  REQUIRE(judge(script) == "planted");
  const Shrunk shrunk = shrink(script, "planted", judge);
  CHECK(judge(shrunk.script) == "planted");
  CHECK(shrunk.script.plan.size() == 2);
  CHECK(shrunk.script.options.nodes == 3);
  CHECK(shrunk.script.options.without_clients == 0b111101111);
  CHECK(shrunk.script.options.chaos * 3 / 4 <= shrunk.script.plan.back().at);
  CHECK(shrunk.script.options.segment_bytes == Options().segment_bytes);
  CHECK(shrink(script, "planted", judge, 5).runs == 5);
}

TEST_CASE("a real run shrinks to the faults that matter, and the script of it says the same") {
  Script script = draw_script(2, Profile::kDisk);
  script.options.chaos = seconds(3);
  std::erase_if(script.plan, [](const Fault& fault) { return fault.at >= seconds(3); });
  const auto judge = [](const Script& each) -> std::string {
    return run(each).coverage.power_losses >= 1 ? "planted" : "";
  };
  REQUIRE(judge(script) == "planted");
  const Shrunk shrunk = shrink(script, "planted", judge, 60);
  CHECK(shrunk.script.plan.size() == 1);
  CHECK(count(shrunk.script.plan, FaultKind::kPowerLoss) +
            count(shrunk.script.plan, FaultKind::kPowerLossAll) +
            count(shrunk.script.plan, FaultKind::kDamage) ==
        1);
  const Result<Script> read = parse_script("x", text_of(shrunk.script));
  REQUIRE(read);
  CHECK(run(*read).trace_hash == run(shrunk.script).trace_hash);
}

TEST_CASE("a run of so many events ends there, and is the same until then") {
  const Script script = draw_script(5, Profile::kLite);
  std::vector<std::string> whole;
  std::vector<std::string> part;
  CHECK_FALSE(run(script, [&](const std::string& line) { whole.push_back(line); }).violation);
  const RunResult result = run(
      script, [&](const std::string& line) { part.push_back(line); }, 2000);
  CHECK(result.coverage.events == 2000);
  CHECK_FALSE(result.violation);
  REQUIRE(part.size() < whole.size());
  CHECK(std::equal(part.begin(), part.end(), whole.begin()));
}

TEST_CASE(
    "runs in several processes see what runs in one see, and a few of each profile are well") {
  for (const Profile profile : kProfiles) {
    const Batch batch{{1, 4}, profile, 2, {}};
    const BatchResult result = run_batch(batch);
    CHECK(result.failure == "");
    CHECK(result.seeds == 4);
    if (profile != Profile::kLite) continue;
    Coverage one;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
      one.add(run(draw_script(seed, profile)).coverage);
    CHECK(table_of(one) == table_of(result.coverage));
  }
}

TEST_CASE("a failure is one line that says how to see it again") {
  RunResult result;
  result.violation = "reads: key-1 was read at 3 when 4 was known\n  and more";
  result.coverage.events = 77;
  result.simulated = milliseconds(1250);
  CHECK(result.invariant() == "reads");
  CHECK(failure_of(12, Profile::kDisk, result) ==
        "FAIL seed=12 invariant=reads at event 77 t=1.250s: key-1 was read at 3 when 4 was known; "
        "replay: raftd-sim replay 12 --profile disk");
}

TEST_CASE("what never happens in a profile that is about it is named") {
  Coverage coverage;
  for (const Counter& counter : counters())
    coverage.*counter.count = 1;
  CHECK(never_seen(coverage, Profile::kSwarm) == "");
  coverage.pauses = 0;
  coverage.torn_sectors = 0;
  CHECK(never_seen(coverage, Profile::kSwarm) == "torn-sectors, pauses");
  CHECK(never_seen(coverage, Profile::kLite) == "");
}

TEST_CASE("the corpus of the repository can be read") {
  const auto corpus = read_corpus(RAFTD_SOURCE_DIR "/tests/sim/regress/seeds.txt");
  REQUIRE_MESSAGE(corpus, corpus.error().message);
  CHECK_FALSE(corpus->runs.empty());
  CHECK_FALSE(corpus->minima.empty());
  for (const CorpusRun& run : corpus->runs)
    CHECK_FALSE(run.why.empty());
  CHECK_FALSE(read_corpus(RAFTD_SOURCE_DIR "/tests/sim/regress/none.txt"));
  // A file that is something else.
  const auto wrong = read_corpus(RAFTD_SOURCE_DIR "/tests/sim/corpus.h");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("corpus.h:1: ") != std::string::npos);
}

}  // namespace raftd::sim
