"""A disk whose power can be cut: ext4 in a sparse file, mounted through a loop device. Needs root.

    with LoopDisk(directory) as disk:
        ...                     # write below disk.path
        disk.cut()              # from here on the file system refuses everything; what was not synced is lost
        ...                     # end the processes that have files open there
        disk.remount()          # what a start after the cut finds

Nothing here knows of a test runner. However the block is left, the file system is unmounted and its loop device is
freed; processes that still have files there are the caller's to end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Final, Self

__all__ = ["DiskBusy", "LoopDisk", "why_not"]

_SHUTDOWN: Final = 0x8004587D
"""EXT4_IOC_SHUTDOWN, `_IOR('X', 125, __u32)`."""
_WITHOUT_LOG_FLUSH: Final = struct.pack("I", 2)
_BUSY_SECONDS: Final = 10.0
"""A process that was killed lets go of its files a moment after it is gone."""
_FREED_SECONDS: Final = 1.0
_COMMAND_SECONDS: Final = 60.0


class DiskBusy(Exception):
    """A process still has files there."""


def why_not() -> str | None:
    """Why no disk can be made here; None if one can."""
    if os.geteuid() != 0:
        return "a loop device is mounted by root alone"
    for tool in ("mkfs.ext4", "mount", "umount"):
        if _tool(tool) is None:
            return f"{tool} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return None


class LoopDisk:
    """A small file system of its own below `directory`, from `with` to its end."""

    def __init__(self, directory: Path, *, mib: int = 64, options: str = "") -> None:
        """`options` of the mount, such as `commit=300`."""
        self.path: Final = directory / "disk"
        """Where it is mounted."""
        self._image = directory / "disk.img"
        self._mib: Final = mib
        self._options: Final = ",".join(filter(None, ("loop", options)))
        self._mounted = False

    def __enter__(self) -> Self:
        self.path.mkdir()
        try:
            with self._image.open("wb") as image:
                image.truncate(self._mib * 1024 * 1024)
            # What mkfs puts off would be written in the background, by the kernel, at a moment of its own.
            _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
            self._mount()
        except BaseException:
            self._forget()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.unmount()
        except DiskBusy:
            # It leaves the tree at once, and the loop device is freed with the last file that is closed.
            _run("umount", "--lazy", self.path)
            raise
        finally:
            self._forget()

    def cut(self) -> float:
        """Cut the power: nothing reaches the disk any more, its own journal included. The moment, by `time.monotonic`.

        Only what was said before that moment counts. An fsync that is under way in it may return success for what is
        lost (seen on Linux 6.18): with a real cut there would be nobody left to hear of it.
        """
        moment = time.monotonic()
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _WITHOUT_LOG_FLUSH)
        finally:
            os.close(fd)
        return moment

    def remount(self) -> None:
        """Unmount, mount again. Raises `DiskBusy` if a process has files there."""
        self.unmount()
        if self._is_held():
            # A mount namespace that was made meanwhile has the old file system too, shut down as it is: a file that is
            # mounted twice is one file system. What is on the disk goes on in a file of its own.
            held, self._image = self._image, self._image.with_name(f"{self._image.name}-")
            _run("cp", "--sparse=always", held, self._image)
            held.unlink()
        self._mount()

    def unmount(self) -> None:
        """Raises `DiskBusy` if a process has files there."""
        if not self._mounted:
            return
        over = time.monotonic() + _BUSY_SECONDS
        while (failure := _failure("umount", self.path)) is not None:
            if time.monotonic() > over:
                raise DiskBusy(f"{self.path}: {failure}")
            time.sleep(0.01)  # nobody says when the last file is closed
        self._mounted = False

    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def _is_held(self) -> bool:
        """Whether the loop device still has the file a moment after nobody here has it mounted."""
        over = time.monotonic() + _FREED_SECONDS
        while any(_backed_by(device) == str(self._image) for device in Path("/sys/block").glob("loop*")):
            if time.monotonic() > over:
                return True
            time.sleep(0.01)
        return False

    def _mount(self) -> None:
        _run("mount", "-t", "ext4", "-o", self._options, self._image, self.path)
        self._mounted = True

    def _forget(self) -> None:
        self._image.unlink(missing_ok=True)
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _backed_by(device: Path) -> str:
    try:
        return (device / "loop" / "backing_file").read_text().strip()
    except OSError:
        return ""  # it has no file, or no longer


def _tool(name: str) -> str | None:
    # The directories of root's own tools are not on everybody's path.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(tool: str, *arguments: str | Path) -> None:
    if (failure := _failure(tool, *arguments)) is not None:
        raise RuntimeError(f"{tool} failed: {failure}")


def _failure(tool: str, *arguments: str | Path) -> str | None:
    """What it says if it fails."""
    done = subprocess.run(
        [_tool(tool) or tool, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")
