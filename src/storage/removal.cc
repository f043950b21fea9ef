#include "storage/removal.h"

#include <unistd.h>

#include "base/text.h"
#include "storage/format.h"
#include "storage/posix_files.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kTextBytesMax = 4096;

}  // namespace

Status write_removal(const std::string& directory, const std::string& text) {
  TRY(NewFile file, NewFile::create(directory + "/" + std::string(format::kRemovedName)));
  TRY([[maybe_unused]] const Done added, file.add(as_bytes(text + "\n")));
  return file.publish();
}

Result<std::optional<std::string>> read_removal(const std::string& directory) {
  const std::string path = directory + "/" + std::string(format::kRemovedName);
  if (access(path.c_str(), F_OK) != 0) return std::optional<std::string>{};
  TRY(const auto reader, PosixDirectoryReader::open(directory));
  TRY(const Bytes bytes, reader->read(FileName(format::kRemovedName), 0, kTextBytesMax));
  const std::string_view text = as_text(bytes);
  return std::optional(percent_escape(text.substr(0, text.find('\n'))));
}

std::string removal_sentence(const std::string& directory, const std::string& said) {
  return strf(
      "data directory %s is that of a member that is none any more (%s); to let this machine take "
      "part again, join as a new member with an empty data directory",
      directory.c_str(), said.c_str());
}

}  // namespace raftd::storage
