"""A file system of its own on a loop device: it can be full, stand still, and lose its power."""

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from check import Failed

# _IOR('X', 125, __u32) of the kernel's fs.h, and its argument: the log is not flushed.
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def run(*command, may_fail=False):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise Failed(f"there is no {command[0]} on this machine") from None
    if done.returncode and not may_fail:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done


class LoopDisk:
    """To be used in a `with` statement; `path` is where it is mounted."""

    def __init__(self, work, kind, mib):
        self.kind, self.path, self.device = kind, Path(work) / f"disk-{kind}", None
        self.image = Path(work) / f"disk-{kind}.img"
        self.mib = mib

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.mib << 20)
        run(*MAKE[self.kind], self.image)
        try:
            found = run("losetup", "--find", "--show", "--direct-io=on", self.image)
            self.device = found.stdout.strip()
            self.mount()
        except Failed:
            self.__exit__()
            raise
        return self

    def mount(self):
        run("mount", "-t", self.kind, self.device, self.path)

    def unmount(self):
        for _ in range(50):
            if run("umount", self.path, may_fail=True).returncode == 0:
                return
            time.sleep(0.1)
        run("umount", self.path)

    def freeze(self):
        run("fsfreeze", "--freeze", self.path)

    def thaw(self):
        run("fsfreeze", "--unfreeze", self.path, may_fail=True)

    def cut(self):
        """What is not on the disk is lost from here on; whoever writes gets an error."""
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(directory)

    def free_mib(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize >> 20

    def __exit__(self, *_):
        self.thaw()
        if os.path.ismount(self.path):
            # A failed check may have left the broker to whoever ends its processes.
            run("umount", "--lazy", self.path, may_fail=True)
        if self.device:
            run("losetup", "--detach", self.device, may_fail=True)
        self.image.unlink(missing_ok=True)
