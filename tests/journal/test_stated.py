"""A journal that ends before the record that risk_state.json was written behind has lost some; nobody starts on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from weltklassebot.journal import JsonlStateStore
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.store import JOURNAL, STATE
from weltklassebot.journal.verify import verify
from weltklassebot.risk_admin import get_state, halt, resume


def _first_line_only(path: Path) -> None:
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "garbage without an end": lambda path: path.write_bytes(b"\x8f\n\x11" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "rolled back": _first_line_only,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_halt_is_not_forgotten_with_the_journal(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    store = JsonlStateStore(tmp_path)
    halt(store, actor="sre", reason="something is wrong")
    damage(tmp_path / JOURNAL)
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(StoreDamaged, match="knows record 2"):
        resume(store, actor="sre", reason="all is well")
    assert (tmp_path / STATE).read_bytes() == before
    if (tmp_path / JOURNAL).stat().st_size:
        assert verify(tmp_path).first_bad is not None
    assert not verify(tmp_path).torn


def test_a_state_file_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    store = JsonlStateStore(tmp_path)
    halt(store, actor="sre", reason="something is wrong")
    (tmp_path / STATE).write_bytes(b'{"seq": "many"')
    resume(store, actor="sre", reason="all is well")
    assert get_state(store)["state"] == "RUNNING"
