"""ops/config.example.toml names every key, with the default that is in force without it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from weltklassebot.core.parameters import Account, Instrument, Venue
from weltklassebot.settings import load
from weltklassebot.settings.wording import keys

EXAMPLE = Path(__file__).parents[2] / "ops" / "config.example.toml"
ENVIRON = {"STATE_DIRECTORY": "/var/lib/weltklassebot", "RUNTIME_DIRECTORY": "/run/weltklassebot"}


def uncommented() -> str:
    return re.sub(r"(?m)^# (?=(\[[a-z]+\]|[a-z_]+ = .*)$)", "", EXAMPLE.read_text())


def dotted(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_as_it_stands_it_changes_nothing():
    assert tomllib.loads(EXAMPLE.read_text()) == {}


def test_it_names_every_key_in_order():
    assert list(dotted(tomllib.loads(uncommented()))) == list(keys())


def test_uncommented_it_is_the_defaults(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(uncommented())
    assert load(file, ENVIRON) == load(None, ENVIRON)


def test_the_symbols_and_accounts_in_it_name_every_field_with_its_default(tmp_path):
    text = re.sub(r"(?m)^#:", "", EXAMPLE.read_text())
    tables = tomllib.loads(text)["symbols"]
    assert set(tables["BTC-EUR"]) == {field.name for field in msgspec.structs.fields(Instrument)}
    file = tmp_path / "config.toml"
    file.write_text(text)
    assert load(file, ENVIRON).parameters().venues == {"kraken": Venue()}
    assert set(tomllib.loads(text)["venues"]["kraken"]) == {field.name for field in msgspec.structs.fields(Venue)}
    assert load(file, ENVIRON).parameters().accounts == {"main": Account()}
    assert load(file, ENVIRON).parameters().symbols == {"BTC-EUR": Instrument(), "*": Instrument(allow_short=False)}
