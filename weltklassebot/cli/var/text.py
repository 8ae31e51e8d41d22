"""The verdict of `var validate` in words: what was validated and how, every light, why, and a place to sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from weltklassebot.cli.output import table
from weltklassebot.cli.var.answers import interval, worst_first, worst_violations
from weltklassebot.cli.var.names import plain_name, plain_reason

if TYPE_CHECKING:
    from weltklassebot.var import Comparison, Regulator, Validation

__all__ = ["MOST_DETAILS", "verdict"]

MOST_DETAILS: Final = 6
"""So many series are shown test by test, the worst first; --json and --json-file have all."""
_VIOLATIONS_SHOWN: Final = 10
_CHANGES_SHOWN: Final = 6


def verdict(head: dict[str, Any], found: dict[str, Validation], compared: dict[str, Comparison]) -> str:
    """The whole page."""
    shown = worst_first(found)[:MOST_DETAILS]
    parts = [
        "\n".join(["VALIDATION OF VALUE AT RISK", "", *_settings(head)]),
        "\n".join(_summary(found, head["over_all"])),
    ]
    parts += [_details(name, found[name]) for name in shown]
    if len(found) > len(shown):
        parts.append(f"{len(found) - len(shown)} more are in --json and --json-file, test by test")
    parts += [_comparison(portfolio, each) for portfolio, each in compared.items()]
    parts.append("reviewed by ______________________   date ____________   accepted / rejected")
    parts.append(f"overall: {head['verdict']}")
    return "\n\n".join(parts)


def _settings(head: dict[str, Any]) -> list[str]:
    words = {
        "file": f"{head['file']} (sha256 {head['sha256']})",
        "input": "; ".join(
            f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in head["input"].items()
        ),
        "program": f"weltklassebot {head['version']}",
        "level": f"{head['level']:g}; a hit is a loss strictly greater than VaR",
        "rows without a number": {
            "refuse": "refused", "drop": "dropped", "exception": "hits (MAR32.5)"
        }[head["missing"]],
        "tests": f"at size {head['size']:g}; light: Basel's zone, and exact or simulated p after Holm's correction",
        "simulation": f"{head['replications']:,} replications, seed {head['seed']}" if head["replications"] else "none",
    }  # fmt: skip
    width = max(map(len, words))
    return [f"{name:<{width}}  {said}" for name, said in words.items()]


def _summary(found: dict[str, Validation], over_all: Mapping[str, float]) -> list[str]:
    def words(p_value: float | None) -> str | None:
        return None if p_value is None else f"{p_value:.2g}"

    rows = [
        {
            "series": name, "light": each.verdict, "days": each.observations, "hits": each.hits,
            "expected": f"{each.expected:g}", "ratio": f"{each.ratio:.2f}", "p": words(each.smallest_p),
            "over all": words(over_all.get(name)) if len(found) > 1 else None,
            "last 250 days": f"{each.regulator.hits} hits, {each.regulator.zone}",
            "MAR32": _multiplier(each.regulator.multiplier_mar32, each.regulator.multipliers_by),
            "1996": _multiplier(each.regulator.multiplier_1996, each.regulator.multipliers_by),
            "every day": str(each.running.light),
        }
        for name, each in ((name, found[name]) for name in worst_first(found))
    ]  # fmt: skip
    return list(table(rows))


def _details(name: str, result: Validation) -> str:
    basel = result.traffic_light
    fewer = dict(basel.type_ii)[0.97]
    head = [
        f"{name}: {result.verdict}",
        f"  {result.first} to {result.last}: {_counts(result)}",
        f"  observed level {100 * result.observed_level:.4g} %, {interval(result)}{_severity(result)}",
        f"  traffic light {basel.zone}: yellow from {basel.yellow_from}, red from {basel.red_from} hits",
        f"  type I: as many hits by a right model, {basel.type_i:.2g}; type II: fewer by one of 97 %, {fewer:.2g}",
        *_regulator(result.regulator),
        f"  looked at every day: {result.running.light} (p {result.running.p_value:.2g}, valid at any time)"
        + (f"; with ES: {result.running_es.light} (p {result.running_es.p_value:.2g})" if result.running_es else ""),
        *(f"  because: {plain_reason(reason)}" for reason in result.reasons),
        *(f"  warning: {warning}" for warning in result.warnings),
    ]
    rows = [
        {
            "test": plain_name(test.name),
            "statistic": None if test.statistic is None else f"{test.statistic:.4f}",
            "p": None if test.p_value is None else f"{test.p_value:.4g}",
            "which": test.method if test.informative else None,
            "decision": str(test.decision),
            "remark": "; ".join(filter(None, (test.reason, *test.warnings))) or None,
        }
        for test in result.tests
    ]
    worst = worst_violations(result, _VIOLATIONS_SHOWN)
    hits = [
        {"date": each.date, "loss": _short(each.loss), "var": _short(each.var), "loss / var": _short(each.severity)}
        for each in worst
    ]
    return "\n".join([*head, "", *table(rows), *(["", "  worst violations", *table(hits, "  ")] if hits else [])])


def _regulator(found: Regulator) -> list[str]:
    """The last 250 days, and when their zone changed."""
    days = f"last {found.days} days" + ("" if found.complete else " (250 are asked for)")
    multipliers = [
        f"{name} {_multiplier(value, found.multipliers_by)}"
        for name, value in (("MAR32", found.multiplier_mar32), ("1996", found.multiplier_1996)) if value is not None
    ]  # fmt: skip
    lines = [
        f"  {days}, {found.first} to {found.last}: {found.hits} hits, zone {found.zone}"
        + (f"; multiplier {', '.join(multipliers)}" if multipliers else "")
    ]
    if found.changes:
        shown = [f"{each.date} {each.after} ({each.hits})" for each in found.changes[-_CHANGES_SHOWN:]]
        left_out = len(found.changes) - len(shown)
        lines.append(f"  zone changes: {f'{left_out} before; ' if left_out else ''}{', '.join(shown)}")
    return lines


def _multiplier(value: float | None, by: str | None) -> str | None:
    return None if value is None else f"{value:.2f}" + (" (formula)" if by == "formula" else "")


def _comparison(portfolio: str, compared: Comparison) -> str:
    head = f"models compared{' on ' + portfolio if portfolio else ''}: mean losses over {compared.observations} days"
    means = [
        {"model": name, "tick": f"{tick:.6g}", "VaR and ES": f"{compared.fz[name]:.6g}" if compared.fz else None}
        for name, tick in sorted(compared.tick.items(), key=lambda each: each[1])
    ]
    pairs = [
        {
            "better": None if pair.test.statistic is None else pair.first if pair.test.statistic < 0 else pair.second,
            "than": None if pair.test.statistic is None else pair.second if pair.test.statistic < 0 else pair.first,
            "by": pair.score, "p": None if pair.test.p_value is None else f"{pair.test.p_value:.3g}",
            "after Holm": None if pair.adjusted is None else f"{pair.adjusted:.3g}",
            "remark": pair.test.reason or None,
        }
        for pair in compared.pairs
    ]  # fmt: skip
    return "\n".join([head, *table(means, "  "), "", *table(pairs, "  ")])


def _counts(result: Validation) -> str:
    words = f"{result.observations} observations, {result.hits} hits, {result.expected:g} expected"
    return f"{words}, {result.missing} missing" if result.missing else words


def _severity(result: Validation) -> str:
    if result.severity is None or result.expected_severity is None:
        return ""
    return f"; losses on hits {result.severity:.3g} times VaR, {result.expected_severity:.3g} expected"


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.5g}"
