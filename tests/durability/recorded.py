"""A run to be recorded: the real writer and the real child that keeps the store in shape, one step after the other.

    python -m tests.durability.recorded life STORE SEED      batches, stops, rotations, snapshots, compression, deletion
    python -m tests.durability.recorded lives DIRECTORY      the next start, and the next child, on each store in it

Each step that was answered is noted: `answered SEQ STATE`, with the highest record, and which risk_state.json.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.core.desk_days import STEP
from tests.durability.tracing import note
from tests.journal.desk_day import desk_day
from weltklassebot.core.engine import Engine
from weltklassebot.core.records import Record
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.store import StoreLock
from weltklassebot.journal.writer import WriterProcess

CHILD_ALONE = "-child"
"""The child was killed, its daemon was not: the next child comes without a start."""
SEGMENTS = 13
SHAPED_AFTER = {4: None, 9: None, 11: None, 13: 1}
"""So many segments, and how many bytes of them may stay."""


def records_of(seed: int) -> list[Record]:
    return desk_day(random.Random(seed).randbytes(1 + 300 * STEP))


def state_file(number: int, seq: int) -> bytes:
    """What risk_state.json holds in the so many-th place; it is longer than a sector."""
    return json.dumps({"state": "RUNNING", "number": number, "seq": seq, "meta": {"pad": "x" * 700}}).encode()


def life(store: Path, seed: int, child: str) -> None:
    chance, left, states = random.Random(seed), records_of(seed), 0
    with StoreLock(store) as lock:
        recovered = recover(store, Engine().apply)
        chain, seq, first = recovered.chain, 0, 1
        with WriterProcess.start(lock) as writer:
            for segment in range(1, SEGMENTS + 1):
                for _ in range(chance.choice((1, 1, 2, 3))):
                    batch, left = _split(left, chance.choice((1, 2, 5)))
                    data, chain = seal([encode(record) for record in batch], seq + 1, chain)
                    seq += len(batch)
                    if chance.random() < 0.5:
                        states += 1
                        writer.append_blocking(data, state_file(states, seq))
                    else:
                        writer.append_blocking(data)
                    note(f"answered {seq} {states}")
                if segment < SEGMENTS or chance.random() < 0.5:
                    writer.rotate_blocking(first)
                    first = seq + 1
                if segment in SHAPED_AFTER:
                    _shape(store, child, SHAPED_AFTER[segment])


def _split(records: list[Record], size: int) -> tuple[list[Record], list[Record]]:
    return records[:size], records[size:]


def _shape(store: Path, child: str, max_bytes: int | None) -> None:
    task = msgspec.json.encode(Task(directory=str(store), max_bytes=max_bytes))
    done = subprocess.run([sys.executable, "-m", child], input=task + b"\n", check=True, stdout=subprocess.PIPE)
    assert done.stdout.startswith(b"+"), done.stdout


def lives(directory: Path) -> None:
    for store in sorted(directory.iterdir()):
        note(f"next {store.name}")
        if not store.name.endswith(CHILD_ALONE):
            engine = Engine()
            recovered = recover(store, engine.apply, engine.restore)
            note(f"answered {recovered.last_seq} 0")
        keep_in_shape(Task(directory=str(store), max_bytes=1))


if __name__ == "__main__":
    if sys.argv[1] == "life":
        life(Path(sys.argv[2]), int(sys.argv[3]), (sys.argv[4:] or ["weltklassebot.journal.snapshot"])[0])
    else:
        lives(Path(sys.argv[2]))
