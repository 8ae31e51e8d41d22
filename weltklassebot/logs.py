"""What the daemon says about itself: one JSON object a line on stdout, for systemd's journal.

Logs tell of starts, stops, refusals of whole connections and faults; never of single orders, which are in the journal
of the desk. A line costs some 6 microseconds. With `console` the lines are for people.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, Literal, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["Format", "Level", "configure", "logger"]

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: Level = "info", form: Format = "json") -> None:
    """Say where lines go and what they look like. Call once, before the first `logger`.

    The few libraries that log by the standard library (asyncio, aiohttp) pass through the same form.
    """
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts")
    shared: list[Processor] = [structlog.stdlib.add_log_level, stamp, structlog.processors.format_exc_info]
    render: Processor = structlog.processors.JSONRenderer(serializer=_dumps)
    if form == "console":
        # Plain tracebacks: the pretty ones print local variables, and with them what must not be seen.
        render = structlog.dev.ConsoleRenderer(
            timestamp_key="ts", colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        shared.pop()  # it formats exceptions itself
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # JSON is bytes already; text goes through the stream's own encoding.
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer)
        if form == "json"
        else structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
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


def logger(**bound: Any) -> FilteringBoundLogger:
    """A logger that adds `bound` to each of its lines. The first argument of a line is a name, not a sentence."""
    return cast(FilteringBoundLogger, structlog.get_logger(**bound))


def _dumps(value: Any, default: Any) -> bytes:
    return orjson.dumps(value, default=default)


def _as_text(render: Processor) -> Processor:
    def rendered(log: Any, name: str, event: Any) -> str:
        line = render(log, name, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return rendered
