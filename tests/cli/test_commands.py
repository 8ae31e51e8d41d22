"""Every command explains itself, every error is a line and an exit code."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import click
import pytest

from tests.daemon.daemon import ROOT
from weltklassebot.cli import main
from weltklassebot.cli.root import COMMANDS, root


def commands():
    """Every command with the words that call it."""
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        yield [name], command
        if isinstance(command, click.Group):
            for part, below in command.commands.items():
                yield [name, part], below


@pytest.mark.parametrize(("words", "command"), [pytest.param(*c, id=" ".join(c[0])) for c in commands()])
def test_every_command_has_help_with_an_example_and_the_shared_options(words, command, capsys):
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: weltklassebot {words[0]}" in shown
    for option in ("--config", "--json", "--url", "--token"):
        assert option in shown


def test_the_table_says_what_the_commands_say():
    for name, place in COMMANDS.items():
        command = root.get_command(click.Context(root), name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(200) == place.help
        assert getattr(importlib.import_module(f"weltklassebot.cli.{place.module}"), place.name) is command


def test_help_imports_no_command_and_no_daemon():
    code = (
        "import sys; from weltklassebot.cli import main; main(['--help']);"
        "sys.exit(any(n.split('.')[0] in ('aiohttp', 'uvloop', 'pydantic', 'numpy', 'msgspec') for n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"kill-switch" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["resume"], 2, "Missing option '--reason'"),
        (["resume", "--reason", "caf\udce9"], 2, "not UTF-8"),
        (["orders", "list", "--account", "caf\udce9"], 2, "not UTF-8"),
        (["halt", "help"], 2, "did you mean --help?"),
        (["halt", "--reasn", "r"], 2, "No such option"),
        (["halt"], 69, "admin.sock: no daemon answers there"),
        (["status", "--nope"], 2, "No such option"),
        (["status", "--url", "ftp://x"], 2, "must look like http://HOST:PORT"),
        (["limits", "set", "max_drawdown", "--reason", "r"], 2, "must be KEY=VALUE"),
        (["limits", "set", "a=1", "a=2", "--reason", "r"], 2, "stands there twice"),
        (["orders", "check"], 2, "stdin: not JSON"),
        (["orders", "feed", "/no/such/file"], 2, "No such file or directory"),
        (["orders", "feed", "-", "--url", "http://x:1"], 2, "orders.sock"),
        (["token", "create", "--name", "x", "--role", "king"], 2, "'king' is not one of"),
        (["status"], 69, "admin.sock: no daemon answers there"),
        (["halt", "--reason", "r"], 69, "admin.sock: no daemon answers there"),
        (["orders", "feed", "-"], 69, "orders.sock: no daemon takes orders there"),
        (["status", "--url", "http://127.0.0.1:1"], 69, "http://127.0.0.1:1: no daemon answers there"),
        (["kill-switch", "trigger", "--reason", "r", "--url", "http://127.0.0.1:1"], 69, "no daemon answers there"),
        (["audit", "verify"], 1, "there is no journal"),
        (
            ["token", "create", "--name", "x", "--role", "operator", "--kind", "marks"],
            1,
            "kinds are of what a trader says",
        ),
        (["token", "create", "--name", "x", "--role", "trader", "--kind", "prices"], 2, "'prices' is not one of"),
        (["token", "revoke", "x"], 1, "no token has the id or name x"),
        (["token", "create", "--name", "a b", "--role", "viewer"], 1, "names are 1 to 64 characters"),
        (["config", "check", "--config", "/no/such/file"], 78, "/no/such/file: cannot be read"),
        (["limits", "show", "--config", "/no/such/file"], 78, "/no/such/file: cannot be read"),
    ],
)
def test_errors_are_one_line_and_a_code(arguments, code, message, desk, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(desk.home))
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    with open("/dev/null") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert main(arguments) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.startswith("weltklassebot: ")
    assert shown.err.count("\n") == 1


def test_version(desk):
    assert desk("version").out.startswith("weltklassebot 0.")
    assert desk("--version").out.startswith("weltklassebot, version 0.")


def test_config_check_and_show(desk, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("metrics_port = 7\n[risk]\nmax_drawdown = 0.1\n")
    assert desk("config", "check", "--config", str(file)) == (0, "the settings are good\n", "")
    rows = {row["key"]: row for row in desk("--json", "config", "show", WELTKLASSE_CONFIG=str(file)).json}
    assert rows["metrics_port"] == {"key": "metrics_port", "value": "7", "source": str(file)}
    file.write_text('[symbols.OLD]\nexpiry = "2020-03-27T08:00:00Z"\n[marks]\nsources = ["no-such-user"]\n')
    assert desk("token", "create", "--role", "trader", "--name", "free").code == 0
    said = desk("config", "check", "--config", str(file), "--json").json
    (free,) = said.pop("unbound_traders")
    assert free.startswith("token:")
    assert said == {"ok": True, "unknown_principals": ["marks.sources: no-such-user"], "expired": ["OLD"]}
    lines = desk("config", "check", "--config", str(file)).out.splitlines()
    assert lines[0] == "the settings are good"
    assert lines[2:] == ["nobody is named so here: marks.sources: no-such-user", "expired: OLD"]
    assert desk("token", "revoke", "free").code == 0
    file.write_text('[symbols."BTC/USDT:USDT"]\naliases = ["XBT USDT", "币安"]\n[venues.X]\nfill_ids = "unique"\n')
    key = 'symbols."BTC/USDT:USDT".aliases'
    assert desk("config", "show", key, "--config", str(file), PYTHONUTF8="1").out == '["XBT USDT", "币安"]\n'
    rows = {row["key"]: row for row in desk("--json", "config", "show", WELTKLASSE_CONFIG=str(file)).json}
    assert (rows[key]["source"], rows["venues.X.fill_ids"]["value"]) == (str(file), "unique")
    file.write_text("metrics_prt = 7\n[risk]\nmax_drawdown = 2\n")
    result = desk("config", "check", "--config", str(file), WELTKLASSE_HOTS="x")
    assert result.code == 78
    assert len(result.err.splitlines()) == 3
    assert "did you mean WELTKLASSE_HOST?" in result.err


def test_a_token_of_the_environment_is_masked(desk):
    result = desk("config", "show", WELTKLASSE_TOKEN="wkb_secret")
    assert "WELTKLASSE_TOKEN" in result.out
    assert "wkb_secret" not in result.out + result.err


def test_tokens(desk):
    made = desk("token", "create", "--role", "trader", "--name", "bot-1", "--strategy", "s", "--json").json
    assert set(made) == {"token", "id", "name", "role", "created", "strategies"}
    plain = desk("token", "create", "--role", "viewer", "--name", "eyes").out.strip()
    assert plain.startswith("wkb_")
    listed = desk("token", "list", "--json").json
    assert [row["name"] for row in listed] == ["bot-1", "eyes"]
    assert made["token"] not in str(listed)
    assert desk("token", "revoke", made["id"]).code == 0
    assert [row["name"] for row in desk("token", "list", "--json").json] == ["eyes"]
    made = desk(
        "token", "create", "--role", "trader", "--name", "f", "--kind", "marks", "--kind", "equity", "--json"
    ).json
    assert made["kinds"] == ["marks", "equity"]


def test_a_reader_that_has_enough_is_no_error(desk):
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {sys.executable} -m weltklassebot config show | head -n 1"],
        capture_output=True,
        env=desk.environ,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can be somebody else")
def test_who_may_not_read_the_store_is_told_who_may(desk):
    """A member of the operators' group: its rights are those of the socket. That is no disk that failed."""
    assert desk("kill-switch", "trigger", "--reason", "r").code == 0
    desk.home.chmod(0o755)
    environment = {**os.environ, "WELTKLASSE_RISK_STORE_DIR": str(desk.state / "risk"), "PYTHONPATH": str(ROOT)}
    # Once as root: whoever comes next need not be able to read the checkout.
    code = (
        "import os, sys; from weltklassebot.cli import main; main(['audit', 'tail']);"
        "os.setgroups([]); os.setuid(65534); sys.exit(main(['audit', 'tail']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert "Permission denied. Run it as root, or as the daemon's user." in done.stderr
    assert done.returncode == 1
