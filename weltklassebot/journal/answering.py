"""How a child of the daemon is asked: a line of JSON on its input, a line back on its output.

`+` and what it found or did as JSON, or `-` and why not, in one sentence. It ends when nobody asks any more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from weltklassebot.journal.errors import JournalError

__all__ = ["answer", "answer_all"]

Question = TypeVar("Question")


def answer(line: bytes, kind: type[Question], work: Callable[[Question], Any]) -> bytes:
    """One line for one line."""
    try:
        found = work(msgspec.json.decode(line, type=kind))
    except msgspec.DecodeError as error:
        said = f"the question cannot be understood: {error}"
    except JournalError as error:
        said = str(error)
    else:
        return b"+" + msgspec.json.encode(found, enc_hook=str) + b"\n"
    return b"-" + said.replace("\n", " ").encode() + b"\n"


def answer_all(kind: type[Question], work: Callable[[Question], Any]) -> None:
    """Until there are no more."""
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(line, kind, work))
        sys.stdout.buffer.flush()
