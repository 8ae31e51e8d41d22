"""A real Prometheus scrapes a real daemon by the example configuration, and a halt reaches a webhook through a real
Alertmanager, and its end too."""

from __future__ import annotations

import http.server
import json
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.daemon.daemon import ROOT, Daemon
from tests.ops.tools import alertmanager, run, tool

pytestmark = pytest.mark.slow

SECONDS = 60.0
Notice = tuple[str, dict[str, Any]]


@contextmanager
def webhook() -> Iterator[tuple[int, Queue[Notice]]]:
    """Its port, and what is sent there: the path and the body."""
    got: Queue[Notice] = Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1], got
        server.shutdown()
        thread.join()


@contextmanager
def serving(log: Path, url: str, *command: str) -> Iterator[None]:
    """A program, from when it answers at `url` to its end."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            _until(lambda: process.poll() is None and _get(url) is not None, log)
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


def _until(seen: Callable[[], bool], log: Path) -> None:
    over = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < over, log.read_text()
        time.sleep(0.05)  # neither program tells when it is ready


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return None


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def notice(got: Queue[Notice], alert: str, status: str) -> Notice:
    """The next one of an alert."""
    while True:
        path, body = got.get(timeout=SECONDS)
        if body["status"] == status and body["groupLabels"]["alertname"] == alert:
            return path, body


def test_the_examples_are_accepted(tmp_path: Path) -> None:
    config = (ROOT / "ops" / "prometheus" / "prometheus.example.yml").read_text()
    path = tmp_path / "prometheus.yml"
    path.write_text(config.replace("/etc/prometheus/weltklassebot", str(ROOT / "ops" / "alerts")))
    run("promtool", "check", "config", path)
    run("amtool", "check-config", ROOT / "ops" / "alertmanager" / "alertmanager.example.yml")


def test_what_is_exposed_follows_the_rules_of_metrics(daemon: Daemon) -> None:
    with daemon.tcp() as ask:
        text = ask("GET", "/metrics").body
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_halt_pages_and_its_end_too(daemon: Daemon, tmp_path: Path) -> None:
    prometheus_port, alertmanager_port = free_port(), free_port()
    home = f"http://127.0.0.1:{prometheus_port}"
    with ExitStack() as stack:
        hook_port, got = stack.enter_context(webhook())
        _write(
            tmp_path / "alertmanager.yml",
            ROOT / "ops" / "alertmanager" / "alertmanager.example.yml",
            {
                "127.0.0.1:9099": f"127.0.0.1:{hook_port}",
                "group_wait: 5s": "group_wait: 0s",
                "interval: 1m": "interval: 1s",
            },
        )
        _write(
            tmp_path / "prometheus.yml",
            ROOT / "ops" / "prometheus" / "prometheus.example.yml",
            {
                "127.0.0.1:9000": f"127.0.0.1:{daemon.port}",
                "127.0.0.1:9093": f"127.0.0.1:{alertmanager_port}",
                "interval: 15s": "interval: 200ms",
                "/etc/prometheus/weltklassebot": str(ROOT / "ops" / "alerts"),
            },
        )
        stack.enter_context(
            serving(
                tmp_path / "alertmanager.log",
                f"http://127.0.0.1:{alertmanager_port}/-/ready",
                *alertmanager(),
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--storage.path={tmp_path / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{alertmanager_port}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            serving(
                tmp_path / "prometheus.log",
                f"{home}/-/ready",
                tool("prometheus"),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{prometheus_port}",
            )
        )
        _until(lambda: _value(home, "up") == "1", tmp_path / "prometheus.log")
        assert _value(home, 'risk_state{state="RUN"}') == "1"

        daemon.post("/v1/admin/halt", reason="drill")
        path, body = notice(got, "RiskHalted", "firing")
        assert path == "/page"
        (alert,) = body["alerts"]
        assert alert["labels"]["severity"] == "page"
        assert re.fullmatch(r"https://.*/alerts/RiskHalted\.md", alert["annotations"]["runbook_url"])

        daemon.post("/v1/admin/resume", reason="drill is over")
        notice(got, "RiskHalted", "resolved")


def _write(path: Path, example: Path, changes: dict[str, str]) -> None:
    text = example.read_text()
    for old, new in changes.items():
        assert old in text, f"{example} has no {old}"
        text = text.replace(old, new)
    path.write_text(text)


def _value(home: str, expression: str) -> str | None:
    body = _get(f"{home}/api/v1/query?query={urllib.request.quote(expression)}")
    rows = json.loads(body)["data"]["result"] if body is not None else []
    return rows[0]["value"][1] if rows else None
