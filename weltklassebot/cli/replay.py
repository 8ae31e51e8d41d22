"""audit replay: the journal folded again, decided again, decided under other limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot.cli.exits import DONE, REFUSED, Refused, Usage
from weltklassebot.cli.invocation import Command, Invocation, pass_invocation
from weltklassebot.cli.output import is_terminal, say
from weltklassebot.cli.store import dir_option, store_of
from weltklassebot.cli.values import limit_changes, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from weltklassebot.core.engine import Engine
    from weltklassebot.core.records import Record

__all__ = ["replay"]

PROGRESS_EVERY: Final = 5_000


@click.command("replay", cls=Command)
@click.option("--decide", is_flag=True, help="Decide every command again, and compare.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Decide under this limit instead; repeatable."
)
@click.option("--list", "most_listed", type=whole(0, 10_000), default=20, show_default=True, metavar="N",
              help="With --set: list the first N decisions that differ; all are counted.")  # fmt: skip
@click.option("--until", type=whole(1), metavar="SEQ", help="Stop behind this record.")
@dir_option
@pass_invocation
def replay(
    invocation: Invocation,
    decide: bool,
    changes: tuple[str, ...],
    most_listed: int,
    until: int | None,
    directory: Path | None,
) -> int:
    """Fold the journal and print the state that it leaves, as of record --until if that is given.

    With --decide every command is decided again before its record is folded, and what comes out is compared byte for
    byte; a difference is printed with its seq and ends in exit code 1. Where a rule of a newer version explains it, the
    rule is printed with it, it is counted by rule, and the exit code stays 0. Where retention deleted history, it
    begins with what is left, and `begins_behind_seq` says where that is.

    With --set every order is decided a second time under other limits, at its moment in history: positions, open
    orders, equity and stops are those that really were. An order that would have been denied still counts with its
    fills in what comes after it, and one that would have been approved does not; a halt that would have come is
    counted and not obeyed. So each difference stands for itself: what this limit, changed for this one decision,
    would have done. `cooldown_minutes` changes no decision by itself: cooldowns, too, are those that really were.

    Example: weltklassebot audit replay --set max_order_notional=10000 --set max_drawdown=0.1
    """
    from weltklassebot.core.engine import Engine
    from weltklassebot.core.views import summary
    from weltklassebot.journal.recovery import begin_earliest, iterate

    if decide and changes:
        raise Usage("--decide and --set ask for different things: one at a time")
    limits = _limits(changes)
    engine = Engine()
    store = store_of(invocation, directory)
    chain = begin_earliest(store, engine.restore)
    began = chain.last_seq
    if until is not None and until < began:
        raise Refused(f"{store}: what led to record {until} was deleted; the earliest state is that of {began}")
    from weltklassebot.core.what_if import WhatIf

    what_if = WhatIf(engine, limits, most_listed=most_listed) if limits else None
    count, rules = 0, dict.fromkeys(_RULES, 0)
    with _progress(store, began, until) as advance:
        for record in iterate(store, chain):
            if until is not None and record.seq > until:
                break
            if decide and (difference := _difference(engine, record)) is not None:
                rules[rule := _rule(engine)] += 1
                say(f"seq {record.seq} ({record.action}): {difference}{_RULES[rule]}")
            if what_if is not None:
                what_if.consider(record)
            engine.apply(record)
            count += 1
            if count % PROGRESS_EVERY == 0:
                advance(PROGRESS_EVERY)
        advance(count % PROGRESS_EVERY)
    if until is not None and began + count < until:
        raise Refused(f"{store}: there is no record {until}; the journal ends with {began + count}")
    answer: dict[str, Any] = {"records": count}
    if decide:
        answer["differing"] = rules.pop("")
        answer["differing_by_rule"] = rules
    if began:
        answer["begins_behind_seq"] = began
    if what_if is not None:
        invocation.show(answer | what_if.answer(), "\n".join(what_if.words(count)))
        return 0
    answer["state"] = summary(engine.state, engine.state.now) if began or count else None
    return invocation.verdict(answer, REFUSED if answer.get("differing") else DONE)


def _limits(changes: tuple[str, ...]) -> dict[str, Decimal | None]:
    """What --set says, checked as `limits set` checks it."""
    from weltklassebot.core.commands import SetLimits
    from weltklassebot.core.validation import Invalid, validate

    if not changes:
        return {}
    limits = {key: None if value is None else Decimal(value) for key, value in limit_changes(changes).items()}
    try:
        validate(SetLimits(set=limits, reason="what if"))
    except Invalid as error:
        raise Usage(f"--set {error.field.removeprefix('set.')}: {error.message}") from None
    return limits


@contextmanager
def _progress(store: Path, began: int, until: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, if that is a terminal."""
    from weltklassebot.journal.lines import head
    from weltklassebot.journal.query import Query, run

    if not is_terminal(sys.stderr):
        yield lambda _: None
        return
    newest = run(Query(directory=str(store), limit=1, newest=True)).records
    found = head(bytes(newest[0])) if newest else None
    last = min(int(found[1]) if found else 0, until or sys.maxsize)
    with click.progressbar(length=max(last - began, 1), label="replay", file=sys.stderr) as bar:
        yield bar.update


_RULES: Final = {
    "": "",
    "positions_by_venue": " (rule: since format 5 positions are kept per venue, and two venues never net)",
}
"""Of newer versions, by which old records may be decided otherwise."""


def _rule(engine: Engine) -> str:
    """Which rule of a newer version may decide otherwise at this moment of the journal."""
    from weltklassebot.core.venue_sums import stands_at_several_venues

    state = engine.state
    return "positions_by_venue" if not state.fitting and stands_at_several_venues(state) else ""


def _difference(engine: Engine, record: Record) -> str | None:
    """What is decided now against what was recorded, if they differ."""
    import msgspec

    from weltklassebot.core.events import ApprovalsWithdrawn

    withdrawn = next((event for event in record.events if isinstance(event, ApprovalsWithdrawn)), None)
    released = withdrawn.released_through_seq if withdrawn is not None else None
    try:
        events = engine.decide(
            record.command, seq=record.seq, now=record.ts, released_through_seq=released, principal=record.principal
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the record is not what this program decides
        return f"recorded, and refused now: {type(error).__name__}: {error}"
    then, now = msgspec.json.encode(record.events), msgspec.json.encode(events)
    return None if then == now else f"recorded {then.decode()}, decided now {now.decode()}"
