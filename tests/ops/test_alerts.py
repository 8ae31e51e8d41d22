"""Each alert fires when it should, not before, and resolves; each leads to a page; all that it asks for exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.daemon import ROOT, Daemon
from tests.ops.tools import run

RULES = sorted((ROOT / "ops" / "alerts").glob("*.yml"))
PAGES = ROOT / "runbooks" / "alerts"
HERE = 'job="weltklassebot", instance="desk"'


class Case(NamedTuple):
    """One alert over simulated minutes: `series` by name, in promtool's notation, one value a minute."""

    series: dict[str, str]
    fires: int
    """The first minute in which it fires."""
    resolves: int
    """A minute in which it has resolved."""


def stage(slow: str, total: str) -> dict[str, str]:
    """Records on their way to the disk: so many in all, so many of them slower than 25 ms."""
    return {
        'stage_latency_seconds_bucket{stage="journal", le="0.025"}': slow,
        'stage_latency_seconds_bucket{stage="journal", le="+Inf"}': total,
        'stage_latency_seconds_count{stage="journal"}': total,
    }


CASES = {
    "RiskHalted": Case({'risk_state{state="HALT"}': "0 0 1x5 0x5"}, 2, 8),
    "RiskCooldownTooLong": Case({'risk_state{state="COOL"}': "0 1x40 0x5"}, 31, 42),
    "StopAwaitsAdmin": Case({"risk_awaiting_admin": "0 1x10 0x5"}, 6, 12),
    "KillSwitchNotActive": Case({'kill_switch_state{state="ACTIVE"}': "1 1 0x5 1x5"}, 2, 8),
    "UnconfirmedCancels": Case({"risk_unconfirmed_cancels": "0 3x5 0x5"}, 3, 7),
    "DrawdownNearLimit": Case(
        {"risk_drawdown_ratio": "0.17 0.19x15 0.1x5", "risk_drawdown_limit_ratio": "0.2x40"}, 11, 17
    ),
    "DuplicateFills": Case({"duplicate_fills_total": "0 0 1x30"}, 2, 20),
    "EquityDoubtful": Case({"risk_doubted_accounts": "0 1x15 0x5", "risk_open_flows": "0x40"}, 11, 18),
    "MarkDoubtful": Case({"risk_doubted_marks": "0 1x5 0x5"}, 2, 7),
    "FlowsNotCounted": Case({"uncounted_flows_total": "0 0 1x30"}, 2, 20),
    "EquityStale": Case({"risk_stale_accounts": "0 1x5 0x5"}, 2, 7),
    "EquityStaleHolding": Case({"risk_stale_accounts_holding": "0 1x5 0x5"}, 2, 7),
    "AccountUnconfirmed": Case({"risk_unconfirmed_accounts": "0 0 1x5 0x5"}, 2, 8),
    "AccountUnnamed": Case({"risk_unnamed_accounts": "0 1x10 0x5"}, 6, 12),
    "LimitUnfed": Case(
        {'risk_limit_unfed{limit="max_drawdown"}': "1x80 0x20", 'risk_decisions_total{decision="allowed"}': "0+1x100"},
        61,
        82,
    ),
    "DoubtfulFills": Case({"risk_doubtful_fills": "0 1x10 0x5"}, 6, 12),
    "LateFills": Case({"late_fills_total": "0 0 2x30"}, 2, 14),
    "FillsWithoutRoom": Case({"fills_without_room_total": "0 0 2x30"}, 2, 14),
    "PositionUnprotected": Case({"unprotected_positions_total": "0 0 1x30"}, 2, 14),
    "StopOversized": Case({"oversized_stops_total": "0 0 1x30"}, 2, 14),
    "OrderOversized": Case({"oversized_orders_total": "0 0 1x30"}, 2, 14),
    "PositionFlipped": Case({"flipped_positions_total": "0 0 1x30"}, 2, 14),
    "ContradictingFills": Case({"contradicting_fills_total": "0 0 1x30"}, 2, 20),
    "FillIdShared": Case({"shared_fill_ids_total": "0 0 1x80"}, 2, 64),
    "LegTurned": Case({"turned_legs_total": "0 0 1x30"}, 2, 20),
    "VenueUnsettled": Case({"risk_unsettled_positions": "0 1x10 0x5"}, 6, 12),
    "AccountHalted": Case({"risk_halted_accounts": "0 0 1x5 0x5"}, 2, 8),
    "ClockInDoubt": Case({"risk_clock_doubted": "0 1x5 0x5"}, 2, 7),
    "LimitsChanged": Case({"risk_limits_changed": "0 1x1500 0x5"}, 1441, 1502),
    "DaemonDown": Case({"up": "1 0x5 1x5"}, 2, 7),
    "DaemonNotReady": Case({"risk_ready": "1 0x5 1x5"}, 2, 7),
    "SocketLost": Case({"lost_sockets": "0 0 2x5 0x5"}, 2, 8),
    "DaemonRestarts": Case({"process_start_time_seconds": "100 100 200 300 400 400x60"}, 4, 40),
    "HighStageLatency": Case(
        {
            'stage_latency_seconds_bucket{stage="decide", le="0.25"}': "0+100x5 500x10 500+100x20",
            'stage_latency_seconds_bucket{stage="decide", le="0.5"}': "0+100x35",
            'stage_latency_seconds_bucket{stage="decide", le="+Inf"}': "0+100x35",
        },
        11,
        30,
    ),
    "LatencyBudgetBurnsFast": Case(stage("0+100x60 6000+50x10 6500+100x200", "0+100x300"), 63, 150),
    "LatencyBudgetBurns": Case(stage("0+1000x360 360000+900x60 414000+1000x800", "0+1000x1300"), 388, 900),
    "JournalFailing": Case({"journal_failed": "0 1x5 0x5"}, 1, 7),
    "JournalStalled": Case({"journal_stalled": "0 1x5 0x5"}, 1, 7),
    "JournalFsyncSlow": Case(
        {
            'journal_fsync_seconds_bucket{le="0.05"}': "0+98x30 2940+100x30",
            'journal_fsync_seconds_bucket{le="0.1"}': "0+100x60",
            'journal_fsync_seconds_bucket{le="+Inf"}': "0+100x60",
        },
        11,
        50,
    ),
    "JournalDiskFilling": Case({"journal_free_bytes": "3000000000x4 1000000000x10 3000000000x10"}, 10, 20),
    "JournalDiskFullSoon": Case({"journal_free_bytes": "107374182400-178956970x400 107374182400x800"}, 31, 1000),
    "JournalDiskFull": Case({"journal_free_bytes": "3000000000x4 100000000x5 3000000000x5"}, 5, 12),
    "JournalDamaged": Case({"journal_damaged_segments": "NaN 0 2x5 0x5"}, 2, 8),
    "JournalUpkeepFailing": Case({'journal_chore_failures_total{chore="snapshot"}': "0 0 1x400"}, 2, 370),
    "CheckpointsFailing": Case({'journal_checkpoint_failing{step="post"}': "0 1x15 0x5"}, 11, 17),
    "BoundNearLimit": Case(
        {
            'bounded_size{bound="open_orders"}': "8999 9000x5 10x5",
            'bounded_limit{bound="open_orders"}': "10000x12",
            'bounded_size{bound="remembered_denials"}': "10000x12",
            'bounded_limit{bound="remembered_denials"}': "10000x12",
        },
        2,
        8,
    ),
    "ClientsTurnedAway": Case({"refused_connections_total": "0 0 1x10", "slow_clients_total": "0x12"}, 2, 9),
    "AccessRefused": Case(
        {
            'access_refused_total{outcome="no_token"}': "0 0+1x30",
            'access_refused_total{outcome="revoked_token"}': "0x5 1x25",
        },
        6,
        14,
    ),
    "LogLinesLost": Case({"log_lines_lost_total": "0 0 7x20"}, 2, 9),
    "ProgramFault": Case({"faults_total": "0 0 1x20"}, 2, 9),
    "OrdersTurnedAway": Case({'risk_denials_total{reason="overloaded"}': "0 0+10x12 120x20"}, 7, 25),
}


def alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def names() -> list[str]:
    return [rule["alert"] for rule in alerts()]


def with_labels(series: str) -> str:
    name, _, labels = series.partition("{")
    return f"{name}{{{HERE}, {labels}" if labels else f"{name}{{{HERE}}}"


def test_the_rules_are_accepted() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", *RULES)


def test_every_alert_has_a_case() -> None:
    assert sorted(names()) == sorted(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alert_fires_and_resolves(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    expression = f'ALERTS{{alertname="{name}", alertstate="firing"}} > 0'
    firing = {minute: minute == case.fires for minute in (case.fires - 1, case.fires, case.resolves)}
    test = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": with_labels(series), "values": values} for series, values in case.series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f"count({expression})",
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                    }
                    for minute, fires in firing.items()
                ],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test))
    run("promtool", "test", "rules", path)


@pytest.mark.parametrize("rule", alerts(), ids=names())
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warn", "page")
    link = rule["annotations"]["runbook_url"].removeprefix("{{ $externalLabels.runbooks }}/")
    page = ROOT / "runbooks" / link
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Trigger", "What it means", "Do now", "Follow up"]


def test_what_the_rules_ask_for_exists(daemon: Daemon) -> None:
    with daemon.tcp() as ask:
        exposed = set(re.findall(r"^([a-z_]+)(?:\{| )", ask("GET", "/metrics").body.decode(), re.MULTILINE))
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b(?=[\[{ )]|$)", rule["expr"])}
    functions = {"histogram_quantile"}
    assert asked - functions - exposed == set()


def test_the_series_that_the_rules_pick_exist(daemon: Daemon) -> None:
    """A label that is misspelt, or a bucket that there is not, would be silence."""
    with daemon.tcp() as ask:
        families = list(text_string_to_metric_families(ask("GET", "/metrics").body.decode()))
    exposed = {(sample.name, *sample.labels.items()) for family in families for sample in family.samples}
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    picked = {found for rule in rules for found in re.findall(r"([a-z_]+){([^{}!~]+)}", rule["expr"])}
    assert len(picked) >= 6
    for name, labels in picked:
        wanted = set(re.findall(r'(\w+)="([^"]*)"', labels)) - {("job", "weltklassebot")}
        assert name == "up" or any(one[0] == name and wanted <= set(one[1:]) for one in exposed), f"{name}{{{labels}}}"
    bounds = {dict(one[1:])["le"] for one in exposed if one[0] == "stage_latency_seconds_bucket"}
    assert {"0.25", "0.025"} <= bounds, "thresholds are bounds of buckets: between two a quantile is a guess"
