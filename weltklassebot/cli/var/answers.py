"""What a risk committee asks first, answered from a validation: how many, which days, which zone, what multiplier, how
sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weltklassebot.cli.var.names import plain_name

if TYPE_CHECKING:
    from weltklassebot.var import Regulator, Validation

__all__ = ["Answer", "answers", "interval", "multiplier", "red_times", "worst_first", "worst_violations"]

_LAST_HITS: Final = 4
_RED_TIMES: Final = 4


class Answer(NamedTuple):
    """`said` is the answer in a line, `more` what stands behind it."""

    question: str
    said: str
    more: str


def worst_first(found: dict[str, Validation]) -> list[str]:
    """Red, yellow, green; among equals by the smallest p-value, then by hits over expected ones, then as they came."""
    order = ("red", "yellow", "green")

    def key(name: str) -> tuple[int, float, float]:
        each = found[name]
        return order.index(str(each.light)), 1.0 if each.smallest_p is None else each.smallest_p, -each.ratio

    return sorted(found, key=key)


def answers(result: Validation) -> list[Answer]:
    recent = result.regulator
    return [
        Answer(
            "How many hits?",
            f"{result.hits:,} in {result.observations:,} days; {result.expected:.4g} expected, "
            f"{result.ratio:.2f} times as many",
            f"Observed level {_percent(result.observed_level)} for {_percent(result.level)}; {interval(result)}",
        ),
        Answer("Which days?", _days(result), _severity(result)),
        Answer(
            f"Which zone, in the last {recent.days} days?",
            f"{recent.zone}: {recent.hits} hits",
            f"{recent.first} to {recent.last}; yellow from {recent.yellow_from}, red from {recent.red_from}"
            + ("" if recent.complete else "; the rule asks for 250 days")
            + red_times(recent),
        ),
        Answer(
            "What multiplier?", multiplier(recent),
            f"by the hits of the last {recent.days} days: MAR32.9, and the table of 1996",
        ),
        Answer(
            "How sure?",
            f"a right model has {result.hits:,} hits or more with a probability of {result.traffic_light.type_i:.2g}",
            _tests(result),
        ),
    ]  # fmt: skip


def interval(result: Validation) -> str:
    """Of the level, by Clopper and Pearson."""
    details = result["exact_binomial"].details
    low, high = (1.0 - float(details[name]) for name in ("interval_high", "interval_low"))
    return f"{_percent(1.0 - result.size)} interval {_percent(low)} to {_percent(high)}"


def multiplier(found: Regulator) -> str:
    """Both standards', or why there is none."""
    if found.multiplier_mar32 is None or found.multiplier_1996 is None:
        return "none: it is defined at 99 % alone"
    by = " (by formula: fewer than 250 days)" if found.multipliers_by == "formula" else ""
    return f"MAR32 {found.multiplier_mar32:.2f}, 1996 {found.multiplier_1996:.2f}{by}"


def red_times(found: Regulator) -> str:
    """When the last 250 days were red, the latest last."""
    times: list[str] = []
    since: Any = None
    for change in found.changes:
        if str(change.after) == "red":
            since = change.date
        elif str(change.before) == "red":
            times.append(f"until {change.date}" if since is None else f"{since} to {change.date}")
            since = None
    if since is not None:
        times.append(f"since {since}")
    if not times:
        return "; never red before" if str(found.zone) != "red" and found.complete else ""
    left_out = len(times) - _RED_TIMES
    return f"; red {f'{left_out} times before, ' if left_out > 0 else ''}{', '.join(times[-_RED_TIMES:])}"


def worst_violations(result: Validation, most: int) -> list[Any]:
    """By loss over VaR; days without a number last."""
    return sorted(result.violations, key=lambda each: -(each.severity or each.excess or 0.0))[:most]


def _days(result: Validation) -> str:
    if not result.violations:
        return "none"
    last = ", ".join(_day(each) for each in result.violations[-_LAST_HITS:])
    left_out = len(result.violations) > _LAST_HITS
    return f"the last {_LAST_HITS}: {last}" if left_out else last


def _severity(result: Validation) -> str:
    if result.severity is None:
        return ""
    worst = worst_violations(result, 1)[0]
    words = f"Losses on these days were {result.severity:.2f} times VaR on average"
    if result.expected_severity is not None:
        words += f", {result.expected_severity:.2f} expected"
    return words + (f"; worst {_day(worst)}, {worst.severity:.2f} times" if worst.severity else "")


def _tests(result: Validation) -> str:
    rejecting = [test.name for test in result.tests if test.method != "asymptotic" and str(test.decision) == "reject"]
    by = ", ".join(dict.fromkeys(plain_name(name).partition(",")[0] for name in rejecting))
    count = len(rejecting)
    words = "no exact or simulated test rejects"
    if rejecting:
        words = f"{count} exact or simulated test{'s' if count > 1 else ''} reject{'' if count > 1 else 's'} ({by})"
    if result.not_counted:
        words += f"; {len(result.not_counted)} approximate ones do and are not counted"
    return words


def _day(violation: Any) -> str:
    return f"row {violation.row}" if violation.date is None else str(violation.date)


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g} %"
