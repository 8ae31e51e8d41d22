"""One run of the daemon: the parts are started in order and stopped in reverse.

Order of a start: lock the store, fold the journal, start the writer, journal the start and what was latched, make it
durable, and only then open the doors. Order of a stop: close the doors, answer what is in flight, journal the stop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from weltklassebot import __version__
from weltklassebot.api.bindings import MOST_NAMED, bound_operators, unbound_traders, unknown_principals
from weltklassebot.api.listeners import Listeners
from weltklassebot.api.socket_watch import SocketWatch
from weltklassebot.app.wiring import Parts, wire
from weltklassebot.core.clock import start_in_doubt
from weltklassebot.core.commands import Halt, Start, Stop
from weltklassebot.core.plain_text import clean_actor, clean_reason
from weltklassebot.core.records import FORMAT
from weltklassebot.core.views import unnamed_accounts, unsettled
from weltklassebot.journal.latch import read_latch
from weltklassebot.journal.wall_clock import synchronised
from weltklassebot.logs import KEEP
from weltklassebot.runtime.child import children
from weltklassebot.runtime.latch_watch import LatchWatch
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.opening import OpenStore
from weltklassebot.runtime.orphans import Orphans
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.process_one import is_process_one
from weltklassebot.runtime.pulse import Pulse
from weltklassebot.runtime.reload import Reload
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.stall import Stall
from weltklassebot.runtime.systemd import feed_watchdog, notify, watchdog_seconds
from weltklassebot.runtime.waiting import Waiting
from weltklassebot.runtime.watchdog import Watchdog
from weltklassebot.settings import Settings

__all__ = ["Daemon"]

EXIT_OK: Final = 0
EXIT_FAULT: Final = 70
EXIT_DISK: Final = 74
EXIT_TRY_AGAIN: Final = 75
EXIT_CONFIGURATION: Final = 78
SEGMENT_AT_START_RECORDS: Final = 1000
"""A start closes the live file of the run before, unless it is so short that one file is easier to read."""
FAREWELL_SECONDS: Final = 0.25
"""How long a stop waits for connections that are there already: their requests may be on their way."""
LAST_WORDS_SECONDS: Final = 2.0
"""How long a daemon with a failed journal goes on denying before it ends."""
LAST_CHECKPOINT_SECONDS: Final = 1.5
"""For the one that a stop is signed with, where there is a key."""
HANGING_SECONDS: Final = 1.0
"""For a writer that a disk holds up: it ends when the disk lets it, and keeps the store locked until then."""
MOST_UNSETTLED_TOLD: Final = 100
START_AGAIN: Final = -1
"""No exit code: the disk that a start waited for can be written again."""


class Daemon:
    """One run, from an open store to an exit code."""

    def __init__(
        self, settings: Settings, store: OpenStore, listeners: Listeners, log: Any, patience: int, *, configured: bool
    ) -> None:
        self._settings: Final = settings
        self._store: Final = store
        self._engine: Final = store.engine
        self._recovered: Final = store.recovered
        self._listeners: Final = listeners
        self._log: Final = log
        self._patience: Final = patience
        self._configured: Final = configured
        self._waiting: Waiting | None = None
        self._serving = False
        self._latch: RuntimeLatch
        self._parts: Parts
        self._sockets: SocketWatch
        self._ended: asyncio.Future[int]
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def run(self, read_again: Callable[[], Settings]) -> int:
        loop = asyncio.get_running_loop()
        self._listeners.bind()
        self._ended = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, EXIT_OK)
        self._latch = RuntimeLatch(self._settings.runtime_dir, self._log)
        self._parts = wire(self._settings, self._store, self._latch, self._log, self._journal_failed)
        await self._journal_start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await self._open_doors()
        self._watch(Pulse(self._sequencer, [*self._always(), *self._every_second()]).run())
        self._watch(self._redeliver())
        reload = Reload(self._sequencer, self._settings, read_again, self._log)
        self._watch(reload.run())
        loop.add_signal_handler(signal.SIGHUP, reload.ask)
        if is_process_one():
            self._watch(Orphans(self._own_children).run())
        self._serving = True
        why = self._sequencer.failed
        notify("READY=1", f"STATUS=ready, seq {self._sequencer.seq}" if why is None else f"STATUS=denying: {why}")
        code = await self._ended
        if code != START_AGAIN:
            notify("STOPPING=1")
        await self._stop(code)
        return code

    def _always(self) -> list[Callable[[], None]]:
        """What is looked after whether the disk can be written or not. The sockets first: they make the directory."""
        parts = self._parts
        latch = LatchWatch(self._latch, self._sequencer, self._log)
        silent = [parts.stream.cut_off_silent, parts.http.cut_off_silent]
        return [*silent, self._sockets.every_second, latch.every_second, parts.origin.note]

    def _every_second(self) -> list[Callable[[], None]]:
        """A daemon that cannot write looks after nothing but the disk."""
        journal = self._settings.journal
        if self._sequencer.failed is not None:
            store, seconds = self._settings.risk_store_dir, journal.probe_seconds * self._patience
            self._waiting = Waiting(store, seconds, self._log, lambda: self._end(START_AGAIN))
            return [self._waiting.every_second, feed_watchdog]
        if (interval := watchdog_seconds()) is not None:
            self._watch(Watchdog(self._sequencer, interval).run())
        flush = [self._parts.stream.flush]
        stall = Stall(self._sequencer, journal.stall_seconds, journal.stall_fail_seconds, self._log, flush)
        parts = self._parts
        return [
            stall.every_second, parts.sequencer.commit.look, parts.upkeep.every_second, parts.checkpoints.every_second,
        ]  # fmt: skip

    @property
    def _sequencer(self) -> Sequencer:
        return self._parts.sequencer

    async def _journal_start(self) -> None:
        """The first record: settings, wall clock, and what stops it: a latch, or a store that is not what was left.

        On a disk that refuses it, it holds in memory: the daemon denies by the limits and stops that are in force.
        """
        latch = read_latch(self._settings.runtime_dir)
        if latch is not None:
            self._latch.adopt(latch)
        restored = ""
        if self._store.failed is None:
            try:
                restored = self._parts.origin.ask(self._recovered, self._engine.state.format)
            except OSError as error:
                self._sequencer.commit.fail(f"store.id: {error.strerror or error}")
        start = Start(
            version=__version__,
            format=FORMAT,
            parameters=self._settings.parameters(),
            wall=self._sequencer.clock.wall(),
            latch=None if latch is None else latch.kind,
            latch_reason="" if latch is None else clean_reason(latch.reason)[0],
            latch_ts=None if latch is None else latch.ts,
            latch_actor="" if latch is None else clean_actor(latch.actor)[0] or "",
            restored=restored,
            synchronised=synchronised(),
            unconfigured=not self._configured,
        )
        if not start_in_doubt(self._engine.state, start):
            self._sequencer.clock.jump(start.wall)
        if not start.parameters.symbols:
            self._log.info("no_symbols", meaning="every symbol is worth quantity x price in the base currency")
        if self._recovered.live_records >= min(SEGMENT_AT_START_RECORDS, self._settings.journal.segment_records):
            self._sequencer.commit.rotate()
        hangs = asyncio.get_running_loop().call_later(
            self._settings.journal.stall_fail_seconds, self._sequencer.commit.fail, "the disk has not answered"
        )
        await self._sequencer.ask(start, DAEMON)
        self._tell_who_is_who()
        if rows := list(islice(unsettled(self._engine.state), MOST_UNSETTLED_TOLD)):
            count = sum(map(len, self._engine.state.unsettled.values()))
            self._log.warning("venue_unsettled", count=count, places=rows, help="runbooks/alerts/VenueUnsettled.md")
        if latch is not None and latch.halted and self._engine.state.risk.state != "HALTED":
            await self._sequencer.ask(Halt(reason="latched beside a kill", actor=start.latch_actor or None), DAEMON)
        if latch is not None:
            self._latch.take(latch)
        self._sequencer.tick()
        hangs.cancel()
        if self._sequencer.failed is None:
            self._parts.origin.settle(restored)

    def _tell_who_is_who(self) -> None:
        if names := unnamed_accounts(self._engine.state):
            self._log.warning("unnamed_accounts", accounts=names, meaning="not in [accounts]: they may only close")
        tokens = self._parts.tokens.all()
        if names := unbound_traders(self._settings, tokens):
            self._log.warning(
                "unbound_traders", traders=names[:MOST_NAMED], count=len(names),
                meaning="bound to no account, strategy or kind: they may speak for all of them",
            )  # fmt: skip
        if names := bound_operators(self._settings):
            self._log.warning("bound_operators", users=names[:MOST_NAMED], meaning="[users] binds no operator")
        if names := unknown_principals(self._settings, tokens):
            meaning = "in the settings, and nobody is named so"
            self._log.warning("unknown_principals", names=names[:MOST_NAMED], meaning=meaning)

    async def _open_doors(self) -> None:
        settings = self._settings
        tcp, admin, orders = self._listeners.open()
        await self._parts.http.start([tcp, admin])
        self._parts.stream_server.start(orders)
        parts = self._parts
        self._sockets = SocketWatch(
            self._listeners, {"admin": parts.http.move, "orders": parts.stream_server.move}, parts.metrics, self._log
        )
        self._sockets.every_second()  # before it says that it is ready: what was handed over may have lost its path
        state, known, why = self._engine.state, self._store.read, self._sequencer.failed
        self._log.log(
            logging.INFO if why is None else logging.ERROR,
            "ready" if why is None else "denying",
            **({} if why is None else {"problem": why, "meaning": "nothing is approved until the disk can be written"}),
            url=_url(settings.host, tcp.getsockname()[1]),
            admin=str(settings.admin_socket),
            orders=str(settings.orders_socket),
            store=str(settings.risk_store_dir),
            state=state.risk.state if known else "unknown",
            kill_switch=state.kill_switch.state if known else "unknown",
            seq=self._sequencer.seq if known else None,
        )

    async def _redeliver(self) -> None:
        while True:
            await asyncio.sleep(self._settings.runtime.redelivery_seconds)
            self._parts.pushes.redeliver()

    def _own_children(self) -> set[int]:
        writer = self._store.writer
        return children() if writer is None else {*children(), writer.pid}

    def _watch(self, work: Any) -> None:
        """A task's death is the process's death."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self._log.error("task_died", exc_info=task.exception())
        self._end(EXIT_FAULT)

    def _journal_failed(self, why: str) -> None:
        """Latch, deny for a moment what still comes, end. Answers go before words."""
        loop = asyncio.get_running_loop()
        if self._serving:  # a start goes on with denials, and waits
            loop.call_later(LAST_WORDS_SECONDS, self._end, EXIT_DISK)
        loop.call_soon(self._tell_failure, why)
        self._latch.set("journal_failed", why, "daemon", self._sequencer.clock.now())

    def _tell_failure(self, why: str) -> None:
        self._log.error("journal_failed", problem=why, **{KEEP: True})
        notify(f"STATUS=journal failed: {why}")

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    async def _stop(self, code: int) -> None:
        """Within the shutdown timeout: nobody new, what was asked is answered, nothing is taken any more.

        Who connects from here on is the next process's, if systemd holds the sockets.
        """
        for task in self._tasks:
            task.cancel()
        sequencer = self._sequencer
        self._parts.http.stop_accepting()
        self._parts.stream_server.stop_accepting()
        self._parts.events.close()
        seconds = self._settings.runtime.shutdown_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                if sequencer.failed is None:
                    await self._parts.places.empty(FAREWELL_SECONDS)
                sequencer.marks.flush_all()
                sequencer.closing = True
                await sequencer.commit.drained()
                self._parts.stream_server.stop()
                await self._parts.http.stop()
                if sequencer.failed is None:
                    await sequencer.ask(Stop(reason="" if code == EXIT_OK else f"exit code {code}"), DAEMON)
        except TimeoutError:
            self._log.error("stop_took_too_long", seconds=seconds)
        await self._parts.checkpoints.last(LAST_CHECKPOINT_SECONDS)
        self._parts.origin.note()
        self._parts.uncounted.stop()
        self._parts.upkeep.stop()
        self._parts.checkpoints.stop()
        self._parts.history.close()
        if self._waiting is not None:
            self._waiting.stop()
        if self._store.writer is not None and sequencer.not_ready != "stopping":
            self._store.writer.close(HANGING_SECONDS)
        if code == START_AGAIN:
            self._log.info("starting_again", store=str(self._settings.risk_store_dir))
            return
        self._log.info("stopped", seq=sequencer.seq, durable_seq=sequencer.commit.durable_seq, code=code)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
