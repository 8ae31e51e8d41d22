"""audit verify, audit checkpoint: what the chain proves, and what is kept elsewhere so that it proves more."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weltklassebot.cli.exits import DISK_FAILED, DONE, REFUSED, Refused, Usage
from weltklassebot.cli.invocation import Command, Invocation, pass_invocation
from weltklassebot.cli.store import dir_option, store_of

if TYPE_CHECKING:
    from weltklassebot.journal.checkpoints import CheckpointFile
    from weltklassebot.journal.kept import KeptHashes, Source
    from weltklassebot.journal.verify import Verified

__all__ = ["checkpoint", "verify"]


@click.command("verify", cls=Command)
@click.option("--expect", "expected", multiple=True, nargs=2, metavar="SEQ HASH",
              help="What was kept of a record elsewhere; repeatable.")  # fmt: skip
@click.option("--checkpoints", "files", multiple=True, metavar="FILE", help="Checkpoints that were kept; repeatable.",
              type=click.Path(path_type=Path, dir_okay=False))  # fmt: skip
@click.option("--key", "keys", multiple=True, metavar="PUBLIC",
              help="Who must have signed those: a public key, or a file with one; repeatable.")  # fmt: skip
@click.option("--decode", is_flag=True, help="Read all records, not only those that a start reads.")
@dir_option
@pass_invocation
def verify(
    invocation: Invocation,
    expected: tuple[tuple[str, str], ...],
    files: tuple[Path, ...],
    keys: tuple[str, ...],
    decode: bool,
    directory: Path | None,
) -> int:
    """Prove that every record is there and unchanged; exit code 74 and the place if one is not.

    Alone it proves that against accidents, and against edits by those who cannot write the store. Whoever can write it
    can make a chain that fits: against them it takes a hash that was kept elsewhere. --expect compares one (`audit
    checkpoint` prints it, the daemon's log has it), --checkpoints a file of them, such as checkpoints.jsonl in the
    state directory. With --key each of those must be signed, and nobody without the private key can have made one.

    Exit code 74 if one of them does not fit; 1 if there is nothing left of the journal to compare one with.

    Where retention deleted history, the proof begins behind it, and `deleted_through_seq` says so.

    Example: weltklassebot audit verify --checkpoints checkpoints.jsonl --key public.pem
    """
    from weltklassebot.journal.kept import KeptHashes, Source
    from weltklassebot.journal.verify import read_by_a_start
    from weltklassebot.journal.verify import verify as verified

    if keys and not files:
        raise Usage("--key needs --checkpoints")
    sources = [Source("--expect", [one]) for one in map(_expected, expected)]
    read = _opened(files, keys)
    sources += [Source(str(file.path), file) for file in read]
    store, kept = store_of(invocation, directory), KeptHashes(sources)
    found = verified(store, kept=kept, decode_behind=0 if decode else read_by_a_start(store))
    answer = _answer(found, directory)
    code = DONE if found.first_bad is None else DISK_FAILED
    if sources:
        said, worst = _compared(kept, read, found.last_seq, signed=bool(keys))
        answer |= said
        code = max(code, worst)
    answer["ok"] = code == DONE
    return invocation.verdict(answer, code)


@click.command("checkpoint", cls=Command)
@dir_option
@pass_invocation
def checkpoint(invocation: Invocation, directory: Path | None) -> None:
    """Print the number and the hash of the last record, to keep where nobody who can write the store can reach it.

    The journal is verified first, and what is printed is on disk. `audit verify --expect` takes the two words; a file
    for `audit verify --checkpoints` takes the line, with or without --json. Those that the daemon makes are signed.

    Example: weltklassebot audit checkpoint >> /media/usb/checkpoints
    """
    from weltklassebot.cli.output import emit
    from weltklassebot.journal.checkpoints import Checkpoint
    from weltklassebot.journal.verify import verify as verified

    store = store_of(invocation, directory)
    found = verified(store)
    if found.first_bad is not None and not found.torn:
        file, line, what = found.first_bad
        raise Refused(f"{file}, line {line}: {what}. Of a damaged journal there is nothing to keep (audit verify)")
    if not found.last_seq:
        raise Refused(f"{store}: there is no record yet")
    _sync(store)
    if invocation.json:
        emit(Checkpoint(found.last_seq, found.chain, ts=round(time.time(), 6)).line())
    else:
        emit(f"{found.last_seq} {found.chain}\n")


def _expected(said: tuple[str, str]) -> Any:
    import re

    from weltklassebot.journal.kept import Kept

    seq, link = said
    if not re.fullmatch(r"[1-9]\d{0,17}", seq, re.ASCII) or not re.fullmatch("[0-9a-f]{64}", link):
        raise Usage("--expect takes the number of a record and its hash, 64 hex digits")
    return Kept(int(seq), link, "--expect")


def _opened(files: tuple[Path, ...], keys: tuple[str, ...]) -> list[CheckpointFile]:
    if not files:
        return []
    from weltklassebot.cli.keys import public_of
    from weltklassebot.journal.checkpoints import CheckpointFile

    public = [public_of(one) for one in keys]
    return [CheckpointFile(file, public) for file in files]


def _sync(store: Path) -> None:
    """What was read may have been on its way to the disk. The directory is that of a journal, so there is a live file,
    or it was closed, and then it is on disk."""
    from weltklassebot.journal.segments import JOURNAL

    with suppress(FileNotFoundError), (store / JOURNAL).open("rb") as live:
        os.fdatasync(live.fileno())


def _answer(found: Verified, directory: Path | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ok": found.first_bad is None,
        "records": found.records,
        "last_seq": found.last_seq,
        "chain": found.chain,
    }
    if found.anchor:
        answer["deleted_through_seq"] = found.anchor
    if found.first_bad is not None:
        file, line, what = found.first_bad
        answer |= {"file": str(file), "line": line, "problem": what, "torn": found.torn}
        if not found.torn and not found.not_understood:
            place = "" if directory is None else f" --dir {shlex.quote(str(directory))}"
            answer["help"] = f"weltklassebot audit repair{place}"
    return answer


def _compared(
    kept: KeptHashes, read: list[CheckpointFile], last_seq: int, *, signed: bool
) -> tuple[dict[str, Any], int]:
    """What came of the hashes that were kept elsewhere, and the exit code for that.

    `unproven` records, behind the newest of them, stand on the chain alone.
    """
    compared = sum(one.compared for one in kept.sources)
    proven = max(one.last_compared for one in kept.sources)
    answer: dict[str, Any] = {"compared": compared, "proven_through_seq": proven, "unproven": last_seq - proven}
    if behind := sum(one.behind_anchor for one in kept.sources):
        answer["compared_with_nothing"] = behind
    misfits = [_shown(one) for one in kept.sources if one.misfit is not None]
    if misfits:
        answer["misfits"] = misfits
    if torn := [str(one.path) for one in read if one.torn]:
        answer["torn_checkpoints"] = torn
    if read:
        answer["signatures"] = "proved" if signed else "not looked at (--key)"
    if misfits:
        return answer, DISK_FAILED
    if any(not one.compared for one in kept.sources):
        answer["problem_of_proof"] = "there is nothing to compare: no checkpoint, or retention deleted their records"
        return answer, REFUSED
    return answer, DONE


def _shown(source: Source) -> dict[str, Any]:
    misfit = source.misfit
    assert misfit is not None
    return {name: value for name, value in misfit._asdict().items() if value}
