"""Exit codes say what became of a command, whatever becomes of its words: outputs that are full, closed, or unread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.cli.test_transport import listening, says
from tests.daemon.conftest import daemon, make  # noqa: F401 - fixtures
from weltklassebot.cli.output import columns, table
from weltklassebot.journal.latch import read_latch

OUTPUTS = ("full", "closed", "unread")
PYTHON = [sys.executable, "-m", "weltklassebot"]


def run(environ, *arguments, out=None, err=None, command=PYTHON):
    """The exit code, and what could be read; `out` and `err`: None to read it, or what is wrong with it."""
    redirections = ["exec", '"$@"']
    redirections += [f"{number}>&-" for number, how in ((1, out), (2, err)) if how == "closed"]
    with ExitStack() as files:

        def end(how):
            if how == "full":
                return files.enter_context(open("/dev/full", "wb"))
            if how == "unread":
                reader, writer = os.pipe()
                os.close(reader)
                return files.enter_context(open(writer, "wb"))
            return subprocess.PIPE

        done = subprocess.run(
            ["/bin/bash", "-c", " ".join(redirections), "bash", *command, *arguments],
            env=environ, stdin=subprocess.DEVNULL, stdout=end(out), stderr=end(err), check=False, timeout=60,
        )  # fmt: skip
    assert b"Exception ignored" not in (done.stderr or b""), done.stderr
    return done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode()


@pytest.mark.parametrize(("out", "err"), [(how, how) for how in OUTPUTS] + [(None, "full"), ("full", None)])
def test_a_kill_without_a_daemon_is_latched_before_a_word_is_said(desk, out, err):
    code, shown, said = run(desk.environ, "kill-switch", "trigger", "--reason", "r", "--json", out=out, err=err)
    assert code == 0
    latch = read_latch(desk.state / "run")
    assert (latch.kind, latch.reason) == ("kill", "r")
    assert desk("audit", "show", "--json").out.count('"action":"kill_switch_trigger"') == 1
    if out is None:
        assert json.loads(shown) == {"latched": True, "recorded": True, "daemon": "none is running"}
    if err is None:
        assert "no daemon answers there" in said
        assert "No space left on device" in said


@pytest.mark.slow
def test_what_was_done_is_done_whoever_reads_it(daemon):  # noqa: F811
    environ = daemon._environment()

    def most():
        return daemon.state()["limits"]["max_order_notional"]

    acts = (
        (["halt", "--reason", "r"], lambda: daemon.state()["state"] == "HALTED"),
        (["resume", "--reason", "r"], lambda: daemon.state()["state"] == "RUNNING"),
        (["cooldown", "--minutes", "5"], lambda: daemon.state()["state"] == "COOLDOWN"),
        (["limits", "set", "max_order_notional=7", "--reason", "r"], lambda: most() == "7"),
        (["limits", "unset", "max_order_notional", "--reason", "r"], lambda: most() != "7"),
        (["positions", "adjust", "--symbol", "X", "--quantity", "1", "--price", "1", "--reason", "r"],
         lambda: daemon.state()["positions"] != []),
        (["orders", "cancel-all"], lambda: True),
        (["clock", "reanchor", "--reason", "r"], lambda: True),
        (["kill-switch", "trigger"], lambda: daemon.state()["kill_switch"]["state"] == "KILLED"),
        (["kill-switch", "recover", "--approved-by", "boss"],
         lambda: daemon.state()["kill_switch"]["state"] == "RECOVERING"),
    )  # fmt: skip
    for how in OUTPUTS:
        for words, done in acts:
            seq = daemon.state()["journal"]["last_seq"]
            assert run(environ, *words, out=how)[0] == 0, (how, words)
            assert done(), (how, words)
            assert daemon.state()["journal"]["last_seq"] == seq + 1, (how, words)


@pytest.mark.slow
def test_a_yes_and_a_no_keep_their_codes(daemon):  # noqa: F811
    environ = daemon._environment()
    check = ["orders", "check", "--symbol", "X", "--side", "buy", "--price", "1", "--id"]
    for number, how in enumerate(OUTPUTS):
        assert run(environ, *check, f"a-{number}", "--quantity", "1", out=how, err=how)[0] == 0
        assert run(environ, *check, f"b-{number}", "--quantity", "9999999", out=how, err=how)[0] == 1
    assert daemon.state()["open_orders"] == 3


@pytest.mark.slow
def test_a_read_that_is_lost(desk):
    assert desk("kill-switch", "trigger", "--reason", "r" * 400).code == 0
    for words in (["audit", "show"], ["config", "show"], ["audit", "show", "--json"], ["audit", "verify"], ["--help"]):
        for how, expected in (("unread", 0), ("closed", 0), ("full", 74)):
            code, _, said = run(desk.environ, *words, out=how)
            assert (code, how) == (expected, how), words
            assert ("No space left on device" in said) == (how == "full"), (words, said)
        assert run(desk.environ, *words, out="full", err="full")[0] == 74


def test_a_reader_that_has_enough_of_many(desk):
    """More than a pipe holds, so that it breaks in the middle."""
    from weltklassebot.core.commands import Halt
    from weltklassebot.journal import JsonlStateStore

    store = JsonlStateStore(desk.state / "risk")
    store.run(Halt(reason="r"), "sre")
    line = store.directory / "risk_audit.jsonl"
    assert line.stat().st_size < 65_536
    for _ in range(60):
        store.run(Halt(reason="r" * 500), "sre")
    pipe = f"set -o pipefail; {' '.join(PYTHON)} audit show --json | head -n 1"
    done = subprocess.run(["/bin/bash", "-c", pipe], env=desk.environ, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", OUTPUTS)
def test_a_red_light_is_red_wherever_it_is_shown(desk, how):
    for reason in ("first", "second"):
        desk("kill-switch", "trigger", "--reason", reason)
    journal = desk.state / "risk" / "risk_audit.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"first", b"worst"))
    assert run(desk.environ, "audit", "verify", out=how, err=how)[0] == 74
    file = desk.home / "bad.csv"
    file.write_text("return,var\n" + "-0.05,0.01\n" * 30 + "0.01,0.02\n" * 270)
    assert run(desk.environ, "var", "validate", str(file), out=how, err=how)[0] == 1
    file.write_text("return,var\n" + "-0.05,0.04\n0.01,0.04\n" + "0.01,0.04\n" * 298)
    green = run(desk.environ, "var", "validate", str(file), out=how, err=how)[0]
    assert green == (74 if how == "full" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("how", OUTPUTS)
def test_an_error_keeps_its_code(desk, how):
    for words, code in (
        (["status"], 69),
        (["halt"], 69),
        (["nonsense"], 2),
        (["audit", "verify"], 1),
        (["config", "check", "--config", "/no/such/file"], 78),
    ):
        assert run(desk.environ, *words, out=how, err=how)[0] == code, words


@pytest.mark.slow
@pytest.mark.parametrize("traceback", ["", "1"])
@pytest.mark.parametrize("err", [None, *OUTPUTS])
def test_a_fault_is_no_denial(desk, err, traceback):
    """Of a daemon that says so, and of the program: an answer that it does not expect."""
    environ = (
        desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)} | ({"WELTKLASSE_TRACEBACK": "1"} if traceback else {})
    )
    with listening(desk.home / "admin.sock", says(200, ["not a state"])):
        code, _, said = run(environ, "status", err=err)
    assert code == 70
    if err is None:
        assert ("Traceback" in said) == bool(traceback)
        assert all(line.startswith("weltklassebot: ") for line in said.splitlines())
    (desk.home / "admin.sock").unlink()
    with listening(desk.home / "admin.sock", says(500, {"title": "Internal error", "status": 500}, seen=[])):
        check = ("orders", "check", "--id", "a", "--symbol", "X", "--side", "buy", "--quantity", "1", "--price", "1")
        result = run(environ, *check, err=err)
        assert result[0] == 70, result


@pytest.mark.slow
def test_a_task_that_dies_ends_the_daemon_with_the_code_of_a_fault(make):  # noqa: F811
    one = make()
    dies = (
        "import asyncio, sys; from weltklassebot.app.daemon import Daemon; from weltklassebot.cli import main\n"
        "async def dies(self): await asyncio.sleep(0); raise KeyError('a fault')\n"
        "Daemon._redeliver = dies; sys.exit(main(['serve']))"
    )
    command = [sys.executable, "-c", dies]
    done = subprocess.run(command, env=one._environment(), check=False, timeout=60, capture_output=True)
    assert b'"event":"task_died"' in done.stdout
    assert done.returncode == 70
    assert "exit code 70" in run(one._environment(), "audit", "tail", "-n", "1")[1]


def test_a_daemon_that_fails_at_a_kill_is_killed_by_the_latch(desk):
    environ = desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)}
    for status in (500, 503):
        with listening(desk.home / "admin.sock", says(status, {"title": "No", "status": status}, seen=[])):
            assert run(environ, "kill-switch", "trigger", "--reason", f"r{status}")[0] == 0
        (desk.home / "admin.sock").unlink()
        assert read_latch(desk.home).reason == f"r{status}"


def test_no_file_of_ours_lands_on_a_closed_descriptor(tmp_path):
    found = tmp_path / "found"
    code = (
        "import os, sys; from weltklassebot.cli import main; main(['version']); f = open(sys.argv[1], 'w');"
        "f.write(' '.join([os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)] + [str(f.fileno() > 2)]))"
    )
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"):
        command = ["/bin/bash", "-c", f'exec "$@" {closed}', "bash", sys.executable, "-c", code, str(found)]
        done = subprocess.run(command, check=False, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert done.returncode == 0, closed
        *targets, above = found.read_text().split()
        assert above == "True", closed
        for number in (0, 1, 2):
            if f"{number}<&-" in closed or f"{number}>&-" in closed:
                assert targets[number] == "/dev/null", closed


def test_columns_stand_below_each_other_whatever_letters_are_wide():
    symbols = ("币安人生USDT", "BRK B", "q\u0303")
    said = list(table([{"symbol": symbol, "held": f"={number}"} for number, symbol in enumerate(symbols)]))
    assert [columns(line[: line.index(mark)]) for line, mark in zip(said, ("held", "=0", "=1", "=2"), strict=True)] == [
        14
    ] * 4
