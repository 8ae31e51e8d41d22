"""Whose word counts: prices and equity of who is no source are answered and shown, and move nothing."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT
from tests.daemon.test_auth import NEEDS_ROOT, as_nobody
from weltklassebot.api.tokens import TokenFile
from weltklassebot.client import RiskClient

ME = pwd.getpwuid(os.geteuid()).pw_name
MARK = {"symbol": "ACME", "price": "100"}


def metric(daemon, kind: str) -> float:
    wanted = f'risk_uncounted_reports_total{{kind="{kind}"}} '
    lines = daemon.http("GET", "/metrics").body.decode().splitlines()
    return float(next(line.removeprefix(wanted) for line in lines if line.startswith(wanted)))


def recorded(daemon, *actions: str) -> list[tuple[str, str]]:
    return [(line["action"], line["principal"]) for line in daemon.lines() if line["action"] in actions]


@pytest.fixture
def desk(make):
    """Prices are the feed's, equity is the books'; nothing is traded without a mark."""
    return make(
        MARKS__SOURCES="token:feed", EQUITY__SOURCES=f"token:books, {ME}", RISK__REQUIRE_MARK="true",
        RUNTIME__MARK_INTERVAL_MS="0",
    ).start()  # fmt: skip


def test_a_price_of_who_is_no_source_counts_nothing(desk):
    with desk.tcp(desk.token("trader", "feed")) as feed, desk.tcp(desk.token("trader", "bot")) as bot:
        said = bot("POST", "/v1/marks", MARK).json
        assert said == {"accepted": 0, "counted": False, "notices": [said["notices"][0]]}
        assert said["notices"][0].startswith("not counted: token:")
        assert said["notices"][0].endswith(":bot is none of [marks] sources")
        several = bot("POST", "/v1/marks", {"marks": [MARK, {"symbol": "OTHER", "price": "7"}]}).json
        assert (several["accepted"], several["counted"]) == (0, False)
        assert desk.http("POST", "/v1/marks", MARK)["counted"] is False, "nor is an operator"
        with desk.stream() as stream:
            assert stream.ask({"op": "mark", **MARK})["counted"] is False
        denied = bot("POST", "/v1/orders/check", order("a-1", symbol="ACME", price="1")).json
        assert [denial["reason"] for denial in denied["denials"]] == ["no_mark"]
        assert feed("POST", "/v1/marks", MARK).json == {"accepted": 1}
        assert bot("POST", "/v1/orders/check", order("a-2", symbol="ACME", price="1")).json["allowed"]
    assert metric(desk, "marks") == 5
    assert metric(desk, "equity") == 0
    line = desk.log("uncounted_reports")
    assert (line["kind"], line["count"], line["symbol"], line["price"]) == ("marks", 1, "ACME", "100")
    desk.terminate()
    ((_, source),) = recorded(desk, "mark")
    assert source.endswith(":feed")
    told = [line for line in desk.logs if line["event"] == "uncounted_reports"]
    assert [line["count"] for line in told] == [1, 4], "one line at once, the rest in one at the end"


def test_equity_of_who_is_no_source_counts_nothing(desk):
    """A bot with a mistyped balance hides no loss, and makes no account the desk's."""
    with desk.tcp(desk.token("trader", "bot")) as bot:
        said = bot("POST", "/v1/equity", {"account": "main", "equity": "9000000"}).json
    assert (said["counted"], "seq" in said) == (False, False)
    assert desk.state()["equity"] is None
    assert desk.post("/v1/equity", account="main", equity="100000")["seq"]
    assert desk.state()["equity"] == "100000"
    assert desk.log("uncounted_reports")["equity"] == "9000000"
    assert recorded(desk, "equity") == [("equity", ME)]
    with desk.stream() as stream:
        assert "counted" not in stream.ask({"op": "equity", "account": "main", "equity": "100001"})


def test_the_client_says_what_counts_nothing(desk):
    with RiskClient(f"http://127.0.0.1:{desk.port}", token=desk.token("trader", "bot")) as bot:
        receipt = bot.equity("9000000", account="main")
        assert (receipt.counted, receipt.seq) == (False, None)
        assert bot.mark("ACME", "100").counted is False
    with RiskClient(f"http://127.0.0.1:{desk.port}", token=desk.token("trader", "books")) as books:
        assert books.equity("100000", account="main").counted


def test_a_feed_counts_what_counts_nothing(desk):
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "orders", "feed", "-", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WELTKLASSE_RUNTIME_DIR": str(desk.directory / "run")},
        input=b"".join(json.dumps(line).encode() + b"\n" for line in [{"op": "mark", **MARK}] * 3),
        capture_output=True,
        check=True,
    )
    summary = json.loads(done.stdout)
    assert (summary["lines"], summary["uncounted"], summary["errors"]) == (3, 3, 0)


