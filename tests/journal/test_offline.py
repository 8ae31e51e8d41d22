from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from weltklassebot.core.commands import (
    CancelAll,
    CheckOrder,
    Cooldown,
    Halt,
    Mark,
    ReportEquity,
    Start,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.memory import Refused
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.core.validation import Invalid
from weltklassebot.core.views import risk_state_file, summary
from weltklassebot.journal import JsonlStateStore
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import AlreadyAnswered, StoreLocked
from weltklassebot.journal.reading import iterate
from weltklassebot.journal.store import JOURNAL, STATE, StoreLock
from weltklassebot.journal.verify import verify
from weltklassebot.risk_admin import force_cooldown, get_state, halt, resume


@pytest.fixture
def store(tmp_path: Path) -> JsonlStateStore:
    return JsonlStateStore(tmp_path / "risk")


def actions(store: JsonlStateStore) -> list[str]:
    return [record.action for record in iterate(store.directory)]


def test_a_cooldown_by_hand(store: JsonlStateStore) -> None:
    state = force_cooldown(store, minutes=15, actor="sre@desk", reason="volatility_spike")
    assert (state["state"], state["meta"]["cooldown_minutes"]) == ("COOLDOWN", 15)
    assert json.loads((store.directory / STATE).read_bytes()) == state == get_state(store)
    assert actions(store) == ["start", "cooldown"]
    last = json.loads((store.directory / JOURNAL).read_bytes().splitlines()[-1])
    assert (last["actor"], last["action"], last["reason"]) == ("sre@desk", "cooldown", "volatility_spike")
    assert last["principal"] == f"offline:uid={os.getuid()}"
    assert last["batch"] == [1, 2]


BYTES = b"caf\xe9\n".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"reason": "", "actor": ""},
        {"reason": None},
        {"reason": 5, "actor": ["a"]},
        {"reason": "a\nb" * 1000, "actor": "x" * 501},
        {"reason": BYTES, "actor": BYTES},
    ],
)
def test_a_stop_by_hand_is_not_refused_for_its_words(store: JsonlStateStore, words: dict[str, Any]) -> None:
    cooled = force_cooldown(store, minutes=15, **words)
    assert cooled["state"] == "COOLDOWN"
    halted = halt(store, **words)
    assert halted["state"] == "HALTED"
    assert halted["notices"] == cooled["notices"] != []
    assert halted == {**get_state(store), "notices": halted["notices"]}
    store.run(TriggerKillSwitch(**{"reason": "", **words}), words.get("actor", ""))
    store.run(CancelAll(**{"reason": "", **words}), words.get("actor", ""))
    records = list(iterate(store.directory))
    assert [record.action for record in records] == ["start", "cooldown", "halt", "kill_switch_trigger", "cancel_all"]
    for record in records[1:]:
        assert 0 < len(record.reason) <= 500
        assert record.reason.isprintable()
        assert 0 < len(record.actor) <= 500
        assert record.actor.isprintable()
    with pytest.raises(Invalid):
        resume(store, **{"actor": "a", "reason": "", **words})


def test_halt_and_resume_by_hand(store: JsonlStateStore) -> None:
    assert halt(store, actor="sre@desk", reason="drill")["state"] == "HALTED"
    with pytest.raises(Refused):
        force_cooldown(store, minutes=1, actor="sre@desk", reason="drill")
    assert resume(store, actor="sre@desk", reason="over")["state"] == "RUNNING"
    assert actions(store) == ["start", "halt", "resume"]
    times = [record.ts for record in iterate(store.directory)]
    assert times == sorted(set(times))
    assert verify(store.directory).first_bad is None


def test_repeating_a_command_writes_one_more_line(store: JsonlStateStore) -> None:
    for _ in range(3):
        force_cooldown(store, minutes=15, actor="sre@desk", reason="volatility_spike")
    assert actions(store) == ["start", "cooldown", "cooldown", "cooldown"]


