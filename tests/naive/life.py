"""One life of a desk, in the core and in the model side by side."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import replace

from tests.naive.core_desk import answer_of, differences, of_core, of_model, put
from tests.naive.generator import BASE, Days
from tests.naive.model import Model
from weltklassebot.core.commands import AnyCommand, CheckOrder, CompleteRecovery, Start, Tick
from weltklassebot.core.engine import Engine
from weltklassebot.core.events import DoubtCause

FEATURES: frozenset[str] = frozenset({"exposure", "fits", "flows", "oco", "unfit", "venue_marks"})
"""The rules that the core has by now."""


DOUBTS = frozenset(DoubtCause.__args__)
"""Of several, each may name another one first."""


class Disagreement(AssertionError):
    pass


class Life:
    def __init__(self, features: frozenset[str], every: int) -> None:
        self.engine, self.model = Engine(), Model(features)
        self.seq, self.now, self.every, self.put_so_far = 0, BASE, every, 0

    def live(self, pause: float, command: AnyCommand) -> None:
        self.now = round(self.now + pause + 1e-6, 6)
        if type(command) is Start:
            command = replace(command, wall=self.now)
        elif self.now >= self.engine.deadline():
            self.one(Tick())
            self.now = round(self.now + 1e-6, 6)
        if type(command) is CompleteRecovery and command.accept == ("*",):
            command = replace(command, accept=tuple(self.engine.state.cancels))
        self.one(command)

    def one(self, command: AnyCommand) -> None:
        core, events = put(self.engine, command, self.seq + 1, self.now)
        model = self.model.say(command, self.seq + 1, self.now)
        found = [] if core == model or {core, model} <= DOUBTS else [f"answer: core {core}, model {model}"]
        if core not in ("refused", "conflict", "same", "replayed yes", "replayed no"):
            self.seq += 1
            if type(command) is CheckOrder:
                found += self.answer(answer_of(events), core)
            self.put_so_far += 1
            if found or self.put_so_far % self.every == 0:
                found += differences(of_core(self.engine, self.now), of_model(self.model))
        if found:
            raise Disagreement("\n  ".join([f"{plain(command)} -> {core}", *found]))

    def answer(self, core: dict[str, Any], answer: str) -> list[str]:
        mine = {"reducing": self.model.reducing, "reasons": self.model.reasons}
        found = [
            f"{name}: core {core[name]}, model {mine[name]}"
            for name in mine
            if name in core and said(core[name]) != said(mine[name])
        ]
        most = core.get("max_reducing_quantity")
        if most is not None and most != self.model.most:
            found.append(f"max_reducing_quantity: core {most}, model {self.model.most}")
        return found


def said(value: Any) -> Any:
    """Of several reasons to say no, what an order is worth may be left out by either."""
    return value - {"max_notional", "max_order_notional"} if isinstance(value, set) else value


def day(seed: int, steps: int, features: frozenset[str] = FEATURES, every: int = 1) -> int:
    """Lives one day; a disagreement is told with the shortest day that shows it."""
    days, life, said = Days(seed, features), Life(features, every), []
    for pause, command in days.first():
        said.append((pause, command))
        life.live(pause, command)
    try:
        for _ in range(steps):
            said.append((days.pause(), days.next(life.model)))
            life.live(*said[-1])
    except Disagreement as trouble:
        least, last = shortest(said, features)
        told = "\n".join(f"{pause:12.6f} {plain(command)}" for pause, command in least)
        raise Disagreement(f"WKB_NAIVE_SEED day {seed}\n{told}\n{last or trouble}") from None
    return life.seq


def plain(command: Any) -> str:
    """What differs from the defaults."""
    fields = command.__struct_fields__
    defaults = [NODEFAULT] * (len(fields) - len(command.__struct_defaults__)) + list(command.__struct_defaults__)
    said = []
    for name, default in zip(fields, defaults, strict=True):
        value = getattr(command, name)
        if value != default or default is NODEFAULT:
            said.append(f"{name}={plain(value) if isinstance(value, Struct) else shown(value)}")
    return f"{type(command).__name__}({' '.join(said)})"


def shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(each) if isinstance(each, Struct) else str(each) for key, each in value.items()}
    return str(value) if isinstance(value, Decimal) else repr(value)


def trouble(said: list[tuple[float, AnyCommand]], features: frozenset[str]) -> str | None:
    life = Life(features, 1)
    for pause, command in said:
        try:
            life.live(pause, command)
        except Disagreement as found:
            return str(found)
        except Exception:  # noqa: BLE001 - a day with parts left out may make no sense
            return None
    return None


def shortest(said: list, features: frozenset[str]) -> tuple[list, str | None]:
    """Leaves out whatever is not needed for the core and the model to disagree."""
    last, size, until = trouble(said, features), max(1, len(said) // 2), time.monotonic() + 20
    if last is None:
        return said, None
    while True:
        at, smaller = 1, False
        while at < len(said) and time.monotonic() < until:
            fewer = said[:at] + said[at + size :]
            if len(fewer) < len(said) and (found := trouble(fewer, features)) is not None:
                said, last, smaller = fewer, found, True
            else:
                at += size
        if (size == 1 and not smaller) or time.monotonic() > until:
            return said, last
        size = max(1, size // 2)
