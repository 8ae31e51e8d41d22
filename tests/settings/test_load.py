"""Settings: sources in order, every mistake named, nothing ignored."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.written import NO_NUMBERS
from weltklassebot.core.parameters import Instrument, Parameters
from weltklassebot.settings import Settings, SettingsError, configured, load, origins
from weltklassebot.settings.wording import keys

HOME = {"HOME": "/home/desk"}


def problems(config_path: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(config_path, HOME | environ)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def written(path: Path, content: str) -> Path:
    file = path / "config.toml"
    file.write_text(content)
    return file


def test_the_defaults_are_the_cores_own():
    """But where an old start record that does not name a parameter has to mean that there was no such rule."""
    assert load(None, HOME).parameters() == Parameters(
        max_start_step_days=30.0,
        recovery_cooldown_seconds=300.0,
        equity_max_step=None,
        equity_confirmations=3,
        require_equity=None,
        mark_max_step=Decimal("0.5"),
        open_orders_share=Decimal("0.25"),
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, False),
        (
            {
                "WELTKLASSE_METRICS_PORT": "0",
                "WELTKLASSE_RISK_STORE_DIR": "/x",
                "WELTKLASSE_RUNTIME__LOG_LEVEL": "info",
            },
            False,
        ),
        ({"WELTKLASSE_RISK__MAX_NOTIONAL": "1"}, True),
        ({"WELTKLASSE_SYMBOLS": "{}"}, True),
        ({"WELTKLASSE_CONFIG": "/etc/weltklassebot/config.toml"}, True),
    ],
)
def test_whether_anybody_said_what_risk_is_allowed(environ, said):
    assert configured(None, {**HOME, **environ}) is said
    assert configured(Path("/etc/weltklassebot/config.toml"), {**HOME, **environ})


def test_a_credential_says_what_risk_is_allowed(tmp_path):
    (tmp_path / "weltklassebot_risk.max_notional").write_text("1")
    assert configured(None, {**HOME, "CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_every_field_of_the_core_is_a_setting():
    named = {key.removeprefix("risk.") for key in keys() if key.startswith("risk.")}
    assert named | {"symbols", "venues", "accounts"} == {field.name for field in msgspec.structs.fields(Parameters)}


def test_environment_over_file_over_defaults(tmp_path):
    file = written(tmp_path, 'metrics_port = 1\nhost = "::1"\n[risk]\nmax_notional = 7.5\nmax_trades_per_day = 9\n')
    environ = HOME | {"WELTKLASSE_METRICS_PORT": "2", "WELTKLASSE_RISK__MAX_TRADES_PER_DAY": "unlimited"}
    settings = load(file, environ)
    assert (settings.metrics_port, settings.host) == (2, "::1")
    parameters = settings.parameters()
    assert parameters.max_notional == Decimal("7.5")
    assert parameters.max_trades_per_day is None
    found = {origin.key: (origin.value, origin.source) for origin in origins(file, environ)}
    assert found["metrics_port"] == ("2", "WELTKLASSE_METRICS_PORT")
    assert found["host"] == ("::1", str(file))
    assert found["risk.max_trades_per_day"] == ("unlimited", "WELTKLASSE_RISK__MAX_TRADES_PER_DAY")
    assert found["risk.max_drawdown"] == ("0.2", "default")
    assert load(file, environ, {"metrics_port": "3", "runtime.log_format": "console"}).metrics_port == 3


def test_the_file_may_be_named_by_a_variable(tmp_path):
    file = written(tmp_path, "metrics_port = 4\n")
    assert load(None, HOME | {"WELTKLASSE_CONFIG": str(file)}).metrics_port == 4


TEXTS = ["1", "0.5", "other", "never", "expiry", "all", "true", "UTC", "Europe/Berlin", "12:30", "debug", "console"]
TEXTS += ["https://collector.example/checkpoints", "A" * 43 + "="]


@pytest.mark.parametrize("key", [key for key in keys() if "." in key])
def test_every_key_can_be_set_by_its_variable(key):
    table, name = key.split(".")
    variable = f"WELTKLASSE_{table}__{name}".upper()

    def value(environ):
        return getattr(getattr(load(None, HOME | environ), table), name)

    taken = []
    for text in [*TEXTS, "900000"]:
        with contextlib.suppress(SettingsError):
            taken.append(value({variable: text}))
    assert any(found != value({}) for found in taken)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_none_here_either(tmp_path, text):
    """The same list as for the API and the command line."""
    for key, wanted in (("MAX_NOTIONAL", "number"), ("MAX_TRADES_PER_DAY", "whole number")):
        with pytest.raises(SettingsError, match=f"must be a {wanted}"):
            load(None, HOME | {f"WELTKLASSE_RISK__{key}": text})
        file = written(tmp_path, f"[risk]\n{key.lower()} = {json.dumps(text, ensure_ascii=False)}")
        assert f"must be a {wanted}" in problems(file)[0]


def test_directories_come_from_systemd_then_from_the_session(tmp_path):
    settings = load(None, HOME)
    assert settings.state_dir == Path("/home/desk/.local/state/weltklassebot")
    assert settings.runtime_dir == settings.state_dir / "run"
    assert settings.risk_store_dir == settings.state_dir / "risk"
    environ = HOME | {"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    assert load(None, environ).state_dir == Path("/s/weltklassebot")
    assert load(None, environ).runtime_dir == Path("/r/weltklassebot")
    environ |= {"STATE_DIRECTORY": "/var/lib/w", "RUNTIME_DIRECTORY": "/run/w"}
    assert load(None, environ).snapshot_dir == Path("/var/lib/w/snapshots")
    assert {origin.key: origin.source for origin in origins(None, environ)}["runtime_dir"] == "RUNTIME_DIRECTORY"
    # Of two state directories nobody knows which is meant.
    assert load(None, environ | {"STATE_DIRECTORY": "/a:/b"}).state_dir == Path("/s/weltklassebot")
    assert load(None, environ | {"WELTKLASSE_STATE_DIR": "/mine"}).risk_store_dir == Path("/mine/risk")


def test_symbols_from_the_file_and_from_the_environment(tmp_path):
    file = written(tmp_path, '[symbols."BTC-EUR"]\ntick = 0.1\n[symbols."*"]\nallow_short = false\n')
    expected = {"BTC-EUR": Instrument(tick=Decimal("0.1")), "*": Instrument(allow_short=False)}
    assert load(file, HOME).parameters().symbols == expected
    more = {
        "WELTKLASSE_SYMBOLS": json.dumps({"BTC-EUR": {"lot": "0.001"}, "ES": {"multiplier": 50, "currency": "USD"}})
    }
    symbols = load(file, HOME | more).parameters().symbols
    assert symbols["BTC-EUR"] == Instrument(tick=Decimal("0.1"), lot=Decimal("0.001"))
    assert symbols["ES"] == Instrument(multiplier=Decimal(50), currency="USD")
    sources = {origin.key: origin.source for origin in origins(file, HOME | more)}
    assert sources["symbols.BTC-EUR.tick"] == str(file)
    assert sources["symbols.BTC-EUR.lot"] == "WELTKLASSE_SYMBOLS"


def test_a_misspelt_variable_is_an_error_with_a_suggestion():
    assert problems(WELTKLASSE_RISK__MAX_DRAWDWN="0.1") == [
        "WELTKLASSE_RISK__MAX_DRAWDWN: no such setting; did you mean WELTKLASSE_RISK__MAX_DRAWDOWN?"
    ]
    assert "no such setting" in problems(weltklasse_host="127.0.0.1")[0]
    assert "no such setting" in problems(WELTKLASSE_RISK='{"max_drawdown": "0.1"}')[0]


def test_client_variables_are_known_and_never_shown():
    environ = HOME | {"WELTKLASSE_TOKEN": "wkb_secret", "WELTKLASSE_URL": "http://h:1"}
    assert "wkb_secret" not in repr(origins(None, environ))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("metrics_prt = 1", "metrics_prt: no such setting; did you mean metrics_port?"),
        ("[risk]\nmax_drawdwn = 1", "risk.max_drawdwn: no such setting; did you mean risk.max_drawdown?"),
        ("[shadows]\n", "shadows: no such setting"),
        ("[risk]\nmax_drawdown = 1.5", "risk.max_drawdown: must be a fraction above 0 and at most 1 (0.2 is 20 %)"),
        ("[risk]\nmax_drawdown = 0", "risk.max_drawdown: must be a fraction above 0"),
        ("[risk]\nmax_notional = 1e400", "risk.max_notional: must be a number"),
        ("[risk]\nmax_notional = nan", "risk.max_notional: must be a number"),
        ("[risk]\nmax_notional = inf", "risk.max_notional: must be a number"),
        ("[risk]\nmax_notional = -1", "risk.max_notional: must be a number"),
        ('[risk]\nmax_notional = "1_000"', "risk.max_notional: must be a number"),
        ('[risk]\nmax_notional = "\u0661"', "risk.max_notional: must be a number"),
        ('[risk]\nmax_notional = "1.0000000000000000001"', "risk.max_notional: must be a number"),
        ('[risk]\nmax_trades_per_day = "1.5"', "risk.max_trades_per_day: must be a whole number"),
        ("[risk]\nmax_trades_per_day = true", "risk.max_trades_per_day: must be a whole number"),
        ('[risk]\ncooldown_minutes = "unlimited"', "risk.cooldown_minutes: must be a whole number"),
        ("[risk]\napproval_ttl_seconds = 0", "risk.approval_ttl_seconds: must be a number above 0"),
        ("[risk]\nmax_open_orders = 0", "risk.max_open_orders: must be a whole number from 1"),
        ("[risk]\nmax_remembered = 10", "risk.max_remembered_per_strategy: must not be above risk.max_remembered"),
        ('[risk]\ntimezone = "Mars/Base"', "risk.timezone: is not in the time zone database"),
        ('[risk]\ntimezone = "../../etc/passwd"', "risk.timezone: is not in the time zone database"),
        ('[risk]\nday_roll = "24:00"', "risk.day_roll: must be a time of day"),
        ('[risk]\nafter_restart = "never"', "risk.after_restart: must be one of admin, expiry"),
        ("risk = 1", "risk: must be a table"),
        ("symbols = 1", "symbols: must be a table"),
        ('[symbols." B"]\ntick = 1', 'symbols." B": a symbol must be 1 to 128 bytes of printable UTF-8'),
        ('[symbols."A\u030a"]\ntick = 1', 'symbols."A\u030a": a symbol must be in Unicode'),
        ('[symbols."BTC/USDT"]\ntick = 0', 'symbols."BTC/USDT".tick: must be a number above 0'),
        ('[symbols.X]\naliases = "Y"', "symbols.X.aliases: must be a list of at most 100 spellings"),
        ('[symbols.X]\naliases = ["Y ", "Z"]', "symbols.X.aliases: must be 1 to 128 bytes of printable UTF-8"),
        ('[symbols.X]\naliases = ["X"]', "symbols.X.aliases: 'X' is listed itself"),
        ('[symbols.X]\naliases = ["Y"]\n[symbols.Y]', "symbols.X.aliases: 'Y' is listed itself"),
        ('[symbols.X]\naliases = ["Y", "Y"]', "symbols.X.aliases: 'Y' is an alias of 'X' already"),
        ('[symbols.X]\naliases = ["*"]', "symbols.X.aliases: '*' is listed itself"),
        (
            '[symbols."X Y"]\naliases = ["Z"]\n[symbols.Y]\naliases = ["Z"]',
            "symbols.Y.aliases: 'Z' is an alias of 'X Y'",
        ),
        ('[symbols."*"]\nasset = "BTC"', 'symbols."*".asset: "*" is many symbols'),
        ('[symbols.X]\nasset = ""', "symbols.X.asset: must be 1 to 128 bytes"),
        ('[symbols."*"]\naliases = ["Z"]', 'symbols."*".aliases: "*" has no other spelling'),
        ('[symbols."X"]\ntick = 0', "symbols.X.tick: must be a number above 0"),
        ('[symbols."X"]\ntik = 1', "symbols.X.tik: no such setting"),
        ("metrics_port = 65536", "metrics_port: must be a whole number from 0 to 65535"),
        ('host = ""', "host: must be an address"),
        ('host = "1.2.3"', "host: must be an address"),
        ('state_dir = ""', "state_dir: must be the path of a directory"),
        ("state_dir = 1", "state_dir: must be the path of a directory"),
        ('runtime_dir = "~nobody-here/x"', "runtime_dir: must be the path of a directory"),
        ('runtime_dir = "/' + "r" * 100 + '"', "runtime_dir: is too long"),
        ('[auth]\nadmin_group = "weltklasse-trade"', "auth.admin_group: must not be auth.trade_group"),
        ('[runtime]\nlog_level = "loud"', "runtime.log_level: must be one of debug, info, warning, error"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path, content, expected):
    file = written(tmp_path, content)
    found = problems(file)
    assert len(found) == 1, found
    assert found[0].startswith(f"{file}: {expected}") or found[0].startswith(expected)


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    file = written(tmp_path, "a = 1\nmetrics_port = -1\n[risk]\nday_roll = 1\n")
    assert len(problems(file, WELTKLASSE_HST="x", WELTKLASSE_HOST="")) == 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"a =", "not valid TOML"), (b"\xff", "is not UTF-8 text"), (b"a = " + b"[" * 5000, "cannot be read")],
)
def test_a_file_that_cannot_be_parsed(tmp_path, content, expected):
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    assert expected in problems(file)[0]


def test_a_file_that_is_not_there(tmp_path):
    assert problems(tmp_path / "none.toml") == [f"{tmp_path}/none.toml: cannot be read: No such file or directory"]
    assert "Is a directory" in problems(tmp_path)[0]


def test_symbols_that_are_not_json():
    assert problems(WELTKLASSE_SYMBOLS="{") == ["WELTKLASSE_SYMBOLS: must be a JSON object of symbols"]
    assert problems(WELTKLASSE_VENUES="{") == ["WELTKLASSE_VENUES: must be a JSON object of venues"]
    (said,) = problems(WELTKLASSE_VENUES='{"X": {"fill_ids": "none"}}')
    assert said.startswith("WELTKLASSE_VENUES: venues.X.fill_ids: must be one of shared, unique")


def test_settings_are_frozen():
    settings = load(None, HOME)
    with pytest.raises(ValueError, match="frozen"):
        settings.host = "0.0.0.0"
    with pytest.raises(ValueError, match="frozen"):
        settings.risk.max_drawdown = None


def test_nothing_is_read_behind_the_callers_back(monkeypatch):
    monkeypatch.setenv("WELTKLASSE_METRICS_PORT", "1")
    monkeypatch.setenv("WELTKLASSE_HOST", "0.0.0.0")
    settings = load(None, HOME)
    assert (settings.metrics_port, settings.host) == (9000, "127.0.0.1")


@given(
    st.text(alphabet="0123456789.eE+-_ nainfNAINF\u0663", max_size=50) | st.floats().map(str) | st.decimals().map(str)
)
def test_a_number_is_exact_or_refused(text):
    try:
        value = load(None, HOME | {"WELTKLASSE_RISK__MAX_NOTIONAL": text}).parameters().max_notional
    except SettingsError:
        return
    assert value == Decimal(text)
    assert 0 <= value < 10**18


def test_the_settings_model_has_no_default_that_its_own_parser_refuses():
    for key in keys(Settings):
        value = {origin.key: origin.value for origin in origins(None, HOME)}[key]
        variable = "WELTKLASSE_" + key.upper().replace(".", "__")
        assert load(None, HOME | {variable: value}) == load(None, HOME)


# --- credentials ----------------------------------------------------------------------------------------------------


def credential(directory: Path, key: str, content: bytes) -> dict[str, str]:
    (directory / f"weltklassebot_{key}").write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def test_a_credential_wins_over_the_file_and_loses_to_the_environment(tmp_path: Path):
    file = written(tmp_path, "[risk]\nmax_notional = 1\nmax_order_notional = 1\n")
    environ = HOME | credential(tmp_path, "risk.max_notional", b"2\n") | {"WELTKLASSE_RISK__MAX_ORDER_NOTIONAL": "3"}
    credential(tmp_path, "risk.max_order_notional", b"2")
    (tmp_path / "another").write_text("is somebody else's")
    found = {origin.key: origin for origin in origins(file, environ)}
    assert load(file, environ).parameters().max_notional == 2
    assert load(file, environ).parameters().max_order_notional == 3
    assert found["risk.max_notional"][1:] == ("********", "credential")
    assert found["risk.max_order_notional"][1:] == ("3", "WELTKLASSE_RISK__MAX_ORDER_NOTIONAL")


def test_a_credential_that_is_wrong_is_named_and_never_shown(tmp_path: Path):
    environ = credential(tmp_path, "risk.max_drawdown", b"hunter2")
    (said,) = problems(**environ)
    assert said.startswith("credential: risk.max_drawdown: must be")
    assert "hunter2" not in said
    (tmp_path / "weltklassebot_risk.max_drawdown").unlink()
    assert problems(**credential(tmp_path, "risk.max_drawdwon", b"0.1")) == [
        "credential risk.max_drawdwon: no such setting"
    ]
    (tmp_path / "weltklassebot_risk.max_drawdwon").unlink()
    assert problems(**credential(tmp_path, "host", b"\xff")) == ["credential host: is not UTF-8 text"]
    assert len(problems(**credential(tmp_path, "host", b"a" * 100_000))) == 1
    assert problems(CREDENTIALS_DIRECTORY="/nowhere") == ["credentials: /nowhere: No such file or directory"]
