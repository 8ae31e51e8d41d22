"""Stops from the command line depend on no setting but where the daemon is, and on no words."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.daemon.conftest import daemon, make  # noqa: F401 - fixtures
from weltklassebot.journal.latch import read_latch

BROKEN = {
    "WELTKLASSE_HOTS": "x",
    "WELTKLASSE_RISK__MAX_DRAWDOWN": "7",
    "WELTKLASSE_METRICS_PORT": "no",
    "WELTKLASSE_CONFIG": "/no/such/file",
}
WARNINGS = ("WELTKLASSE_HOTS: no such setting", "/no/such/file: cannot be read")


def operate(one, *arguments, **environ):
    """A command as an operator of this daemon has it; arguments may be bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", *arguments],
        env=one._environment() | environ, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.slow
def test_stops_and_the_state_need_no_other_setting(daemon):  # noqa: F811
    for words, answered in (
        (["halt", "--reason", "r"], "HALTED"),
        (["kill-switch", "trigger", "--reason", "r"], "KILLED"),
        (["orders", "cancel-all", "--reason", "r"], "cancel_requests"),
        (["status"], "HALTED"),
        (["kill-switch", "status"], "KILLED"),
    ):
        code, out, err = operate(daemon, *words, **BROKEN)
        assert (code, answered in out) == (0, True), (words, err)
        for warning in WARNINGS:
            assert f"weltklassebot: warning: {warning}" in err, words
    # Resume, and whatever else loosens, asks for settings that are right.
    assert operate(daemon, "resume", "--reason", "r", **BROKEN)[0] == 78
    assert operate(daemon, "limits", "set", "max_notional=1", "--reason", "r", **BROKEN)[0] == 78
    assert [line["action"] for line in daemon.lines()][-3:] == ["halt", "kill_switch_trigger", "cancel_all"]
    assert operate(daemon, "status")[2] == ""


@pytest.mark.slow
def test_a_cooldown_and_a_watch_need_no_other_setting(daemon):  # noqa: F811
    code, out, err = operate(daemon, "cooldown", "--minutes", "5", **BROKEN)
    assert (code, "COOLDOWN" in out, WARNINGS[0] in err) == (0, True, True)
    shown, theirs = os.pipe()
    watching = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "weltklassebot", "status", "--watch"],
        env=daemon._environment() | BROKEN, stdout=theirs, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    with watching, open(shown, "rb") as lines:
        assert lines.readline().startswith(b"COOLDOWN")
        watching.send_signal(2)
        assert WARNINGS[1].encode() in watching.stderr.read()
    assert watching.returncode == 130


def test_a_kill_without_a_daemon_needs_no_other_setting(desk):
    runtime, store = desk.home / "run", desk.home / "store"
    where = {"WELTKLASSE_RUNTIME_DIR": str(runtime), "WELTKLASSE_RISK_STORE_DIR": str(store)}
    result = desk("kill-switch", "trigger", "--reason", "r", "--json", **where, **BROKEN)
    assert (result.code, result.json) == (0, {"latched": True, "recorded": True, "daemon": "none is running"})
    lines = result.err.splitlines()
    assert "no daemon answers there" in lines[0]
    assert [line.split(": ")[1] for line in lines[1:]] == ["warning"] * (len(lines) - 1)
    assert len(lines) == len(set(lines)) > 1
    assert read_latch(runtime).reason == "r"
    assert (store / "risk_state.json").exists()


def test_a_broken_file_leaves_the_environment_and_the_defaults(desk):
    file = desk.home / "c.toml"
    file.write_bytes(b"runtime_dir = \xff")
    result = desk("kill-switch", "trigger", "--config", str(file))
    assert (result.code, result.err.count("warning: ")) == (0, 1)
    assert read_latch(desk.state / "run").kind == "kill"
    file.write_text(f'runtime_dir = "{desk.home}/there"\nnonsense = 1\n')
    assert desk("kill-switch", "trigger", "--config", str(file)).code == 0
    assert read_latch(desk.home / "there").kind == "kill"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can be somebody else")
