"""What works with the daemon stopped: the kill switch, and the journal."""

from __future__ import annotations

import json

from weltklassebot.journal.store import StoreLock


def test_the_kill_switch_works_with_the_daemon_stopped(desk):
    result = desk("kill-switch", "trigger", "--reason", "runaway", "--actor", "sre@desk", "--json")
    assert result.code == 0
    assert result.json == {"latched": True, "recorded": True, "daemon": "none is running"}
    assert "no daemon answers there" in result.err
    assert json.loads((desk.state / "run" / "latch.json").read_text())["kind"] == "kill"
    assert json.loads((desk.state / "risk" / "risk_state.json").read_text())["kill_switch"]["state"] == "KILLED"
    shown = desk("audit", "show", "--action", "kill_switch_trigger", "--json")
    record = json.loads(shown.out)
    assert (record["actor"], record["reason"]) == ("sre@desk", "runaway")


def test_it_latches_even_if_the_journal_cannot_be_written(desk):
    (desk.state / "risk").parent.mkdir(parents=True)
    (desk.state / "risk").write_text("not a directory")
    result = desk("kill-switch", "trigger", "--reason", "r", "--json")
    assert (result.code, result.json) == (0, {"latched": True, "recorded": False, "daemon": "none took it"})


def test_it_is_recorded_even_if_it_cannot_be_latched(desk):
    (desk.home / "file").touch()
    runtime = str(desk.home / "file" / "run")
    result = desk("kill-switch", "trigger", "--reason", "r", "--json", WELTKLASSE_RUNTIME_DIR=runtime)
    assert (result.code, result.json) == (0, {"latched": False, "recorded": True, "daemon": "none is running"})


def test_a_kill_that_goes_nowhere_says_so_and_promises_nothing(desk):
    """An operator without rights on the files: on the socket they would have been enough."""
    (desk.home / "file").touch()
    (desk.state / "risk").parent.mkdir(parents=True)
    (desk.state / "risk").write_text("not a directory")
    for runtime in (desk.home / "file" / "run", desk.home / "file"):
        result = desk("kill-switch", "trigger", "--reason", "r", WELTKLASSE_RUNTIME_DIR=str(runtime))
        assert result.code == 1
        assert "the kill was neither latched nor recorded: run it as root" in result.err.splitlines()[-1]
        assert "running daemon" not in result.err


def test_a_daemon_that_holds_the_store_and_does_not_answer_is_said(desk):
    assert desk("kill-switch", "trigger", "--reason", "first").code == 0
    with StoreLock(desk.state / "risk"):
        result = desk("kill-switch", "trigger", "--reason", "again", "--json")
    assert result.code == 1
    assert result.json == {"latched": True, "recorded": False, "daemon": "does not answer: end it"}
    assert "does not answer holds the store" in result.err
    assert (desk.state / "run" / "latch.json").exists()


def test_the_journal_is_read_proven_and_decided_again(desk):
    for reason in ("first", "second", "third"):
        desk("kill-switch", "trigger", "--reason", reason)
    assert [line.split()[2] for line in desk("audit", "tail", "-n", "2").out.splitlines()] == [
        "kill_switch_trigger"
    ] * 2
    found = desk("audit", "verify", "--json").json
    assert (found["ok"], found["records"], found["last_seq"]) == (True, 4, 4)
    replayed = desk("audit", "replay", "--decide", "--json")
    assert replayed.code == 0
    assert (replayed.json["records"], replayed.json["differing"]) == (4, 0)
    assert replayed.json["state"]["kill_switch"]["state"] == "KILLED"
    assert desk("audit", "replay", "--until", "1", "--json").json["state"]["kill_switch"]["state"] == "ACTIVE"
    shown = desk("audit", "show", "--after-seq", "3", "--limit", "5", "--since", "2020-01-01T00:00:00Z", "--json").out
    assert [json.loads(line)["seq"] for line in shown.splitlines()] == [4]
    assert desk("audit", "show", "--until", "2020-01-01T00:00:00Z").out == ""


def test_a_changed_byte_is_located(desk):
    for reason in ("first", "second"):
        desk("kill-switch", "trigger", "--reason", reason)
    journal = desk.state / "risk" / "risk_audit.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"first", b"worst"))
    result = desk("audit", "verify", "--json")
    assert result.code == 74
    assert (result.json["ok"], result.json["line"], result.json["file"]) == (False, 2, str(journal))
    assert desk("audit", "replay").code == 74
