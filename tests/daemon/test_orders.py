"""The gate over HTTP: ask, be answered as the contract says, and find every answer in the journal."""

from __future__ import annotations

import json
import time

from tests.daemon.clients import order

CONTRACT_ORDER = {
    "client_order_id": "a-1", "symbol": "BTC-EUR", "side": "buy", "quantity": "0.5", "order_type": "limit",
    "price": "64000", "account": "main", "strategy": "ma_crossover", "reduce_only": False, "delta": "1",
}  # fmt: skip


def test_the_denial_of_the_contract(daemon):
    before = time.time()
    answer = daemon.post("/v1/orders/check", **CONTRACT_ORDER)
    assert answer == {
        "allowed": False,
        "client_order_id": "a-1",
        "seq": answer["seq"],
        "ts": answer["ts"],
        "state": "RUNNING",
        "denials": [
            {
                "reason": "max_order_notional",
                "limit": "25000",
                "value": "32000",
                "message": "order notional 32000 exceeds 25000; ask again under a new id",
            }
        ],
        "final": True,
    }
    # It goes on by the monotonic clock, and the wall clock is slewed: by half a thousandth at most.
    assert before - 0.05 <= answer["ts"] <= time.time() + 0.05
    line = list(daemon.lines())[-1]
    assert (line["seq"], line["ts"]) == (answer["seq"], answer["ts"])
    assert (line["action"], line["actor"], line["principal"]) == ("check", "root", "root")
    assert line["reason"] == "max_order_notional"
    assert line["command"]["quantity"] == "0.5"
    assert line["events"][0]["event"] == "denied"
    assert len(line["hash"]) == 64


def test_an_approval_reserves_and_is_in_the_journal_before_it_is_heard(daemon):
    answer = daemon.check("a-1")
    assert answer["allowed"] is True
    assert answer["denials"] == []
    assert answer["valid_until"] == round(answer["ts"] + 5, 6)
    assert next(line for line in daemon.lines() if line["seq"] == answer["seq"])["events"][0]["event"] == "approved"
    state = daemon.state()
    assert (state["open_orders"], state["gross_notional"], state["trades_today"]) == (1, "1", 1)
    assert state["journal"]["durable_seq"] == state["journal"]["last_seq"] == answer["seq"]
    (known,) = daemon.get("/v1/orders")["orders"]
    assert (known["client_order_id"], known["status"], known["reserved_quantity"]) == ("a-1", "approved", "0.001")
    assert daemon.get("/v1/orders?account=other")["orders"] == []


def test_the_same_order_again_is_the_first_answer(daemon):
    first = daemon.check("a-1")
    again = daemon.check("a-1", quantity="0.0010")
    assert again == first | {"replayed": True}
    assert daemon.state()["trades_today"] == 1
    conflict = daemon.http("POST", "/v1/orders/check", order("a-1", quantity="0.002"))
    assert (conflict.status, conflict["type"]) == (409, "conflict")
    assert conflict.headers["Content-Type"] == "application/problem+json"
    assert daemon.check("a-1", account="other")["allowed"], "another account, another order"
    daemon.restart()
    assert daemon.check("a-1", quantity="0.0010", account="other")["replayed"]
    assert daemon.check("a-1")["seq"] == first["seq"]
    assert daemon.http("POST", "/v1/orders/check", order("a-1", quantity="0.002")).status == 409


def test_an_expired_approval_is_no_yes(make):
    daemon = make(RISK__APPROVAL_TTL_SECONDS="0.000001").start()
    first = daemon.check("a-1")
    assert first["allowed"]
    again = daemon.check("a-1")
    assert (again["allowed"], again["replayed"], again["seq"]) == (False, True, first["seq"])
    assert [denial["reason"] for denial in again["denials"]] == ["approval_expired"]
    assert daemon.state()["open_orders"] == 1, "its fate is not known: it stays reserved"


