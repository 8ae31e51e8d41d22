"""Where things are: the directories that systemd or the session gives, and those that a stop needs, read alone.

A stop and a look at the state need to know where the daemon is and nothing else. `directories` finds that out whatever
is wrong with other settings: it raises for nothing, and what it could not use is a problem to be told behind the act.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from weltklassebot.settings.credentials import CREDENTIAL, credentials
from weltklassebot.settings.sources import ENV_PREFIX, SettingsError, Tree, config_file, read_toml
from weltklassebot.settings.values import directory

__all__ = ["ADMIN_SOCKET", "NO_HOME", "Directories", "default_directories", "directories"]

ADMIN_SOCKET: Final = "admin.sock"
NO_HOME: Final = "state_dir: this user has no home: say WELTKLASSE_STATE_DIR"
_KEYS: Final = ("state_dir", "runtime_dir", "risk_store_dir")
_parsed = directory()


class Directories(NamedTuple):
    """Those of a running daemon, as far as anybody can say."""

    runtime_dir: Path | None
    """None: nothing says where, and this user has no home."""
    risk_store_dir: Path | None
    problems: list[str]
    """What was said of them and could not be used."""

    @property
    def admin_socket(self) -> Path | None:
        return None if self.runtime_dir is None else self.runtime_dir / ADMIN_SOCKET


def directories(config_path: Path | None = None, environ: Mapping[str, str] | None = None) -> Directories:
    """From the same sources as `load`, in the same order; of each key the first that is a directory's path counts."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    file = config_file(config_path, environ)
    below: Tree = {}
    if file is not None:
        try:
            below = read_toml(file)
        except SettingsError as error:
            problems += error.problems
    sources: list[tuple[str, Mapping[str, object]]] = [
        ("", {key: environ[name] for key in _KEYS if (name := ENV_PREFIX + key.upper()) in environ}),
        (CREDENTIAL, credentials(environ, frozenset(_KEYS), [])),
        (str(file), below),
    ]
    found = {key: path for key in _KEYS if (path := _said(key, sources, problems)) is not None}
    defaults, _ = default_directories(environ, found)
    found = {**defaults, **found}
    if "runtime_dir" not in found or "risk_store_dir" not in found:
        problems.append(NO_HOME)
    return Directories(found.get("runtime_dir"), found.get("risk_store_dir"), problems)


def _said(key: str, sources: list[tuple[str, Mapping[str, object]]], problems: list[str]) -> Path | None:
    for name, values in sources:
        if key not in values:
            continue
        try:
            path: Path = _parsed(values[key])
        except ValueError as error:
            problems.append(f"{name or ENV_PREFIX + key.upper()}: {key}: {error}")
        else:
            return path
    return None


def default_directories(
    environ: Mapping[str, str], said: Mapping[str, object]
) -> tuple[dict[str, Path], dict[str, str]]:
    """The directories that systemd gave, else the user's own, and where those came from. `said` are those that a
    setting names. Those that only a home could tell are left out for a user who has none."""
    found: dict[str, Path] = {}
    sources = {}
    for key, variable in (("state_dir", "STATE_DIRECTORY"), ("runtime_dir", "RUNTIME_DIRECTORY")):
        given = environ.get(variable)
        if given and ":" not in given:  # of several nobody knows which is meant
            found[key] = Path(given)
            sources[key] = variable
    named = said.get("state_dir")
    state = Path(named) if isinstance(named, str | Path) and named else found.get("state_dir")
    if state is None and (home := _user_state(environ)) is not None:
        state = found["state_dir"] = home / "weltklassebot"
    session = environ.get("XDG_RUNTIME_DIR")
    if "runtime_dir" not in found and (session or state is not None):
        # Without one, a directory of the user's own: in /tmp anybody could be there first and answer for the daemon.
        found["runtime_dir"] = Path(session) / "weltklassebot" if session else (state or Path()) / "run"
    if state is not None:
        found |= {"risk_store_dir": state / "risk", "snapshot_dir": state / "snapshots"}
    return found, sources


def _user_state(environ: Mapping[str, str]) -> Path | None:
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"])
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:
        return None
    return home / ".local" / "state"
