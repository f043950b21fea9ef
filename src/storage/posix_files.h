// The only place with file system calls: runs DiskPlans, reads directories, locks them.
//
// The happy path is: run() does a plan's operations in order and returns what it read. Possible
// failure modes are: no space while a plan that allows for it writes a file: the file is removed
// and the result says so; a file to read is not there: nullopt; anything else: one line on standard
// error, "raftd: E021 fdatasync log-00000000000000000007: Input/output error", and the process ends
// with exit status 74. Nothing is ever tried again: after a failed fdatasync the page cache may
// show what the disk does not have.
//
// The numbers: E010 open directory, E011 open, E012 create, E013 write zeros, E014 write, E015
// read, E016 truncate, E017 copy, E018 rename, E019 remove, E020 sync of a new file, E021
// fdatasync, E022 sync of the directory, E023 write and sync in one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/direct_writer.h"
#include "storage/disk_plan.h"
#include "storage/file_descriptor.h"
#include "storage/recovery.h"

namespace raftd::storage {

// Blocking; one instance per lane, each used by one thread at a time. Keeps the files it writes and
// reads open: a frame is one call of a DirectWriter, or else one pwrite and one fdatasync.
class PosixFiles {
 public:
  // Asked before each piece of a file that is filled with zeros: how many bytes it may have, at
  // least one. May block for a moment.
  using Pace = std::function<std::size_t()>;

  // sync false: nothing is synced ([log] sync = "none"); only for tests.
  PosixFiles(std::string directory, bool sync, Pace pace = {});

  DiskResult run(const DiskPlan& plan);  // took is the caller's to fill in.
  // Moves files into a directory inside this one, which is made if it is not there; durable.
  void move_aside(const std::string& subdirectory, const std::vector<FileName>& names);

 private:
  struct OpenFile {
    FileName name;
    FileDescriptor fd;
  };
  enum class Outcome : std::uint8_t { kDone, kNoSpace };

  Outcome run_op(const DiskOp& op, bool may_lack_space, DiskResult& result);
  Outcome create(const CreateFile& op, bool may_lack_space);
  Outcome copy(const CopyFile& op, bool may_lack_space);
  Outcome give_up(const FileName& name);  // Removes what could not be made.
  Outcome write(const WriteFile& op, bool may_lack_space);
  bool written_durably(const WriteFile& op);
  Outcome sync(const SyncFile& op, bool may_lack_space);
  Outcome truncate(const TruncateFile& op);
  Outcome rename(const RenameFile& op);
  Outcome remove(const FileName& name);
  Outcome sync_directory();
  std::optional<Bytes> read(const ReadFile& op);
  int opened(const FileName& name);  // -1: it is not there.
  int must_open(const FileName& name);
  void forget(const FileName& name);

  std::string directory_;
  bool sync_;
  Pace pace_;  // Empty: large pieces, one after the other.
  FileDescriptor directory_fd_;
  std::vector<OpenFile> files_;  // Most recently used last; few.
  DirectWriter direct_;
};

// Reads from the disk, not from what the page cache still has.
class PosixDirectoryReader final : public DirectoryReader {
 public:
  // kIo: it cannot be opened; the message says why.
  static Result<std::unique_ptr<PosixDirectoryReader>> open(const std::string& directory);

  Result<std::vector<FileName>> list() override;
  Result<std::uint64_t> size(const FileName& name) override;
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) override;

 private:
  explicit PosixDirectoryReader(FileDescriptor directory) : directory_(std::move(directory)) {}
  Result<int> opened(const FileName& name);

  FileDescriptor directory_;
  FileName name_;  // Of the one file that is kept open.
  FileDescriptor file_;
};

// A file that is there whole or not at all: written under its name with ".tmp" behind it, synced,
// then renamed, over one that has the name. What was not published is removed.
class NewFile {
 public:
  // kIo: it cannot be made, and why; kConflict: another process is writing it.
  static Result<NewFile> create(const std::string& path);
  ~NewFile();
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;

  Status add(ByteView bytes);  // kIo, kDiskFull.
  Status start_over();         // It is empty again. kIo.
  Status publish();            // Once. kIo, kDiskFull.

 private:
  NewFile(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Error failed(const char* what, int error) const;

  std::string path_;
  FileDescriptor fd_;  // Closed: published.
  std::uint64_t bytes_ = 0;
};

// Makes the directory, for its owner alone, if it is not there. kBadInput: it cannot be made, or is
// no directory that this process may use.
Status make_directory(const std::string& directory);

// Files can be made in it: it is there, its file system is not read-only, this process may. Blocks.
bool directory_writable(const std::string& directory);

// The lock on a data directory, held as long as this lives.
class DirectoryLock {
 public:
  // kConflict: another process holds it; the message names its pid. kBadInput: no lock file can be
  // made.
  static Result<DirectoryLock> take(const std::string& directory);

 private:
  explicit DirectoryLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

// Some process holds the lock. Changes nothing, not even for a moment.
bool directory_in_use(const std::string& directory);

}  // namespace raftd::storage
