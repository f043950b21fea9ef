#include "storage/posix_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"
#include "storage/format.h"

namespace raftd::storage {
namespace {

constexpr int kExitIo = 74;  // EX_IOERR
constexpr std::size_t kPieceBytes = 1 * limits::kMiB;
constexpr std::size_t kZerosBytes = 64 * limits::kKiB;  // Written again and again.
constexpr std::size_t kOpenFilesMax = 8;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

enum ErrorNumber : int {
  kOpenDirectory = 10,
  kOpen = 11,
  kCreate = 12,
  kWriteZeros = 13,
  kWrite = 14,
  kRead = 15,
  kTruncate = 16,
  kCopy = 17,
  kRename = 18,
  kRemove = 19,
  kSyncNew = 20,
  kSync = 21,
  kSyncDirectory = 22,
  kWriteDurably = 23,
};

[[noreturn]] void fail(int number, const char* operation, const std::string& name, int error) {
  const std::string line =
      strf("raftd: E%03d %s %s: %s\n", number, operation, name.c_str(), std::strerror(error));
  // Nothing can be done about a failure to say so.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(kExitIo);
}

// What is written here and synced next. A journal's plans do nothing else to the file before.
const WriteFile* frame_at(const DiskPlan& plan, std::size_t at) {
  const bool frames = plan.lane == Lane::kJournal && !plan.may_lack_space;
  if (!frames || at + 1 == plan.ops.size()) return nullptr;
  const auto* write = std::get_if<WriteFile>(&plan.ops[at]);
  const auto* sync = std::get_if<SyncFile>(&plan.ops[at + 1]);
  return write && sync && write->name == sync->name ? write : nullptr;
}

bool no_space(int error) {
  return error == ENOSPC || error == EDQUOT;
}

// All of it, or the error.
int write_fully(int fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return 0;
}

// All of them, or the error.
int write_zeros(int fd, ByteView zeros, std::uint64_t offset, std::uint64_t bytes) {
  for (std::uint64_t done = 0; done < bytes; done += zeros.size()) {
    const std::uint64_t some = std::min<std::uint64_t>(zeros.size(), bytes - done);
    if (const int error = write_fully(fd, zeros.first(some), offset + done)) return error;
  }
  return 0;
}

// As many as there are; error 0 or what went wrong.
int read_fully(int fd, std::uint64_t offset, Bytes& bytes) {
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n =
        ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  bytes.resize(have);
  return 0;
}

int retry_fsync(int fd, bool data_only) {
  for (;;) {
    if ((data_only ? ::fdatasync(fd) : ::fsync(fd)) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

int open_at(int directory, const FileName& name, int flags) {
  ASSERT(name.find('/') == std::string::npos);
  for (;;) {
    const int fd = ::openat(directory, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kFileMode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

Error io_error(const std::string& what) {
  const int error = errno;
  return {Errc::kIo, what + ": " + std::strerror(error)};
}

}  // namespace

PosixFiles::PosixFiles(std::string directory, bool sync, Pace pace)
    : directory_(std::move(directory)),
      sync_(sync),
      pace_(std::move(pace)),
      directory_fd_(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!directory_fd_) fail(kOpenDirectory, "open", directory_, errno);
}

DiskResult PosixFiles::run(const DiskPlan& plan) {
  DiskResult result;
  result.id = plan.id;
  result.lane = plan.lane;
  for (std::size_t i = 0; i < plan.ops.size(); ++i) {
    if (const WriteFile* frame = sync_ ? frame_at(plan, i) : nullptr) {
      if (written_durably(*frame)) {
        ++i;
        continue;
      }
    }
    if (run_op(plan.ops[i], plan.may_lack_space, result) == Outcome::kDone) continue;
    ASSERT(plan.may_lack_space);
    result.no_space = true;
    break;
  }
  return result;
}

PosixFiles::Outcome PosixFiles::run_op(const DiskOp& op, bool may_lack_space, DiskResult& result) {
  struct Visitor {
    PosixFiles& files;
    bool may_lack_space;
    DiskResult& result;
    Outcome operator()(const CreateFile& made) const { return files.create(made, may_lack_space); }
    Outcome operator()(const CopyFile& copied) const { return files.copy(copied, may_lack_space); }
    Outcome operator()(const WriteFile& written) const {
      return files.write(written, may_lack_space);
    }
    Outcome operator()(const ReadFile& wanted) const {
      result.reads.push_back(files.read(wanted));
      return Outcome::kDone;
    }
    Outcome operator()(const SyncFile& synced) const { return files.sync(synced, may_lack_space); }
    Outcome operator()(const TruncateFile& cut) const { return files.truncate(cut); }
    Outcome operator()(const RenameFile& renamed) const { return files.rename(renamed); }
    Outcome operator()(const RemoveFile& removed) const { return files.remove(removed.name); }
    Outcome operator()(const SyncDirectory&) const { return files.sync_directory(); }
  };
  return std::visit(Visitor{*this, may_lack_space, result}, op);
}

// In pieces, each synced, so that the journal's own sync never waits behind a whole segment.
PosixFiles::Outcome PosixFiles::create(const CreateFile& op, bool may_lack_space) {
  forget(op.name);
  const FileDescriptor fd(open_at(directory_fd_.get(), op.name, O_RDWR | O_CREAT | O_EXCL));
  if (!fd && may_lack_space && no_space(errno)) return Outcome::kNoSpace;
  if (!fd) fail(kCreate, "create", op.name, errno);
  if (::fchmod(fd.get(), kFileMode) != 0) fail(kCreate, "chmod", op.name, errno);
  // Whether there is room is known at once, not when most of it is full of zeros. A file system
  // that cannot tell says so, and then the writes tell.
  const bool allocated =
      op.bytes > 0 && ::fallocate(fd.get(), 0, 0, static_cast<off_t>(op.bytes)) == 0;
  if (may_lack_space && op.bytes > 0 && !allocated && no_space(errno)) return give_up(op.name);
  const std::uint64_t end = allocated ? op.written : op.bytes;
  const Bytes zeros(std::min<std::uint64_t>(kZerosBytes, end));
  std::uint64_t bytes = 0;
  for (std::uint64_t at = 0; at < end; at += bytes) {
    const std::size_t wanted = pace_ ? pace_() : kPieceBytes;
    ASSERT(wanted > 0);
    bytes = std::min<std::uint64_t>(wanted, end - at);
    const int written = write_zeros(fd.get(), zeros, at, bytes);
    if (may_lack_space && no_space(written)) return give_up(op.name);
    if (written != 0) fail(kWriteZeros, "write zeros", op.name, written);
    const int synced = sync_ ? retry_fsync(fd.get(), true) : 0;
    if (may_lack_space && no_space(synced)) return give_up(op.name);
    if (synced != 0) fail(kSyncNew, "fdatasync", op.name, synced);
  }
  const int synced = sync_ ? retry_fsync(fd.get(), false) : 0;
  if (may_lack_space && no_space(synced)) return give_up(op.name);
  if (synced != 0) fail(kSyncNew, "fsync", op.name, synced);
  return Outcome::kDone;
}

PosixFiles::Outcome PosixFiles::copy(const CopyFile& op, bool may_lack_space) {
  forget(op.to);
  const int from = must_open(op.from);
  const FileDescriptor to(open_at(directory_fd_.get(), op.to, O_RDWR | O_CREAT | O_EXCL));
  if (!to && may_lack_space && no_space(errno)) return Outcome::kNoSpace;
  if (!to) fail(kCreate, "create", op.to, errno);
  if (::fchmod(to.get(), kFileMode) != 0) fail(kCreate, "chmod", op.to, errno);
  std::uint64_t at = 0;
  for (;;) {
    Bytes piece(kPieceBytes);
    const int got = read_fully(from, op.offset + at, piece);
    if (got != 0) fail(kCopy, "read", op.from, got);
    if (piece.empty()) break;
    const int written = write_fully(to.get(), piece, at);
    if (may_lack_space && no_space(written)) return give_up(op.to);
    if (written != 0) fail(kCopy, "write", op.to, written);
    at += piece.size();
  }
  const int synced = sync_ ? retry_fsync(to.get(), false) : 0;
  if (may_lack_space && no_space(synced)) return give_up(op.to);
  if (synced != 0) fail(kSyncNew, "fsync", op.to, synced);
  return Outcome::kDone;
}

PosixFiles::Outcome PosixFiles::give_up(const FileName& name) {
  remove(name);
  sync_directory();
  return Outcome::kNoSpace;
}

PosixFiles::Outcome PosixFiles::write(const WriteFile& op, bool may_lack_space) {
  const int error = write_fully(must_open(op.name), op.data.bytes, op.offset);
  if (may_lack_space && no_space(error)) return give_up(op.name);
  if (error != 0) fail(kWrite, "write", op.name, error);
  return Outcome::kDone;
}

// False: it is to be written and synced as anything else.
bool PosixFiles::written_durably(const WriteFile& op) {
  const auto error = direct_.write(directory_fd_.get(), op.name, op.offset, op.data.bytes);
  if (error && *error != 0) fail(kWriteDurably, "write and sync", op.name, *error);
  return error.has_value();
}

std::optional<Bytes> PosixFiles::read(const ReadFile& op) {
  int fd = opened(op.name);
  struct stat status {};
  if (fd >= 0 && ::fstat(fd, &status) == 0 && status.st_nlink == 0) {
    forget(op.name);  // Another lane has removed or replaced it.
    fd = opened(op.name);
  }
  if (fd < 0) return std::nullopt;
  Bytes bytes(op.bytes);
  const int error = read_fully(fd, op.offset, bytes);
  if (error != 0) fail(kRead, "read", op.name, error);
  return bytes;
}

PosixFiles::Outcome PosixFiles::sync(const SyncFile& op, bool may_lack_space) {
  const int fd = must_open(op.name);
  const int error = sync_ ? retry_fsync(fd, true) : 0;
  if (may_lack_space && no_space(error)) return give_up(op.name);
  if (error != 0) fail(kSync, "fdatasync", op.name, error);
  return Outcome::kDone;
}

PosixFiles::Outcome PosixFiles::truncate(const TruncateFile& op) {
  const int fd = must_open(op.name);
  while (::ftruncate(fd, static_cast<off_t>(op.bytes)) != 0) {
    if (errno != EINTR) fail(kTruncate, "truncate", op.name, errno);
  }
  const int error = sync_ ? retry_fsync(fd, false) : 0;
  if (error != 0) fail(kTruncate, "fsync", op.name, error);
  return Outcome::kDone;
}

PosixFiles::Outcome PosixFiles::rename(const RenameFile& op) {
  forget(op.from);
  forget(op.to);
  const int directory = directory_fd_.get();
  if (::renameat(directory, op.from.c_str(), directory, op.to.c_str()) != 0) {
    fail(kRename, "rename", op.from + " to " + op.to, errno);
  }
  return Outcome::kDone;
}

PosixFiles::Outcome PosixFiles::remove(const FileName& name) {
  forget(name);
  if (::unlinkat(directory_fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    fail(kRemove, "remove", name, errno);
  }
  return Outcome::kDone;
}

void PosixFiles::move_aside(const std::string& subdirectory, const std::vector<FileName>& names) {
  const int directory = directory_fd_.get();
  if (::mkdirat(directory, subdirectory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    fail(kCreate, "create", subdirectory, errno);
  }
  const FileDescriptor aside(open_at(directory, subdirectory, O_RDONLY | O_DIRECTORY));
  if (!aside) fail(kOpen, "open", subdirectory, errno);
  for (const FileName& name : names) {
    forget(name);
    if (::renameat(directory, name.c_str(), aside.get(), name.c_str()) != 0) {
      const int error = errno;
      fail(kRename, "rename", std::string(name).append(" into ").append(subdirectory), error);
    }
  }
  const int error = sync_ ? retry_fsync(aside.get(), false) : 0;
  if (error != 0) fail(kSyncDirectory, "fsync", subdirectory, error);
  sync_directory();
}

PosixFiles::Outcome PosixFiles::sync_directory() {
  const int error = sync_ ? retry_fsync(directory_fd_.get(), false) : 0;
  if (error != 0) fail(kSyncDirectory, "fsync", directory_, error);
  return Outcome::kDone;
}

int PosixFiles::opened(const FileName& name) {
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
    if (file->name == name) return file->fd.get();
  }
  FileDescriptor fd(open_at(directory_fd_.get(), name, O_RDWR));
  if (!fd && errno == ENOENT) return -1;
  if (!fd) fail(kOpen, "open", name, errno);
  if (files_.size() == kOpenFilesMax) files_.erase(files_.begin());
  files_.push_back({name, std::move(fd)});
  return files_.back().fd.get();
}

int PosixFiles::must_open(const FileName& name) {
  const int fd = opened(name);
  if (fd < 0) fail(kOpen, "open", name, ENOENT);
  return fd;
}

void PosixFiles::forget(const FileName& name) {
  std::erase_if(files_, [&](const OpenFile& file) { return file.name == name; });
  direct_.forget(name);
}

Result<std::unique_ptr<PosixDirectoryReader>> PosixDirectoryReader::open(
    const std::string& directory) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return io_error(directory);
  return std::unique_ptr<PosixDirectoryReader>(new PosixDirectoryReader(std::move(fd)));
}

Result<std::vector<FileName>> PosixDirectoryReader::list() {
  // A descriptor of its own: reading a directory moves its position.
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error("open directory");
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    const FileDescriptor closes(fd);
    return io_error("open directory");
  }
  std::vector<FileName> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  errno = error;
  if (error != 0) return io_error("read directory");
  return names;
}

Result<int> PosixDirectoryReader::opened(const FileName& name) {
  if (file_ && name_ == name) return file_.get();
  // Non-blocking: a fifo under a segment's name must not stop the start.
  file_ = FileDescriptor(open_at(directory_.get(), name, O_RDONLY | O_NONBLOCK));
  if (!file_) return io_error("open " + name);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return io_error("stat " + name);
  if (!S_ISREG(status.st_mode)) {
    file_ = FileDescriptor();
    return Error{Errc::kIo, name + " is no regular file"};
  }
  // After a failed fsync the page cache may show as clean what the disk does not have.
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
  name_ = name;
  return file_.get();
}

Result<std::uint64_t> PosixDirectoryReader::size(const FileName& name) {
  TRY(const int fd, opened(name));
  struct stat status {};
  if (::fstat(fd, &status) != 0) return io_error("stat " + name);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<Bytes> PosixDirectoryReader::read(const FileName& name, std::uint64_t offset,
                                         std::uint64_t bytes) {
  TRY(const int fd, opened(name));
  Bytes read(bytes);
  const int error = read_fully(fd, offset, read);
  errno = error;
  if (error != 0) return io_error("read " + name);
  return read;
}

Result<NewFile> NewFile::create(const std::string& path) {
  const std::string unfinished = path + std::string(format::kUnfinishedSuffix);
  FileDescriptor fd(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd) return io_error(unfinished);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Errc::kConflict, unfinished + ": another process is writing it"};
  }
  NewFile file(path, std::move(fd));
  TRY([[maybe_unused]] const Done empty, file.start_over());
  return file;
}

NewFile::~NewFile() {
  if (fd_) ::unlink((path_ + std::string(format::kUnfinishedSuffix)).c_str());
}

Error NewFile::failed(const char* what, int error) const {
  return {no_space(error) ? Errc::kDiskFull : Errc::kIo,
          strf("%s %s%s: %s", what, path_.c_str(), std::string(format::kUnfinishedSuffix).c_str(),
               std::strerror(error))};
}

Status NewFile::add(ByteView bytes) {
  const int error = write_fully(fd_.get(), bytes, bytes_);
  if (error != 0) return failed("write", error);
  bytes_ += bytes.size();
  return Done{};
}

Status NewFile::start_over() {
  if (::ftruncate(fd_.get(), 0) != 0) return failed("truncate", errno);
  bytes_ = 0;
  return Done{};
}

Status NewFile::publish() {
  ASSERT(fd_);
  const int synced = retry_fsync(fd_.get(), false);
  if (synced != 0) return failed("fsync", synced);
  if (::rename((path_ + std::string(format::kUnfinishedSuffix)).c_str(), path_.c_str()) != 0) {
    return failed("rename", errno);
  }
  fd_ = FileDescriptor();
  const std::size_t slash = path_.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const FileDescriptor directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int error = directory ? retry_fsync(directory.get(), false) : errno;
  if (error != 0) return Error{Errc::kIo, parent + ": fsync: " + std::strerror(error)};
  return Done{};
}

Status make_directory(const std::string& directory) {
  const auto refuse = [&](const char* what) {
    return Error{Errc::kBadInput,
                 strf("data directory %s %s: %s", directory.c_str(), what, std::strerror(errno))};
  };
  if (::mkdir(directory.c_str(), kDirectoryMode) == 0) {
    if (::chmod(directory.c_str(), kDirectoryMode) != 0) return refuse("cannot be created");
    const FileDescriptor parent(
        ::open((directory + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || retry_fsync(parent.get(), false) != 0) return refuse("cannot be created");
    return Done{};
  }
  if (errno != EEXIST) return refuse("cannot be created");
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return refuse("cannot be used");
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) return refuse("cannot be used");
  return Done{};
}

bool directory_writable(const std::string& directory) {
  return ::access(directory.c_str(), W_OK | X_OK) == 0;
}

Result<DirectoryLock> DirectoryLock::take(const std::string& directory) {
  const std::string path = directory + "/" + std::string(format::kLockName);
  FileDescriptor fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kFileMode));
  if (!fd) {
    return Error{Errc::kBadInput, strf("data directory %s: LOCK cannot be opened: %s",
                                       directory.c_str(), std::strerror(errno))};
  }
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      return Error{Errc::kBadInput, strf("data directory %s cannot be locked: %s",
                                         directory.c_str(), std::strerror(errno))};
    }
    Bytes text(32);
    if (read_fully(fd.get(), 0, text) != 0) text.clear();
    std::string pid(as_text(text));
    while (!pid.empty() && pid.back() == '\n')
      pid.pop_back();
    return Error{Errc::kConflict,
                 strf("data directory %s is locked by process %s", directory.c_str(),
                      pid.empty() ? "(unknown)" : percent_escape(pid).c_str())};
  }
  // For people. Without space for it the lock is as good.
  ::fchmod(fd.get(), kFileMode);
  const std::string pid = strf("%ld\n", static_cast<long>(::getpid()));
  if (write_fully(fd.get(), as_bytes(pid), 0) == 0) {
    [[maybe_unused]] const int cut = ::ftruncate(fd.get(), static_cast<off_t>(pid.size()));
  }
  return DirectoryLock(std::move(fd));
}

// Asking for the lock would take it for a moment from a node that starts just then; the kernel's
// list of locks tells without.
bool directory_in_use(const std::string& directory) {
  const std::string path = directory + "/" + std::string(format::kLockName);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  const FileDescriptor locks(::open("/proc/locks", O_RDONLY | O_CLOEXEC));
  if (!locks) return false;
  std::string text;
  for (;;) {
    char piece[4096];
    const ssize_t n = ::read(locks.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  // "1: FLOCK  ADVISORY  WRITE 714 fe:00:393254 0 EOF"
  const std::string inode = strf(":%llu ", static_cast<unsigned long long>(status.st_ino));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (line.find("FLOCK") != line.npos && line.find(inode) != line.npos) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace raftd::storage
