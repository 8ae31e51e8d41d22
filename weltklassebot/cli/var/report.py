"""The report of `var validate`: one HTML page that opens without a network, plotly's own script inside.

Pictures, by series: returns against VaR with the violations; hits in a rolling window over the traffic light's zones;
p-values of the windows; times between hits against those that a right model has. With several series, the zones of all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.answers import answers, worst_first, worst_violations
from weltklassebot.cli.var.names import plain_name, plain_reason
from weltklassebot.cli.var.page import TEMPLATE

if TYPE_CHECKING:
    from weltklassebot.cli.var.series import Series
    from weltklassebot.var import Comparison, Rolling, Validation

__all__ = ["MOST_PICTURED", "page"]

MOST_PICTURED: Final = 40
"""So many series have pictures and tests, the worst first: a page of thousands opens nowhere."""
_WORST: Final = 10
_BUFFERED: Final = 500
_WINDOW: Final = 250
_COLOURS: Final = {"green": "#2e7d32", "yellow": "#f9a825", "red": "#c62828"}


class _Pictured(NamedTuple):
    """A validation and the series behind it, with one sign: positive for losses."""

    result: Validation
    loss: Any
    var: Any
    hits: Any
    days: list[Any]
    windows: Rolling | None


def page(
    head: dict[str, Any], found: dict[str, Validation], compared: dict[str, Comparison], series: list[Series],
    var_as: Any,
) -> Iterator[bytes]:  # fmt: skip
    """The page, piece by piece. Raises Usage where jinja2 or plotly are not installed."""
    try:
        import jinja2

        script = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[report]'") from None
    from weltklassebot.var.verdict import LIGHT_SIZE

    environment = jinja2.Environment(autoescape=True)
    given = {each.name: each for each in series}
    order = worst_first(found)
    pictured = [_pictured(found[name], given[name], var_as, head["missing"]) for name in order[:MOST_PICTURED]]
    shown = [
        {
            "result": each.result, "pictures": _pictures(number, each), "answers": answers(each.result),
            "reasons": list(map(plain_reason, each.result.reasons)), "worst": worst_violations(each.result, _WORST),
        }
        for number, each in enumerate(pictured)
    ]  # fmt: skip
    lights = [str(result.light) for result in found.values()]
    stream = environment.from_string(TEMPLATE).stream(
        head=head, found=[found[name] for name in order], first=answers(found[order[0]]), compared=compared,
        zones=_picture("all", 0, _zones_of_all(pictured)) if len(pictured) > 1 else None, models=shown, plotly=script,
        left_out=len(found) - len(shown), colours=_COLOURS, plain_name=plain_name, number=_number, percent=_percent,
        counts=[(light, lights.count(light)) for light in ("red", "yellow", "green")],
        least=max(LIGHT_SIZE, head["size"]),
    )  # fmt: skip
    stream.enable_buffering(_BUFFERED)
    return (piece.encode() for piece in stream)


def _number(form: str, value: float | None) -> str:
    return "" if value is None else form % value


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g} %"


def _pictured(result: Validation, series: Series, var_as: Any, missing: Any) -> _Pictured:
    from weltklassebot.var import align, rolling

    rows = align(series.returns, series.var, es=series.es, probabilities=series.probabilities, var_as=var_as,
                 missing=missing, dates=series.dates)  # fmt: skip
    windows = rolling(rows.hits, result.level, window=_WINDOW) if len(rows.hits) >= _WINDOW else None
    return _Pictured(result, rows.loss, rows.var, rows.hits, _days(rows), windows)


def _pictures(number: int, model: _Pictured) -> list[dict[str, str]]:
    made = [("series", _series(model)), ("waits", _waits(model))]
    if model.windows is not None:
        made[1:1] = [("zones", _zones(model, model.windows)), ("p", _p_values(model, model.windows))]
    return [_picture(name, number, drawn) for name, drawn in made]


def _picture(name: str, number: int, drawn: tuple[list[dict[str, Any]], dict[str, Any]]) -> dict[str, str]:
    data, layout = drawn
    return {
        "id": f"{name}-{number}", "data": _script(data), "layout": _script(layout), "height": str(layout["height"]),
    }  # fmt: skip


def _zones_of_all(models: list[_Pictured]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A line of colour for each series, with gaps where it has no window that ends on that day."""
    zones: dict[str, dict[Any, int]] = {}
    for model in models:
        if model.windows is not None:
            ends = [model.days[int(row)] for row in model.windows.last]
            zones[model.result.name] = dict(zip(ends, map(int, model.windows.zone[:, 0]), strict=True))
    days = sorted({day for row in zones.values() for day in row})
    # One picture of all: plotly draws no heatmap of a single line over days.
    data = {
        "type": "heatmap", "x": days, "y": list(zones), "z": [[row.get(day) for day in days] for row in zones.values()],
        "zmin": 0, "zmax": 2, "showscale": False, "hoverongaps": False,
        "colorscale": [[at, colour] for at, colour in zip((0, 0.5, 1), _COLOURS.values(), strict=True)],
    }  # fmt: skip
    layout = _layout(f"Zones of {_WINDOW} rows")
    return [data], layout | {"yaxis": {"automargin": True}, "height": 120 + 22 * len(zones)}