def test_an_approval_overtaken_by_a_stop_is_no_yes(daemon):
    daemon.check("a-1")
    daemon.post("/v1/admin/halt", reason="drill")
    again = daemon.check("a-1")
    assert (again["allowed"], again["denials"][0]["reason"]) == (False, "halted")
    daemon.post("/v1/admin/resume", reason="over")
    assert daemon.check("a-1")["allowed"] is False, "a resume makes no old yes new"
    assert daemon.check("a-2")["allowed"] is True


def test_a_batch_is_answered_in_order_and_recorded_as_one(daemon):
    before = daemon.state()["journal"]["last_seq"]
    orders = [order(f"b-{number}", quantity="100" if number % 10 == 0 else "0.001") for number in range(100)]
    answers = daemon.post("/v1/orders/check", orders=orders)["answers"]
    assert [answer["client_order_id"] for answer in answers] == [one["client_order_id"] for one in orders]
    assert [answer["allowed"] for answer in answers] == [number % 10 != 0 for number in range(100)]
    lines = [line for line in daemon.lines() if line["seq"] > before]
    assert len(lines) == 100
    assert {tuple(line["batch"]) for line in lines} == {(before + 1, before + 100)}


def test_a_batch_with_one_bad_order_decides_nothing(daemon):
    before = daemon.state()["journal"]["last_seq"]
    answer = daemon.http("POST", "/v1/orders/check", {"orders": [order("b-1"), order("b-2", quantity="-1")]})
    assert answer.status == 422
    assert answer["errors"] == [{"field": "orders[1].quantity", "message": "must be positive"}]
    for count in (0, 101):
        body = {"orders": [order(f"c-{number}") for number in range(count)]}
        assert daemon.http("POST", "/v1/orders/check", body).status == 422
    assert daemon.state()["journal"]["last_seq"] == before
    mixed = daemon.post("/v1/orders/check", orders=[order("d-1"), order("d-1"), order("d-1", side="sell")])["answers"]
    assert [mixed[0]["allowed"], mixed[1]["replayed"], mixed[2]["error"]["status"]] == [True, True, 409]


def test_from_order_to_position(daemon):
    fill = {"client_order_id": "a-1", "symbol": "BTC-EUR", "side": "buy", "account": "main", "strategy": "test"}
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    daemon.check("a-1", quantity="3")
    event = {"client_order_id": "a-1", "account": "main", "strategy": "test"}
    assert daemon.post("/v1/orders/events", status="accepted", **event)["reserved_quantity"] == "3"
    booked = daemon.post("/v1/fills", fill_id="f-1", quantity="1", price="1000.5", **fill)
    assert (booked["position"], booked["doubtful"]) == ("1", False)
    again = daemon.post("/v1/fills", fill_id="f-1", quantity="1.0", price="1000.50", **fill)
    assert again["replayed"] is True
    other = daemon.post("/v1/fills", fill_id="f-1", quantity="2", price="1000.5", **fill)
    assert (other["doubtful"], other["cause"]) == (True, "contradicts_fill"), "one of the two reports is wrong"
    daemon.post("/v1/fills/accept", fill_id="f-1", symbol="BTC-EUR", account="main", discard=True, reason="a typo")
    ended = daemon.post("/v1/orders/events", status="canceled", filled_quantity="2", **event)
    assert (ended["reserved_quantity"], ended["ended"]) == ("1", False), "a fill that was not seen yet stays reserved"
    assert daemon.post("/v1/fills", fill_id="f-2", quantity="1", price="1000", **fill)["position"] == "2"
    assert daemon.get("/v1/orders")["orders"] == []
    (position,) = daemon.get("/v1/positions")["positions"]
    assert (position["account"], position["quantity"], position["mark"]) == ("main", "2", "1000")
    (position,) = daemon.get("/v1/positions?by=strategy")["positions"]
    assert position["strategy"] == "test"
    late = daemon.http("POST", "/v1/orders/events", event | {"status": "accepted"})
    assert late.status == 409
    assert daemon.http("POST", "/v1/orders/events", event | {"client_order_id": "x", "status": "sent"}).status == 404
    # 2 are held: selling 2 reduces, selling 3 would flip.
    assert daemon.check("s-1", side="sell", quantity="2", reduce_only=True)["allowed"]
    denied = daemon.check("s-2", side="sell", quantity="1", reduce_only=True)
    assert (denied["denials"][0]["reason"], denied["max_reducing_quantity"]) == ("reduce_only", "0")


