"""Health, readiness and metrics, as Prometheus and systemd look at them."""

from __future__ import annotations

import time
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from weltklassebot.core.events import SEVERITY


def scrape(daemon):
    answer = daemon.http("GET", "/metrics", token="")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def value(metrics, name, **labels):
    return metrics[name, tuple(sorted(labels.items()))]


def test_open_routes_ask_nobody(daemon):
    assert daemon.http("GET", "/healthz", token="").json == {"status": "ok"}
    ready = daemon.http("GET", "/readyz", token="")
    assert (ready.status, ready["status"]) == (200, "ready")
    assert ready["durable_seq"] == daemon.state()["journal"]["durable_seq"]


def test_every_metric_of_the_contract_is_there_and_moves(daemon):
    before = scrape(daemon)
    for state, now in (("RUN", 1), ("COOL", 0), ("HALT", 0)):
        assert value(before, "risk_state", state=state) == now
    assert {dict(labels)["reason"] for name, labels in before if name == "risk_denials_total"} == set(SEVERITY)
    assert value(before, "build_info", version="0.1.0") == 1 or any(name == "build_info" for name, _ in before)
    daemon.post("/v1/equity", equity="100000")
    daemon.post("/v1/equity", equity="95000")
    daemon.check("m-1")
    daemon.check("m-1")
    daemon.check("m-2", quantity="100")
    daemon.post("/v1/fills", fill_id="f-1", **_fill("m-1"))
    daemon.post("/v1/fills", fill_id="f-1", **_fill("m-1"))
    daemon.post("/v1/fills", fill_id="f-2", **_fill("never"))
    daemon.http("POST", "/v1/orders/check", b"{")
    daemon.post("/v1/admin/halt", reason="drill")
    daemon.post("/v1/kill-switch/trigger", reason="drill")
    after = scrape(daemon)

    def moved(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert moved("risk_state", state="HALT") == 1
    assert moved("risk_state", state="RUN") == -1
    assert moved("kill_switch_state", state="KILLED") == 1
    assert moved("kill_switch_state", state="ACTIVE") == -1
    assert moved("risk_denials_total", reason="max_order_notional") == 1
    assert [moved("risk_decisions_total", decision=name) for name in ("allowed", "denied", "replayed")] == [1, 1, 1]
    assert moved("duplicate_fills_total") == 1
    assert moved("doubtful_fills_total") == 1
    assert moved("bad_input_total") == 1
    assert moved("journal_errors_total") == 0
    assert value(after, "risk_drawdown_ratio") == 0.05
    assert value(after, "risk_drawdown_limit_ratio") == 0.2
    assert value(after, "journal_durable_seq") == daemon.state()["journal"]["durable_seq"]
    assert value(after, "journal_queue_records") == 0
    assert value(after, "journal_free_bytes") > 0
    records = daemon.state()["journal"]["last_seq"] - 1  # one start record before the first scrape
    assert moved("journal_batch_records_sum") == records
    assert moved("journal_fsync_seconds_count") == moved("journal_batch_records_count") > 0
    assert moved("stage_latency_seconds_count", stage="journal") == records
    for stage in ("decode", "decide", "journal", "respond"):
        assert moved("stage_latency_seconds_count", stage=stage) > 0, stage
        assert value(after, "stage_latency_seconds_bucket", stage=stage, le="+Inf") == value(
            after, "stage_latency_seconds_count", stage=stage
        )


def test_unlimited_is_infinity_and_a_changed_limit_is_counted(daemon):
    assert value(scrape(daemon), "risk_limits_changed") == 0
    daemon.http("PATCH", "/v1/limits", {"set": {"max_notional": None}, "reason": "r"})
    metrics = scrape(daemon)
    assert (value(metrics, "risk_limits_changed"), value(metrics, "risk_max_notional")) == (1, float("inf"))
    assert value(metrics, "risk_now_seconds") <= time.time()


def test_what_the_gate_turns_away_is_counted(make):
    """Overload is a denial, and the operator sees it."""
    daemon = make(RUNTIME__MAX_PENDING=1).start()
    with daemon.stream() as bot:
        for number in range(200):
            bot.send(
                {
                    "op": "check",
                    "client_order_id": f"o-{number}",
                    "symbol": "X",
                    "side": "buy",
                    "quantity": 1,
                    "price": 1,
                }
            )
        answers = [bot.answer() for _ in range(200)]
    turned_away = [answer for answer in answers if not answer["allowed"]]
    assert turned_away
    for answer in turned_away:
        assert (answer["denials"][0]["reason"], answer["seq"]) == ("overloaded", None)
    metrics = scrape(daemon)
    assert value(metrics, "risk_denials_total", reason="overloaded") == len(turned_away)
    assert value(metrics, "risk_decisions_total", decision="denied") == len(turned_away)
    assert value(metrics, "risk_gross_notional") == float(Decimal(200 - len(turned_away)))


def _fill(name):
    return {
        "client_order_id": name, "symbol": "BTC-EUR", "side": "buy", "quantity": "0.001", "price": "1000",
        "account": "main", "strategy": "test",
    }  # fmt: skip
