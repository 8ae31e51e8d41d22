"""The dashboard asks for what is there."""

from __future__ import annotations

import json
import re

import yaml

from tests.daemon.daemon import ROOT, Daemon

BOARD = json.loads((ROOT / "ops" / "grafana" / "weltklassebot.json").read_text())


def test_every_panel_asks_for_metrics_that_exist(daemon: Daemon) -> None:
    with daemon.tcp() as ask:
        exposed = set(re.findall(r"^([a-z_]+)(?:\{| )", ask("GET", "/metrics").body.decode(), re.MULTILINE))
    rules = yaml.safe_load((ROOT / "ops" / "alerts" / "latency.yml").read_text())["groups"]
    recorded = {rule["record"] for group in rules for rule in group["rules"] if "record" in rule}
    asked = {
        name
        for panel in BOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"[a-z_:0-9]+(?=\{)", target["expr"])
    }
    assert len(asked) > 15
    assert asked - exposed - recorded == set()


def test_panels_have_titles_and_a_place_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
