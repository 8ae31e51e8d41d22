"""Scenario files: a story told to the core in plain lines, with what must come of each line indented below it.

    # why this is a rule
    settings max_order_notional=25000 BTC-EUR.tick=0.5
    @12.5 check a-1 BTC-EUR buy 0.5 limit 64000
        denied max_order_notional[32000 of 25000]

Times are seconds (or `90m`, `16h`, `2d`) after Friday, 2025-11-21 08:00:00 UTC, when the daemon starts as record 1.
What fell due before a line is shown under it as `due:`. `by=` names the principal. `show` prints facts of the state and
is no command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, get_args

import msgspec
from msgspec.structs import fields, replace

from weltklassebot.core import commands as c
from weltklassebot.core.claims import EquityDoubt, Flow
from weltklassebot.core.clock import start_in_doubt
from weltklassebot.core.drawdown import drawdown
from weltklassebot.core.engine import Engine, Replayed
from weltklassebot.core.events import AnyEvent, OrderDenied
from weltklassebot.core.memory import Refused
from weltklassebot.core.numbers import plain
from weltklassebot.core.parameters import Account, Instrument, Parameters, Venue
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.core.validation import Invalid, validate
from weltklassebot.core.views import unfed
from weltklassebot.journal.codec import decode, encode

BASE = 1_763_712_000.0
_UNITS = {"": 1, "m": 60, "h": 3600, "d": 86400}
_WHY = {"reason": "because"}
_FLAGS = ("reduce_only", "rebase_peak", "automatic", "drop", "all")

# op: (command, names of its plain words, what it always says)
_OPS: dict[str, tuple[type, tuple[str, ...], dict[str, Any]]] = {
    "check": (c.CheckOrder, ("client_order_id", "symbol", "side", "quantity", "order_type", "price"), {}),
    "order": (c.ReportOrder, ("client_order_id", "status", "filled_quantity"), {}),
    "fill": (c.ReportFill, ("fill_id", "client_order_id", "symbol", "side", "quantity", "price"), {}),
    "mark": (c.Mark, ("symbol", "price"), {}),
    "equity": (c.ReportEquity, ("equity",), {}),
    "halt": (c.Halt, (), _WHY),
    "cooldown": (c.Cooldown, ("minutes",), _WHY),
    "resume": (c.Resume, (), _WHY),
    "kill": (c.TriggerKillSwitch, (), _WHY),
    "recover": (c.RecoverKillSwitch, (), {"approved_by": "second"}),
    "complete": (c.CompleteRecovery, (), {}),
    "cancel-all": (c.CancelAll, (), _WHY),
    "adjust": (c.AdjustPosition, ("symbol", "quantity"), _WHY),
    "move": (c.MovePositions, ("symbol",), _WHY),
    "settled": (c.SettlePositions, ("symbol",), _WHY),
    "split": (c.SplitPositions, ("symbol", "ratio"), _WHY),
    "resolve": (c.ResolveOrder, ("client_order_id", "status", "filled_quantity"), _WHY),
    "accept": (c.AcceptFill, ("fill_id", "symbol"), _WHY),
    "accept-account": (c.AcceptAccount, ("account",), {}),
    "retire": (c.RetireAccount, ("account",), _WHY),
    "reopen": (c.ReopenAccount, ("account",), {}),
    "accept-equity": (c.AcceptEquity, ("account",), _WHY),
    "accept-mark": (c.AcceptMark, ("symbol",), _WHY),
    "discard": (c.AcceptFill, ("fill_id", "symbol"), {**_WHY, "discard": True}),
    "clock": (c.ReportClock, ("wall",), {}),
    "reanchor": (c.ReanchorClock, ("wall",), _WHY),
    "restart-clock": (c.RestartClock, ("wall",), _WHY),
    "tick": (c.Tick, (), {}),
    "stop": (c.Stop, (), {}),
}


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"@?(-?[0-9.]+)([mhd]?)", text).groups()
    return round(float(number) * _UNITS[unit], 6)


class Story:
    """Tells a story line by line. The journal is folded along, and has to give the same state."""

    def __init__(self) -> None:
        self.parameters = Parameters(equity_confirmations=3)
        self.format = FORMAT
        self.engine, self.folded = Engine(), Engine()
        self.seq, self.now = 0, BASE

    def tell(self, line: str) -> list[str]:
        """What came of this line."""
        words = line.split()
        by = next((word.removeprefix("by=") for word in words if word.startswith("by=")), "p")
        words = [word for word in words if not word.startswith("by=")]
        if words[0] == "settings":
            self._settle(words[1:])
            return []
        if words[0] == "show":
            return [self._show(words[1:])]
        if not self.seq:
            self._put(self._start(()), None)
        before = self.engine.state.now  # behind a clock that was restarted, it is less than that of the last line
        self.now = max(round(BASE + seconds(words[0]), 6), round(before + 1e-6, 6))
        command, released = self._command(words[1], words[2:])
        if isinstance(command, c.Start) and start_in_doubt(self.engine.state, command):
            self.now = round(before + 1e-6, 6)
        told = []
        if self.now >= self.engine.deadline() and not isinstance(command, c.Start | c.Tick):
            told += [f"due: {event}" for event in self._put(c.Tick(), None)]
        try:
            validate(command)
        except Invalid as error:
            return [*told, f"invalid {error}"]
        return told + self._put(command, released, by)

    def _put(self, command: Any, released: int | None, by: str = "p") -> list[str]:
        before = repr(self.engine.state)
        try:
            outcome = self.engine.handle(
                command, seq=self.seq + 1, now=self.now, released_through_seq=released, principal=by
            )
        except Refused as refusal:
            assert repr(self.engine.state) == before
            return [f"refused ({refusal.code}) {refusal}"]
        if isinstance(outcome, Replayed):
            assert repr(self.engine.state) == before
            reasons = [_denial(denial) for denial in outcome.denials]
            return [" ".join(["replayed", "yes" if outcome.allowed else "no", *reasons])]
        self.seq += 1
        record = Record(
            seq=self.seq, ts=self.now, actor="a", principal=by, action="x", reason="", command=command,
            events=outcome.events,
        )  # fmt: skip
        self.folded.apply(decode(encode(record) + b"}"))
        assert repr(self.folded.state) == repr(self.engine.state)
        return [_event(event) for event in outcome.events] or ["nothing"]

    def _command(self, op: str, words: list[str]) -> tuple[Any, int | None]:
        released = None
        rest = []
        for word in words:
            if word.startswith("released="):
                released = int(word.removeprefix("released="))
            else:
                rest.append(word)
        if op == "start":
            return self._start(rest), released
        if op in ("set", "configure"):
            limits = dict(word.split("=") for word in rest)
            typed = {key: None if value == "none" else Decimal(value) for key, value in limits.items()}
            kind = c.SetLimits if op == "set" else c.ConfigureLimits
            return kind(set=typed, reason="because"), released
        if op == "unset":
            return c.UnsetLimits(keys=tuple(rest), reason="because"), released
        kind, names, always = _OPS[op]
        given = dict(always)
        plain_words = [word for word in rest if "=" not in word and word not in _FLAGS]
        given |= dict(zip(names, plain_words, strict=False))
        for word in rest:
            if word not in plain_words:
                key, _, value = word.partition("=")
                given[key] = value or True
        return kind(**{key: _typed(kind, key, value) for key, value in given.items()}), released

    def _start(self, words: Any) -> c.Start:
        extra = {}
        for word in words:
            key, _, value = word.partition("=")
            if key in ("latch", "wall", "restored"):
                extra[key] = BASE + seconds(value) if key == "wall" else value
            elif key in ("synchronised", "unconfigured"):
                extra[key] = value != "no"
            else:
                self._settle([word])
        return c.Start(version="t", format=self.format, parameters=self.parameters, **({"wall": self.now} | extra))

    def _settle(self, words: list[str]) -> None:
        for word in words:
            key, _, value = word.partition("=")
            symbol, dot, name = key.rpartition(".")
            if key == "format":
                self.format = int(value)
            elif symbol == "accounts":
                flags = {flag: True for flag in value.split(",") if flag}
                account = Account(**flags)
                self.parameters = replace(self.parameters, accounts={**self.parameters.accounts, name: account})
            elif dot:
                listed = dict(self.parameters.symbols)
                instrument = listed.get(symbol, Instrument())
                listed[symbol] = (
                    replace(instrument, **{name: _setting(Instrument, name, value)}) if name else instrument
                )
                self.parameters = replace(self.parameters, symbols=listed)
            else:
                self.parameters = replace(self.parameters, **{key: _setting(Parameters, key, value)})

    def _show(self, names: list[str]) -> str:
        state = self.engine.state
        facts: dict[str, Callable[[], Any]] = {
            "unfed": lambda: ",".join(unfed(state)) or "none",
            "risk": lambda: state.risk.state,
            "cause": lambda: state.risk.cause,
            "awaiting_admin": lambda: "yes" if state.risk.awaiting_admin else "no",
            "kill_switch": lambda: state.kill_switch.state,
            "gross": lambda: "unknown" if state.unpriced else plain(state.gross),
            "open": lambda: len(state.orders),
            "trades": lambda: state.trades_today,
            "day": lambda: state.trading_day,
            "equity": lambda: plain(state.equity),
            "peak": lambda: plain(state.peak),
            "day_equity": lambda: "none" if state.day_equity is None else plain(state.day_equity),
            "drawdown": lambda: plain(drawdown(state.equity, state.peak)),
            "until": lambda: "none" if state.risk.until is None else _relative(state.risk.until),
            "recovery_until": lambda: _relative(state.kill_switch.until),
            "now": lambda: _relative(state.now),
            "clock": lambda: state.clock_doubt.cause if state.clock_doubt else "trusted",
            "cancels": lambda: ",".join(state.cancels) or "none",
            "doubtful": lambda: len(state.doubtful),
            "positions": lambda: ",".join(f"{_place(*key)}:{plain(q)}" for key, q in state.positions.items()) or "none",
            "unsettled": lambda: ",".join(f"{a}/{s}" for a, names in state.unsettled.items() for s in names) or "none",
            "reserved": lambda: ",".join(f"{key[2]}:{plain(o.remaining)}" for key, o in state.orders.items()) or "none",
        }
        return " ".join(f"{name}={facts[name]()}" for name in names)


def _typed(kind: type, key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if key in ("ts", "as_of", "wall"):
        return BASE + seconds(value)
    if key == "minutes":
        return float(value)
    if key in ("accept", "fills", "orders"):
        return tuple(value.split(","))
    if key == "seq":
        return int(value)
    annotation = next(field.type for field in fields(kind) if field.name == key)
    return Decimal(value) if annotation is Decimal or Decimal in get_args(annotation) else value


def _setting(kind: type, key: str, text: str) -> Any:
    """`none` is the word itself where the setting has it, and nothing where it may be nothing."""
    if key == "aliases":
        return tuple(text.split(","))
    if key == "venues":
        return {name: Venue(fill_ids=said) for name, said in (pair.split(":") for pair in text.split(","))}
    try:
        settings = msgspec.convert({key: text}, kind, strict=False)
    except msgspec.ValidationError:
        if text != "none":
            raise
        settings = msgspec.convert({key: None}, kind)
    return getattr(settings, key)


def _relative(moment: float) -> str:
    return "@" + format(Decimal(repr(round(moment - BASE, 6))).normalize(), "f")


def _key(account: str, strategy: str, order: str) -> str:
    return order if (account, strategy) == ("default", "default") else f"{account}/{strategy}/{order}"


def _denial(denial: Any) -> str:
    numbers = [plain(number) for number in (denial.value, denial.limit) if number is not None]
    named = denial.missing or denial.share
    name = denial.reason if named is None else f"{denial.reason}({named})"
    return f"{name}[{' of '.join(numbers)}]" if numbers else name


def _event(event: AnyEvent) -> str:
    tag = type(event).__struct_config__.tag
    if isinstance(event, OrderDenied):
        most = event.max_reducing_quantity
        tail = [] if most is None else [f"(reduces at most {plain(most)})"]
        if event.cancel_first:
            tail.append(f"cancel_first={','.join(_key(*key) for key in event.cancel_first)}")
        return " ".join([tag, *(_denial(denial) for denial in event.denials), *tail])
    return " ".join([tag, *_words(event)])


def _words(event: AnyEvent) -> Iterator[str]:
    for field in fields(event):
        value = getattr(event, field.name)
        if value == field.default:
            continue
        match value:
            case True:
                yield field.name
            case Decimal():
                yield f"{field.name}={plain(value)}"
            case float() if field.name in ("valid_until", "until", "as_of", "since", "next_roll", "old", "new"):
                yield f"{field.name}={_relative(value)}"
            case EquityDoubt():
                run = f" run={','.join(map(plain, value.run))}" if value.run else ""
                yield f"doubted={plain(value.worst)}{run}" + (f" agreed={value.agreed}" if value.agreed else "")
            case tuple():
                yield f"{field.name}={','.join(_member(member) for member in value)}"
            case _:
                yield f"{field.name}={value:g}" if isinstance(value, float) else f"{field.name}={value}"


def _member(member: Any) -> str:
    match member:
        case str():
            return member
        case (account, strategy, order):
            return _key(account, strategy, order)
        case _ if hasattr(member, "reduce_to"):
            order = _key(member.account, member.strategy, member.client_order_id)
            return f"{order}->{plain(member.reduce_to)}"
        case (account, symbol):
            return f"{account}/{symbol}"
        case _ if hasattr(member, "quantity"):
            venue = "" if member.venue == "default" else f"@{member.venue}"
            leg = "" if member.position_side == "both" else f"/{member.position_side}"
            return f"{member.account}/{member.symbol}{venue}{leg}:{plain(member.quantity)}"
        case Flow():
            fits = "".join(f" {name}={n}" for name, n in (("fit", member.fits), ("without", member.fits_without)) if n)
            amount = "" if member.amount is None else f" {plain(member.amount)}"
            return f"{member.flow_id}{amount} {member.status}{fits}"
        case _ if hasattr(member, "client_order_id"):
            again = f"#{member.attempt}" if member.attempt > 1 else ""
            return f"{member.id}{again}:{_key(member.account, member.strategy, member.client_order_id)}"
        case _:
            old, new = ("none" if number is None else plain(number) for number in (member.old, member.new))
            return f"{member.key}:{old}->{new}"


def _place(account: str, venue: str, strategy: str, symbol: str, leg: str) -> str:
    """Where a position is; the venue and the leg only where they are said."""
    return (
        f"{account}/{strategy}/{symbol}{'' if venue == 'default' else '@' + venue}{'' if leg == 'both' else '/' + leg}"
    )
