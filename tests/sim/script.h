// A run as a text that a person can read and change.
#pragma once

#include <string>

#include "base/result.h"
#include "sim/run.h"

namespace raftd::sim {

std::string text_of(const Fault& fault);
// Of a run with drawn options; how often its faults come is in its plan, and nowhere else.
Script draw_script(std::uint64_t seed, Profile profile);
// Begins with an explanation of itself.
std::string text_of(const Script& script);

// What is wrong with the text is said as "NAME:LINE: what". Errc::kBadInput.
Result<Script> parse_script(const std::string& name, std::string_view text);

// The same with one option of the table as it is by default; nullopt: it is so already. For a
// search for what a run can do without.
std::size_t option_count();
std::optional<Script> with_default(Script script, std::size_t option);

}  // namespace raftd::sim
