"""The composition root: the only place that wires the parts, starts them in order and stops them in reverse.

Order of a start: lock the store, fold the journal, start the writer, journal the start and what was latched, make it
durable, and only then open the doors. Order of a stop: close the doors, answer what is in flight, journal the stop.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import setcontext
from typing import Any, Final

import uvloop

from weltklassebot import __version__, logs
from weltklassebot.api.bounds import of_doors
from weltklassebot.api.connections import Connections
from weltklassebot.api.doors import Doors
from weltklassebot.api.events import Events
from weltklassebot.api.history import History
from weltklassebot.api.lane import Lanes
from weltklassebot.api.listeners import Listeners
from weltklassebot.api.openapi import description_routes
from weltklassebot.api.peers import Peers
from weltklassebot.api.pushes import Pushes
from weltklassebot.api.reads import read_routes
from weltklassebot.api.routes import command_routes
from weltklassebot.api.server import HttpServer, StreamServer
from weltklassebot.api.stream import OrderStream
from weltklassebot.api.tokens import Tokens
from weltklassebot.core.commands import Halt, Start, Stop
from weltklassebot.core.numbers import EXACT
from weltklassebot.core.records import FORMAT
from weltklassebot.journal.errors import DISK_ERRORS, JournalError
from weltklassebot.journal.latch import read_latch
from weltklassebot.journal.recovery import Recovered
from weltklassebot.journal.store import make_directory
from weltklassebot.runtime.bounds import of_core, of_sequencer
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.commit import GroupCommit
from weltklassebot.runtime.descriptors import connections_that_fit
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.no_commit import NoCommit
from weltklassebot.runtime.opening import OpenStore, open_store
from weltklassebot.runtime.origin import Origin
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.publisher import Publisher
from weltklassebot.runtime.pulse import Pulse
from weltklassebot.runtime.recent import Recent
from weltklassebot.runtime.reload import Reload
from weltklassebot.runtime.rotation import Rotation
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.sockets import inherited_sockets
from weltklassebot.runtime.stall import Stall
from weltklassebot.runtime.systemd import feed_watchdog, notify, watchdog_seconds
from weltklassebot.runtime.upkeep import Upkeep
from weltklassebot.runtime.waiting import Waiting
from weltklassebot.runtime.watchdog import Watchdog
from weltklassebot.runtime.witness import Witness
from weltklassebot.settings import Settings

__all__ = ["serve"]

EXIT_OK: Final = 0
EXIT_FAULT: Final = 1
EXIT_DISK: Final = 74
EXIT_TRY_AGAIN: Final = 75
EXIT_CONFIGURATION: Final = 78
SEGMENT_AT_START_RECORDS: Final = 1000
"""A start closes the live file of the run before, unless it is so short that one file is easier to read."""
FAREWELL_SECONDS: Final = 0.25
"""How long a stop waits for connections that are there already: their requests may be on their way."""
LAST_WORDS_SECONDS: Final = 2.0
"""How long a daemon with a failed journal goes on denying before it ends."""
HANGING_SECONDS: Final = 1.0
"""For a writer that a disk holds up: it ends when the disk lets it, and keeps the store locked until then."""
START_AGAIN: Final = -1
"""No exit code: the disk that a start waited for can be written again."""
MOST_PATIENCE: Final = 16
"""A disk that takes probes and no journal is probed up to so many times more seldom."""


_EXIT_OF: Final = {errno.EADDRINUSE: EXIT_TRY_AGAIN, **dict.fromkeys(DISK_ERRORS - {errno.EROFS}, EXIT_DISK)}


def serve(settings: Settings, read_again: Callable[[], Settings]) -> int:
    """Run the daemon until it is told to stop or cannot go on. `read_again` is for a reload. Returns the exit code."""
    logs.configure(settings.runtime.log_level, settings.runtime.log_format)
    log = logs.logger(part="daemon")
    # The engine installs its context wherever it is not in force; in this thread it always is.
    setcontext(EXACT)
    try:
        make_directory(settings.runtime_dir, 0o755)
        with closing(Listeners(settings, inherited_sockets())) as listeners:
            patience = 1
            while (code := _serve_once(settings, read_again, listeners, log, patience)) == START_AGAIN:
                patience = min(patience * 2, MOST_PATIENCE)
            return code
    except JournalError as error:
        log.error("cannot_serve", problem=str(error))
        return error.exit_code
    except OSError as error:
        log.error("cannot_serve", problem=_plain_problem(error))
        return _EXIT_OF.get(error.errno or 0, EXIT_CONFIGURATION)


def _serve_once(
    settings: Settings, read_again: Callable[[], Settings], listeners: Listeners, log: Any, patience: int
) -> int:
    try:
        make_directory(settings.state_dir, 0o755)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
    with open_store(settings.risk_store_dir) as store:
        if store.failed is not None:
            log.error("store_not_open", problem=str(store.failed))
        else:
            _tell_recovery(log, store.recovered)
        return uvloop.run(_Daemon(settings, store, listeners, log, patience).run(read_again))


def _plain_problem(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _tell_recovery(log: Any, recovered: Recovered) -> None:
    log.info(
        "recovered", records=recovered.records, last_seq=recovered.last_seq, snapshot_seq=recovered.snapshot_seq
    )  # fmt: skip
    if recovered.torn is not None:
        log.warning("torn_end_cut", seq=recovered.torn.seq, bytes=recovered.torn.size, saved=str(recovered.torn.saved))
    if recovered.missing:
        log.warning("last_batch_incomplete", missing=recovered.missing)


class _Daemon:
    """One run, from an open store to an exit code."""

    def __init__(self, settings: Settings, store: OpenStore, listeners: Listeners, log: Any, patience: int) -> None:
        self._settings: Final = settings
        self._store: Final = store
        self._engine: Final = store.engine
        self._recovered: Final = store.recovered
        self._listeners: Final = listeners
        self._log: Final = log
        self._patience: Final = patience
        self._waiting: Waiting | None = None
        self._serving = False
        self._ended: asyncio.Future[int]
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def run(self, read_again: Callable[[], Settings]) -> int:
        loop = asyncio.get_running_loop()
        self._listeners.bind()
        self._ended = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, EXIT_OK)
        latch = RuntimeLatch(self._settings.runtime_dir, self._log)
        self._wire(latch)
        await self._journal_start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await self._open_doors()
        every_second = [self._stream.cut_off_silent, self._origin.note, *self._every_second()]
        self._watch(Pulse(self._sequencer, every_second).run())
        self._watch(self._redeliver())
        reload = Reload(self._sequencer, self._settings, read_again, self._log)
        self._watch(reload.run())
        loop.add_signal_handler(signal.SIGHUP, reload.ask)
        self._serving = True
        why = self._sequencer.failed
        notify("READY=1", f"STATUS=ready, seq {self._sequencer.seq}" if why is None else f"STATUS=denying: {why}")
        code = await self._ended
        if code != START_AGAIN:
            notify("STOPPING=1")
        await self._stop(code)
        return code

    def _every_second(self) -> list[Callable[[], None]]:
        """A daemon that cannot write looks after nothing but the disk."""
        journal = self._settings.journal
        if self._sequencer.failed is not None:
            store, seconds = self._settings.risk_store_dir, journal.probe_seconds * self._patience
            self._waiting = Waiting(store, seconds, self._log, lambda: self._end(START_AGAIN))
            return [self._waiting.every_second, feed_watchdog]
        if (interval := watchdog_seconds()) is not None:
            self._watch(Watchdog(self._sequencer, interval).run())
        stall = Stall(
            self._sequencer, journal.stall_seconds, journal.stall_fail_seconds, self._log, [self._stream.flush]
        )
        return [stall.every_second, self._upkeep.every_second]

    def _wire(self, latch: RuntimeLatch) -> None:
        settings, runtime = self._settings, self._settings.runtime
        metrics = self._metrics = Metrics()
        sequencer = self._sequencer = Sequencer(
            self._engine,
            Clock(self._recovered.last_ts),
            latch,
            last_seq=self._recovered.last_seq,
            max_pending=runtime.max_pending,
            mark_interval_seconds=runtime.mark_interval_ms / 1000,
            on_decided=metrics.stages["decide"].observe,
            on_turned_away=metrics.count_check,
        )
        metrics.sequencer = sequencer
        metrics.state_known = self._store.read
        publisher = Publisher(sequencer, metrics, self._journal_failed)
        recovered = self._recovered
        upkeep = self._upkeep = metrics.upkeep = Upkeep(
            sequencer, settings.risk_store_dir, settings.journal, recovered.snapshot_seq, self._log
        )
        recent = Recent(recovered.last_seq)
        sequencer.commit = self._commit(publisher, upkeep, recent)
        self._latch = latch
        origin = self._origin = Origin(settings.risk_store_dir, settings.runtime_dir, self._log)
        origin.commit = sequencer.commit
        peers = Peers({settings.auth.trade_group: "trader", settings.auth.admin_group: "operator"})
        places = self._places = Connections(connections_that_fit(runtime.max_connections, self._log), metrics)
        self._stream = OrderStream(sequencer, metrics, peers, places)
        pushes = self._pushes = Pushes(sequencer, self._stream)
        self._stream.on_subscribe.append(pushes.welcome)
        witness = Witness(self._engine.state, self._log)
        sequencer.on_stop.append(pushes.tell)
        sequencer.on_stop.append(witness.stop)
        publisher.consumers.append(witness.offer)
        publisher.after_batch.append(self._stream.flush)
        admin_peers = Peers({settings.auth.admin_group: "operator"})
        tokens = Tokens(settings.tokens_file)
        doors = Doors(tokens, admin_peers, metrics, runtime.request_timeout_seconds)
        metrics.bounds.extend(of_sequencer(sequencer))
        metrics.bounds.extend(of_doors(places, doors, self._stream, pushes, tokens))
        if self._store.read:
            metrics.bounds.extend(of_core(sequencer))
        history = History(settings.risk_store_dir)
        self._events = Events(sequencer, recent, history, doors, metrics)
        routes = [
            *command_routes(sequencer, metrics),
            *read_routes(sequencer, metrics, settings.risk_store_dir, history),
            self._events.route,
        ]
        self._http = HttpServer(
            doors,
            [*routes, *description_routes(routes)],
            places,
            Lanes(doors, sequencer, metrics, runtime.keepalive_seconds),
            keepalive_seconds=runtime.keepalive_seconds,
            shutdown_seconds=runtime.shutdown_timeout_seconds / 2,
        )
        self._stream_server = StreamServer(self._stream)

    def _commit(self, publisher: Publisher, upkeep: Upkeep, recent: Recent) -> GroupCommit | NoCommit:
        recovered, failed, journal = self._recovered, self._store.failed, self._settings.journal
        if failed is not None or self._store.writer is None:
            self._metrics.journal_errors += 1
            why = "" if failed is None else failed.why
            return NoCommit(why, chain=recovered.chain, durable_seq=recovered.last_seq)
        commit = GroupCommit(
            self._store.writer,
            chain=recovered.chain,
            rotation=Rotation(
                max_bytes=journal.segment_bytes,
                max_records=journal.segment_records,
                first_seq=recovered.last_seq - recovered.live_records + 1,
                records=recovered.live_records,
                size=recovered.live_bytes,
            ),
            on_durable=publisher.durable,
            on_failure=publisher.failed,
            on_rotated=upkeep.rotated,
            on_lines=recent.add,
        )
        commit.durable_seq = recovered.last_seq
        return commit

    async def _journal_start(self) -> None:
        """The first record: settings, wall clock, and what stops it: a latch, or a store that is not what was left.

        On a disk that refuses it, it holds in memory: the daemon denies by the limits and stops that are in force.
        """
        latch = read_latch(self._settings.runtime_dir)
        restored = ""
        if self._store.failed is None:
            try:
                restored = self._origin.ask(self._recovered, self._engine.state.format)
            except OSError as error:
                self._sequencer.commit.fail(f"store.id: {error.strerror or error}")
        start = Start(
            version=__version__,
            format=FORMAT,
            parameters=self._settings.parameters(),
            wall=self._sequencer.clock.wall(),
            latch=None if latch is None else latch.kind,
            latch_reason="" if latch is None else latch.reason,
            latch_ts=None if latch is None else latch.ts,
            restored=restored,
        )
        if not start.parameters.symbols:
            self._log.info("no_symbols", meaning="every symbol is worth quantity x price in the base currency")
        if self._recovered.live_records >= min(SEGMENT_AT_START_RECORDS, self._settings.journal.segment_records):
            self._sequencer.commit.rotate()
        hangs = asyncio.get_running_loop().call_later(
            self._settings.journal.stall_fail_seconds, self._sequencer.commit.fail, "the disk has not answered"
        )
        await self._sequencer.ask(start, DAEMON)
        if latch is not None and latch.halted and self._engine.state.risk.state != "HALTED":
            await self._sequencer.ask(Halt(reason="latched beside a kill", actor=latch.actor), DAEMON)
        self._sequencer.tick()
        hangs.cancel()
        if self._sequencer.failed is None:
            self._origin.settle(restored)

    async def _open_doors(self) -> None:
        settings = self._settings
        tcp, admin, orders = self._listeners.open()
        await self._http.start([tcp, admin])
        self._stream_server.start(orders)
        state, why = self._engine.state, self._sequencer.failed
        self._log.log(
            logging.INFO if why is None else logging.ERROR,
            "ready" if why is None else "denying",
            **({} if why is None else {"problem": why, "meaning": "nothing is approved until the disk can be written"}),
            url=f"http://{settings.host}:{tcp.getsockname()[1]}",
            admin=str(settings.admin_socket),
            orders=str(settings.orders_socket),
            store=str(settings.risk_store_dir),
            state=state.risk.state,
            kill_switch=state.kill_switch.state,
            seq=self._sequencer.seq,
        )

    async def _redeliver(self) -> None:
        while True:
            await asyncio.sleep(self._settings.runtime.redelivery_seconds)
            self._pushes.redeliver()

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
        """Latch, deny for a moment what still comes, end."""
        self._log.error("journal_failed", problem=why)
        self._latch.set("journal_failed", why, "daemon", self._sequencer.clock.now())
        notify(f"STATUS=journal failed: {why}")
        if self._serving:  # a start goes on with denials, and waits
            asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self._end, EXIT_DISK)

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
        self._http.stop_accepting()
        self._stream_server.stop_accepting()
        self._events.close()
        seconds = self._settings.runtime.shutdown_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                if sequencer.failed is None:
                    await self._places.empty(FAREWELL_SECONDS)
                sequencer.marks.flush_all()
                sequencer.closing = True
                await sequencer.commit.drained()
                self._stream_server.stop()
                await self._http.stop()
                if sequencer.failed is None:
                    await sequencer.ask(Stop(reason="" if code == EXIT_OK else f"exit code {code}"), DAEMON)
        except TimeoutError:
            self._log.error("stop_took_too_long", seconds=seconds)
        self._origin.note()
        self._upkeep.stop()
        if self._waiting is not None:
            self._waiting.stop()
        if self._store.writer is not None and sequencer.not_ready != "stopping":
            self._store.writer.close(HANGING_SECONDS)
        if code == START_AGAIN:
            self._log.info("starting_again", store=str(self._settings.risk_store_dir))
            return
        self._log.info("stopped", seq=sequencer.seq, durable_seq=sequencer.commit.durable_seq, code=code)
        sys.stdout.flush()
