"""Symbols and ids as venues and libraries write them, at every door and behind every restart."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from weltklassebot.client import RiskClient

SPELLINGS = (
    "BTC/USDT:USDT", "BRK B", "^GSPC", "ES=F", "SPXW  261218C05000000", "币安人生USDT", "Ä/€", "a/b#c=d?e&f%20",
    '"quoted"', "../../etc/passwd", "{x}", "$HOME`id`", "<b>", "x" * 128, "é" * 64,
)  # fmt: skip
UNFIT = ("", " a", "a ", "a\tb", "a\x9bb", "a\u2028b", "a\u202eb", "a\u200bb", "e\u0301", "é" * 64 + "x", "x" * 129)


def cli(daemon: Daemon, *arguments: str) -> Any:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", "WELTKLASSE_RUNTIME_DIR": str(daemon.directory / "run")}
    environ |= {"WELTKLASSE_STATE_DIR": str(daemon.directory / "state")}
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", *arguments], env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout) if "--json" in arguments else done.stdout.decode()


def held(daemon: Daemon, by: str = "account") -> dict[str, str]:
    return {row["symbol"]: row["quantity"] for row in daemon.get(f"/v1/positions?by={by}")["positions"]}


def test_every_spelling_at_every_door_and_behind_every_restart(make, tmp_path):
    daemon = make(JOURNAL__SEGMENT_RECORDS=20, RISK__MAX_NOTIONAL="unlimited").start()
    with daemon.stream() as bot, RiskClient(f"unix:{daemon.directory}/run/orders.sock", account="main") as risk:
        for name in SPELLINGS:
            fields = {"symbol": name, "account": name, "strategy": name, "venue": name}
            assert bot.ask({"op": "check", **order(name, **fields)})["allowed"], name
            fill = {
                "fill_id": name,
                "client_order_id": name,
                "side": "buy",
                "quantity": "0.001",
                "price": "1000",
                **fields,
            }
            assert daemon.post("/v1/fills", **fill)["doubtful"] is False, name
            assert bot.ask({"op": "fill", **fill})["replayed"], name
            assert risk.check(symbol=name, side="buy", quantity="0.001", price="1000", client_order_id=f"c{name}"[:60])
            assert risk.mark(name, 1000)
            mine = daemon.http("GET", f"/v1/orders?account={name.encode().hex('%').join(('%', ''))}")
            assert mine.json["orders"] == [], name
    assert set(held(daemon)) == set(SPELLINGS)
    daemon.log("snapshot")
    for _ in range(2):
        daemon.restart()
        assert held(daemon, "strategy") == dict.fromkeys(SPELLINGS, "0.001")
    rows = cli(daemon, "positions", "list", "--json")["positions"]
    assert {row["symbol"] for row in rows} == set(SPELLINGS)
    text = cli(daemon, "positions", "list")
    assert all(name in text for name in SPELLINGS)
    feed = tmp_path / "day.ndjson"
    feed.write_text("".join(json.dumps({"op": "mark", "symbol": name, "price": "1001"}) + "\n" for name in SPELLINGS))
    assert cli(daemon, "orders", "feed", str(feed), "--json")["errors"] == 0
    assert cli(daemon, "orders", "list", "--account", SPELLINGS[5], "--json") == {"orders": []}
    shown = cli(daemon, "audit", "show", "--action", "fill", "--limit", "100")
    assert '"BRK B"' in shown
    assert len(shown.splitlines()) == len(SPELLINGS)
    metrics = daemon.http("GET", "/metrics").body.decode()
    assert not [name for name in SPELLINGS if len(name) > 3 and name in metrics], "labels are of a closed set"
    cli(daemon, "audit", "verify", "--json")


def test_what_cannot_be_told_apart_is_refused_with_its_reason(shared):
    for bad in UNFIT:
        for field in ("symbol", "client_order_id", "account", "strategy", "venue"):
            answer = shared.http("POST", "/v1/orders/check", order("a-1") | {field: bad})
            assert (answer.status, answer.json["errors"][0]["field"]) == (422, field), (field, bad)
    answer = shared.http("POST", "/v1/orders/check", order("a-1", symbol=unicodedata.normalize("NFD", "é")))
    assert "normalisation form C" in answer.json["detail"]
    answer = shared.http("POST", "/v1/orders/check", order("a-1", symbol="*"))
    assert "stands for the symbols that are not listed" in answer.json["detail"]


def test_a_token_is_bound_to_an_account_by_any_spelling(daemon):
    token = daemon.token("trader", accounts=("Ä/€ 1",))
    told = {
        name: daemon.http("POST", "/v1/orders/check", order(name, account=name), token=token) for name in ("Ä/€ 1", "B")
    }
    assert {name: answer.status for name, answer in told.items()} == {"Ä/€ 1": 200, "B": 403}


ALIASES = '{"BTC-EUR": {"aliases": ["XBT/EUR", "BTC EUR"]}, "*": {}}'


def test_several_spellings_of_a_symbol_are_one(make):
    daemon = make(SYMBOLS=ALIASES, RISK__MAX_ORDER_NOTIONAL="unlimited").start()
    daemon.post("/v1/marks", marks=[{"symbol": "XBT/EUR", "price": "1000"}])
    assert daemon.check("a-1", symbol="BTC EUR")["allowed"]
    assert daemon.check("a-1", symbol="BTC-EUR")["replayed"], "the same order in another spelling"
    fill = {"fill_id": "f-1", "client_order_id": "a-1", "side": "buy", "quantity": "0.001", "price": "1000"}
    fill |= {"account": "main", "strategy": "test"}
    assert daemon.post("/v1/fills", symbol="XBT/EUR", **fill)["position"] == "0.001"
    assert daemon.post("/v1/fills", symbol="BTC-EUR", **fill)["replayed"]
    assert held(daemon) == {"BTC-EUR": "0.001"}
    said = [line["command"].get("symbol") for line in daemon.lines() if line["action"] in ("check", "fill", "mark")]
    assert said == ["XBT/EUR", "BTC EUR", "XBT/EUR"], "the journal holds what was sent"
    daemon.restart()
    assert held(daemon) == {"BTC-EUR": "0.001"}
    assert daemon.post("/v1/fills", symbol="BTC EUR", **fill)["replayed"]
    assert daemon.check("a-2", symbol="XBT/EUR", side="sell", reduce_only=True)["allowed"]
    cli(daemon, "audit", "replay", "--decide")


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "snapshot"])
def test_what_was_held_under_another_spelling_is_joined_at_the_start_that_says_so(make, fold):
    daemon: Daemon = make(SYMBOLS='{"*": {}}', JOURNAL__SEGMENT_RECORDS=50_000 if fold else 4).start()
    daemon.post("/v1/marks", marks=[{"symbol": "XBT", "price": "1000"}, {"symbol": "BTC", "price": "900"}])
    for number, symbol in enumerate(("XBT", "BTC")):
        assert daemon.check(f"a-{number}", symbol=symbol, quantity="0.003")["allowed"]
        fill = {
            "client_order_id": f"a-{number}",
            "side": "buy",
            "quantity": "0.001",
            "price": "1000",
            "account": "main",
        }
        daemon.post("/v1/fills", fill_id=f"f-{number}", symbol=symbol, strategy="test", **fill)
        daemon.post("/v1/fills", fill_id=f"d-{number}", symbol=symbol, strategy="nobody", **fill)
    if not fold:
        daemon.log("snapshot")
    daemon.terminate()
    daemon.settings["WELTKLASSE_SYMBOLS"] = '{"BTC": {"aliases": ["XBT"]}, "*": {}}'
    daemon.start()
    (row,) = daemon.get("/v1/positions")["positions"]
    assert (row["symbol"], row["quantity"], row["open_buys"]) == ("BTC", "0.002", "0.006")
    assert held(daemon, "strategy") == {"BTC": "0.002"}
    assert daemon.state()["gross_notional"] == "7.8", "the newer mark is the mark"
    assert {fill["symbol"] for fill in daemon.get("/v1/fills/doubtful")["fills"]} == {"BTC"}
    first = {"client_order_id": "a-0", "side": "buy", "quantity": "0.001", "price": "1000", "account": "main"}
    assert daemon.post("/v1/fills", fill_id="f-0", symbol="XBT", strategy="test", **first)["replayed"]
    assert daemon.post("/v1/fills", fill_id="f-9", symbol="BTC", strategy="test", **first)["position"] == "0.003"
    state = daemon.state()
    daemon.restart()
    assert daemon.state()["positions"] == state["positions"]


def test_spellings_that_collide_stop_the_start(make):
    daemon = make(SYMBOLS='{"BTC": {"aliases": ["X/Y"]}, "X/Y": {}}')
    assert daemon.start(wait=False).wait() == 78
    assert any("symbols.BTC.aliases: 'X/Y' is listed itself" in line for line in daemon.text), daemon.text


def test_files_are_named_without_them(make):
    daemon = make().start()
    daemon.check("../../a", symbol="../../b", account="/etc")
    daemon.restart()
    names = {path.name for path in Path(daemon.directory).rglob("*")}
    assert not [name for name in names if "etc" in name or name in ("a", "b")]


FILL = {"side": "buy", "quantity": "0.001", "price": "1000", "account": "main", "strategy": "test", "symbol": "BTC-EUR"}


def metric(daemon: Daemon, name: str) -> float:
    text = daemon.http("GET", "/metrics").body.decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def test_one_fill_id_for_several_executions(daemon):
    for name in ("o-1", "o-2", "o-3"):
        daemon.check(name)
    told = [
        daemon.post("/v1/fills", fill_id="T", client_order_id=name, **FILL) for name in ("o-1", "o-2", "o-3", "o-2")
    ]
    assert [answer.get("position") for answer in told] == ["0.001", "0.002", "0.003", None]
    assert [answer.get("fill_id_shared", False) for answer in told] == [False, True, False, False]
    assert told[3]["replayed"]
    assert daemon.log("fill_id_shared")["venue"] == "default"
    assert metric(daemon, "shared_fill_ids_total") == 1
    daemon.restart()
    assert daemon.post("/v1/fills", fill_id="T", client_order_id="o-3", **FILL)["replayed"]
    cli(daemon, "audit", "replay", "--decide")


def test_an_execution_that_contradicts_itself_is_doubtful_and_loud_and_an_operator_says_which(daemon):
    daemon.check("o-1", quantity="0.01")
    daemon.check("o-2", quantity="0.01")
    daemon.post("/v1/fills", fill_id="T", client_order_id="o-1", **FILL)
    for quantity in ("0.002", "0.003"):
        answer = daemon.post("/v1/fills", fill_id="T", client_order_id="o-1", **FILL | {"quantity": quantity})
        assert (answer["doubtful"], answer["cause"]) == (True, "contradicts_fill")
    assert metric(daemon, "contradicting_fills_total") == 2
    assert daemon.log("doubtful_fill")["cause"] == "contradicts_fill"
    rows = cli(daemon, "fills", "list", "--json")["fills"]
    which = {"fill_id": "T", "symbol": "BTC-EUR", "account": "main", "reason": "the venue's list"}
    refused = daemon.http("POST", "/v1/fills/accept", which)
    assert refused.status == 409
    assert all(f"seq {row['seq']}" in refused.json["detail"] for row in rows)
    for field, bad in (("side", "up"), ("client_order_id", " "), ("seq", "x")):
        answer = daemon.http("POST", "/v1/fills/accept", which | {field: bad})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)
    words = (
        "--fill-id",
        "T",
        "--symbol",
        "BTC-EUR",
        "--account",
        "main",
        "--reason",
        "the venue's list",
        "--id",
        "o-1",
    )
    cli(daemon, "fills", "accept", *words, "--seq", str(rows[0]["seq"]), "--discard")
    cli(daemon, "fills", "accept", *words, "--side", "buy", "--strategy", "test")
    assert held(daemon) == {"BTC-EUR": "0.004"}
    daemon.restart()
    for quantity in ("0.001", "0.002", "0.003"):
        answer = daemon.post("/v1/fills", fill_id="T", client_order_id="o-1", **FILL | {"quantity": quantity})
        assert answer["replayed"]
    cli(daemon, "audit", "replay", "--decide")


def test_a_venue_that_gives_an_id_once(make):
    daemon = make(VENUES='{"kraken": {"fill_ids": "unique"}}').start()
    for name in ("o-1", "o-2"):
        daemon.check(name, venue="kraken")
    told = [daemon.post("/v1/fills", fill_id="T", client_order_id=name, **FILL) for name in ("o-1", "o-2")]
    assert [answer.get("cause") for answer in told] == [None, "fill_id_shared"]


def test_a_fee_in_the_traded_asset_moves_the_position_and_no_other_does(make):
    daemon = make(SYMBOLS='{"BTC/USDT": {"asset": "BTC", "aliases": ["BTCUSDT"]}, "*": {}}').start()
    for number, symbol in enumerate(("BTC/USDT", "ETH/USDT", "SOL-USDT")):
        daemon.post("/v1/marks", symbol=symbol, price="1000")
        assert daemon.check(f"o-{number}", symbol=symbol)["allowed"]
    fill = {
        "side": "buy",
        "quantity": "0.0005",
        "price": "1000",
        "account": "main",
        "strategy": "test",
        "fee": "0.0001",
    }
    with RiskClient(f"unix:{daemon.directory}/run/orders.sock", account="main", strategy="test") as risk:
        told = risk.fill(
            fill_id="f-1", client_order_id="o-0", symbol="BTCUSDT", side="buy", quantity="0.0005", price="1000",
            fee="0.0001", fee_currency="BTC",
        )  # fmt: skip
    assert told.raw["position"] == "0.0004"
    assert "notices" not in told.raw
    more = daemon.post(
        "/v1/fills", symbol="BTC/USDT", fill_id="f-2", client_order_id="o-0", **fill, fee_currency="USDT"
    )
    assert (more["position"], more.get("ended")) == ("0.0009", None)
    other = daemon.post(
        "/v1/fills", symbol="ETH/USDT", fill_id="f-1", client_order_id="o-1", **fill, fee_currency="ETH"
    )
    assert other["position"] == "0.0005"
    (notice,) = other["notices"]
    assert notice.startswith("the fee in ETH does not move the position")
    assert notice.endswith('[symbols."ETH/USDT"] asset = "ETH"')
    bad = daemon.http(
        "POST", "/v1/fills", fill | {"symbol": "S", "fill_id": "f", "client_order_id": "o", "fee_currency": ""}
    )
    assert (bad.status, bad.json["errors"][0]["field"]) == (422, "fee_currency")
    del fill["fee"]
    bad = daemon.http(
        "POST", "/v1/fills", fill | {"symbol": "S", "fill_id": "f", "client_order_id": "o", "fee_currency": "B"}
    )
    assert bad.json["errors"] == [{"field": "fee_currency", "message": "must not be there without a fee"}]
    known = daemon.get("/v1/orders?account=main")["orders"]
    assert [row["reserved_quantity"] for row in known] == ["0.0005", "0.001"], "of quantities before fees"
    state = daemon.state()["positions"]
    daemon.restart()
    assert daemon.state()["positions"] == state
    cli(daemon, "audit", "replay", "--decide")
