"""kill-switch: stops everything, also with the daemon stopped."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import click

from weltklassebot.cli.exits import NotReachable, Refused
from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["kill_switch"]

PATIENCE_SECONDS: Final = 5.0
"""For a daemon that does not answer: after that the kill is latched without it."""

TOOK_IT: Final = "took it"


@click.group("kill-switch", cls=Group)
def kill_switch() -> None:
    """Deny everything and ask for every order's cancellation.

    Example: weltklassebot kill-switch trigger --reason "runaway strategy"
    """


@kill_switch.command("status", cls=Command)
@pass_invocation
def status(invocation: Invocation) -> None:
    """The state of the kill switch, and the cancellations that nobody confirmed.

    Example: weltklassebot kill-switch status --json
    """
    invocation.show(invocation.get("/v1/state")["kill_switch"])


@kill_switch.command("trigger", cls=Command)
@reason_option
@actor_option
@pass_invocation
def trigger(invocation: Invocation, reason: str, actor: str) -> None:
    """Kill: deny everything from now on.

    With the daemon stopped, or silent for five seconds, it is latched in the runtime directory, and recorded in the
    journal where that can be written: the next start comes up killed.

    Example: weltklassebot kill-switch trigger --reason "runaway strategy"
    """
    client = invocation.client(PATIENCE_SECONDS)
    try:
        answer = client.request("POST", "/v1/kill-switch/trigger", body={"reason": reason, "actor": actor})
    except NotReachable as unreachable:
        if not client.is_local:
            raise
        click.echo(f"weltklassebot: {unreachable}", err=True)
        answer = _trigger_offline(invocation, reason, actor)
    invocation.show(answer)


@kill_switch.command("recover", cls=Command)
@click.option("--approved-by", required=True, metavar="A", help="Who decided that trading may go on.")
@click.option("--reason", metavar="R", help="Why; it stays in the record.")
@actor_option
@pass_invocation
def recover(invocation: Invocation, approved_by: str, reason: str | None, actor: str) -> None:
    """Begin the way back. Everything stays denied until complete-recovery.

    Example: weltklassebot kill-switch recover --approved-by head-of-desk
    """
    body = {"approved_by": approved_by, "reason": reason, "actor": actor}
    invocation.show(invocation.post("/v1/kill-switch/recover", body))


@kill_switch.command("complete-recovery", cls=Command)
@click.option("--accept", multiple=True, metavar="ID", help="A cancel request that stays unconfirmed; may be repeated.")
@click.option("--reason", metavar="R", help="Why; it stays in the record.")
@actor_option
@pass_invocation
def complete_recovery(invocation: Invocation, accept: tuple[str, ...], reason: str | None, actor: str) -> None:
    """End it: ACTIVE again, once the recovery's cooldown is over and every cancellation is confirmed or accepted.

    Example: weltklassebot kill-switch complete-recovery --accept c412-1
    """
    body = {"accept": list(accept) or None, "reason": reason, "actor": actor}
    invocation.show(invocation.post("/v1/kill-switch/complete-recovery", body))


def _trigger_offline(invocation: Invocation, reason: str, actor: str) -> dict[str, Any]:
    """Latch it and record it. Either alone makes the next start come up killed, so one failure stops neither."""
    from weltklassebot.core.commands import TriggerKillSwitch
    from weltklassebot.core.validation import validate
    from weltklassebot.journal.errors import JournalError, LatchNotSet, StoreLocked
    from weltklassebot.journal.latch import set_latch
    from weltklassebot.journal.offline import JsonlStateStore

    command = TriggerKillSwitch(reason=reason, actor=actor)
    validate(command)
    settings = invocation.settings()
    answer: dict[str, Any] = {"latched": False, "recorded": False}
    problems: list[Exception] = []
    try:
        settings.runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        set_latch(settings.runtime_dir, kind="kill", reason=reason, actor=actor, ts=time.time())
        answer["latched"] = True
    except LatchNotSet as error:  # what it says is for a daemon that runs
        problems.append(Refused(f"{error.path}: {os.strerror(error.errno)}"))
    except (OSError, JournalError) as error:
        problems.append(error)
    try:
        JsonlStateStore(settings.risk_store_dir).run(command, actor=actor)
        answer["recorded"] = True
    except (OSError, JournalError) as error:
        problems.append(error)
    locked = any(isinstance(problem, StoreLocked) for problem in problems)
    answer["daemon"] = _daemon(settings.runtime_dir, answer, locked=locked)
    if answer["daemon"] == TOOK_IT:
        problems = []  # it holds the store, and it is the one who records
    for problem in problems:
        click.echo(f"weltklassebot: {problem}", err=True)
    if locked and problems:
        invocation.show(answer)
        holds = "the next start comes up killed" if answer["latched"] else "nothing was latched"
        raise Refused(f"a process that does not answer holds the store: end it; {holds}")
    if len(problems) > 1:
        raise Refused("the kill was neither latched nor recorded: run it as root or as the daemon's user")
    return answer


def _daemon(runtime_dir: Path, done: dict[str, Any], *, locked: bool) -> str:
    """What is known of a daemon: one that runs looks at the latch once a second, and marks it as taken."""
    from weltklassebot.journal.latch import wait_until_taken

    if done["recorded"]:
        return "none is running"  # nobody else held the store
    if done["latched"] and wait_until_taken(runtime_dir):
        return TOOK_IT
    return "does not answer: end it" if locked else "none took it"