def test_what_is_refused_leaves_no_trace(store: JsonlStateStore) -> None:
    with pytest.raises(Invalid):
        store.run(Mark(symbol=" no blank before it", price=Decimal(1)), "me")
    assert not store.directory.exists()
    halt(store, actor="me", reason="x")
    with pytest.raises(Refused):
        store.run(Cooldown(reason="x", minutes=1), "me")
    assert actions(store) == ["start", "halt"]


def test_an_order_is_answered_once(store: JsonlStateStore) -> None:
    order = CheckOrder(client_order_id="a", symbol="X", side="buy", quantity=Decimal(1), price=Decimal(1))
    assert store.run(order, "bot").events
    with pytest.raises(AlreadyAnswered):
        store.run(order, "bot")


def test_numbers_are_exact_across_runs(store: JsonlStateStore) -> None:
    store.run(ReportEquity(equity=Decimal("1E-7")), "bot")
    assert summary(store.load().state, 0.0)["equity"] == "0.0000001"
    assert b"E-" not in (store.directory / JOURNAL).read_bytes()


def test_reading_an_empty_store_makes_nothing(store: JsonlStateStore) -> None:
    assert get_state(store)["state"] == "RUNNING"
    assert not store.directory.exists()


def test_a_running_daemon_is_not_overtaken(store: JsonlStateStore) -> None:
    halt(store, actor="sre@desk", reason="drill")
    with StoreLock(store.directory):
        with pytest.raises(StoreLocked):
            resume(store, actor="sre@desk", reason="over")
        assert get_state(store)["state"] == "HALTED"
    assert actions(store) == ["start", "halt"]


def test_a_torn_end_does_not_stop_an_operator(store: JsonlStateStore) -> None:
    halt(store, actor="sre@desk", reason="drill")
    whole = (store.directory / JOURNAL).read_bytes()
    state = (store.directory / STATE).read_bytes()
    resume(store, actor="sre@desk", reason="over")
    longer = (store.directory / JOURNAL).read_bytes()
    (store.directory / JOURNAL).write_bytes(longer[:-7])
    (store.directory / STATE).write_bytes(state)  # it is written behind its record
    assert get_state(store)["state"] == "HALTED"
    assert halt(store, actor="sre@desk", reason="again")["state"] == "HALTED"
    assert (store.directory / JOURNAL).read_bytes().startswith(whole)
    assert actions(store) == ["start", "halt", "halt"]
    assert len(list(store.directory.glob("risk_audit.torn-3-1"))) == 1


def test_what_fell_due_meanwhile_is_done_first(store: JsonlStateStore) -> None:
    old = 1_600_000_000.0
    command = Start(version="0", format=FORMAT, parameters=Parameters(), wall=old)
    outcome = Engine().handle(command, seq=1, now=old)
    assert isinstance(outcome, Recorded)
    record = Record(
        seq=1, ts=old, actor="", principal="", action="start", reason="", command=command, events=outcome.events
    )
    store.directory.mkdir()
    (store.directory / JOURNAL).write_bytes(seal([encode(record)], 1, GENESIS)[0])
    store.run(Halt(reason="drill"), "sre@desk")
    assert actions(store) == ["start", "tick", "halt"]


def test_replaying_the_journal_gives_the_state_of_the_file(store: JsonlStateStore) -> None:
    store.run(ReportEquity(equity=Decimal(100_000)), "bot")
    force_cooldown(store, minutes=0.5, actor="sre@desk", reason="drill")
    engine = Engine()
    for record in iterate(store.directory):
        engine.apply(record)
    assert json.loads((store.directory / STATE).read_bytes()) == risk_state_file(engine.state)


CONTRACT = """
import sys
from pathlib import Path
from weltklassebot.risk_admin import force_cooldown, get_state, halt, resume
from weltklassebot.journal import JsonlStateStore
store = JsonlStateStore(Path(sys.argv[1]))
force_cooldown(store, minutes=15, actor="sre@desk", reason="volatility_spike")
"""


def test_the_example_of_the_contract(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", CONTRACT, str(tmp_path / "risk")], check=True)
    state = json.loads((tmp_path / "risk" / STATE).read_bytes())
    assert (state["state"], state["meta"]["cooldown_minutes"]) == ("COOLDOWN", 15)
