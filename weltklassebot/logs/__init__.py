"""What the daemon says about itself: one JSON object a line on stdout, for systemd's journal.

Logs tell of starts, stops, refusals of whole connections and faults; never of single orders, which are in the journal
of the desk. Saying something never blocks and never raises, whatever becomes of the output: `output.py` holds the lines
until somebody takes them. With `console` the lines are for people.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from weltklassebot.logs.output import MAX_KEPT, MAX_LINES, LogOutput

__all__ = ["KEEP", "MAX_WAITING", "Format", "Level", "configure", "flush", "logger", "lost", "waiting"]

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

KEEP: Final = "_keep"
"""`log.warning("halt", **{KEEP: True})`: a line about a stop, which outlasts an output that nobody reads."""
MAX_WAITING: Final = MAX_LINES + MAX_KEPT
MAX_TEXT: Final = 8_000
"""Characters of one value: a traceback may be of any length."""

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LAST_LINES_SECONDS: Final = 1.0
"""How long the end of the process waits for somebody who reads them."""
_output: LogOutput | None = None


def configure(level: Level = "info", form: Format = "json") -> None:
    """Say what lines look like; they go to stdout. Call once, before the first `logger`.

    The few libraries that log by the standard library (asyncio, aiohttp) pass through the same form, and so do
    warnings and exceptions that nobody caught: stderr may be an output that nobody reads as well.
    """
    global _output  # noqa: PLW0603 - the process has one stdout
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts")
    shared: list[Processor] = [structlog.stdlib.add_log_level, stamp, structlog.processors.format_exc_info, _cut]
    render: Processor = structlog.processors.JSONRenderer(serializer=_dumps)
    if form == "console":
        # Plain tracebacks: the pretty ones print local variables, and with them what must not be seen.
        render = structlog.dev.ConsoleRenderer(
            timestamp_key="ts", colors=_is_terminal(), exception_formatter=structlog.dev.plain_traceback
        )
        shared.remove(structlog.processors.format_exc_info)  # it formats exceptions itself
    if _output is None:
        atexit.register(flush, LAST_LINES_SECONDS)
    _output = output = LogOutput(_descriptor(), lambda count: _line(render, _lost_event(count)))
    structlog.configure(
        processors=[*shared, _with_keep(render)],
        wrapper_class=_never_raising(structlog.make_filtering_bound_logger(_LEVELS[level]), output),
        logger_factory=lambda *_: _Handed(output),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_text(render)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # A library's word on a single request is not worth a line of ours.
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    logging.captureWarnings(True)
    _hear_the_interpreter()


def logger(**bound: Any) -> FilteringBoundLogger:
    """A logger that adds `bound` to each of its lines. The first argument of a line is a name, not a sentence."""
    return cast(FilteringBoundLogger, structlog.get_logger(**bound))


def flush(seconds: float) -> bool:
    """Wait until everything that was said is written or lost, but no longer than this; whether it is."""
    return _output is None or _output.flush(seconds)


def lost() -> int:
    """Lines that nobody took, since the start."""
    return 0 if _output is None else _output.lost


def waiting() -> int:
    """Lines that nobody has taken yet."""
    return 0 if _output is None else len(_output)


# --- the way of a line


class _Handed:
    """In the place of structlog's own loggers, which write: hands lines over."""

    def __init__(self, output: LogOutput) -> None:
        self._output = output

    def msg(self, line: bytes, keep: bool) -> None:
        self._output.put(line, keep=keep)

    debug = info = warning = warn = error = critical = exception = fatal = msg


class _Handler(logging.Handler):
    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def createLock(self) -> None:  # noqa: N802 - the standard library's name
        """None: nothing in here needs one, and a finalizer may log at any moment."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = _encoded(self.format(record))
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is a line that is lost
            self._output.lost += 1
            return
        self._output.put(line)


def _never_raising(base: type, output: LogOutput) -> type:
    class Said(base):  # type: ignore[misc]
        """A line that cannot be rendered is lost, and counted; whoever said it goes on."""

        def _proxy_to_logger(self, method_name: str, event: str | None = None, *args: Any, **values: Any) -> None:
            try:
                super()._proxy_to_logger(method_name, event, *args, **values)
            except Exception:  # noqa: BLE001 - see above
                output.lost += 1

    return Said


def _with_keep(render: Processor) -> Processor:
    def hand_over(log: WrappedLogger, name: str, event: EventDict) -> Any:
        keep = event.pop(KEEP, False)
        return (_line(render, event, log, name), keep), {}

    return hand_over


def _line(render: Processor, event: EventDict, log: WrappedLogger = None, name: str = "") -> bytes:
    return _encoded(render(log, name, event))


def _encoded(rendered: Any) -> bytes:
    text: bytes = rendered if isinstance(rendered, bytes) else str(rendered).encode(errors="backslashreplace")
    return text + b"\n"


def _cut(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            more = len(value) - MAX_TEXT
            text = value if more <= 0 else f"{value[:MAX_TEXT]} ... ({more} characters more)"
            # JSON has no lone surrogates; a text from an environment or a path may.
            event[key] = text if text.isascii() else text.encode(errors="backslashreplace").decode()
    return event


def _lost_event(count: int) -> EventDict:
    return {
        "event": "log_lines_lost", "lines": count, "level": "error", "ts": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "meaning": "nobody took them, or they could not be shown; what happened to the desk is in the journal",
    }  # fmt: skip


def _dumps(value: Any, default: Any) -> bytes:
    return orjson.dumps(value, default=default)


def _as_text(render: Processor) -> Processor:
    def rendered(log: Any, name: str, event: Any) -> str:
        line = render(log, name, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return rendered


# --- the process's outputs


def _descriptor() -> int | None:
    """Of stdout; None if it was closed before the process began."""
    try:
        return None if sys.stdout is None else sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        return None


def _is_terminal() -> bool:
    descriptor = _descriptor()
    return descriptor is not None and os.isatty(descriptor)


def _hear_the_interpreter() -> None:
    """What it would write to stderr on its own, on whichever thread that happens."""
    log = logger(part="interpreter")

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        log.error("unraisable", problem=what.err_msg or "an exception was ignored", exc_info=what.exc_value)

    def in_thread(what: threading.ExceptHookArgs) -> None:
        log.error("thread_died", thread=getattr(what.thread, "name", None), exc_info=what.exc_value)

    sys.unraisablehook = unraisable
    threading.excepthook = in_thread
