"""kill-switch: stops everything, also with the daemon stopped."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from weltklassebot.cli.exits import BadConfiguration, CommandError, Fault, NotReachable, Refused, TryAgain
from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation
from weltklassebot.cli.output import say
from weltklassebot.cli.stop_words import StopCommand, StopWords

if TYPE_CHECKING:
    from weltklassebot.journal.latch import Latch
    from weltklassebot.settings import Directories

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
    invocation.show(invocation.get("/v1/state", lenient=True)["kill_switch"])


@kill_switch.command("trigger", cls=StopCommand)
@pass_invocation
def trigger(invocation: Invocation, words: StopWords) -> None:
    """Kill: deny everything from now on.

    With the daemon stopped, or silent for five seconds, it is latched in the runtime directory, and recorded in the
    journal where that can be written: the next start comes up killed. It is never refused for its words, nor for
    settings that are wrong, and it does not wait until somebody can read what it says.

    Example: weltklassebot kill-switch trigger --reason "runaway strategy"
    """
    local = True
    try:
        client = invocation.client(PATIENCE_SECONDS, lenient=True)
        local = client.is_local
        answer = client.request("POST", "/v1/kill-switch/trigger", body=words.body())
    except (NotReachable, TryAgain, Fault, BadConfiguration) as unreachable:
        if not local:
            raise
        offline = _trigger_offline(invocation.directories(), words)
        # It is done as far as it goes: from here on it is words alone.
        _tell(invocation, unreachable, offline, words)
        return
    invocation.act(words.beside(answer))


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
    invocation.act(invocation.post("/v1/kill-switch/recover", body))


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
    invocation.act(invocation.post("/v1/kill-switch/complete-recovery", body))


class _Offline(NamedTuple):
    """How far a kill came without a daemon's answer. Either step alone makes the next start come up killed."""

    latched: Exception | None
    """None: it is latched; else why not."""
    recorded: BaseException | None
    daemon: str
    """What is known of one."""
    problem: str | None
    """With the directory in which it is latched: a kill is done there all the same, and nothing there is believed."""


def _trigger_offline(directories: Directories, words: StopWords) -> _Offline:
    """Latch it, then record it. Says nothing and raises nothing: no failure of one step stops the other."""
    from weltklassebot.core.plain_text import NO_REASON

    reason, actor = words.reason or NO_REASON, words.actor or f"uid={os.getuid()}"
    latch, latched = None, None
    recorded: BaseException | None = None
    try:
        latch = _latch(directories.runtime_dir, directories.risk_store_dir, reason, actor)
    except Exception as error:  # noqa: BLE001 - whatever it is, the record is tried as well
        latched = error
    try:
        _record(directories.risk_store_dir, reason, actor)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is latched, and that has to be said
        recorded = error
    problem = _problem(directories.runtime_dir)
    daemon = _daemon(None if problem else directories.runtime_dir, latch, recorded)
    return _Offline(latched, recorded, daemon, problem)


def _problem(runtime_dir: Path | None) -> str | None:
    from weltklassebot.journal.ownership import ownership_problem

    with suppress(OSError):
        return None if runtime_dir is None else ownership_problem(runtime_dir, another=True)
    return None


def _make(runtime_dir: Path, store: Path | None) -> None:
    """If it is missing. The daemon has to be able to use it: root gives it to the owner of the store."""
    from weltklassebot.journal.anchor import make_directory

    if runtime_dir.is_dir():
        return
    make_directory(runtime_dir.parent, 0o755)
    with suppress(FileExistsError):
        runtime_dir.mkdir()
    made = os.open(runtime_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(made, 0o755)
        if os.geteuid() == 0 and store is not None:
            with suppress(OSError):
                owner = store.stat()
                os.fchown(made, owner.st_uid, owner.st_gid)
    finally:
        os.close(made)


def _latch(runtime_dir: Path | None, store: Path | None, reason: str, actor: str) -> Latch:
    from weltklassebot.journal.errors import LatchNotSet
    from weltklassebot.journal.latch import set_latch

    if runtime_dir is None:
        raise Refused("not latched: nothing says where the runtime directory is (WELTKLASSE_RUNTIME_DIR)")
    _make(runtime_dir, store)
    try:
        return set_latch(runtime_dir, kind="kill", reason=reason, actor=actor, ts=time.time())
    except LatchNotSet as error:  # what it says is for a daemon that runs
        raise Refused(f"{error.path}: {os.strerror(error.errno)}") from None


def _record(store: Path | None, reason: str, actor: str) -> None:
    from weltklassebot.core.commands import TriggerKillSwitch
    from weltklassebot.journal.offline import JsonlStateStore

    if store is None:
        raise Refused("not recorded: nothing says where the journal is (WELTKLASSE_RISK_STORE_DIR)")
    JsonlStateStore(store).run(TriggerKillSwitch(reason=reason, actor=actor), actor=actor)


def _daemon(runtime_dir: Path | None, latch: Latch | None, recorded: BaseException | None) -> str:
    """A daemon that runs looks at the latch once a second, and marks it as taken."""
    from weltklassebot.journal.errors import StoreLocked
    from weltklassebot.journal.latch import wait_until_taken

    if recorded is None:
        return "none is running"  # nobody else held the store
    with suppress(Exception, KeyboardInterrupt):
        if latch is not None and runtime_dir is not None and wait_until_taken(runtime_dir, latch=latch):
            return TOOK_IT
    return "does not answer: end it" if isinstance(recorded, StoreLocked) else "none took it"


def _tell(invocation: Invocation, unreachable: CommandError, offline: _Offline, words: StopWords) -> None:
    """What came of it. Raises `Refused` where somebody has more to do."""
    from weltklassebot.core.plain_text import clean_reason
    from weltklassebot.journal.errors import StoreLocked

    done: dict[str, Any] = {
        "latched": offline.latched is None, "recorded": offline.recorded is None, "daemon": offline.daemon,
    }  # fmt: skip
    if missing := clean_reason(words.reason)[1]:
        done["notices"] = missing
    say(str(unreachable))
    if offline.problem is not None:
        say(f"warning: {offline.problem}; until then no daemon starts there, and what it says is not believed")
    if offline.daemon != TOOK_IT:  # one that did holds the store, and it is the one that records
        for problem in (offline.latched, offline.recorded):
            if problem is not None:
                say(str(problem) or type(problem).__name__)
    locked = isinstance(offline.recorded, StoreLocked) and offline.daemon != TOOK_IT
    if offline.latched is not None and offline.recorded is not None and not locked:
        raise Refused("the kill was neither latched nor recorded: run it as root or as the daemon's user")
    invocation.act(words.beside(done))
    if locked:
        holds = "the next start comes up killed" if offline.latched is None else "nothing was latched"
        raise Refused(f"a process that does not answer holds the store: end it; {holds}")
