"""What processes did to the files of a store, as the kernel saw it: strace's record, one operation after the other.

A process says something to the record by writing `note: ...` to /dev/null.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.daemon.daemon import ROOT

__all__ = ["Op", "note", "traced"]

_CALLS: Final = (
    "openat,open,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,"
    "truncate,mkdir,mkdirat,link,linkat,copy_file_range,sendfile,fallocate,close"
)
_NOTE: Final = b"note: "
_SECONDS: Final = 300

_line = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?").match
_unfinished = re.compile(r"(\d+) +(\w+\(.*?)(?:, )? *<unfinished \.\.\.>").fullmatch
_resumed = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)").fullmatch
_argument = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|(-?\w+)<([^>]*)>|([^,"]+)').finditer


class Op(NamedTuple):
    """One operation on a store, or a note."""

    call: str
    """`create`, `open`, `write`, `sync`, `rename`, `unlink`, `truncate`, `sync directory`, `note`."""
    name: str
    """Of the file, without its directory; what a note says."""
    file: tuple[int, int]
    """Process and descriptor, where the operation goes through one."""
    data: bytes = b""
    at: int = -1
    """The offset of a write or a length; -1: where the file ends, or the descriptor stands."""
    new_name: str = ""
    directory: str = ""


def note(text: str) -> None:
    """Say something to the record."""
    fd = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, _NOTE + text.encode())
    os.close(fd)


def traced(command: list[str], record: Path, below: Path) -> list[Op]:
    """Run it; everything that it and its children did to the files below a directory, in order."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", record]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([*strace, *command], check=True, cwd=ROOT, env=environment, timeout=_SECONDS)
    with record.open() as lines:
        return [op for line in _whole(lines) if (op := _op(line, str(below))) is not None]


def _whole(lines: Iterator[str]) -> Iterator[str]:
    """Calls that were interrupted by those of another process stand where they returned."""
    begun: dict[str, str] = {}
    for raw in lines:
        line = raw.rstrip("\n")
        if found := _unfinished(line):
            begun[found[1]] = line[: line.index("<unfinished")].rstrip()
        elif found := _resumed(line):
            yield begun.pop(found[1]) + found[2]
        else:
            yield line


def _op(line: str, below: str) -> Op | None:
    found = _line(line)
    if not found or int(found[4]) < 0:
        return None  # an exit, or a call that changed nothing
    process, call, returned = int(found[1]), found[2], int(found[4])
    texts, paths, numbers = [], [], []
    for argument in _argument(found[3]):
        if argument[1] is not None:
            texts.append(bytes.fromhex(argument[1].replace("\\x", "")))
        elif argument[3] is not None:
            paths.append((argument[2], _text(argument[3])))
        else:
            numbers.append(argument[4].strip())
    if call == "write" and texts[0].startswith(_NOTE):
        return Op("note", texts[0][len(_NOTE) :].decode(), (process, -1))
    if call in ("openat", "open", "creat"):
        return _opened(process, returned, _text(found[5]), numbers, below)
    if call.startswith(("rename", "unlink", "mkdir")):
        return _named(process, call, texts, paths, below)
    if not paths or not paths[0][1].startswith(below):
        return None
    return _written(process, call, returned, paths[0], texts, numbers, below)


def _opened(process: int, fd: int, path: str, numbers: list[str], below: str) -> Op | None:
    if not path.startswith(below):
        return None
    flags = next(part for part in numbers if part.startswith("O_"))
    if "O_DIRECTORY" in flags:
        return None
    kind = "create" if "O_CREAT" in flags else "open"
    at = 0 if "O_TRUNC" in flags else -1
    return Op(kind, os.path.basename(path), (process, fd), at=at, directory=os.path.dirname(path))


def _named(process: int, call: str, texts: list[bytes], paths: list[tuple[str, str]], below: str) -> Op | None:
    """Of the calls that work on names: each relative to a directory's descriptor, or whole."""
    directories = [path for _, path in paths] or [""]
    names = [
        os.path.join(directories[min(place, len(directories) - 1)], text.decode()) for place, text in enumerate(texts)
    ]
    if not names[0].startswith(below):
        return None
    kind = call.rstrip("2").removesuffix("at")
    new_name = os.path.basename(names[1]) if kind == "rename" else ""
    return Op(kind, os.path.basename(names[0]), (process, -1), new_name=new_name, directory=os.path.dirname(names[0]))


def _written(
    process: int, call: str, returned: int, file: tuple[str, str], texts: list[bytes], numbers: list[str], below: str
) -> Op | None:
    directory, name = os.path.split(file[1])
    through = (process, int(file[0]))
    match call:
        case "close":
            return None
        case "write":
            return Op("write", name, through, texts[0][:returned], directory=directory)
        case "pwrite64":
            return Op("write", name, through, texts[0][:returned], int(numbers[-1]), directory=directory)
        case "ftruncate":
            return Op("truncate", name, through, at=int(numbers[-1]), directory=directory)
        case "fsync" | "fdatasync" if os.path.isdir(file[1]):
            return Op("sync directory", "", through, directory=file[1])
        case "fsync" | "fdatasync":
            return Op("sync", name, through, directory=directory)
    raise AssertionError(f"{call} on {file[1]}: nobody knows what that leaves on a disk")


def _text(hexadecimal: str | None) -> str:
    return bytes.fromhex((hexadecimal or "").replace("\\x", "")).decode()
