"""What the daemon and the commands are told from outside: environment over TOML over defaults.

`load` gives frozen `Settings` or raises `SettingsError`, which says everything that is wrong at once, one line each:
an unknown key, a variable `WELTKLASSE_*` that means nothing, a value out of its range. Nothing is guessed and nothing
is ignored. `directories` reads where the daemon is, for stops, and refuses nothing. `origins` tells where each value
came from. No message and no listing shows a secret.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from weltklassebot.settings.directories import Directories, directories
from weltklassebot.settings.sources import SettingsError

if TYPE_CHECKING:
    from weltklassebot.settings.access import Auth, User
    from weltklassebot.settings.loader import Origin, changed_keys, configured, load, origins
    from weltklassebot.settings.model import Runtime, Settings

__all__ = [
    "Auth", "Directories", "Origin", "Runtime", "Settings", "SettingsError", "User", "changed_keys",
    "configured", "directories", "load", "origins",
]  # fmt: skip


_PLACES: Final = {
    **dict.fromkeys(("Origin", "changed_keys", "configured", "load", "origins"), "loader"),
    **dict.fromkeys(("Auth", "User"), "access"),
    **dict.fromkeys(("Runtime", "Settings"), "model"),
}


def __getattr__(name: str) -> Any:
    # Loaded on use: a stop needs the directories alone, and does not wait for pydantic.
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
