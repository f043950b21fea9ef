"""Disks that are full, slow, failing or without power, for real processes; each says whether it can be had here."""

import fcntl
import functools
import os
import shutil
import struct
import subprocess
import tempfile

STRACE = "/usr/bin/strace"
EXT4_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_WITHOUT_FLUSH = 2  # Nothing that is only in memory reaches the disk: a power cut.


@functools.lru_cache
def can_mount():
    """Root of a container may still not mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as directory:
        if subprocess.run(["mount", "-t", "tmpfs", "none", directory], capture_output=True).returncode != 0:
            return False
        subprocess.run(["umount", directory], check=True)
    return True


@functools.lru_cache
def can_trace():
    """strace is there and may trace."""
    return os.path.exists(STRACE) and subprocess.run(
        [STRACE, "-D", "-qq", "-o", "/dev/null", "-e", "trace=none", "/bin/true"], capture_output=True).returncode == 0


def injecting(*faults):
    """The start of a command line under which these faults happen, each as in strace(1) `-e inject=`.

    The traced process is our own child, and strace its child: signals and exit statuses are the node's own."""
    calls = ",".join(sorted({fault.split(":")[0] for fault in faults}))
    return [STRACE, "-D", "-qq", "-f", "-o", "/dev/null", "-e", f"trace={calls}",
            *[word for fault in faults for word in ("-e", f"inject={fault}")]]


class SmallDisk:
    """A file system of its own under a node's data directory, which can be filled to the last byte."""

    # A start takes it for the end of a log that was kept aside, and leaves it alone.
    BALLAST = "torn-00000000000000000001-00000000000000000000"

    def __init__(self, node, mebibytes):
        self.path = node.data_dir
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "none", str(self.path)], check=True)

    def fill(self):
        """Nothing is left. Whoever frees something meanwhile finds it taken after the next call."""
        with (self.path / self.BALLAST).open("ab", buffering=0) as f:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        (self.path / self.BALLAST).unlink()

    def bytes_free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)


class LoopDisk:
    """An ext4 in a file, whose power can be cut. Raises OSError where there are no loop devices."""

    def __init__(self, node, image, mebibytes=64):
        self.path, self.image = node.data_dir, image
        with open(image, "wb") as f:
            f.truncate(mebibytes << 20)
        self._run("mkfs.ext4", "-q", "-F", str(image))
        self.path.mkdir()
        self.mount()
        # The file system's own folder would be a stray file to the node.
        (self.path / "lost+found").rmdir()
        os.chmod(self.path, 0o700)

    @staticmethod
    def _run(*command):
        if shutil.which(command[0]) is None:
            raise OSError(f"{command[0]} is not installed")
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise OSError(f"{command[0]}: {result.stderr.strip()}")

    def mount(self):
        self._run("mount", "-o", "loop", str(self.image), str(self.path))

    def cut_power(self):
        """From now on everything fails, and what was not synced is gone."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_WITHOUT_FLUSH))
        finally:
            os.close(fd)

    def restore_power(self):
        """Every process that has files open there must have ended."""
        self._run("umount", str(self.path))
        self.mount()

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)
