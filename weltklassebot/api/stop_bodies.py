"""Bodies that stop something: taken whatever their words are like, and every complaint is a notice in the answer.

Reason, actor and fields that nobody knows stop no stop. What decides how much is stopped and for how long stays strict:
the minutes of a cooldown, the scope of a cancel-all, and that such a body is a JSON object at all. A halt or a kill has
nothing of that kind: it is taken even if its body cannot be read.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import msgspec

from weltklassebot.api.decoding import BadInput, check, command_from, convert
from weltklassebot.core.commands import CancelAll, Cooldown, Halt, TriggerKillSwitch
from weltklassebot.core.plain_text import AnyStop, clean_actor, clean_reason, clean_text

__all__ = ["WORDS_ALONE", "stop_from"]

WORDS_ALONE: Final = (Halt, TriggerKillSwitch)
"""What they stop is everything."""
MOST_NAMED: Final = 10
"""Of the fields that nobody knows."""
_MOST_NAME: Final = 64


def stop_from(data: bytes, decoder: msgspec.json.Decoder[Any]) -> tuple[AnyStop, list[str]]:
    """The stop, and what is to be said of its words. Raises `BadInput` for a scope or a time that is none."""
    kind: Any = decoder.type
    try:
        return command_from(data or b"{}", decoder), []
    except BadInput as bad:
        refusal = bad
    notices: list[str] = []
    try:
        members = _members(data or b"{}")
    except (ValueError, RecursionError):
        if kind not in WORDS_ALONE:
            raise refusal from None
        members = {}
        notices.append("the body is no JSON object: nothing of it was taken")
    reason, about_reason = clean_reason(members.pop("reason", None))
    actor, about_actor = clean_actor(members.pop("actor", None))
    strange = _strange(members, kind)
    given = {name: value for name, value in members.items() if name not in strange}
    stop = convert({**given, "reason": reason, "actor": actor}, kind)
    check(stop)
    return stop, [*notices, *about_reason, *about_actor, *_of_strange(strange, stop)]


def _members(data: bytes) -> dict[str, Any]:
    """A JSON object, read as leniently as can be: text that is no UTF-8, line breaks in it, halves of pairs.

    Raises `ValueError` for what is none, and for a number that JSON has no word for or that has no end.
    """
    tree = json.loads(
        data.decode(errors="surrogateescape"), strict=False, parse_constant=_no_number, parse_float=_number
    )
    if not isinstance(tree, dict):
        raise ValueError  # noqa: TRY004 - what was sent is wrong, not what was called
    return tree


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _strange(members: dict[str, Any], kind: Any) -> list[str]:
    """Fields that such a stop does not have. The path has said what it is: another word for it is one of them."""
    config = kind.__struct_config__
    known = set(kind.__struct_fields__)
    if members.get(config.tag_field) == config.tag:
        known.add(config.tag_field)
    return [name for name in members if name not in known]


def _of_strange(names: list[str], stop: AnyStop) -> list[str]:
    if not names:
        return []
    said = [f"{clean_text(name, _MOST_NAME)[0]}: unknown field, not taken" for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        said.append(f"{len(names) - MOST_NAMED} more unknown fields, not taken")
    match stop:
        case CancelAll():
            scope = [f"{name} {value}" for name in ("account", "strategy", "symbol") if (value := getattr(stop, name))]
            said.append(f"what was done covers {', '.join(scope) or 'the whole desk'}")
        case Cooldown(minutes=None):
            said.append("no minutes were given: it lasts as long as the limit cooldown_minutes says")
        case _:
            pass
    return said
