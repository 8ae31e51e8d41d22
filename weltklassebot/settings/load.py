"""Where settings come from, and what is said when they are wrong.

Later sources win: defaults, the TOML file, credentials, the environment, the command line. A variable that begins with
`WELTKLASSE_` and names no setting is an error, because a misspelt limit is a limit that is not in force.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as UnreadableVariable

from weltklassebot.settings.credentials import CREDENTIAL, credentials
from weltklassebot.settings.model import ENV_PREFIX, Settings
from weltklassebot.settings.wording import HIDDEN, OPEN_TABLES, keys, line, shown, suggestion

__all__ = ["CLIENT_VARIABLES", "Origin", "SettingsError", "changed_keys", "configured", "load", "origins"]

CLIENT_VARIABLES: Final = frozenset({"WELTKLASSE_CONFIG", "WELTKLASSE_TOKEN", "WELTKLASSE_TRACEBACK", "WELTKLASSE_URL"})
"""What commands read besides settings: the file, how to reach a daemon over TCP, and whether to show a traceback."""

_MAX_FILE_BYTES: Final = 4 * 1024 * 1024
Tree = dict[str, Any]


class SettingsError(Exception):
    """What is wrong with the settings, one line each in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Origin(NamedTuple):
    key: str
    value: str
    source: str
    """`default`, the path of the file, `credential`, the name of a variable, or `command line`."""


def load(
    config_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force. `overrides` are dotted keys from the command line. Raises `SettingsError`."""
    settings, _ = _load(config_path, environ, overrides)
    return settings


def origins(
    config_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> list[Origin]:
    """Every key with its value as it would be written, and where it came from. Raises `SettingsError`."""
    settings, sources = _load(config_path, environ, overrides)
    return [
        Origin(key, HIDDEN if sources.get(key) == CREDENTIAL else shown(key, value), sources.get(key, "default"))
        for key, value in _leaves(settings)
    ]


def configured(config_path: Path | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Whether anybody said what risk is allowed: with a file, a credential, or a variable of [risk] or [symbols].

    Without one these are the embedded defaults, of somebody who tries it out.
    """
    environ = os.environ if environ is None else environ
    _, variables = _variables(environ)
    said = [*variables.values(), *credentials(environ, frozenset(keys()), [])]
    has_file = config_path is not None or bool(environ.get("WELTKLASSE_CONFIG"))
    return has_file or any(key in OPEN_TABLES or key.startswith("risk.") for key in said)


def changed_keys(before: Settings, after: Settings) -> list[str]:
    """The dotted keys that one has otherwise than the other."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    same = {key for key in old.keys() & new.keys() if old[key] == new[key]}
    return sorted((old.keys() | new.keys()) - same)


def _load(
    config_path: Path | None, environ: Mapping[str, str] | None, overrides: Mapping[str, str] | None
) -> tuple[Settings, dict[str, str]]:
    environ = os.environ if environ is None else environ
    problems, variables = _variables(environ)
    if config_path is None and environ.get("WELTKLASSE_CONFIG"):
        config_path = Path(environ["WELTKLASSE_CONFIG"])
    file_tree: Tree = {}
    sources: dict[str, str] = {}
    if config_path is not None:
        file_tree = _read_toml(config_path)
        sources.update({key: str(config_path) for key in _dotted(file_tree)})
    for key, value in credentials(environ, frozenset(keys()), problems).items():
        file_tree = _merged(file_tree, _nested(key, value))
        sources[key] = CREDENTIAL
    environment_tree = _environment_tree({name: environ[name] for name in variables}, problems)
    for name, key in variables.items():
        sources.update(dict.fromkeys(_dotted(environment_tree[key], key) if key in OPEN_TABLES else [key], name))
    tree = _merged(file_tree, environment_tree)
    for key, value in (overrides or {}).items():
        tree = _merged(tree, _nested(key, value))
        sources[key] = "command line"
    directories, given = _default_directories(environ, tree)
    sources = given | sources
    tree = directories | tree
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise SettingsError(problems + [line(detail, sources) for detail in error.errors()]) from None
    if problems:
        raise SettingsError(problems)
    return settings, sources


# --- environment ----------------------------------------------------------------------------------------------------


class _Environment(EnvSettingsSource):
    """pydantic's reading of nested variables, from the mapping that it is given and from nothing else."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name.lower(): value for name, value in environ.items()}
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ


def _variables(environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Problems, and the variables that name a setting with its dotted key."""
    known = {ENV_PREFIX + key.upper().replace(".", "__"): key for key in [*keys(), *OPEN_TABLES]}
    problems = []
    found = {}
    for name in sorted(environ):
        if name in known:
            found[name] = known[name]
        elif name.upper().startswith(ENV_PREFIX) and name not in CLIENT_VARIABLES:
            problems.append(f"{name}: no such setting{suggestion(name, [*known, *CLIENT_VARIABLES], ENV_PREFIX)}")
    return problems, found


def _environment_tree(variables: Mapping[str, str], problems: list[str]) -> Tree:
    try:
        return _Environment(variables)()
    except UnreadableVariable:
        # Only `symbols` is read as JSON.
        problems.append(f"{ENV_PREFIX}SYMBOLS: must be a JSON object of symbols")
        raise SettingsError(problems) from None


# --- file -----------------------------------------------------------------------------------------------------------


def _read_toml(path: Path) -> Tree:
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


# --- trees of keys --------------------------------------------------------------------------------------------------


def _merged(below: Tree, above: Tree) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _nested(key: str, value: Any) -> Tree:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _dotted(tree: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(tree, dict):
        yield prefix
        return
    for key, value in tree.items():
        yield from _dotted(value, f"{prefix}.{key}" if prefix else key)


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in model:
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _leaves(item, f"{prefix}{name}.{key}.")
        else:
            yield prefix + name, value


# --- directories ------------------------------------------------------------------------------------------------------


def _default_directories(environ: Mapping[str, str], tree: Tree) -> tuple[Tree, dict[str, str]]:
    """The directories that systemd gave, else the user's own, and where those came from."""
    directories: Tree = {}
    sources = {}
    for key, variable in (("state_dir", "STATE_DIRECTORY"), ("runtime_dir", "RUNTIME_DIRECTORY")):
        given = environ.get(variable)
        if given and ":" not in given:  # of several nobody knows which is meant
            directories[key] = Path(given)
            sources[key] = variable
    if "state_dir" not in directories:
        directories["state_dir"] = _user_state(environ) / "weltklassebot"
    said = tree.get("state_dir")
    state = Path(said) if isinstance(said, str) and said else directories["state_dir"]
    if "runtime_dir" not in directories:
        session = environ.get("XDG_RUNTIME_DIR")
        # Without one, a directory of the user's own: in /tmp anybody could be there first and answer for the daemon.
        directories["runtime_dir"] = Path(session) / "weltklassebot" if session else state / "run"
    return directories | {"risk_store_dir": state / "risk", "snapshot_dir": state / "snapshots"}, sources


def _user_state(environ: Mapping[str, str]) -> Path:
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"])
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:
        raise SettingsError(["state_dir: this user has no home: say WELTKLASSE_STATE_DIR"]) from None
    return home / ".local" / "state"