def test_doubtful_fills_wait_for_an_operator(daemon):
    fill = {"symbol": "BTC-EUR", "side": "buy", "account": "main", "strategy": "test", "quantity": "2", "price": "10"}
    for number in (1, 2, 3):
        answer = daemon.post("/v1/fills", fill_id=f"f-{number}", client_order_id="never", **fill)
        assert (answer["doubtful"], answer["cause"]) == (True, "unknown_order")
    assert daemon.state()["halted_accounts"] == ["main"]
    assert daemon.check("a-1")["denials"][0]["reason"] == "account_halted"
    assert len(daemon.get("/v1/fills/doubtful")["fills"]) == 3
    name = {"symbol": "BTC-EUR", "account": "main", "reason": "seen at the venue"}
    assert daemon.http("POST", "/v1/fills/accept", name | {"fill_id": "f-9"}).status == 404
    daemon.post("/v1/fills/accept", fill_id="f-1", **name)
    for number in (2, 3):
        daemon.post("/v1/fills/accept", fill_id=f"f-{number}", discard=True, **name)
    assert daemon.get("/v1/positions")["positions"][0]["quantity"] == "2"
    assert daemon.get("/v1/fills/doubtful") == {"fills": []}
    daemon.post("/v1/admin/resume", reason="fills settled", account="main")
    assert daemon.check("a-2")["allowed"]


def test_an_operator_sets_positions_and_resolves_orders(daemon):
    known = {"symbol": "ETH-EUR", "account": "main", "quantity": "-4", "price": "50"}
    moved = daemon.post("/v1/positions/adjust", reason="carried", **known)
    assert (moved["old"], moved["new"]) == ("0", "-4")
    daemon.check("a-1")
    name = {"client_order_id": "a-1", "account": "main", "strategy": "test"}
    ended = daemon.post("/v1/orders/resolve", status="not_sent", reason="bot died", **name)
    assert ended["ended"] is True
    state = daemon.state()
    assert (state["open_orders"], state["trades_today"]) == (0, 0), "an order that never was takes no slot"
    assert {row["symbol"]: row["quantity"] for row in state["positions"]} == {"ETH-EUR": "-4"}
    line = list(daemon.lines())[-1]
    assert (line["action"], line["reason"]) == ("resolve_order", "bot died")


def test_marks_value_orders_and_many_come_at_once(daemon):
    marks = [{"symbol": f"S-{number}", "price": str(number + 1)} for number in range(500)]
    assert daemon.post("/v1/marks", marks=marks) == {"accepted": 500}
    # A mark is always in the journal before a decision on its symbol, and the newest of a quick row wins.
    for price in ("9", "10", "11"):
        daemon.post("/v1/marks", symbol="S-7", price=price)
    denied = daemon.check("m-1", symbol="S-7", price="1", quantity="3000")
    assert denied["denials"][0] | {"message": ""} == {
        "reason": "max_order_notional", "limit": "25000", "value": "33000", "message": "",
    }  # fmt: skip
    known = [line for line in daemon.lines() if line["action"] == "mark" and line["command"]["symbol"] == "S-7"]
    assert known[-1]["command"]["price"] == "11"
    assert known[-1]["seq"] < denied["seq"]
    old = daemon.post("/v1/marks", symbol="S-8", price="1", ts=1.0)
    assert old == {"accepted": 0}, "older than what is known"


