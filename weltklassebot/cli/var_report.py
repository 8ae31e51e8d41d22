"""The report of `var validate`: one HTML file that opens without a network, plotly's own script inside.

Pictures, by model: returns against VaR with the violations; hits in a rolling window over the traffic light's zones;
p-values of the windows; times between hits against those that a right model has.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from weltklassebot.cli.exits import CommandError

if TYPE_CHECKING:
    from weltklassebot.var import Validation

__all__ = ["Pictured", "write_report"]

_WINDOW: Final = 250
_COLOURS: Final = {"green": "#2e7d32", "yellow": "#f9a825", "red": "#c62828"}
_TEMPLATE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>VaR validation: {{ overall }}</title>
<script>{{ plotly | safe }}</script>
<style>
 body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; color: #222 }
 table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .8em; text-align: left;
 border-bottom: 1px solid #ddd; vertical-align: top } .light { color: #fff; padding: .1em .6em; border-radius: .3em }
 .reject { color: #c62828 } .undefined { color: #888 } .picture { height: 340px } small { color: #666 }
</style></head><body>
<h1>VaR validation <span class="light" style="background: {{ colours[overall] }}">{{ overall | upper }}</span></h1>
<p>{{ source }}</p>
{% for result, pictures in models %}
<h2>{{ result.name }}
 <span class="light" style="background: {{ colours[result.light] }}">{{ result.light | upper }}</span></h2>
<p>{{ result.first }} to {{ result.last }}: {{ result.observations }} observations at {{ result.level }},
 {{ result.hits }} hits, {{ "%g" | format(result.expected) }} expected
 {%- if result.missing %}, {{ result.missing }} missing{% endif %}.
 Traffic light {{ result.traffic_light.zone }}: yellow from {{ result.traffic_light.yellow_from }}, red from
 {{ result.traffic_light.red_from }} hits. Looked at every day: {{ result.running.light }}.</p>
{% if result.reasons %}<ul>{% for reason in result.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>{% endif %}
{% for picture in pictures %}<div class="picture" id="{{ picture.id }}"></div>
<script>Plotly.newPlot({{ picture.id | tojson }}, {{ picture.data | safe }}, {{ picture.layout | safe }},
 {displaylogo: false, responsive: true})</script>{% endfor %}
<table><tr><th>test</th><th>null</th><th>statistic</th><th>p</th><th>which</th><th>decision</th><th>remark</th></tr>
{% for test in result.tests %}<tr class="{{ test.decision }}"><td>{{ test.name }}</td>
 <td><small>{{ test.null }}</small></td>
 <td>{% if test.statistic is not none %}{{ "%.4f" | format(test.statistic) }}{% endif %}</td>
 <td>{% if test.p_value is not none %}{{ "%.4g" | format(test.p_value) }}{% endif %}</td>
 <td>{% if test.informative %}{{ test.method }}{% endif %}</td><td>{{ test.decision }}</td>
 <td><small>{{ test.reason }}{{ test.warnings | join("; ") }}</small></td></tr>{% endfor %}</table>
{% endfor %}</body></html>
"""


class Pictured:
    """A validation and the series behind it, with one sign: positive for losses."""

    def __init__(self, result: Validation, loss: Any, var: Any, hits: Any, dates: list[Any]) -> None:
        self.result, self.loss, self.var, self.hits, self.dates = result, loss, var, hits, dates


def write_report(path: Path, source: str, overall: str, models: list[Pictured]) -> None:
    """One file. Raises CommandError where jinja2 or plotly are not installed."""
    try:
        import jinja2

        script = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed: pip install 'weltklassebot[report]'") from None
    environment = jinja2.Environment(autoescape=True)
    shown = [(each.result, _pictures(number, each)) for number, each in enumerate(models)]
    page = environment.from_string(_TEMPLATE).render(
        overall=overall, source=source, models=shown, plotly=script, colours=_COLOURS
    )
    path.write_text(page, encoding="utf-8")


def _pictures(number: int, model: Pictured) -> list[dict[str, str]]:
    made = [("series", *_series(model)), ("waits", *_waits(model))]
    if len(model.hits) > _WINDOW:
        made[1:1] = [("zones", *_zones(model)), ("p", *_p_values(model))]
    return [{"id": f"{name}-{number}", "data": _script(data), "layout": _script(layout)} for name, data, layout in made]


def _series(model: Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    days, at = _days(model.dates), [k for k, hit in enumerate(model.hits) if hit]
    data = [
        {"x": days, "y": _numbers(-model.loss), "name": "return", "mode": "lines",
         "line": {"width": 1, "color": "#90a4ae"}},
        {"x": days, "y": _numbers(-model.var), "name": "-VaR", "mode": "lines",
         "line": {"width": 1.5, "color": "#1565c0"}},
        {"x": [days[k] for k in at], "y": _numbers(-model.loss[at]), "name": "violation", "mode": "markers",
         "marker": {"color": "#c62828", "size": 7}},
    ]  # fmt: skip
    return data, _layout("Returns against VaR")


def _zones(model: Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from weltklassebot.var import rolling, traffic_light

    windows = rolling(model.hits, model.result.level, window=_WINDOW)
    basel = traffic_light(0, model.result.level, observations=_WINDOW)
    days = _days([model.dates[int(row)] for row in windows.last])
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


def _p_values(model: Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from weltklassebot.var import rolling

    windows = rolling(model.hits, model.result.level, window=_WINDOW)
    days = _days([model.dates[int(row)] for row in windows.last])
    data = [
        {"x": days, "y": _numbers(values[:, 0]), "name": name, "mode": "lines"}
        for name, values in (("POF, exact", windows.pof_p), ("CCI, exact given the hits", windows.cci_p))
    ]
    layout = _layout(f"p-values of {_WINDOW} rows")
    layout["yaxis"] = {"type": "log", "title": {"text": "p"}}
    return data, layout


def _waits(model: Pictured) -> tuple[list[dict[str, Any]], dict[str, Any]]:
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
    return {"title": {"text": title}, "margin": {"t": 50, "b": 40, "l": 60, "r": 20}, "hovermode": "x"}


def _days(dates: list[Any]) -> list[Any]:
    return [date if isinstance(date, int | str) else str(date) for date in dates]


def _numbers(values: Any) -> list[float | None]:
    """JSON has no NaN; plotly leaves a gap where there is null."""
    return [float(value) if math.isfinite(value) else None for value in values]


def _script(value: Any) -> str:
    """JSON that ends no script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
