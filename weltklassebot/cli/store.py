"""The store that an offline command means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from weltklassebot.cli.exits import Refused
from weltklassebot.cli.invocation import Invocation

__all__ = ["dir_option", "store_of"]


def dir_option(function: Any) -> Any:
    """--dir, where the settings need not be asked."""
    return click.option(
        "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="A store; default: the settings'."
    )(function)


def store_of(invocation: Invocation, directory: Path | None) -> Path:
    """Where the journal is, or was. A store that is not there must not pass for one that is whole."""
    from weltklassebot.journal.anchor import ANCHOR
    from weltklassebot.journal.segments import JOURNAL, all_closed
    from weltklassebot.journal.snapshot_file import snapshots
    from weltklassebot.journal.store import STATE

    store = directory or invocation.settings().risk_store_dir
    known = any((store / name).exists() for name in (JOURNAL, STATE, ANCHOR))
    if not known and not all_closed(store) and not (store.is_dir() and snapshots(store)):
        raise Refused(f"{store}: there is no journal (WELTKLASSE_RISK_STORE_DIR or --dir says where it is)")
    return store