def test_the_mark_of_a_feed_that_went_silent_is_shown_as_stale(make):
    daemon = make(RISK__MAX_MARK_AGE_SECONDS="1").start()
    daemon.post("/v1/positions/adjust", symbol="X", account="main", quantity="1", reason="carried")
    daemon.post("/v1/marks", symbol="X", price="5")
    (row,) = daemon.state()["positions"]
    assert row["stale"] is False
    last = daemon.state()["journal"]["last_seq"]
    bound = time.monotonic() + 20
    while not row["stale"] and time.monotonic() < bound:
        (row,) = daemon.get("/v1/positions")["positions"]
    assert (row["mark"], row["stale"]) == ("5", True)
    assert daemon.state()["positions"][0]["stale"] is True
    assert daemon.state()["journal"]["last_seq"] == last, "nothing came but time"


def test_equity_moves_the_drawdown_and_a_doubtful_one_does_not(daemon):
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/equity", account="main", equity="110000")
    doubted = daemon.post("/v1/equity", account="main", equity="1000000")
    assert (doubted["doubtful"], doubted["agreeing"]) == (True, 1)
    (denial,) = daemon.check("e-1")["denials"]
    assert (denial["reason"], denial["missing"]) == ("equity_doubtful", "main")
    assert daemon.check("o-1", account="other")["allowed"], "it is nobody else's doubt"
    for _ in range(3):
        daemon.post("/v1/equity", account="main", equity="104500")
    state = daemon.state()
    assert (state["equity"], state["peak_equity"], state["drawdown"]) == ("104500", "110000", "0.05")
    assert daemon.check("e-2")["allowed"]


def test_a_flow_counts_once_and_not_at_all_without_an_id(daemon):
    daemon.post("/v1/equity", account="main", equity="110000")
    daemon.post("/v1/equity", account="main", equity="104500")
    for flow in ({"d-1": "taken"}, None):
        answer = daemon.post("/v1/equity", account="main", equity="114500", flow="10000", flow_id="d-1")
        assert answer.get("flows") == flow
        assert daemon.state()["drawdown"] == "0.05", "a deposit is no profit"
    conflict = daemon.post("/v1/equity", account="main", equity="114500", flow="9000", flow_id="d-1")
    assert "stands for a flow of 10000" in conflict["notices"][0]
    nameless = daemon.post("/v1/equity", account="main", equity="114500", flow="10000")
    assert nameless["doubtful"]
    assert "no flow_id" in nameless["notices"][0]
    assert daemon.state()["peak_equity"].startswith("120526.3")
    assert b"\nuncounted_flows_total 2.0" in daemon.http("GET", "/metrics").body


def test_an_operators_word_on_equity(daemon):
    daemon.post("/v1/equity", account="main", equity="100000")
    ahead = daemon.post("/v1/equity/accept", account="main", flow_id="w-1", reason="paid out")
    assert ahead["flows"] == {"w-1": "announced"}
    daemon.post("/v1/equity", account="main", equity="40000", flow="-60000", flow_id="w-1")
    assert (daemon.state()["equity"], daemon.state()["drawdown"]) == ("40000", "0")
    assert daemon.post("/v1/equity", account="main", equity="60000")["doubtful"]
    daemon.post("/v1/equity/accept", account="main", reason="it is so")
    assert (daemon.state()["equity"], daemon.state()["equity_doubtful"]) == ("60000", False)
    for body, status in (
        ({"account": "main", "reason": "r"}, 409),
        ({"account": "main", "reason": "r", "flow_id": "w-1"}, 409),
        ({"account": "main", "reason": "r", "drop": True}, 409),
        ({"account": "nobody", "reason": "r"}, 404),
    ):
        assert daemon.http("POST", "/v1/equity/accept", body).status == status


def test_limits_that_nobody_feeds_are_shown(make):
    daemon = make().start()
    assert daemon.state()["unfed"] == ["max_drawdown"]
    assert daemon.check("e-1")["allowed"]
    daemon.terminate()
    daemon.settings["WELTKLASSE_RISK__MAX_DRAWDOWN"] = "0.2"
    daemon.start()
    (denial,) = daemon.check("e-2")["denials"]
    assert (denial["reason"], denial["missing"]) == ("no_equity", "main")
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.restart()
    assert daemon.state()["unfed"] == []
    assert daemon.check("e-3")["allowed"]