@pytest.mark.parametrize("given", [("RUNTIME_DIR",), ("RISK_STORE_DIR",), ("RUNTIME_DIR", "RISK_STORE_DIR"), ()])
def test_a_kill_by_a_user_without_a_home(desk, given):
    """A uid without an entry in passwd: each directory that is given is used."""
    os.chown(desk.home, 54321, 54321)
    environ = {f"WELTKLASSE_{name}": str(desk.home / name) for name in given}
    # Once as root, for what is to be imported: another user need not be able to read the checkout.
    code = (
        "import os, sys; from weltklassebot.cli import main; main(['kill-switch', 'trigger', '--json']);"
        "[os.environ.pop(name) for name in ('HOME', 'XDG_RUNTIME_DIR') if name in os.environ];"
        "os.environ.update(eval(sys.argv[1])); os.setgroups([]); os.setuid(54321); print('---', flush=True);"
        "sys.exit(main(['kill-switch', 'trigger', '--reason', 'r', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, repr(environ)], cwd="/", check=False, timeout=60, capture_output=True,
        env={"HOME": str(desk.home / "root"), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    out, err = done.stdout.decode().partition("---\n")[2], done.stderr.decode()
    if not given:
        assert (done.returncode, out) == (1, "")
        assert "WELTKLASSE_RUNTIME_DIR" in err
        return
    assert done.returncode == 0, err
    recorded = "RISK_STORE_DIR" in given
    found = "none is running" if recorded else "none took it"
    assert json.loads(out) == {"latched": "RUNTIME_DIR" in given, "recorded": recorded, "daemon": found}


WORDS = (
    ([], "(no reason given)", ["reason: is missing: say why another time"]),
    (["--reason"], "(no reason given)", ["reason: is missing: say why another time"]),
    (["--reason", ""], "(no reason given)", ["reason: is missing: say why another time"]),
    (["--reason", "-5% in a minute"], "-5% in a minute", []),
    (["--reason", "x" * 501], "x" * 500, ["reason: had 501 characters: cut to 500"]),
    (["--reason", "a\nb"], "a b", ["reason: had line breaks or control characters: they are spaces now"]),
    (["--reason", b"caf\xe9"], "caf\ufffd", ["reason: was not UTF-8: what could not be read is marked"]),
    (["--reason", "exchange", "is", "down"], "exchange is down",
     ["reason: was not in quotes: the words behind it were taken too"]),
    (["--reason", "r", "--actor", b"\xff\n"], "r",
     ["actor: was not UTF-8: what could not be read is marked",
      "actor: had line breaks or control characters: they are spaces now"]),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("words", "reason", "notices"), WORDS)
def test_a_kill_without_a_daemon_needs_no_words(desk, words, reason, notices):
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "kill-switch", "trigger", "--json", *words],
        env=desk.environ, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["latched"], answer["recorded"]) == (0, True, True)
    assert answer.get("notices", []) == notices
    assert read_latch(desk.state / "run").reason == reason


@pytest.mark.slow
@pytest.mark.parametrize("command", [["halt"], ["kill-switch", "trigger"], ["cooldown"], ["orders", "cancel-all"]])
def test_a_stop_needs_no_words(daemon, command):  # noqa: F811
    action = {"trigger": "kill_switch_trigger", "cancel-all": "cancel_all"}.get(command[-1], command[-1])
    for words, reason, notices in WORDS:
        code, out, err = operate(daemon, *command, "--json", *words)
        assert (code, err) == (0, ""), words
        assert json.loads(out).get("notices", []) == notices
        record = list(daemon.lines())[-1]
        assert (record["reason"], record["action"]) == (reason, action)


@pytest.mark.parametrize("url", ["junk", "ftp://desk", "http://user@desk:9000", "http://desk:port"])
def test_a_variable_that_is_no_address_keeps_no_stop_from_this_machine(desk, url):
    result = desk("kill-switch", "trigger", "--reason", "r", "--json", WELTKLASSE_URL=url)
    assert (result.code, result.json["latched"], result.json["recorded"]) == (0, True, True)
    assert "warning: WELTKLASSE_URL" in result.err
    assert desk("kill-switch", "trigger", "--reason", "r", "--url", url).code == 2, "this one was typed"
    assert desk("limits", "show", WELTKLASSE_URL=url).code == 2, "and this is no stop"


def test_words_without_their_option_are_the_reason(desk):
    for words, reason in (
        (["runaway strategy"], "runaway strategy"),
        (["runaway", "strategy", "\u00fc"], "runaway strategy \u00fc"),
    ):
        result = desk("kill-switch", "trigger", *words, "--json", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert (result.code, result.json["notices"]) == (0, ["reason: stood without --reason"])
        assert read_latch(desk.state / "run").reason == reason
    assert desk("kill-switch", "trigger", "help").code == 2
    assert desk("kill-switch", "trigger", "--hepl").code == 2


@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can give it away")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_runtime_directory_that_a_kill_makes_is_the_daemons(desk, umask):
    """After a reboot without systemd: the daemon of another user has to find it, and to write in it."""
    store = desk.home / "store"
    store.mkdir()
    os.chown(store, 54321, 54321)
    where = {"WELTKLASSE_RISK_STORE_DIR": str(store), "WELTKLASSE_RUNTIME_DIR": str(desk.home / "run")}
    before = os.umask(umask)
    try:
        result = desk("kill-switch", "trigger", "--reason", "r", "--json", **where)
    finally:
        os.umask(before)
    assert result.json["latched"]
    made = (desk.home / "run").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (54321, 54321, 0o755)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["USER", "SUDO_USER"])
def test_whoever_somebody_is(daemon, name):  # noqa: F811
    users = {"LOGNAME": "", "USER": "", "SUDO_USER": ""}
    for user, complaint in (("caf\udce9", "was not UTF-8"), ("a\nb", "had line breaks"), ("x" * 600, "cut to 500")):
        code, out, _ = operate(daemon, "halt", "--reason", "r", "--json", **users | {name: user})
        assert code == 0
        assert complaint in json.loads(out)["notices"][0]
        actor = list(daemon.lines())[-1]["actor"]
        assert actor.isprintable()
        assert len(actor) <= 500
        # Nobody chose that name: what loosens is refused for its own words alone.
        assert operate(daemon, "resume", "--reason", "r", **users | {name: user})[0] == 0


def test_people_see_the_notices_behind_the_answer(desk):
    shown = desk("kill-switch", "trigger", "--reason", "a\nb").out.splitlines()
    assert shown == [
        "latched   yes",
        "recorded  yes",
        "daemon    none is running",
        "notices",
        "  reason: had line breaks or control characters: they are spaces now",
    ]
