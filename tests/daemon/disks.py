"""Disks that are really full, read-only or silent. They need root; without it a test is skipped, in CI it fails.

with small_disk(directory) as disk:     a tmpfs of three MiB, mounted at `disk`
    with full(disk):                    not a byte more goes in
with frozen(disk):                      an ext4 whose writes hang until the block ends (`fsfreeze`)
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

__all__ = ["cannot", "frozen", "full", "read_only", "small_disk"]


def cannot(why: str) -> None:
    """Skip, or fail where the proof has to run."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def small_disk(path: Path, mib: int = 3) -> Iterator[Path]:
    """A file system of its own at `path`."""
    if os.geteuid() != 0:
        cannot("a file system is mounted by root alone")
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "small", path], check=True, timeout=20)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True, timeout=20)
        path.rmdir()


@contextmanager
def full(disk: Path) -> Iterator[Path]:
    """Whatever was free is taken until the block ends, or the file is removed that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(64 * 1024)):
            pass
    assert os.statvfs(disk).f_bavail == 0
    try:
        yield ballast
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """As the kernel makes a file system whose disk has failed."""
    _mount(disk, "ro")
    try:
        yield
    finally:
        _mount(disk, "rw")


def _mount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True, timeout=20)


@contextmanager
def frozen(disk: Path) -> Iterator[None]:
    """Writes and fsyncs hang, reads do not."""
    _freeze("--freeze", disk)
    try:
        yield
    finally:
        _freeze("--unfreeze", disk)


def _freeze(how: str, disk: Path) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run(["fsfreeze", how, disk], check=True, timeout=20, env={"PATH": path})
