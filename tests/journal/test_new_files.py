"""Where somebody else may have been first: nothing that was planted is followed, opened or waited for."""

from __future__ import annotations

import ast
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import weltklassebot
from tests.traps import held
from weltklassebot.api.tokens import TokenFile
from weltklassebot.journal.anchor import replace_durably
from weltklassebot.journal.latch import Latch, clear_latch, hold_latch, lift_halt, read_latch, set_latch
from weltklassebot.journal.new_files import new_file, open_lock
from weltklassebot.journal.provenance import HighWater, claim, live_file

PACKAGE = Path(weltklassebot.__file__).parent
ELSEWHERE = {"cli/var/commands.py"}
"""A report, at the place that the caller names."""


def loose(tree: ast.AST) -> list[str]:
    """Statements that make a file and may follow what was planted at its name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return | ast.withitem):
            text = ast.unparse(node)
            if "O_CREAT" in text and ("O_NOFOLLOW" not in text or "O_TRUNC" in text):
                found.append(text)
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [one.value for one in [*node.args, *(key.value for key in node.keywords)] if _is_text(one)]
            opened = ast.unparse(node.args[0]) if node.args else ""
            owned = opened.startswith("new_file") or opened in ("fd", "descriptor")
            writes = name in ("open", "fdopen") and any(
                set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes
            )
            if (writes and not owned) or name in ("write_text", "write_bytes", "mkstemp", "NamedTemporaryFile"):
                found.append(ast.unparse(node))
    return found


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_no_other_way_makes_a_file():
    found = {
        name: what
        for path in PACKAGE.rglob("*.py")
        if (name := str(path.relative_to(PACKAGE))) not in ELSEWHERE and (what := loose(ast.parse(path.read_text())))
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "open('x', 'w')",
        "path.open(mode='ab')",
        "path.write_bytes(b'')",
        "fd = os.open('x', os.O_WRONLY | os.O_CREAT)",
        "with open(os.open('x', os.O_WRONLY | os.O_CREAT | os.O_EXCL), 'wb') as file: pass",
        "fd = os.open('x', os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)",
    ],
)
def test_another_way_would_be_found(code: str):
    assert loose(ast.parse(code))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """What somebody would like to have written by root."""
    place = tmp_path / "target"
    place.write_text("untouched")
    return place


def plant(kind: str, at: Path, target: Path) -> None:
    if kind == "link":
        at.symlink_to(target)
    elif kind == "dangling link":
        at.symlink_to(target.with_name("made"))
    elif kind == "hard link":
        at.hardlink_to(target)
    elif kind == "pipe":
        os.mkfifo(at)
    else:
        at.mkdir()


def _live(place: Path):
    (place / "risk_audit.jsonl").write_bytes(b"")
    return live_file(place, 1)


def _token(place: Path) -> None:
    TokenFile(place / "tokens.json").create(name="one", role="viewer", created=0.0)


FILES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "replaced": ("file", "file.tmp", lambda place: replace_durably(place / "file", [b"new"])),
    "identity": ("store.id", "store.id.tmp", lambda place: claim(place, _live(place))),
    "high water": ("high-water.json", "high-water.json.tmp", lambda place: HighWater(place, place).note(1, "")),
    "tokens": ("tokens.json", ".tokens.json.new", _token),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe"])
@pytest.mark.parametrize("file", FILES)
def test_a_planted_temporary_file_is_not_followed(tmp_path: Path, target: Path, file: str, kind: str):
    name, temporary, write = FILES[file]
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    plant(kind, place / temporary, target)
    write(place)
    assert (place / name).lstat().st_mode & 0o170000 == 0o100000
    assert (place / name).stat().st_nlink == 1
    assert target.read_text() == "untouched"
    assert not target.with_name("made").exists()


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe", "directory"])
def test_a_planted_latch_prevents_no_stop(tmp_path: Path, target: Path, kind: str):
    place = tmp_path / "run"
    place.mkdir()
    for name in ("latch.json", "latch.lock", f"latch.json.{os.getpid()}"):
        plant(kind, place / name, target)
    began = time.monotonic()
    set_latch(place, "kill", reason="drill", actor="sre@desk", ts=1.0)
    assert time.monotonic() - began < 1
    found = read_latch(place)
    assert found is not None
    assert (found.kind, found.reason) == ("kill", "drill")
    assert (place / "latch.json").lstat().st_mode & 0o170777 == 0o100644
    assert target.read_text() == "untouched"
    assert not target.with_name("made").exists()


def test_a_lock_on_the_directory_is_nobodys_turn(tmp_path: Path):
    with held(tmp_path) as holder:
        began = time.monotonic()
        for number in range(20):
            set_latch(tmp_path, "halt", reason=str(number), actor="a", ts=1.0)
        assert time.monotonic() - began < 0.5
        TokenFile(tmp_path / "tokens.json").create(name="one", role="viewer", created=0.0)
        holder.communicate()


def test_out_of_turn_a_stop_is_set_at_once_and_no_other_is_lost(tmp_path: Path):
    """A command that was stopped in its turn holds up no daemon."""
    halt = Latch("halt", "first", "a", 1.0)
    took = []
    for _ in range(5):  # the machine may be busy, once
        hold_latch(tmp_path, halt)
        with held(tmp_path / "latch.lock") as holder:
            began = time.monotonic()
            kill = hold_latch(tmp_path, Latch("kill", "second", "a", 2.0), patient=False)
            assert not clear_latch(tmp_path, halt, patient=False)
            assert read_latch(tmp_path) == kill
            with pytest.raises(Exception, match="temporarily unavailable"):
                lift_halt(tmp_path, patient=False)
            assert clear_latch(tmp_path, kill, patient=False)
            assert read_latch(tmp_path) is None
            took.append(time.monotonic() - began)
            holder.communicate()
    assert min(took) < 0.04
    assert [path.name for path in tmp_path.iterdir()] == ["latch.lock"]


def test_a_lock_is_the_owners_alone(tmp_path: Path):
    before = os.umask(0)
    try:
        descriptor = open_lock(tmp_path / "lock")
    finally:
        os.umask(before)
    assert os.fstat(descriptor).st_mode & 0o777 == 0o600
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    os.close(new_file(tmp_path / "lock"))  # which it replaces


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_is_its_owners_and_what_it_finds_stays(tmp_path: Path, target: Path):
    place = tmp_path / "place"
    place.mkdir()
    os.chown(place, 54321, 54321)
    os.close(open_lock(place / "lock"))
    assert (place / "lock").stat().st_uid == 54321
    (place / "planted").hardlink_to(target)
    os.close(open_lock(place / "planted"))
    assert target.stat().st_uid == 0
