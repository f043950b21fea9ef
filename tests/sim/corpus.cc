#include "sim/corpus.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "sim/runner.h"
#include "sim/script.h"
#include "sim/stats.h"

namespace raftd::sim {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

// What is wrong, or nothing.
Result<Done> read_line(const std::filesystem::path& folder, const std::vector<std::string>& words,
                       const std::string& why, Corpus& corpus) {
  std::uint64_t number = 0;
  if (words.size() == 3 && words[0] == "min") {
    if (counter_named(words[1]) == nullptr || !parse_u64(words[2], number)) {
      return Error{Errc::kBadInput, "want: min COUNTER N"};
    }
    corpus.minima[words[1]] = number;
    return Done{};
  }
  if (words.size() <= 2 && parse_u64(words[0], number)) {
    const auto profile = profile_named(words.size() == 2 ? words[1] : "swarm");
    if (!profile) return Error{Errc::kBadInput, "no profile is called " + words[1]};
    corpus.runs.push_back({draw_script(number, *profile), name_of(number, *profile), why});
    return Done{};
  }
  if (words.size() != 1) return Error{Errc::kBadInput, "want: SEED [PROFILE], FILE or min"};
  const std::string path = folder / words[0];
  TRY(const std::string text, read_text(path));
  TRY(Script script, parse_script(path, text));
  corpus.runs.push_back({std::move(script), path, why});
  return Done{};
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Errc::kIo, path + ": cannot be read"};
  return text.str();
}

Result<Corpus> read_corpus(const std::string& path) {
  TRY(const std::string text, read_text(path));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::istringstream lines(text);
  Corpus corpus;
  std::size_t at = 0;
  for (std::string line; std::getline(lines, line);) {
    ++at;
    const std::size_t mark = line.find('#');
    const std::vector<std::string> words = words_of(line.substr(0, mark));
    if (words.empty()) continue;
    const auto error = [&](const std::string& what) {
      return Error{Errc::kBadInput, strf("%s:%zu: %s", path.c_str(), at, what.c_str())};
    };
    const std::size_t begin = line.find_first_not_of("# ", mark);
    if (mark == std::string::npos || begin == std::string::npos) {
      return error("why this is here is missing: # why");
    }
    const Result<Done> read = read_line(folder, words, line.substr(begin), corpus);
    if (!read) return error(read.error().message);
  }
  return corpus;
}

}  // namespace raftd::sim