def test_times_may_be_written_as_iso_8601(daemon):
    daemon.post("/v1/marks", symbol="X", price="1", ts="2020-01-02T03:04:05.25+01:00")
    daemon.post("/v1/equity", equity="1000", as_of="2020-01-01T00:00:00Z")
    (equity,) = [line for line in daemon.lines() if line["action"] == "equity"]
    assert equity["command"]["as_of"] == 1577836800.0
    daemon.restart()
    (mark,) = [line for line in daemon.lines() if line["action"] == "mark"]
    assert mark["command"]["ts"] == 1577930645.25
    for bad in ("2020-01-02T03:04:05", "2020-01-02", "yesterday", ""):
        answer = daemon.http("POST", "/v1/marks", {"symbol": "X", "price": "1", "ts": bad})
        assert (answer.status, answer["errors"][0]["field"]) == (422, "ts"), bad
    page = daemon.get("/v1/audit?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00%2B01:00")
    assert page["records"] == []


def test_decimals_are_printed_plainly(daemon):
    answer = daemon.post("/v1/orders/check", **order("n-1", quantity="1e5", price="1E-7"))
    assert answer["allowed"]
    line = list(daemon.lines())[-1]
    assert (line["command"]["quantity"], line["command"]["price"]) == ("100000", "0.0000001")
    assert json.dumps(daemon.state()).count("E+") == 0
    assert daemon.state()["gross_notional"] == "0.01"


def test_open_orders_come_in_pages(daemon):
    for number in range(5):
        assert daemon.check(f"p-{number}")["allowed"]
    first = daemon.get("/v1/orders?limit=3")
    assert [row["client_order_id"] for row in first["orders"]] == ["p-0", "p-1", "p-2"]
    second = daemon.get(f"/v1/orders?limit=3&after_seq={first['next_after_seq']}")
    assert [row["client_order_id"] for row in second["orders"]] == ["p-3", "p-4"]
    assert second["next_after_seq"] is None


def test_positions_come_in_pages(daemon):
    for symbol in "DBACE":
        daemon.post("/v1/positions/adjust", symbol=symbol, account="main", quantity="1", price="1", reason="carried")
    first = daemon.get("/v1/positions?limit=3")
    assert ([row["symbol"] for row in first["positions"]], first["next_offset"]) == (["A", "B", "C"], 3)
    second = daemon.get(f"/v1/positions?limit=3&offset={first['next_offset']}")
    assert ([row["symbol"] for row in second["positions"]], second["next_offset"]) == (["D", "E"], None)
    assert daemon.get("/v1/positions?offset=9999999999999999999") == {"positions": [], "next_offset": None}
    assert daemon.http("GET", "/v1/positions?limit=0").status == 422


def test_a_denial_says_whether_it_is_final(daemon):
    daemon.post("/v1/positions/adjust", account="main", symbol="ACME", quantity="5", price="100", reason="begin")
    closing = {"symbol": "ACME", "side": "sell", "quantity": "5", "price": "100"}
    assert "final" not in daemon.check("c-1", **closing)
    doubt = {"account": "main", "symbol": "ACME", "fill_id": "f-1"}
    daemon.post("/v1/fills", **doubt, client_order_id="nobody", side="sell", quantity="2", price="100")
    for_now = daemon.check("c-1", **closing)
    assert (for_now["allowed"], for_now["final"], for_now["denials"][0]["reason"]) == (
        False, False, "max_reducing_quantity",
    )  # fmt: skip
    daemon.post("/v1/fills/accept", **doubt, discard=True, reason="never was")
    assert daemon.check("c-1", **closing)["allowed"]
    daemon.post("/v1/orders/events", client_order_id="c-1", account="main", strategy="test", status="sent")
    sent = daemon.check("c-1", **closing)
    assert (sent["allowed"], sent["final"], sent["denials"][0]["reason"]) == (False, True, "already_sent")
    assert sent["denials"][0]["message"].endswith("ask again under a new id")
    unknown = daemon.check("c-2", symbol="WHAT", order_type="market", price=None)
    assert (unknown["final"], unknown["denials"][0]["reason"], unknown["denials"][0]["missing"]) == (
        True, "no_mark", "WHAT",
    )  # fmt: skip


