"""The composition root: the only place that wires the parts, starts them in order and stops them in reverse.

Order of a start: lock the store, fold the journal, start the writer, journal the start and what was latched, make it
durable, and only then open the doors. Order of a stop: close the doors, answer what is in flight, journal the stop.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable
from decimal import setcontext
from typing import Any, Final

import uvloop

from weltklassebot import __version__, logs
from weltklassebot.api.connections import Connections
from weltklassebot.api.doors import Doors
from weltklassebot.api.listeners import Listeners
from weltklassebot.api.peers import Peers
from weltklassebot.api.pushes import Pushes
from weltklassebot.api.reads import read_routes
from weltklassebot.api.routes import command_routes
from weltklassebot.api.server import HttpServer, StreamServer
from weltklassebot.api.stream import OrderStream
from weltklassebot.api.tokens import Tokens
from weltklassebot.core.commands import Halt, Start, Stop
from weltklassebot.core.engine import Engine
from weltklassebot.core.manager import FORMAT
from weltklassebot.core.numbers import EXACT
from weltklassebot.journal.errors import JournalError
from weltklassebot.journal.latch import read_latch
from weltklassebot.journal.recovery import Recovered, recover
from weltklassebot.journal.store import StoreLock, make_directory
from weltklassebot.journal.writer import WriterProcess
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.commit import GroupCommit
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.publisher import Publisher
from weltklassebot.runtime.pulse import Pulse
from weltklassebot.runtime.reload import Reload
from weltklassebot.runtime.rotation import Rotation
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.sockets import inherited_sockets
from weltklassebot.runtime.systemd import notify, watchdog_seconds
from weltklassebot.runtime.upkeep import Upkeep
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


_EXIT_OF: Final = {
    errno.EADDRINUSE: EXIT_TRY_AGAIN,
    errno.EIO: EXIT_DISK,
    errno.ENOSPC: EXIT_DISK,
    errno.EDQUOT: EXIT_DISK,
}


def serve(settings: Settings, read_again: Callable[[], Settings]) -> int:
    """Run the daemon until it is told to stop or cannot go on. `read_again` is for a reload. Returns the exit code."""
    logs.configure(settings.runtime.log_level, settings.runtime.log_format)
    log = logs.logger(part="daemon")
    # The engine installs its context wherever it is not in force; in this thread it always is.
    setcontext(EXACT)
    try:
        held = inherited_sockets()
        for directory in (settings.state_dir, settings.runtime_dir):
            make_directory(directory, 0o755)
        with StoreLock(settings.risk_store_dir) as lock:
            engine = Engine()
            recovered = recover(settings.risk_store_dir, engine.apply, engine.restore)
            _tell_recovery(log, recovered)
            with WriterProcess.start(lock) as writer:
                return uvloop.run(_Daemon(settings, engine, recovered, writer, log).run(held, read_again))
    except JournalError as error:
        log.error("cannot_serve", problem=str(error))
        return error.exit_code
    except OSError as error:
        log.error("cannot_serve", problem=_plain_problem(error))
        return _EXIT_OF.get(error.errno or 0, EXIT_CONFIGURATION)


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

    def __init__(
        self, settings: Settings, engine: Engine, recovered: Recovered, writer: WriterProcess, log: Any
    ) -> None:
        self._settings: Final = settings
        self._engine: Final = engine
        self._recovered: Final = recovered
        self._writer: Final = writer
        self._log: Final = log
        self._ended: asyncio.Future[int]
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def run(self, held: dict[str, socket.socket], read_again: Callable[[], Settings]) -> int:
        """`held`: sockets that systemd listens on for this process."""
        loop = asyncio.get_running_loop()
        listeners = Listeners(self._settings, held)
        self._ended = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, EXIT_OK)
        latch = RuntimeLatch(self._settings.runtime_dir, self._log)
        self._wire(latch)
        await self._journal_start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await self._open_doors(listeners)
        self._watch(Pulse(self._sequencer, [self._stream.cut_off_silent, self._upkeep.every_second]).run())
        self._watch(self._redeliver())
        if (seconds := watchdog_seconds()) is not None:
            self._watch(Watchdog(self._sequencer, seconds).run())
        reload = Reload(self._sequencer, self._settings, read_again, self._log)
        self._watch(reload.run())
        loop.add_signal_handler(signal.SIGHUP, reload.ask)
        notify("READY=1", f"STATUS=ready, seq {self._sequencer.seq}")
        code = await self._ended
        notify("STOPPING=1")
        await self._stop(code)
        return code

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
            on_decided=metrics.decided,
            on_turned_away=metrics.count_check,
        )
        metrics.sequencer = sequencer
        publisher = Publisher(sequencer, metrics, self._journal_failed)
        recovered = self._recovered
        upkeep = self._upkeep = metrics.upkeep = Upkeep(
            sequencer, settings.risk_store_dir, settings.journal, recovered.snapshot_seq, self._log
        )
        sequencer.commit = GroupCommit(
            self._writer,
            chain=recovered.chain,
            rotation=Rotation(
                max_bytes=settings.journal.segment_bytes,
                max_records=settings.journal.segment_records,
                first_seq=recovered.last_seq - recovered.live_records + 1,
                records=recovered.live_records,
                size=recovered.live_bytes,
            ),
            on_durable=publisher.durable,
            on_failure=publisher.failed,
            on_rotated=upkeep.rotated,
        )
        sequencer.commit.durable_seq = self._recovered.last_seq
        self._latch = latch
        peers = Peers({settings.auth.trade_group: "trader", settings.auth.admin_group: "operator"})
        places = self._places = Connections(runtime.max_connections)
        self._stream = OrderStream(sequencer, metrics, peers, places)
        pushes = self._pushes = Pushes(sequencer, self._stream)
        self._stream.on_subscribe.append(pushes.welcome)
        witness = Witness(self._engine.state, self._log)
        sequencer.on_stop.append(pushes.tell)
        sequencer.on_stop.append(witness.stop)
        publisher.consumers.append(witness.offer)
        publisher.after_batch.append(self._stream.flush)
        admin_peers = Peers({settings.auth.admin_group: "operator"})
        doors = Doors(Tokens(settings.tokens_file), admin_peers, metrics, runtime.request_timeout_seconds)
        routes = [
            *command_routes(sequencer, metrics),
            *read_routes(sequencer, metrics, settings.risk_store_dir),
        ]
        self._http = HttpServer(
            doors,
            routes,
            places,
            keepalive_seconds=runtime.keepalive_seconds,
            shutdown_seconds=runtime.shutdown_timeout_seconds / 2,
        )
        self._stream_server = StreamServer(self._stream)

    async def _journal_start(self) -> None:
        """The first record: settings, wall clock, and a stop that was latched."""
        latch = read_latch(self._settings.runtime_dir)
        start = Start(
            version=__version__,
            format=FORMAT,
            parameters=self._settings.parameters(),
            wall=self._sequencer.clock.wall(),
            latch=None if latch is None else latch.kind,
            latch_reason="" if latch is None else latch.reason,
            latch_ts=None if latch is None else latch.ts,
        )
        if not start.parameters.symbols:
            self._log.info("no_symbols", meaning="every symbol is worth quantity x price in the base currency")
        if self._recovered.live_records >= min(SEGMENT_AT_START_RECORDS, self._settings.journal.segment_records):
            self._sequencer.commit.rotate()
        await self._sequencer.ask(start, DAEMON)
        if latch is not None and latch.halted and self._engine.state.risk.state != "HALTED":
            await self._sequencer.ask(Halt(reason="latched beside a kill", actor=latch.actor), DAEMON)
        self._sequencer.tick()
        if self._sequencer.failed is not None:
            raise OSError(errno.EIO, self._sequencer.failed, str(self._settings.risk_store_dir))

    async def _open_doors(self, listeners: Listeners) -> None:
        settings = self._settings
        tcp, admin, orders = listeners.open()
        await self._http.start([tcp, admin])
        await self._stream_server.start(orders)
        state = self._engine.state
        self._log.info(
            "ready",
            url=f"http://{settings.host}:{listeners.port}",
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
        seconds = self._settings.runtime.shutdown_timeout_seconds
        self._http.stop_accepting()
        self._stream_server.stop_accepting()
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
        self._upkeep.stop()
        self._log.info("stopped", seq=sequencer.seq, durable_seq=sequencer.commit.durable_seq, code=code)
        sys.stdout.flush()
