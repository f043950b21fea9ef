// libFuzzer: any bytes as a configuration file; what follows a NUL is one KEY=VALUE of --set.
// Proves: a refusal is one printable line that begins with the place in the file; what is accepted
// and printed as effective loads again to the same.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/text.h"
#include "config/config.h"
#include "config/toml_reader.h"

namespace {

using namespace raftd;

// A file that is only in memory.
class File {
 public:
  File() : descriptor_(memfd_create("raftd.toml", 0)) { ASSERT_CMP(descriptor_, >=, 0); }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(std::string_view text) const {
    ASSERT_CMP(ftruncate(descriptor_, 0), ==, 0);
    ASSERT_CMP(pwrite(descriptor_, text.data(), text.size(), 0), ==,
               static_cast<ssize_t>(text.size()));
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

bool take_place_part(std::string_view& text) {
  const std::size_t colon = text.find(':');
  std::uint64_t number = 0;
  if (colon == std::string_view::npos || !parse_u64(text.substr(0, colon), number)) return false;
  text.remove_prefix(colon + 1);
  return number > 0;
}

void check_line(std::string_view line) {
  for (const char c : line)
    ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  ASSERT(is_utf8(line));
}

void check_refusal(std::string_view message, std::string_view file) {
  check_line(message);
  if (message.starts_with("--set:")) return;
  ASSERT(message.starts_with(std::string(file) + ":"));
  message.remove_prefix(file.size() + 1);
  ASSERT(take_place_part(message));
  ASSERT(take_place_part(message));
  ASSERT(message.size() > 1);
  ASSERT_CMP(message.front(), ==, ' ');
}

// Without where each is from.
std::string effective_toml(const config::Loaded& loaded) {
  std::string toml;
  for (const std::string& line : loaded.effective)
    toml += line.substr(0, line.rfind("  # ")) + "\n";
  return toml;
}

// What a text of one unit could round.
std::vector<std::uint64_t> numbers_of(const config::Config& config) {
  std::vector<std::uint64_t> numbers{
      config.client.max_connections, config.raft.max_inflight_bytes, config.raft.max_pending_bytes,
      config.log.segment_bytes,      config.log.cache_bytes,         config.history.bytes,
      config.limits.value_bytes,     config.limits.request_bytes,    config.limits.store_bytes,
  };
  for (const config::milliseconds duration :
       {config.shutdown_timeout, config.client.header_timeout, config.client.body_timeout,
        config.client.idle_timeout, config.client.request_timeout, config.raft.heartbeat_interval,
        config.raft.election_timeout, config.history.age})
    numbers.push_back(static_cast<std::uint64_t>(duration.count()));
  return numbers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string text = bytes.substr(0, bytes.find('\0'));
  const auto parsed = config::parse_toml(text, "some.toml");
  if (!parsed) {
    check_refusal(parsed.error().message, "some.toml");
    return 0;
  }
  const File file;
  file.write(text);
  config::Sources sources;
  sources.file = file.path();
  sources.host_name = "host";
  if (text.size() < bytes.size()) sources.set.push_back(bytes.substr(text.size() + 1));
  const auto loaded = config::load(sources);
  if (!loaded) {
    check_refusal(loaded.error().message, sources.file);
    return 0;
  }
  for (const std::string& warning : loaded->warnings)
    check_line(warning);
  for (const std::string& line : loaded->effective)
    check_line(line);
  const std::string effective = effective_toml(*loaded);
  file.write(effective);
  sources.set.clear();
  const auto again = config::load(sources);
  if (!again) {
    PANIC("%s in\n%s", again.error().message.c_str(), effective.c_str());
  }
  ASSERT(effective_toml(*again) == effective);
  ASSERT(numbers_of(again->config) == numbers_of(loaded->config));
  return 0;
}
