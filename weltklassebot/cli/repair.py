"""audit repair: what a damaged store has lost, and, when somebody says so, a store that starts again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.invocation import Command, Invocation, actor_option, pass_invocation
from weltklassebot.cli.store import dir_option, store_of

if TYPE_CHECKING:
    from weltklassebot.journal.repair import Repair

__all__ = ["repair"]

MOST_SHOWN: Final = 20


@click.command("repair", cls=Command)
@click.option("--apply", "wanted", is_flag=True, help="Do it. Without it nothing is changed.")
@click.option("--reason", metavar="R", help="Why; with --apply. It stays in the record of the next start.")
@actor_option
@dir_option
@pass_invocation
def repair(invocation: Invocation, wanted: bool, reason: str | None, actor: str, directory: Path | None) -> None:
    """Say what is damaged and what a repair would lose; with --apply, do it. The daemon must be stopped.

    Every file that it touches is kept whole in damaged-TIME/ in the store. Records behind the first that cannot be
    trusted are lost: the journal is cut there. Damage in old history, before a snapshot that is whole, costs history
    alone. The next start is HALTED and says what was lost; positions and orders have to be compared with the venues
    before anybody resumes.

    Example: weltklassebot audit repair --apply --reason "bad sector on /dev/sdb"
    """
    from weltklassebot.journal.damage import look
    from weltklassebot.journal.repair import apply, describe
    from weltklassebot.journal.store import StoreLock

    if wanted and not reason:
        raise Usage("--apply needs --reason")
    store = store_of(invocation, directory)
    with StoreLock(store):
        plan = look(store)
        if not plan.bad:
            invocation.show({"damaged": False, "last_seq": plan.last_seq}, f"{store}: nothing to repair")
            return
        done = apply(store, plan, actor=actor, reason=reason, now=time.time()) if reason and wanted else describe(plan)
    tell = invocation.act if wanted else invocation.show
    tell(_answer(done, applied=wanted), "\n".join(_words(done, applied=wanted)))


def _answer(done: Repair, *, applied: bool) -> dict[str, Any]:
    import msgspec

    answer: dict[str, Any] = msgspec.to_builtins(done)
    bad = [{"file": file, "line": line, "problem": problem} for file, line, problem in done.bad]
    return {"damaged": True, "applied": applied, **answer, "bad": bad, "summary": done.words()}


def _words(done: Repair, *, applied: bool) -> list[str]:
    said = [f"{file}, line {line}: {problem}" for file, line, problem in done.bad]
    verb = "is" if applied else "would be"
    said.append(f"the journal {verb} cut behind record {done.last_seq}" if done.lost else "no record behind it is cut")
    said.append(done.words())
    if done.lost is not None:
        said += _named("approved", done.lost.orders, done.lost.approvals)
        said += _named("stop", done.lost.stops_named, done.lost.stops)
    said.append(f"saved in {done.saved}" if applied else f"would be saved: {', '.join(done.aside) or 'no file'}")
    if applied:
        said.append("the next start is HALTED: compare positions and orders with the venues, then resume")
    else:
        said.append('nothing was changed; --apply --reason "..." does it')
    return said


def _named(what: str, names: list[str], count: int) -> list[str]:
    shown = [f"  {what}: {name}" for name in names[:MOST_SHOWN]]
    more = count - len(shown)
    return shown + ([f"  and {more} more (--json names up to 1,000)"] if more > 0 else [])
