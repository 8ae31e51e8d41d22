"""From a checkout to a service that is scraped and alerts, with what the README says and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.docs.pages import Page
from tests.ops.test_alerts import names
from tests.ops.tools import UNPACKED
from tests.service.conftest import cannot
from tests.service.machine import PIP, Machine

README = Page("README.md")
DEBIAN = "/mnt/checkout/.venv/debian"
APT_GET = f"""
apt-get() {{  # what the packages hold, and what their installation does; there is no network here
  cp -a {DEBIAN}/etc/. /etc; cp -a {DEBIAN}/lib/. /lib; cp -a {DEBIAN}/usr/. /usr; cp -a {DEBIAN}/var/. /var
  id -u prometheus >/dev/null 2>&1 || useradd --system prometheus
  chown -R prometheus: /var/lib/prometheus
  systemctl daemon-reload
  systemctl start prometheus prometheus-alertmanager
}}
"""
BEFORE = f'set -euo pipefail; cd /mnt/checkout; export {PIP}; sudo() {{ "$@"; }}\n{APT_GET}'


@pytest.fixture
def watched(service: Machine) -> Machine:
    if not (UNPACKED / "prometheus").exists():
        cannot("prometheus is not here: ops/environment.sh debian")
    service(BEFORE + "".join(block.text for block in README.blocks("Watched by Prometheus", "sh")))
    return service


def test_it_is_installed(service: Machine) -> None:
    said = service(BEFORE + "".join(block.text for block in README.blocks("Install as a service", "sh")))
    assert "RUNNING" in said


def test_it_is_scraped_and_alerts(watched: Machine) -> None:
    ask = "curl --silent --fail http://127.0.0.1"
    up = "/api/v1/query --get --data-urlencode 'query=up{job=\"weltklassebot\"} == 1'"
    watched.until(f"{ask}:9090{up} | grep -F 127.0.0.1:9000", 60)
    groups = json.loads(watched(f"{ask}:9090/api/v1/rules"))["data"]["groups"]
    loaded = [rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    assert sorted(loaded) == sorted(names())
    watched("weltklassebot halt --reason drill")
    watched.until(f"{ask}:9093/api/v2/alerts | grep RiskHalted", 60)
    watched("weltklassebot resume --reason 'drill is over'; systemctl stop prometheus prometheus-alertmanager")
