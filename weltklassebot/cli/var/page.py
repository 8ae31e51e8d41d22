"""The page that `report.py` fills."""

from __future__ import annotations

from typing import Final

__all__ = ["TEMPLATE"]

_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>VaR validation: {{ head.light }}</title>
<script>{{ plotly | safe }}</script>
<style>
 body { font: 15px/1.45 system-ui, sans-serif; margin: 1.2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
 h1 { font-size: 1.5em; margin: .2em 0 } h2 { margin-top: 2em; border-top: 2px solid #eee; padding-top: .6em }
 h3 { margin-bottom: 0 }
 table { border-collapse: collapse; margin: .6em 0 } td, th { padding: .25em .8em .25em 0; text-align: left;
 border-bottom: 1px solid #ddd; vertical-align: top } td.n, th.n { text-align: right } td.n { white-space: nowrap }
 .wide { overflow-x: auto } .long { max-height: 32em; overflow: auto } .long thead th { position: sticky; top: 0;
 background: #fff } .light { color: #fff; padding: .1em .6em; border-radius: .3em; white-space: nowrap }
 .yellow { color: #222 } .reject { color: #b71c1c } .undefined { color: #777 } small, .more { color: #555 }
 .answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5em, 1fr)); gap: .5em; margin: .8em 0 }
 .answers div { border: 1px solid #ddd; border-radius: .4em; padding: .5em .8em } .answers b { display: block }
 .answers p { margin: .2em 0 } .warning { background: #fff8e1; border-left: 4px solid #f9a825; padding: .3em .8em;
 margin: .3em 0 } dt { font-weight: bold } dd { margin: 0 0 .4em 1.2em } .hash { overflow-wrap: anywhere }
 .sign td { padding: 1.6em 3em .2em 0; border-bottom: 1px solid #222 } .sign th { border: 0; font-weight: normal }
 @media (max-width: 520px) { body { font-size: 13px } .answers { grid-template-columns: 1fr 1fr; gap: .3em }
 .answers div { padding: .3em .5em } .more { font-size: 12px; line-height: 1.25 } }
 @media print { .long { max-height: none } }
</style></head><body>
{% macro light(of) %}<span class="light {{ of }}" style="background: {{ colours[of] }}">
 {{- of | upper }}</span>{% endmacro %}
{% macro draw(picture) %}<div style="height: {{ picture.height }}px" id="{{ picture.id }}"></div>
<script>Plotly.newPlot({{ picture.id | tojson }}, {{ picture.data | safe }}, {{ picture.layout | safe }},
 {displaylogo: false, responsive: true})</script>{% endmacro %}
{% macro answers(of) %}<div class="answers">{% for each in of %}<div><small>{{ each.question }}</small>
 <b>{{ each.said }}</b><p class="more">{{ each.more }}</p></div>{% endfor %}</div>{% endmacro %}
{% macro warnings(of) %}{% for each in of %}<p class="warning">Warning: {{ each }}</p>{% endfor %}{% endmacro %}
<h1>Value at Risk validation {{ light(head.light) }} <small>{{ head.verdict.partition(", ")[2] }}</small></h1>
<p>{{ head.file }}, level {{ percent(head.level) }}: {% for each in counts %}{{ each[1] }} {{ each[0] }}
 {%- if not loop.last %}, {% endif %}{% endfor %} of {{ found | length }} series.
 {% if found | length > 1 %}The worst one, <b>{{ found[0].name }}</b> {{ light(found[0].light) }}:{% endif %}</p>
{{ answers(first) }}
{{ warnings(found[0].warnings) }}
"""

_TABLE: Final = """
<h3>All series, the worst first</h3>
<div class="wide{% if found | length > 15 %} long{% endif %}"><table><thead><tr><th>series</th><th>light</th>
<th class="n">days</th><th class="n">hits</th><th class="n">expected</th><th class="n">ratio</th>
<th class="n">observed level</th><th class="n">p</th>{% if found | length > 1 %}<th class="n">p over all</th>{% endif %}
<th>last 250 days</th><th class="n">MAR32</th><th class="n">1996</th><th>every day</th></tr></thead>
{% for result in found %}<tr><td>{{ result.name }}</td><td>{{ light(result.light) }}
 {%- if "," in result.verdict %} <small>{{ result.verdict.partition(", ")[2] }}</small>
 {%- endif %}{% if result.warnings %} <small>{{ result.warnings | length }} warning
 {{- "s" if result.warnings | length > 1 }}</small>{% endif %}</td>
 <td class="n">{{ result.observations }}</td><td class="n">{{ result.hits }}</td>
 <td class="n">{{ "%.4g" | format(result.expected) }}</td><td class="n">{{ "%.2f" | format(result.ratio) }}</td>
 <td class="n">{{ percent(result.observed_level) }}</td>
 <td class="n">{{ number("%.2g", result.smallest_p) }}</td>
 {% if found | length > 1 %}<td class="n">{{ number("%.2g", head.over_all.get(result.name)) }}</td>{% endif %}
 <td>{{ result.regulator.hits }} hits, {{ result.regulator.zone }}</td>
 {% for each in (result.regulator.multiplier_mar32, result.regulator.multiplier_1996) %}<td class="n">
 {{- number("%.2f", each) }}{% if result.regulator.multipliers_by == "formula" %} (formula){% endif %}</td>
 {% endfor %}<td>{{ result.running.light }}</td></tr>
{% endfor %}</table></div>
{% if zones %}{{ draw(zones) }}{% endif %}
<details open><summary>How to read this</summary><dl>
 <dt>hit</dt><dd>A day with a loss strictly greater than VaR. A right model at {{ percent(head.level) }} has one on
 {{ percent(1 - head.level) }} of all days.</dd>
 <dt>light</dt><dd>Red: Basel's zone over all days is red, or an exact or simulated p-value is at most 0.001 after
 Holm's correction. Yellow: the zone is, or one is at most {{ "%g" | format(least) }}. Green: none of these.
 Approximate p-values are shown and do not count; the light says how many of them reject.</dd>
 <dt>last 250 days, MAR32, 1996</dt><dd>The regulator's zone, and the multiplier that follows from it.</dd>
 <dt>p</dt><dd>The smallest of the p-values that count, after correction for the number of tests;
 &ldquo;over all&rdquo; also for the number of series.</dd>
 <dt>every day</dt><dd>A verdict that holds however often one looks: evidence of 5 is yellow, of 20 red.</dd>
 <dt>ratio, observed level</dt><dd>Hits over expected hits; the share of days without a hit.</dd></dl></details>
"""

_MODELS: Final = """
{% for portfolio, each in compared.items() %}<h2>Models compared{% if portfolio %}: {{ portfolio }}{% endif %}</h2>
<p>Mean losses over {{ each.observations }} days, smaller is better; a negative statistic speaks for the first.</p>
<div class="wide"><table><tr><th>model</th><th>VaR (tick)</th><th>VaR and ES (FZ0)</th></tr>
{% for name, tick in each.tick.items() %}<tr><td>{{ name }}</td><td>{{ "%.6g" | format(tick) }}</td>
 <td>{% if each.fz %}{{ "%.6g" | format(each.fz[name]) }}{% endif %}</td></tr>{% endfor %}</table>
<table><tr><th>first</th><th>second</th><th>by</th><th>Diebold-Mariano</th><th>p</th><th>after Holm</th></tr>
{% for pair in each.pairs %}<tr class="{{ pair.test.decision }}"><td>{{ pair.first }}</td><td>{{ pair.second }}</td>
 <td>{{ pair.score }}</td><td>{{ number("%.3f", pair.test.statistic) }}</td>
 <td>{{ number("%.3g", pair.test.p_value) }}</td><td>{{ number("%.3g", pair.adjusted) }}</td></tr>
{% endfor %}</table></div>{% endfor %}
{% for model in models %}{% set result = model.result %}
<h2>{{ result.name }} {{ light(result.light) }} <small>{{ result.verdict.partition(", ")[2] }}</small></h2>
<p>{{ result.first }} to {{ result.last }}
 {%- if result.missing %}, {{ result.missing }} days without a number{% endif %}.
 Over all days the zone is {{ result.traffic_light.zone }}: yellow from {{ result.traffic_light.yellow_from }}, red from
 {{ result.traffic_light.red_from }} hits. Looked at every day: {{ result.running.light }}
 {%- if result.running_es %}, with ES {{ result.running_es.light }}{% endif %}.</p>
{% if not loop.first %}{{ answers(model.answers) }}{{ warnings(result.warnings) }}{% endif %}
{% if model.reasons %}<ul>{% for reason in model.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>{% endif %}
{% for picture in model.pictures %}{{ draw(picture) }}{% endfor %}
{% if model.worst %}<h3>Worst violations</h3><div class="wide"><table><tr><th>date</th><th class="n">loss</th>
<th class="n">VaR</th><th class="n">loss over VaR</th></tr>{% for each in model.worst %}<tr>
 <td>{{ each.date if each.date is not none else "row %d" | format(each.row) }}</td>
 <td class="n">{{ number("%.5g", each.loss) }}</td><td class="n">{{ number("%.5g", each.var) }}</td>
 <td class="n">{{ number("%.2f", each.severity) }}</td></tr>{% endfor %}</table></div>{% endif %}
<h3>Tests</h3><div class="wide"><table><tr><th>test</th><th>asks whether</th><th class="n">statistic</th>
<th class="n">p</th><th>p is</th><th>decision</th><th>remark</th></tr>
{% for test in result.tests %}<tr class="{{ test.decision }}"><td>{{ plain_name(test.name) }}</td>
 <td><small>{{ test.null }}</small></td><td class="n">{{ number("%.4f", test.statistic) }}</td>
 <td class="n">{{ number("%.4g", test.p_value) }}</td><td>{% if test.informative %}{{ test.method }}{% endif %}</td>
 <td>{{ test.decision }}</td><td><small>{{ test.reason }}{{ test.warnings | join("; ") }}</small></td></tr>
{% endfor %}</table></div>
{% endfor %}
{% if left_out %}<p>{{ left_out }} more series are in the table above and in the JSON, without pictures.</p>{% endif %}
<h2>What was validated</h2>
<p class="hash">{{ head.file }}, sha256 {{ head.sha256 }}; weltklassebot {{ head.version }}<br>
 {% for name, value in head.input.items() %}{{ name }} {{ value if value is string or value is number else
 value | join(", ") }}{% if not loop.last %}; {% endif %}{% endfor %}<br>
 Rows without a number: {{ head.missing }}; tests at size {{ head.size }};
 {% if head.replications %}{{ head.replications }} replications, seed {{ head.seed }}{% else %}nothing simulated
 {%- endif %}.</p>
<table class="sign"><tr><td></td><td></td><td></td></tr>
<tr><th>reviewed by</th><th>date</th><th>accepted / rejected</th></tr></table>
</body></html>
"""

TEMPLATE: Final = _HEAD + _TABLE + _MODELS
