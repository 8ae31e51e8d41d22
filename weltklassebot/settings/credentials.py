"""Settings that nobody else may read: files that systemd hands to the service alone (`LoadCredential=`).

Every file in `/etc/weltklassebot/credentials` is one setting: its name is the dotted key, its content the value.
Systemd gives them to the daemon under `$CREDENTIALS_DIRECTORY` as `weltklassebot_<key>`. Whatever comes from there is a
secret: it is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["CREDENTIAL", "credentials"]

CREDENTIAL: Final = "credential"
"""The source of such a value, as it is named to people."""
_PREFIX: Final = "weltklassebot_"
_MAX_BYTES: Final = 64 * 1024
"""More than any setting takes: what is cut off here is refused as too long."""


def credentials(environ: Mapping[str, str], known: frozenset[str], problems: list[str]) -> dict[str, str]:
    """The values by dotted key; what cannot be one is added to `problems`. Other credentials are somebody else's."""
    found: dict[str, str] = {}
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return found
    try:
        names = sorted(path.name for path in Path(directory).iterdir())
    except OSError as error:
        problems.append(f"{CREDENTIAL}s: {directory}: {error.strerror}")
        return found
    for name in names:
        key = name.removeprefix(_PREFIX)
        if key == name:
            continue
        if key not in known:
            problems.append(f"{CREDENTIAL} {key}: no such setting")
            continue
        try:
            with (Path(directory) / name).open("rb") as file:
                found[key] = file.read(_MAX_BYTES).decode().removesuffix("\n")
        except OSError as error:
            problems.append(f"{CREDENTIAL} {key}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            problems.append(f"{CREDENTIAL} {key}: is not UTF-8 text")
    return found
