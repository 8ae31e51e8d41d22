"""Where settings come from, and what is said when they are wrong.

Later sources win: defaults, the TOML file, credentials, the environment, the command line. A variable that begins with
`WELTKLASSE_` and names no setting is an error, because a misspelt limit is a limit that is not in force.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as UnreadableVariable

from weltklassebot.settings.credentials import CREDENTIAL, credentials
from weltklassebot.settings.directories import NO_HOME, default_directories
from weltklassebot.settings.model import Settings
from weltklassebot.settings.sources import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    SettingsError,
    Tree,
    config_file,
    merged,
    nested,
    quoted,
    read_toml,
)
from weltklassebot.settings.wording import HIDDEN, OPEN_TABLES, keys, line, shown, suggestion

__all__ = ["CLIENT_VARIABLES", "Origin", "SettingsError", "changed_keys", "configured", "load", "origins"]

CLIENT_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "WELTKLASSE_TOKEN", "WELTKLASSE_TRACEBACK", "WELTKLASSE_URL"})
"""What commands read besides settings: the file, how to reach a daemon over TCP, and whether to show a traceback."""


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
    config_path = config_file(config_path, environ)
    file_tree: Tree = {}
    sources: dict[str, str] = {}
    if config_path is not None:
        try:
            file_tree = read_toml(config_path)
        except SettingsError as error:
            raise SettingsError([*problems, *error.problems]) from None
        sources.update({key: str(config_path) for key in _dotted(file_tree)})
    for key, value in credentials(environ, frozenset(keys()), problems).items():
        file_tree = merged(file_tree, nested(key, value))
        sources[key] = CREDENTIAL
    environment_tree = _environment_tree({name: environ[name] for name in variables}, problems)
    for name, key in variables.items():
        sources.update(dict.fromkeys(_dotted(environment_tree[key], key) if key in OPEN_TABLES else [key], name))
    tree = merged(file_tree, environment_tree)
    for key, value in (overrides or {}).items():
        tree = merged(tree, nested(key, value))
        sources[key] = "command line"
    found, given = default_directories(environ, tree)
    if "state_dir" not in found and "state_dir" not in tree:
        raise SettingsError([*problems, NO_HOME])
    sources = given | sources
    tree = {**found, **tree}
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
        # Only the open tables are read as JSON.
        for key in sorted(OPEN_TABLES):
            name = ENV_PREFIX + key.upper()
            if not _is_json(variables.get(name, "{}")):
                problems.append(f"{name}: must be a JSON object of {key}")
        raise SettingsError(problems) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# --- trees of keys --------------------------------------------------------------------------------------------------


def _dotted(tree: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(tree, dict):
        yield prefix
        return
    for key, value in tree.items():
        yield from _dotted(value, f"{prefix}.{quoted(key)}" if prefix else key)


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in model:
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _leaves(item, f"{prefix}{name}.{quoted(key)}.")
        else:
            yield prefix + name, value
