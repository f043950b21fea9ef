#include "sim/stats.h"

#include "base/text.h"

namespace raftd::sim {
namespace {

constexpr unsigned bit(Profile profile) {
  return 1U << static_cast<unsigned>(profile);
}

constexpr unsigned kAll = 127;
constexpr unsigned kNotLite = kAll & ~bit(Profile::kLite);
constexpr unsigned kDisks = bit(Profile::kDisk) | bit(Profile::kBeyond) | bit(Profile::kSwarm);

using C = Coverage;
constexpr Counter kCounters[] = {
    {"events", &C::events, kAll},
    {"messages", &C::messages, kAll},
    {"leader-changes", &C::leader_changes, kAll},
    {"elections", &C::elections, kAll},
    {"entries-overwritten", &C::overwritten, kAll},
    {"kills", &C::kills, kAll},
    {"power-losses", &C::power_losses, kNotLite},
    {"torn-sectors", &C::torn_sectors, kNotLite},
    {"recoveries-with-repairs", &C::recoveries_with_notes, kNotLite},
    {"interrupted-repairs", &C::interrupted_repairs, kNotLite},
    {"clean-stops", &C::clean_stops, kNotLite},
    {"pauses", &C::pauses, kNotLite},
    {"strays", &C::strays, bit(Profile::kSwarm) | bit(Profile::kReads)},
    {"strays-noticed", &C::strays_noticed, bit(Profile::kSwarm) | bit(Profile::kReads)},
    {"strays-reloaded", &C::strays_reloaded, bit(Profile::kSwarm) | bit(Profile::kReads)},
    {"strays-spread", &C::strays_spread, 0},
    {"clock-jumps", &C::clock_jumps, kNotLite},
    {"partitions", &C::partitions, kAll},
    {"connection-resets", &C::resets, kNotLite},
    {"late-messages", &C::late_messages, kNotLite},
    {"full-disks", &C::full_disks, kDisks},
    {"disk-errors", &C::disk_errors, kDisks},
    {"slow-disks", &C::slow_disks, kDisks},
    {"starts-without-reads", &C::starts_without_reads, kDisks},
    {"damage", &C::damage, kDisks},
    {"damage-harmless", &C::damage_harmless, kDisks},
    {"damage-refused", &C::damage_refused, kDisks},
    {"damage-unnoticed", &C::damage_unnoticed, kDisks & ~bit(Profile::kSwarm)},
    {"log-repairs", &C::log_repairs, kDisks},
    {"log-repairs-cut-short", &C::log_repairs_cut_short, kDisks & ~bit(Profile::kSwarm)},
    {"log-repairs-refused", &C::log_repairs_refused, kDisks},
    {"snapshots-made", &C::snapshots_made, kAll},
    {"snapshots-sent", &C::snapshots_sent, kAll},
    {"snapshots-installed", &C::snapshots_installed, kAll},
    {"starts-from-snapshots", &C::starts_from_snapshots, kAll},
    {"log-drops", &C::log_drops, kAll},
    {"transfers", &C::transfers, kNotLite},
    {"changes-asked", &C::changes_asked, bit(Profile::kMembership)},
    {"changes-done", &C::changes_done, bit(Profile::kMembership)},
    {"changes-unknown", &C::changes_unknown, bit(Profile::kMembership)},
    {"leaders-removed", &C::leaders_removed, bit(Profile::kMembership)},
    {"tickets-asked", &C::tickets_asked, bit(Profile::kMembership)},
    {"claims-done", &C::claims_done, bit(Profile::kMembership)},
    {"claims-refused", &C::claims_refused, bit(Profile::kMembership)},
    {"disks-lost", &C::disks_lost, bit(Profile::kMembership)},
    {"members-replaced", &C::members_replaced, bit(Profile::kMembership)},
    {"lost-replaced", &C::lost_replaced, bit(Profile::kMembership)},
    {"recovers-refused", &C::recovers_refused, bit(Profile::kMembership)},
    {"recovers-allowed", &C::recovers_allowed, bit(Profile::kMembership)},
    {"writes-forwarded", &C::forwarded, kAll},
    {"writes-done", &C::writes_done, kAll},
    {"clients-awaited", &C::clients_awaited, bit(Profile::kLite)},
    {"writes-refused", &C::writes_refused, kAll},
    {"writes-superseded", &C::writes_superseded, kNotLite},
    {"writes-unknown", &C::writes_unknown, kAll},
    {"writes-repeated", &C::repeats, kAll},
    {"reads-done", &C::reads_done, kAll},
    {"reads-refused", &C::reads_refused, kAll},
    {"stale-reads", &C::stale_reads, kAll},
    {"lists", &C::lists, kAll},
    {"abandoned", &C::abandoned, kAll & ~bit(Profile::kStore)},
    {"commands-done", &C::commands_done, kAll},
    {"commands-replayed", &C::commands_replayed, kAll},
    {"commands-fenced", &C::commands_fenced, bit(Profile::kStore)},
    {"keys-misused", &C::keys_misused, bit(Profile::kStore)},
    {"fences-passed", &C::fences_passed, bit(Profile::kStore)},
    {"locks-taken", &C::locks_taken, bit(Profile::kStore)},
    {"lock-waits", &C::lock_waits, bit(Profile::kStore)},
    {"leases-expired", &C::leases_expired, bit(Profile::kStore)},
    {"events-watched", &C::events_watched, bit(Profile::kStore)},
    {"watches-cut-off", &C::watches_cut_off, bit(Profile::kStore)},
};
static_assert(std::size(kCounters) == sizeof(Coverage) / sizeof(std::uint64_t),
              "every counter has a name");

}  // namespace

std::span<const Counter> counters() {
  return kCounters;
}

const Counter* counter_named(std::string_view name) {
  for (const Counter& counter : kCounters) {
    if (counter.name == name) return &counter;
  }
  return nullptr;
}

std::string table_of(const Coverage& coverage) {
  std::string text;
  for (const Counter& counter : kCounters) {
    text += strf("  %-24s %12llu\n", std::string(counter.name).c_str(),
                 static_cast<unsigned long long>(coverage.*counter.count));
  }
  return text;
}

std::string never_seen(const Coverage& coverage, Profile profile) {
  std::string names;
  for (const Counter& counter : kCounters) {
    if ((counter.expected_in & bit(profile)) == 0 || coverage.*counter.count != 0) continue;
    names += (names.empty() ? "" : ", ") + std::string(counter.name);
  }
  return names;
}

}  // namespace raftd::sim