def test_an_end_says_how_much_and_a_late_fill_counts(daemon):
    daemon.check("a-1", quantity="0.01")
    named = {"client_order_id": "a-1", "account": "main", "strategy": "test"}
    said = daemon.post("/v1/orders/events", **named, status="canceled")
    assert (said["ended"], said["reserved_quantity"]) == (False, "0.01")
    assert "filled_quantity" in said["notices"][0]
    assert (
        daemon.http("POST", "/v1/orders/events", {**named, "status": "filled", "filled_quantity": "0.004"}).status
        == 409
    )
    assert daemon.post("/v1/orders/events", **named, status="canceled", filled_quantity="0.004")["ended"] is False
    fill = {**named, "symbol": "BTC-EUR", "side": "buy", "price": "1000"}
    assert "late" not in daemon.post("/v1/fills", fill_id="f-1", quantity="0.004", **fill)
    assert daemon.post("/v1/fills", fill_id="f-2", quantity="0.003", **fill)["late"] is True
    metrics = daemon.http("GET", "/metrics").body.decode()
    assert "late_fills_total 1.0" in metrics
    assert "order_ends_without_quantity_total 1.0" in metrics
    assert daemon.log("late_fill")["fill_id"] == "f-2"
    (row,) = daemon.get("/v1/positions")["positions"]
    assert row["quantity"] == "0.007"


def test_an_adjustment_says_what_it_counts_and_counts_nothing_twice(daemon):
    """The quantity is that of a moment, over a restart as well."""
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    order = {"client_order_id": "a-1", "account": "main", "strategy": "test", "symbol": "BTC-EUR", "side": "buy"}
    daemon.check("a-1", quantity="0.002")
    held = {"account": "main", "strategy": "test", "symbol": "BTC-EUR", "reason": "as the venue says"}
    refused = daemon.http("POST", "/v1/positions/adjust", {**held, "quantity": "0.002"})
    assert (refused.status, "a-1" in refused.json["detail"]) == (409, True)
    assert daemon.http("POST", "/v1/positions/adjust", {**held, "quantity": "1", "as_of": 9e9}).status == 422
    told = daemon.post("/v1/positions/adjust", **held, quantity="0.001", orders=["a-1"])
    assert told["new"] == "0.001"
    assert "doubtful" in told["notices"][0]
    daemon.restart()
    daemon.post("/v1/admin/resume", reason="drill")
    late = daemon.post("/v1/fills", fill_id="f-1", **order, quantity="0.001", price="1000", ts=told["as_of"] - 1)
    assert late["cause"] == "before_adjustment"
    news = daemon.post("/v1/fills", fill_id="f-2", **order, quantity="0.001", price="1000", ts=told["as_of"] + 1)
    assert (news["doubtful"], news["position"]) == (False, "0.002")
    since = daemon.post("/v1/positions/adjust", **held, quantity="5", orders=["a-1"], as_of=told["as_of"])
    assert since["new"] == "5.001"


def test_a_split_is_said_once_for_everybody(daemon):
    """And before the next price, whichever waits to be recorded."""
    for account in ("main", "hedge"):
        daemon.post("/v1/positions/adjust", symbol="ACME", account=account, quantity="10", reason="begin")
    for price in ("100", "101"):
        daemon.post("/v1/marks", symbol="ACME", price=price)
    gross = daemon.state()["gross_notional"]
    assert daemon.post("/v1/positions/split", symbol="ACME", ratio="2", reason="2:1")["positions"] == 2
    assert [row["quantity"] for row in daemon.get("/v1/positions")["positions"]] == ["20", "20"]
    assert (gross, daemon.state()["gross_notional"]) == ("2000", "2020")
    daemon.post("/v1/marks", symbol="ACME", price="50")
    assert daemon.state()["doubted_marks"] == 0
    assert daemon.http("POST", "/v1/positions/split", {"symbol": "GONE", "ratio": "2", "reason": "r"}).status == 404
