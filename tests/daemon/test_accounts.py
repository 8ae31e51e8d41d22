"""Whose equity is the desk's: a second account, named accounts, and those that leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon


def test_a_second_account_waits_for_an_operator(daemon: Daemon) -> None:
    daemon.post("/v1/equity", account="main", equity="100000")
    aside = daemon.post("/v1/equity", account="mian", equity="1000000", balance="12")
    assert "accounts accept" in aside["notices"][0]
    assert daemon.state()["equity"] == "100000"
    (denial,) = daemon.check("a-1", account="mian")["denials"]
    assert (denial["reason"], denial["missing"]) == ("unconfirmed_account", "mian")
    (main, mian) = daemon.get("/v1/accounts")["accounts"]
    assert (main["status"], main["equity"], main["named"]) == ("counts", "100000", True)
    assert (mian["status"], mian["equity"], mian["balance"]) == ("unconfirmed", "1000000", "12")
    daemon.restart()
    assert daemon.check("a-2", account="mian")["denials"][0]["reason"] == "unconfirmed_account"
    daemon.post("/v1/accounts/accept", account="mian", reason="it is ours")
    assert daemon.state()["equity"] == "1100000"
    daemon.post("/v1/accounts/retire", account="mian", reason="closed")
    assert daemon.state()["equity"] == "100000"
    assert daemon.http("POST", "/v1/equity", {"account": "mian", "equity": "5"}).status == 409
    daemon.post("/v1/accounts/reopen", account="mian")
    daemon.post("/v1/equity", account="mian", equity="5")
    assert daemon.state()["equity"] == "100005"


def test_all_that_counts_for_nothing_is_said(daemon: Daemon) -> None:
    daemon.post("/v1/equity", account="main", equity="100000")
    account, flow = daemon.post("/v1/equity", account="mian", equity="1000", flow="500")["notices"]
    assert account.startswith("account: ")
    assert flow.startswith("flow: ")


@pytest.mark.parametrize(("path", "status"), [("accept", 409), ("reopen", 409)])
def test_an_account_that_is_that_already(daemon: Daemon, path: str, status: int) -> None:
    daemon.post("/v1/equity", account="main", equity="100000")
    assert daemon.http("POST", f"/v1/accounts/{path}", {"account": "main"}).status == status


@pytest.mark.parametrize("path", ["accept", "retire", "reopen"])
def test_nobody_is_no_account(daemon: Daemon, path: str) -> None:
    assert daemon.http("POST", f"/v1/accounts/{path}", {"account": "nobody", "reason": "r"}).status == 404


def config_check(daemon: Daemon) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "config", "check", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WELTKLASSE_RISK_STORE_DIR": str(daemon.store), **daemon.settings},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def test_naming_one_account_traps_no_other(make) -> None:
    daemon = make().start()
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/positions/adjust", account="old", symbol="X", quantity="5", price="10", reason="carried over")
    daemon.terminate()
    daemon.settings["WELTKLASSE_ACCOUNTS"] = '{"main": {}}'
    assert json.loads(config_check(daemon)) == {"ok": True, "unnamed_accounts": ["old"]}
    daemon.start()
    assert daemon.log("unnamed_accounts")["accounts"] == ["old"]
    assert daemon.check("o-1", account="old")["denials"][0]["reason"] == "unknown_account"
    assert daemon.check("o-2", account="main")["allowed"]
    close = {**order("o-3"), "account": "old", "symbol": "X", "side": "sell", "quantity": "5"}
    assert daemon.post("/v1/orders/check", **close)["allowed"]
    assert daemon.http("POST", "/v1/equity", {"account": "new", "equity": "5"}).status == 409
    fill = {"fill_id": "f", "client_order_id": "n", "symbol": "X", "side": "buy", "quantity": "1", "price": "10"}
    assert daemon.post("/v1/fills", account="new", **fill)["cause"] == "unknown_account"
    assert daemon.http("POST", "/v1/accounts/retire", {"account": "old", "reason": "r"}).status == 404
    unnamed = [row["account"] for row in daemon.get("/v1/accounts")["accounts"] if not row["named"]]
    assert unnamed == ["new", "old"]


def test_bad_reports_of_equity(daemon: Daemon) -> None:
    for body, field in (
        ({"equity": "1", "as_of": 9e10}, "as_of"),
        ({"equity": "1", "flow_id": "w-1"}, "flow_id"),
        ({"equity": "1", "flow": "0", "flow_id": "w-1"}, "flow_id"),
        ({"equity": "1", "flow": "1", "flow_id": "a\tb"}, "flow_id"),
        ({"equity": "1", "balance": "x"}, "balance"),
    ):
        answer = daemon.http("POST", "/v1/equity", body)
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)
