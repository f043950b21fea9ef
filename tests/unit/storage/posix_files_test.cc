// Plans on a real directory; what ends the process is run in a child of the test.
#include "storage/posix_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>

#include "storage/frame_memory.h"
#include "unit/storage/log_driver.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::storage {
namespace {

// As the journal writes a frame.
DiskPlan frame(const FileName& name, std::uint64_t offset, SharedBytes data) {
  DiskPlan plan;
  plan.lane = Lane::kJournal;
  plan.ops = {WriteFile{name, offset, std::move(data)}, SyncFile{name}};
  return plan;
}

DiskPlan plan_of(std::vector<DiskOp> ops, bool may_lack_space = false) {
  DiskPlan plan;
  plan.id = PlanId{5};
  plan.lane = Lane::kBackground;
  plan.ops = std::move(ops);
  plan.may_lack_space = may_lack_space;
  return plan;
}

SharedBytes text(std::string_view value) {
  return share(to_bytes(value));
}

std::string read_back(PosixFiles& files, const FileName& name) {
  const DiskResult result = files.run(plan_of({ReadFile{name, 0, 1 << 20}}));
  REQUIRE(result.reads.size() == 1);
  return result.reads[0] ? std::string(as_text(*result.reads[0])) : "(none)";
}

bool is_ext4_or_xfs(int fd) {
  struct statfs found {};
  REQUIRE(::fstatfs(fd, &found) == 0);
  return found.f_type == EXT4_SUPER_MAGIC || found.f_type == XFS_SUPER_MAGIC;
}

struct Ended {
  int status = 0;
  std::string line;
};

// What a child that does this prints on standard error, and how it ends.
Ended in_child(const std::function<void()>& what) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    what();
    ::_exit(0);
  }
  ::close(ends[1]);
  Ended ended;
  char piece[512];
  for (;;) {
    const ssize_t n = ::read(ends[0], piece, sizeof piece);
    if (n <= 0) break;
    ended.line.append(piece, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

TEST_CASE("every operation does what it says, in order") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  const DiskResult made = files.run(plan_of({CreateFile{"a", 10'000}, SyncDirectory{}}));
  CHECK(made.id == PlanId{5});
  CHECK(made.lane == Lane::kBackground);
  CHECK_FALSE(made.no_space);
  CHECK(read_back(files, "a") == std::string(10'000, '\0'));
  files.run(plan_of({CreateFile{"partly", 10'000, 5'000}, CreateFile{"unwritten", 10'000, 0}}));
  CHECK(read_back(files, "partly") == std::string(10'000, '\0'));
  CHECK(read_back(files, "unwritten") == std::string(10'000, '\0'));
  files.run(plan_of({WriteFile{"a", 9'998, text("wxyz")}, SyncFile{"a"}}));
  CHECK(read_back(files, "a").substr(9'997) == std::string("\0wxyz", 5));
  files.run(plan_of({CopyFile{"a", 9'999, "b"}, RenameFile{"b", "c"}}));
  CHECK(read_back(files, "c") == "xyz");
  CHECK(read_back(files, "b") == "(none)");
  files.run(plan_of({TruncateFile{"c", 1}}));
  CHECK(read_back(files, "c") == "x");
  files.run(plan_of({RemoveFile{"c"}, RemoveFile{"never"}, SyncDirectory{}}));
  CHECK(read_back(files, "c") == "(none)");
  const DiskResult reads = files.run(
      plan_of({ReadFile{"a", 9'999, 2}, ReadFile{"gone", 0, 5}, ReadFile{"a", 99'999, 5}}));
  REQUIRE(reads.reads.size() == 3);
  CHECK(as_text(*reads.reads[0]) == "xy");
  CHECK_FALSE(reads.reads[1]);
  CHECK(reads.reads[2]->empty());
}

TEST_CASE("a file that was renamed or removed is not written through an old descriptor") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  files.run(plan_of({CreateFile{"a", 0}, WriteFile{"a", 0, text("old")}, RenameFile{"a", "b"},
                     CreateFile{"a", 0}, WriteFile{"a", 0, text("new")}}));
  CHECK(read_back(files, "a") == "new");
  CHECK(read_back(files, "b") == "old");
  files.run(plan_of({RenameFile{"a", "b"}}));
  CHECK(read_back(files, "b") == "new");
}

TEST_CASE("frames of any size are read back as they were written, by whoever has the file open") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  PosixFiles reader(directory.path(), true);
  constexpr std::size_t kBlock = limits::kBlockBytes;
  std::string expected(300 * kBlock, '\0');
  // Written in part, as a segment is prepared.
  files.run(plan_of({CreateFile{"a", expected.size(), expected.size() / 2}}));
  CHECK(read_back(reader, "a").size() == 256 * kBlock);  // Read ahead: now it is in the cache.
  std::size_t at = 0;
  char letter = 'a';
  for (const std::size_t bytes : {kBlock, kBlock, 3 * kBlock, 64 * kBlock, 65 * kBlock, kBlock,
                                  std::size_t{100}, kBlock - 100, 2 * kBlock, 128 * kBlock}) {
    const std::string written(bytes, letter++);
    files.run(frame("a", at, text(written)));
    expected.replace(at, bytes, written);
    at += bytes;
    CHECK(read_back(reader, "a") == expected.substr(0, 256 * kBlock));
    CHECK(read_back(files, "a") == expected.substr(0, 256 * kBlock));
  }
  files.run(frame("a", 299 * kBlock, text(std::string(2 * kBlock, 'z'))));
  CHECK(std::filesystem::file_size(directory.path() + "/a") == 301 * kBlock);
}

TEST_CASE("a frame goes into the file that has the name now") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  const std::string old(limits::kBlockBytes, 'o');
  const std::string fresh(limits::kBlockBytes, 'f');
  files.run(plan_of({CreateFile{"a", 0}}));
  files.run(frame("a", 0, text(old)));
  files.run(plan_of({RenameFile{"a", "b"}, CreateFile{"a", 0}}));
  files.run(frame("a", 0, text(fresh)));
  CHECK(read_back(files, "a") == fresh);
  CHECK(read_back(files, "b") == old);
  files.run(plan_of({RemoveFile{"b"}, RenameFile{"a", "b"}}));
  files.run(frame("b", 0, text(old)));
  CHECK(read_back(files, "b") == old);
}

TEST_CASE("on ext4 and XFS whole blocks are durable in one call, others are left to the caller") {
  const TemporaryDirectory directory;
  PosixFiles(directory.path(), true).run(plan_of({CreateFile{"a", 4 * limits::kBlockBytes}}));
  const FileDescriptor here(::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!is_ext4_or_xfs(here.get())) return;
  DirectWriter writer;
  const Bytes blocks(2 * limits::kBlockBytes, std::byte{7});
  CHECK_FALSE(writer.write(here.get(), "a", 1, blocks));
  CHECK_FALSE(writer.write(here.get(), "a", 0, ByteView(blocks).first(5'000)));
  CHECK(writer.write(here.get(), "a", limits::kBlockBytes, blocks) == 0);
  writer.forget("a");
  CHECK(writer.write(here.get(), "a", 0, blocks) == 0);
  PosixFiles files(directory.path(), true);
  CHECK(read_back(files, "a") ==
        std::string(3 * limits::kBlockBytes, 7) + std::string(limits::kBlockBytes, 0));
}

TEST_CASE("what begins at a block in memory is durable in one call whatever its size") {
  const TemporaryDirectory directory;
  PosixFiles(directory.path(), true).run(plan_of({CreateFile{"a", 4 * limits::kMiB}}));
  const FileDescriptor here(::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!is_ext4_or_xfs(here.get())) return;
  const std::size_t size = 3 * limits::kMiB;
  FrameMemory memory;
  const std::shared_ptr<Bytes> bytes = memory.take(size + 8);
  const std::size_t begin = bytes->size();
  for (std::size_t i = 0; i < size + 8; ++i)
    bytes->push_back(static_cast<std::byte>(i / limits::kBlockBytes));
  DirectWriter writer;
  CHECK_FALSE(writer.write(here.get(), "a", 0, ByteView(*bytes).subspan(begin + 8, size)));
  const ByteView blocks = ByteView(*bytes).subspan(begin, size);
  CHECK(writer.write(here.get(), "a", limits::kBlockBytes, blocks) == 0);
  PosixFiles files(directory.path(), true);
  const DiskResult result = files.run(plan_of({ReadFile{"a", limits::kBlockBytes, size}}));
  REQUIRE(result.reads.size() == 1);
  REQUIRE(result.reads[0]);
  CHECK(std::equal(blocks.begin(), blocks.end(), result.reads[0]->begin(), result.reads[0]->end()));
}

TEST_CASE("a frame is written on a file system that keeps no promise of its own") {
  if (!std::filesystem::exists("/dev/shm")) return;
  DirectWriter writer;
  const std::string name = "raftd-test-" + std::to_string(::getpid());
  const std::string path = "/dev/shm/" + name;
  const FileDescriptor made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const FileDescriptor memory(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK_FALSE(writer.write(memory.get(), name, 0, Bytes(limits::kBlockBytes)));
  CHECK(std::filesystem::file_size(path) == 0);
  PosixFiles files("/dev/shm", true);
  files.run(frame(name, 0, text(std::string(limits::kBlockBytes, 'x'))));
  CHECK(read_back(files, name) == std::string(limits::kBlockBytes, 'x'));
  std::filesystem::remove(path);
}

TEST_CASE("many files are used through few descriptors") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), false);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; ++i) {
      const FileName name = "f" + std::to_string(i);
      if (round == 0) files.run(plan_of({CreateFile{name, 0}}));
      files.run(plan_of({WriteFile{name, 0, text(name + std::to_string(round))}}));
      CHECK(read_back(files, name) == name + std::to_string(round));
    }
  }
}

TEST_CASE("[F34] [SR-5] a failed operation is one numbered line and the end of the process") {
  const TemporaryDirectory directory;
  Ended ended = in_child([&] {
    PosixFiles files(directory.path(), true);
    files.run(plan_of({WriteFile{"log-00000000000000000007", 0, text("x")}}));
  });
  CHECK(ended.status == 74);
  CHECK(ended.line == "raftd: E011 open log-00000000000000000007: No such file or directory\n");
  ended = in_child([&] {
    PosixFiles files(directory.path(), true);
    files.run(plan_of({CreateFile{"a", 0}, CreateFile{"a", 0}}));
  });
  CHECK(ended.status == 74);
  CHECK(ended.line == "raftd: E012 create a: File exists\n");
  ended = in_child([&] { PosixFiles(directory.path() + "/none", true); });
  CHECK(ended.status == 74);
  CHECK(ended.line.substr(0, 17) == "raftd: E010 open ");
  ended = in_child([&] {
    PosixFiles files(directory.path(), true);
    files.run(plan_of({RenameFile{"x", "y"}}));
  });
  CHECK(ended.line == "raftd: E018 rename x to y: No such file or directory\n");
}

// Runs the plan, which writes behind the largest size that a file of 8 KiB may have.
Ended ended_by(const TemporaryDirectory& directory, const DiskPlan& plan) {
  return in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    PosixFiles files(directory.path(), true);
    files.run(plan_of({CreateFile{"a", 8192}}));
    const rlimit limit{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    files.run(plan);
  });
}

TEST_CASE("[F34] a write that cannot be finished ends the process, without a second try") {
  const TemporaryDirectory directory;
  const Ended ended = ended_by(
      directory, plan_of({WriteFile{"a", 4096, share(Bytes(8192))}, RemoveFile{"a"}}, true));
  CHECK(ended.status == 74);
  CHECK(ended.line == "raftd: E014 write a: File too large\n");
  CHECK(std::filesystem::exists(directory.path() + "/a"));
}

TEST_CASE("[F34] a frame that cannot be finished ends the process, without a second try") {
  const TemporaryDirectory directory;
  const Ended ended = ended_by(directory, frame("a", 4096, share(Bytes(8192))));
  CHECK(ended.status == 74);
  const bool direct = ended.line == "raftd: E023 write and sync a: File too large\n";
  CHECK((direct || ended.line == "raftd: E014 write a: File too large\n"));
}

TEST_CASE("[F42] no space while a file is made is an answer, and the file is gone") {
  const TemporaryDirectory directory;
  // Needs a small file system of its own: a tmpfs in a namespace of the child's, where allowed.
  const Ended ended = in_child([&] {
    const std::string mount = "mount -t tmpfs -o size=256k none " + directory.path() + " 2>&-";
    if (::system(mount.c_str()) != 0) ::_exit(99);
    int status = 1;
    {
      PosixFiles files(directory.path(), true);
      const DiskResult result = files.run(plan_of(
          {CreateFile{"big", 1 << 20}, RenameFile{"big", "reserve"}, SyncDirectory{}}, true));
      const DiskResult small = files.run(plan_of({CreateFile{"small", 65536}}, true));
      if (result.no_space && !small.no_space && read_back(files, "big") == "(none)" &&
          read_back(files, "reserve") == "(none)") {
        status = 0;
      }
    }
    const std::string unmount = "umount " + directory.path();
    if (::system(unmount.c_str()) != 0) status = 2;
    ::_exit(status);
  });
  if (ended.status == 99) {
    MESSAGE("no right to mount a small file system: not tested here");
    return;
  }
  CHECK(ended.status == 0);
}

TEST_CASE("the reader lists, measures and reads, and says what it cannot open") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  files.run(plan_of({CreateFile{"a", 0}, WriteFile{"a", 0, text("hello")}}));
  auto reader = PosixDirectoryReader::open(directory.path());
  REQUIRE(reader);
  auto names = (*reader)->list();
  REQUIRE(names);
  CHECK(*names == std::vector<FileName>{"a"});
  CHECK(*(*reader)->size("a") == 5);
  CHECK(as_text(*(*reader)->read("a", 1, 100)) == "ello");
  CHECK(*(*reader)->list() == *names);
  const auto missing = (*reader)->read("b", 0, 1);
  REQUIRE(!missing);
  CHECK(missing.error().code == Errc::kIo);
  CHECK(missing.error().message == "open b: No such file or directory");
  std::filesystem::create_directory(directory.path() + "/log-00000000000000000001");
  CHECK((*reader)->size("log-00000000000000000001").error().message ==
        "log-00000000000000000001 is no regular file");
  REQUIRE(::mkfifo((directory.path() + "/fifo").c_str(), 0600) == 0);
  CHECK(!(*reader)->size("fifo"));
  CHECK(!PosixDirectoryReader::open(directory.path() + "/none"));
}

TEST_CASE("a journal on a real disk: written, rotated, killed, recovered") {
  const TemporaryDirectory directory;
  PosixFiles files(directory.path(), true);
  LogDriver plans;  // For its options only.
  files.run(plan_of(plans.first_start()));
  auto reader = PosixDirectoryReader::open(directory.path());
  REQUIRE(reader);
  std::uint64_t last = 1;
  for (int life = 0; life < 3; ++life) {
    auto recovered = recover(**reader, plans.recover_options());
    REQUIRE(recovered);
    CHECK(recovered->durable.last_index == raft::Index{last});
    files.run(plan_of(recovered->set_aside, true));
    files.run(plan_of(recovered->repairs));
    Journal journal(plans.journal_options(), recovered->position);
    for (int i = 0; i < 40; ++i) {
      while (const auto plan = journal.prepare_next_segment())
        journal.finish(files.run(*plan));
      last += 1;
      REQUIRE(journal.finish(files.run(
          journal.begin(LogDriver::batch({entry(last, 1, "entry " + std::to_string(last))})))));
    }
    const raft::LogRead wanted{raft::LogReadId{1}, raft::Index{2}, raft::Index{last}, 1 << 20};
    auto entries = journal.decode(wanted, files.run(*journal.read(wanted)));
    REQUIRE(entries);
    CHECK(entries->size() == last - 1);
  }
}

}  // namespace
}  // namespace raftd::storage
