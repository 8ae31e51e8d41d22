"""From settings to an exit code: listeners and store are opened, runs follow each other on them.

A run that waited for its disk ends and the next one starts on the same listeners, so that nobody is refused meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from decimal import setcontext
from typing import Any, Final

import uvloop

from weltklassebot import logs
from weltklassebot.api.listeners import Listeners
from weltklassebot.app.daemon import (
    EXIT_CONFIGURATION,
    EXIT_DISK,
    EXIT_FAULT,
    EXIT_TRY_AGAIN,
    START_AGAIN,
    Daemon,
)
from weltklassebot.core.numbers import EXACT
from weltklassebot.core.state import State
from weltklassebot.journal.errors import DISK_ERRORS, JournalError
from weltklassebot.journal.recovery import Recovered
from weltklassebot.journal.store import make_directory, require_own
from weltklassebot.runtime.faults import reason_of
from weltklassebot.runtime.opening import open_store
from weltklassebot.runtime.process_one import end_on_sigterm
from weltklassebot.runtime.sockets import inherited_sockets
from weltklassebot.settings import Settings

__all__ = ["serve"]

MOST_PATIENCE: Final = 16
"""A disk that takes probes and no journal is probed up to so many times more seldom."""
_NO_SETTING: Final = (errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_EXIT_OF: Final = {
    errno.EADDRINUSE: EXIT_TRY_AGAIN,
    **dict.fromkeys(DISK_ERRORS - {errno.EROFS}, EXIT_DISK),
    **dict.fromkeys(_NO_SETTING, EXIT_FAULT),
}
"""What is not here is a matter of settings or rights: it does not mend itself, and systemd does not try again."""


def serve(settings: Settings, read_again: Callable[[], Settings], *, configured: bool) -> int:
    """Run the daemon until it is told to stop or cannot go on. `read_again` is for a reload. `configured`: somebody
    said what risk is allowed. Returns the exit code."""
    # Each file and directory is made with the rights that it is to have, whatever the caller's umask takes or leaves.
    os.umask(0o077)
    logs.configure(settings.runtime.log_level, settings.runtime.log_format)
    log = logs.logger(part="daemon")
    # The engine installs its context wherever it is not in force; in this thread it always is.
    setcontext(EXACT)
    try:
        make_directory(settings.runtime_dir, 0o755)
        require_own(settings.runtime_dir)
        with closing(Listeners(settings, inherited_sockets())) as listeners:
            patience = 1
            while (code := _serve_once(settings, read_again, configured, listeners, log, patience)) == START_AGAIN:
                patience = min(patience * 2, MOST_PATIENCE)
            return code
    except JournalError as error:
        log.error("cannot_serve", problem=str(error))
        return error.exit_code
    except OSError as error:
        log.error("cannot_serve", problem=_plain_problem(error))
        return _EXIT_OF.get(error.errno or 0, EXIT_CONFIGURATION)
    except Exception as error:  # said here and not on stderr, which may be an output that nobody reads
        log.error("cannot_serve", problem=reason_of(error), exc_info=error)
        return EXIT_FAULT


def _serve_once(
    settings: Settings,
    read_again: Callable[[], Settings],
    configured: bool,
    listeners: Listeners,
    log: Any,
    patience: int,
) -> int:
    end_on_sigterm()  # until the run listens; the one before has let go of it
    try:
        make_directory(settings.state_dir, 0o755)
        require_own(settings.state_dir)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
    with open_store(settings.risk_store_dir) as store:
        if store.failed is not None:
            log.error("store_not_open", problem=str(store.failed))
        else:
            _tell_recovery(log, store.recovered)
        if (problem := _other_currency(store.engine.state, settings)) is not None:
            log.error("cannot_serve", problem=problem)
            return EXIT_CONFIGURATION
        return uvloop.run(Daemon(settings, store, listeners, log, patience, configured=configured).run(read_again))


def _other_currency(state: State, settings: Settings) -> str | None:
    """Amounts are recorded without their unit: with another one they would all mean something else, unseen."""
    written, configured = state.configured.base_currency, settings.parameters().base_currency
    if written == configured or not (state.accounts or state.positions or state.orders):
        return None
    return (
        f"the amounts in the store are in {written}, and risk.base_currency is {configured}. "
        "Put it back, or begin a new store."
    )


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
