"""What the daemon and the commands are told from outside: environment over TOML over defaults.

`load` gives frozen `Settings` or raises `SettingsError`, which says everything that is wrong at once, one line each:
an unknown key, a variable `WELTKLASSE_*` that means nothing, a value out of its range. Nothing is guessed and nothing
is ignored. `origins` tells where each value came from. No message and no listing shows a secret.
"""

from weltklassebot.settings.load import Origin, SettingsError, changed_keys, configured, load, origins
from weltklassebot.settings.model import Auth, Runtime, Settings

__all__ = ["Auth", "Origin", "Runtime", "Settings", "SettingsError", "changed_keys", "configured", "load", "origins"]