def test_a_price_that_an_inverse_symbol_cannot_have(make):
    daemon = make(
        SYMBOLS=json.dumps({"XBTUSD": {"kind": "inverse", "currency": "EUR", "aliases": ["XBT/USD"]}})
    ).start()
    for path, body, field in (
        ("/v1/marks", {"symbol": "XBTUSD", "price": "-1"}, "price"),
        ("/v1/marks", {"symbol": "XBT/USD", "price": "-1"}, "price"),
        ("/v1/orders/check", order("a-1", symbol="XBTUSD", price="-1"), "price"),
        ("/v1/orders/check", order("a-1", symbol="XBT/USD", price="0"), "price"),
        ("/v1/orders/check", order("a-1", symbol="XBTUSD", order_type="stop", stop_price="0"), "stop_price"),
        ("/v1/positions/adjust", {"symbol": "XBTUSD", "quantity": "1", "price": "-1", "reason": "r"}, "price"),
    ):
        answer = daemon.http("POST", path, body)
        assert (answer.status, answer["errors"][0]["field"]) == (422, field), (path, answer)
    assert daemon.post("/v1/marks", symbol="XBT/USD", price="10000") == {"accepted": 1}
    assert daemon.check("a-2", symbol="XBTUSD", quantity="100000", price="10000")["allowed"]
    assert daemon.state()["gross_notional"] == "10"


def test_a_token_is_bound_to_what_it_says(daemon):
    def statuses(**bindings):
        with daemon.tcp(daemon.token("trader", **bindings)) as ask:
            said = {
                "orders": ("/v1/orders/check", order("a-1")),
                "fills": ("/v1/fills", {
                    "fill_id": "f", "client_order_id": "x", "symbol": "ACME", "side": "buy", "quantity": "1",
                    "price": "1",
                }),
                "marks": ("/v1/marks", MARK),
                "equity": ("/v1/equity", {"equity": "1"}),
            }  # fmt: skip
            return {kind for kind, (path, body) in said.items() if ask("POST", path, body).status == 200}

    assert statuses(kinds=("marks",)) == {"marks"}
    assert statuses(kinds=("fills", "equity")) == {"fills", "equity"}
    assert statuses(kinds=("heartbeats",)) == set()
    assert statuses() == {"orders", "fills", "marks", "equity"}
    assert statuses(accounts=("main",)) == {"orders"}, "a price has no account"
    assert statuses(accounts=("main",), kinds=("orders", "marks")) == {"orders", "marks"}, "unless it is named"
    with daemon.tcp(daemon.token("trader", "orders", kinds=("orders",), strategies=("ma",))) as ask:
        for number in range(3):  # the first goes the long way, the others the short one
            assert ask("POST", "/v1/orders/check", order(f"b-{number}", strategy="ma")).json["client_order_id"]
        assert ask("POST", "/v1/orders/check", order("b-3")).status == 403, "each binding holds"
        report = {"client_order_id": "b-1", "account": "main", "strategy": "ma", "status": "sent"}
        assert ask("POST", "/v1/orders/events", report).status == 200
        refused = ask("POST", "/v1/marks", MARK)
        assert refused["detail"].endswith("is bound to kind orders: this is of kind marks")
        assert ask("POST", "/v1/marks", {"marks": [MARK]}).status == 403


def test_older_versions_read_tokens_that_are_not_bound_to_kinds(daemon):
    daemon.token("trader", "plain", accounts=("main",))
    kept = json.loads((daemon.directory / "state" / "tokens.json").read_text())
    assert set(kept["tokens"][0]) == {"id", "name", "role", "sha256", "created", "accounts"}


def test_the_start_names_traders_that_are_bound_to_nothing(make):
    daemon = make(MARKS__SOURCES="token:feed,nobody", USERS='{"no-such-user": {"kinds": ["marks"]}, "root": {}}')
    file = TokenFile(daemon.directory / "state" / "tokens.json")
    for name, role, kinds in (("free", "trader", ()), ("feed", "trader", ("marks",)), ("desk", "operator", ())):
        file.create(name=name, role=role, created=0.0, kinds=kinds)
    daemon.start()
    traders = daemon.log("unbound_traders")
    assert [name.rpartition(":")[2] for name in traders["traders"]] == ["free"]
    assert traders["count"] == 1
    assert daemon.log("unknown_principals")["names"] == ["users: no-such-user"]
    assert daemon.log("bound_operators")["users"] == ["root"]


@NEEDS_ROOT
@pytest.mark.needs_root
def test_a_user_on_the_socket_is_bound(make):
    import grp

    trade = grp.getgrnam("games").gr_gid
    users = json.dumps({"nobody": {"accounts": ["main"], "kinds": ["orders", "marks"]}})
    daemon = make(AUTH__TRADE_GROUP="games", USERS=users, MARKS__SOURCES=ME).start()
    daemon.directory.chmod(0o755)
    (daemon.directory / "run" / "orders.sock").chmod(0o666)
    lines = [
        {"op": "check", **order("a-1"), "account": "main"},
        {"op": "check", **order("a-2"), "account": "other"},
        {"op": "mark", **MARK},
        {"op": "equity", "account": "main", "equity": "1"},
    ]
    said = as_nobody(daemon, [trade], "orders.sock", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    first, second, third, fourth = map(json.loads, said.stdout.splitlines())
    assert first["allowed"]
    assert "is bound to account main" in second["error"]["detail"]
    assert third["counted"] is False, "it may say prices, and they do not count"
    assert "is bound to kind marks, orders" in fourth["error"]["detail"]
    with daemon.stream() as stream:  # the daemon's own user is an operator, and bound by nothing
        assert stream.check("a-3", account="other")["allowed"]
