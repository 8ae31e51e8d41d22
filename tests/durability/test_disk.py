"""The disk of these proofs does what it is for: what was synced is there after a cut, what was not is gone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.durability.disk import DiskBusy, LoopDisk

pytestmark = [pytest.mark.power_cut, pytest.mark.needs_root]


def write(path: Path, *, sync: bool) -> None:
    with path.open("wb") as file:
        file.write(b"x" * 5000)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def names(disk: LoopDisk) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in disk.path.iterdir() if path.name != "lost+found"}


def test_a_cut_loses_what_was_not_synced_and_nothing_else(make_disk) -> None:
    disk = make_disk()
    write(disk.path / "synced", sync=True)
    write(disk.path / "renamed", sync=True)
    write(disk.path / "written", sync=False)
    (disk.path / "renamed").rename(disk.path / "elsewhere")
    disk.cut()
    with pytest.raises(OSError, match="Input/output error"):
        write(disk.path / "late", sync=True)
    disk.remount()
    assert names(disk) == {"synced": 5000, "renamed": 5000}
    write(disk.path / "after", sync=True)


def test_nothing_is_left_behind_even_when_somebody_holds_on(place, make_disk, monkeypatch) -> None:
    make_disk().__exit__(None, None, None)  # so that it is skipped where no disk can be made
    monkeypatch.setattr("tests.durability.disk._BUSY_SECONDS", 0.1)
    with pytest.raises(DiskBusy), LoopDisk(place) as disk:
        held = (disk.path / "held").open("wb")
    assert not os.path.ismount(disk.path)
    held.close()
    assert str(place) not in Path("/proc/mounts").read_text()
    assert os.listdir(place) == []


def test_a_mount_namespace_that_keeps_the_old_file_system_does_not_matter(make_disk) -> None:
    disk = make_disk()
    write(disk.path / "synced", sync=True)
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "echo made; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"made\n"
        for number in range(2):
            disk.cut()
            disk.remount()
            write(disk.path / f"after-{number}", sync=True)
        assert set(names(disk)) == {"synced", "after-0", "after-1"}
        other.communicate()
