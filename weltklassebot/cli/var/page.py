"""The page that `report.py` fills."""

from __future__ import annotations

from typing import Final

__all__ = ["TEMPLATE"]

TEMPLATE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>VaR validation: {{ head.light }}</title>
<script>{{ plotly | safe }}</script>
<style>
 body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; color: #222 }
 table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .25em .8em; text-align: left;
 border-bottom: 1px solid #ddd; vertical-align: top } .light { color: #fff; padding: .1em .6em; border-radius: .3em }
 .reject { color: #c62828 } .undefined { color: #888 } small { color: #666 }
 .sign td { padding: 1.6em 3em .2em 0; border-bottom: 1px solid #222 } .sign th { border: 0; font-weight: normal }
</style></head><body>
{% macro light(of) %}<span class="light" style="background: {{ colours[of] }}">{{ of | upper }}</span>{% endmacro %}
{% macro draw(picture) %}<div style="height: {{ picture.height }}px" id="{{ picture.id }}"></div>
<script>Plotly.newPlot({{ picture.id | tojson }}, {{ picture.data | safe }}, {{ picture.layout | safe }},
 {displaylogo: false, responsive: true})</script>{% endmacro %}
<h1>VaR validation {{ light(head.light) }} <small>{{ head.verdict.partition(", ")[2] }}</small></h1>
<p>{{ head.file }} <small>sha256 {{ head.sha256 }}; weltklassebot {{ head.version }}</small><br>
 {% for name, value in head.input.items() %}{{ name }} {{ value if value is string or value is number else
 value | join(", ") }}{% if not loop.last %}; {% endif %}{% endfor %}<br>
 Level {{ head.level }}; a hit is a loss strictly greater than VaR; rows without a number: {{ head.missing }};
 tests at size {{ head.size }};
 {% if head.replications %}{{ head.replications }} replications, seed {{ head.seed }}{% else %}nothing simulated
 {%- endif %}. The light is Basel's zone, and exact or simulated p-values after Holm's correction.</p>
<table><tr><th>series</th><th>light</th><th>days</th><th>hits</th><th>expected</th><th>p</th>
{% if found | length > 1 %}<th>over all</th>{% endif %}<th>last 250 days</th><th>MAR32</th>
<th>1996</th><th>every day</th></tr>
{% for result in found %}<tr><td>{{ result.name }}</td><td>{{ light(result.light) }}
 <small>{{ result.verdict.partition(", ")[2] }}</small></td>
 <td>{{ result.observations }}</td><td>{{ result.hits }}</td><td>{{ "%g" | format(result.expected) }}</td>
 <td>{% if result.smallest_p is not none %}{{ "%.2g" | format(result.smallest_p) }}{% endif %}</td>
 {% if found | length > 1 %}<td>{% if result.name in head.over_all %}{{ "%.2g" | format(head.over_all[result.name]) }}
 {% endif %}</td>{% endif %}
 <td>{{ result.regulator.hits }} hits, {{ result.regulator.zone }}</td>
 {% for each in (result.regulator.multiplier_mar32, result.regulator.multiplier_1996) %}<td>{% if each is not none %}
 {{- "%.2f" | format(each) }}{% if result.regulator.multipliers_by == "formula" %} (formula){% endif %}{% endif %}</td>
 {% endfor %}<td>{{ result.running.light }}</td></tr>
{% endfor %}</table>
{% if zones %}{{ draw(zones) }}{% endif %}
{% for portfolio, each in compared.items() %}<h2>Models compared{% if portfolio %}: {{ portfolio }}{% endif %}</h2>
<p>Mean losses over {{ each.observations }} days, smaller is better; a negative statistic speaks for the first.</p>
<table><tr><th>model</th><th>VaR (tick)</th><th>VaR and ES (FZ0)</th></tr>{% for name, tick in each.tick.items() %}
<tr><td>{{ name }}</td><td>{{ "%.6g" | format(tick) }}</td>
 <td>{% if each.fz %}{{ "%.6g" | format(each.fz[name]) }}{% endif %}</td></tr>{% endfor %}</table>
<table><tr><th>first</th><th>second</th><th>by</th><th>Diebold-Mariano</th><th>p</th><th>after Holm</th></tr>
{% for pair in each.pairs %}<tr class="{{ pair.test.decision }}"><td>{{ pair.first }}</td><td>{{ pair.second }}</td>
 <td>{{ pair.score }}</td>
 <td>{% if pair.test.statistic is not none %}{{ "%.3f" | format(pair.test.statistic) }}{% endif %}</td>
 <td>{% if pair.test.p_value is not none %}{{ "%.3g" | format(pair.test.p_value) }}{% endif %}</td>
 <td>{% if pair.adjusted is not none %}{{ "%.3g" | format(pair.adjusted) }}{% endif %}</td></tr>
{% endfor %}</table>{% endfor %}
{% for result, pictures in models %}
<h2>{{ result.name }} {{ light(result.light) }} <small>{{ result.verdict.partition(", ")[2] }}</small></h2>
<p>{{ result.first }} to {{ result.last }}: {{ result.observations }} observations at {{ result.level }},
 {{ result.hits }} hits, {{ "%g" | format(result.expected) }} expected
 {%- if result.missing %}, {{ result.missing }} missing{% endif %}.
 Traffic light {{ result.traffic_light.zone }}: yellow from {{ result.traffic_light.yellow_from }}, red from
 {{ result.traffic_light.red_from }} hits. Looked at every day: {{ result.running.light }}
 {%- if result.running_es %}, with ES {{ result.running_es.light }}{% endif %}.</p>
{% if result.warnings %}<ul>{% for each in result.warnings %}<li>Warning: {{ each }}</li>{% endfor %}</ul>{% endif %}
{% if result.reasons %}<ul>{% for reason in result.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>{% endif %}
{% for picture in pictures %}{{ draw(picture) }}{% endfor %}
<table><tr><th>test</th><th>null</th><th>statistic</th><th>p</th><th>which</th><th>decision</th><th>remark</th></tr>
{% for test in result.tests %}<tr class="{{ test.decision }}"><td>{{ test.name }}</td>
 <td><small>{{ test.null }}</small></td>
 <td>{% if test.statistic is not none %}{{ "%.4f" | format(test.statistic) }}{% endif %}</td>
 <td>{% if test.p_value is not none %}{{ "%.4g" | format(test.p_value) }}{% endif %}</td>
 <td>{% if test.informative %}{{ test.method }}{% endif %}</td><td>{{ test.decision }}</td>
 <td><small>{{ test.reason }}{{ test.warnings | join("; ") }}</small></td></tr>{% endfor %}</table>
{% endfor %}
{% if left_out %}<p>{{ left_out }} more series are in the table above and in the JSON, without pictures.</p>{% endif %}
<table class="sign"><tr><td></td><td></td><td></td></tr>
<tr><th>reviewed by</th><th>date</th><th>accepted / rejected</th></tr></table>
</body></html>
"""
