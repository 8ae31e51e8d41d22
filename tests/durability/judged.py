"""A recorded run, and the judge of the states that a crash may leave of it: nothing answered may be missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.durability.crash_states import Disk, Files
from tests.durability.recorded import records_of
from tests.durability.tracing import Op
from weltklassebot.core.engine import Engine
from weltklassebot.journal.errors import JournalError
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.verify import verify

__all__ = ["Judge", "Run", "of_the_store", "said", "written"]


@dataclass
class Outcome:
    """What became of one state."""

    last_seq: int = 0
    state: int = 0
    wrong: str = ""


@dataclass
class Judge:
    """Recovers from states, each once, and knows what must be there."""

    seed: int
    place: Path
    states: dict[bytes, Outcome] = field(default_factory=dict)
    _folded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        engine = Engine()
        self._folded.append(repr(engine.state))
        for record in records_of(self.seed):
            engine.apply(record)
            self._folded.append(repr(engine.state))

    def look_at(self, files: Files, answered: tuple[int, int]) -> str:
        """What is wrong with what comes of a state, if anything."""
        digest = sha256(b"".join(sha256(repr(item).encode()).digest() for item in sorted(files.items()))).digest()
        if digest not in self.states:
            self.states[digest] = self._recovered(files)
        found = self.states[digest]
        if found.wrong:
            return found.wrong
        if found.last_seq < answered[0]:
            return f"lost: it ends with record {found.last_seq}, and {answered[0]} was answered"
        if found.state < answered[1]:
            return f"lost: risk_state.json is number {found.state}, and {answered[1]} was answered"
        return ""

    def _recovered(self, files: Files) -> Outcome:
        store = self.place / "store"
        shutil.rmtree(store, ignore_errors=True)
        written(store, files)
        engine = Engine()
        try:
            found = recover(store, engine.apply, engine.restore)
            stated = json.loads((store / "risk_state.json").read_bytes()) if "risk_state.json" in files else None
            proof = verify(store)
        except JournalError as error:
            return Outcome(wrong=f"refused: {error}")
        except ValueError as error:
            return Outcome(wrong=f"risk_state.json is not whole: {error}")
        if proof.first_bad is not None:
            return Outcome(wrong=f"not proven: {proof.first_bad}")
        if repr(engine.state) != self._folded[found.last_seq]:
            return Outcome(wrong=f"the state is not that behind record {found.last_seq}")
        return Outcome(found.last_seq, stated["number"] if stated else 0)


def written(store: Path, files: Files) -> None:
    store.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        (store / name).write_bytes(content)


@dataclass
class Run:
    """What was recorded."""

    seed: int
    ops: list[Op]

    def moments(self, ops: list[Op] | None = None) -> Iterator[tuple[Disk, tuple[int, int], Op]]:
        """The disk before the first operation and behind each, with what was answered by then."""
        disk, answered = Disk(), (0, 0)
        for op in self.ops if ops is None else ops:
            if op.call == "note":
                answered = said(op)
                continue
            disk.apply(op)
            yield disk, answered, op


def said(op: Op) -> tuple[int, int]:
    _, seq, state = op.name.split()
    return int(seq), int(state)


def of_the_store(op: Op) -> bool:
    return op.name not in ("lock", "snapshot.lock")