def _series(model: _Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    days, at = model.days, [k for k, hit in enumerate(model.hits) if hit]
    data = [
        {"x": days, "y": _numbers(-model.loss), "name": "return", "mode": "lines",
         "line": {"width": 1, "color": "#90a4ae"}},
        {"x": days, "y": _numbers(-model.var), "name": "-VaR", "mode": "lines",
         "line": {"width": 1.5, "color": "#1565c0"}},
        {"x": [days[k] for k in at], "y": _numbers(-model.loss[at]), "name": "violation", "mode": "markers",
         "marker": {"color": "#c62828", "size": 7}},
    ]  # fmt: skip
    return data, _layout("Returns against VaR")


def _zones(model: _Pictured, windows: Rolling) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from weltklassebot.var import traffic_light

    basel = traffic_light(0, model.result.level, observations=_WINDOW)
    days = [model.days[int(row)] for row in windows.last]
    top = max(int(windows.hits.max()), basel.red_from) + 1
    edges = (
        ("green", 0, basel.yellow_from),
        ("yellow", basel.yellow_from, basel.red_from),
        ("red", basel.red_from, top),
    )
    data = [{"x": days, "y": _numbers(windows.hits[:, 0]), "name": "hits", "line": {"shape": "hv", "color": "#222"}}]
    layout = _layout(f"Hits in {_WINDOW} rows, and the zone that it means")
    layout["shapes"] = [
        {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low - 0.5, "y1": high - 0.5, "layer": "below",
         "fillcolor": _COLOURS[zone], "opacity": 0.18, "line": {"width": 0}} for zone, low, high in edges
    ]  # fmt: skip
    return data, layout


def _p_values(model: _Pictured, windows: Rolling) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    days = [model.days[int(row)] for row in windows.last]
    of = (
        ("Kupiec, exact", windows.pof_p), ("Christoffersen independence, exact given the hits", windows.cci_p),
        (f"Christoffersen coverage, {windows.cc_method}", windows.cc_p),
    )  # fmt: skip
    data = [{"x": days, "y": _numbers(values[:, 0]), "name": name, "mode": "lines"} for name, values in of]
    layout = _layout(f"p-values of {_WINDOW} rows")
    layout["yaxis"] = {"type": "log", "title": {"text": "p"}}
    return data, layout


def _waits(model: _Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Times between hits, in order, against the quantiles of the geometric distribution."""
    from weltklassebot.var.independence import waits

    ordered = sorted(float(wait) for wait in waits(model.hits)[1:])
    p, n = 1.0 - model.result.level, len(ordered)
    expected = [math.ceil(math.log1p(-(k + 0.5) / n) / math.log1p(-p)) for k in range(n)]
    most = max([1.0, *ordered, *expected])
    data: list[dict[str, Any]] = [
        {"x": expected, "y": ordered, "mode": "markers", "name": "waits", "marker": {"color": "#1565c0"}},
        {"x": [0, most], "y": [0, most], "mode": "lines", "name": "a right model", "line": {"color": "#90a4ae"}},
    ]
    layout = _layout("Rows between hits against those of a right model")
    layout["xaxis"], layout["yaxis"] = {"title": {"text": "expected"}}, {"title": {"text": "observed"}}
    return data, layout


def _layout(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "x": 0, "font": {"size": 15}}, "margin": {"t": 60, "b": 40, "l": 50, "r": 10},
        "hovermode": "x", "height": 340, "legend": {"orientation": "h", "y": 1, "yanchor": "bottom"},
    }  # fmt: skip


def _days(rows: Any) -> list[Any]:
    """Dates, or places in the file."""
    if rows.dates is None:
        return list(rows.rows.tolist())
    return [str(date) for date in (rows.dates.tolist() if hasattr(rows.dates, "tolist") else rows.dates)]


def _numbers(values: Any) -> list[float | None]:
    """JSON has no NaN; plotly leaves a gap where there is null."""
    return [float(value) if math.isfinite(value) else None for value in values]


def _script(value: Any) -> str:
    """JSON that ends no script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
