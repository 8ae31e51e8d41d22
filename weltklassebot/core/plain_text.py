"""The words of a stop, made fit for the journal: a stop is never refused for what somebody wrote beside it.

What opens or loosens stays strict (`validation`). A stop's reason and actor are taken, cleaned and cut here, and each
complaint becomes a notice in the answer; text that is good already comes back as it is, without one.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from weltklassebot.core.commands import CancelAll, Cooldown, Halt, TriggerKillSwitch

__all__ = [
    "MOST_CHARACTERS", "NO_REASON", "STOPS", "AnyStop", "clean_actor", "clean_reason", "clean_stop", "clean_text",
]  # fmt: skip

MOST_CHARACTERS: Final = 500
"""Of a reason, and of an actor."""
NO_REASON: Final = "(no reason given)"

AnyStop = Halt | Cooldown | TriggerKillSwitch | CancelAll
STOPS: Final[frozenset[type]] = frozenset(AnyStop.__args__)
_S = TypeVar("_S", bound=AnyStop)

_MOST_LOOKED_AT: Final = 64 * 1024
"""Characters; what is behind them is cut off in any case."""
# Python's form of a byte that is no UTF-8, and half of a pair out of JSON: neither can be encoded again.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean_text(text: str, most: int = MOST_CHARACTERS) -> tuple[str, list[str]]:
    """The text without what cannot be kept, in at most `most` characters, and what was wrong with it."""
    complaints: list[str] = []
    length, text = len(text), text[:_MOST_LOOKED_AT]
    clean = _SURROGATES.sub("\ufffd", text)
    if clean != text:
        complaints.append("was not UTF-8: what could not be read is marked")
    spaced = _CONTROL.sub(" ", clean)
    if spaced != clean:
        complaints.append("had line breaks or control characters: they are spaces now")
        spaced = spaced.strip()
    if length > _MOST_LOOKED_AT or len(spaced) > most:
        complaints.append(f"had {length} characters: cut to {most}")
    return spaced[:most], complaints


def clean_reason(reason: object) -> tuple[str, list[str]]:
    """Never empty. What is no text is taken as it prints."""
    return _cleaned("reason", reason, NO_REASON, "is missing: say why another time")


def clean_actor(actor: object) -> tuple[str | None, list[str]]:
    """None if nobody was named: the principal stands in the record then."""
    text, notices = _cleaned("actor", actor, "", None)
    return text or None, notices


def clean_stop(stop: _S) -> tuple[_S, list[str]]:
    """The stop with words that the journal takes, and a notice for each complaint. Its other fields are untouched."""
    reason, notices = clean_reason(stop.reason)
    actor, more = clean_actor(stop.actor)
    if not notices and not more:
        return stop, []
    return replace(stop, reason=reason, actor=actor), notices + more


def _cleaned(name: str, said: object, otherwise: str, missing: str | None) -> tuple[str, list[str]]:
    complaints: list[str] = []
    if said is None or isinstance(said, str):
        text = said or ""
    else:
        text = _as_text(said)
        complaints.append("was no text: taken as it prints")
    text, more = clean_text(text)
    complaints += more
    if not text:
        text = otherwise
        if missing is not None:
            complaints.append(missing)
    return text, [f"{name}: {complaint}" for complaint in complaints]


def _as_text(said: object) -> str:
    try:
        return msgspec.json.encode(said).decode()
    except Exception:  # noqa: BLE001 - whatever somebody hands over, it stops nobody
        return f"({type(said).__name__})"
