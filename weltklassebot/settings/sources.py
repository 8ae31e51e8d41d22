"""What settings are read from, as plain trees: without pydantic, so that a stop need not wait for it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

__all__ = [
    "CONFIG_VARIABLE",
    "ENV_PREFIX",
    "SettingsError",
    "Tree",
    "config_file",
    "merged",
    "nested",
    "quoted",
    "read_toml",
]

ENV_PREFIX: Final = "WELTKLASSE_"
CONFIG_VARIABLE: Final = "WELTKLASSE_CONFIG"
_MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_is_bare: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII).fullmatch
Tree = dict[str, Any]


class SettingsError(Exception):
    """What is wrong with the settings, one line each in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def config_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that a call names, else the one that the environment names."""
    named = environ.get(CONFIG_VARIABLE)
    return given if given is not None or not named else Path(named)


def read_toml(path: Path) -> Tree:
    """Raises `SettingsError`."""
    try:
        content = path.read_bytes()
        if len(content) > _MAX_FILE_BYTES:
            raise SettingsError([f"{path}: too large for a file of settings"])
        # Decimals as written: 0.1 stays 0.1, and 1e400 does not turn into infinity.
        return tomllib.loads(content.decode(), parse_float=Decimal)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: not valid TOML: {error}"]) from None
    except (ArithmeticError, ValueError, RecursionError):
        raise SettingsError([f"{path}: holds a number or a nesting that cannot be read"]) from None


def merged(below: Tree, above: Tree) -> Tree:
    """Both; where they differ, what is above."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def quoted(name: str) -> str:
    """A part of a dotted key as TOML wants it."""
    return name if _is_bare(name) else json.dumps(name, ensure_ascii=False)


def nested(key: str, value: Any) -> Tree:
    """A dotted key as the tree that it stands for."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
