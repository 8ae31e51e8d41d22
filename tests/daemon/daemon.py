"""A real daemon in a process of its own.

Waits are for events: a log line, an answer, an exit. Every wait has a bound, so that a daemon that does nothing fails
the test instead of hanging it. Only processes that were started here are ended here, by their id.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.daemon.clients import SECONDS, Answer, Http, Stream, UnixConnection, order
from weltklassebot.api.tokens import TokenFile
from weltklassebot.core.records import Record
from weltklassebot.journal.reading import iterate, iterate_lines

__all__ = ["ROOT", "Daemon"]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-P", "-m", "weltklassebot", "serve"]


class Daemon:
    """Start it, talk to it, end it, look at what it left; start it again on the same store."""

    def __init__(self, directory: Path, **settings: object) -> None:
        """`settings`: names of variables without the prefix, such as `RISK__MAX_DRAWDOWN="0.1"`."""
        self.directory = directory
        self.settings = {f"WELTKLASSE_{key}": str(value) for key, value in settings.items()}
        self.store = directory / "state" / "risk"
        self.journal = self.store / "risk_audit.jsonl"
        self.latch = directory / "run" / "latch.json"
        self.logs: list[dict[str, Any]] = []
        self.text: list[str] = []
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._news = threading.Condition()
        self._deaf = ""
        self._reader: threading.Thread | None = None

    # --- its life

    def start(
        self, *, wrapper: tuple[str, ...] = (), wait: bool = True, output: int = subprocess.PIPE, **popen: Any
    ) -> Daemon:
        """Start it and wait until it serves. Raises `AssertionError` with its logs if it ends instead.

        With an `output` of the test's own, nothing of what it says is heard here.
        """
        self.logs, self.text = [], []
        self._deaf = ""
        self._process = subprocess.Popen(
            [*wrapper, *COMMAND],
            env=self._environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **popen,
        )
        if output != subprocess.PIPE:
            self._wait_until_it_answers()
            return self
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if wait:
            ready = self.log("ready")
            self.port = int(ready["url"].rpartition(":")[2])
        return self

    def _wait_until_it_answers(self) -> None:
        over = time.monotonic() + SECONDS
        while time.monotonic() < over:
            assert self.running, "it ended"
            with suppress(OSError):
                if self.http("GET", "/readyz").status == 200:
                    return
        raise AssertionError("it does not answer")

    def _environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WELTKLASSE_")}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
            "WELTKLASSE_STATE_DIR": str(self.directory / "state"),
            "WELTKLASSE_RUNTIME_DIR": str(self.directory / "run"),
            "WELTKLASSE_METRICS_PORT": "0",
            **self.settings,
        }

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            if self._deaf:
                break
            line = raw.decode(errors="replace").rstrip("\n")
            with self._news:
                self.text.append(line)
                if line.startswith("{"):
                    self.logs.append(json.loads(line))
                self._news.notify_all()
        if self._deaf == "closed":
            process.stdout.close()
        with self._news:
            self._reader = None
            self._news.notify_all()

    def stop_reading(self, *, close: bool = False) -> None:
        """From its next line on nobody takes what it says; with `close` there is nobody any more."""
        assert self._process is not None
        assert self._process.stdout is not None
        fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        self._deaf = "closed" if close else "stopped"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def writer_pid(self) -> int:
        """The child that writes the journal."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        (writer,) = (pid for pid in children if b"writer_child" in Path(f"/proc/{pid}/cmdline").read_bytes())
        return int(writer)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for its end, and for the last of its logs; the exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        with self._news:
            assert self._news.wait_for(lambda: self._reader is None, SECONDS), "its output stays open"
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9; returns when its writer has let go of the store as well."""
        self.signal(signal.SIGKILL)
        self.wait()

    def restart(self) -> Daemon:
        assert self.terminate() == 0
        return self.start()

    def end(self) -> None:
        """Whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    # --- what it says

    def log(self, event: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait for a log line."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [line for line in self.logs if line.get("event") == event]
            return bool(found) or self._reader is None

        with self._news:
            self._news.wait_for(look, seconds)
        assert found, f"it did not log {event}:\n" + "\n".join(self.text)
        return found[0]

    def records(self) -> list[Record]:
        """The journal, checked."""
        return list(iterate(self.store))

    def lines(self) -> Iterator[dict[str, Any]]:
        """The journal as any reader of JSON sees it."""
        return map(json.loads, iterate_lines(self.store))

    # --- its doors

    def tcp(self, token: str | None = None, timeout: float = SECONDS) -> Http:
        return Http(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout), token)

    def admin(self, timeout: float = SECONDS) -> Http:
        return Http(UnixConnection(self.directory / "run" / "admin.sock", timeout))

    def http(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Answer:
        """One request on a connection of its own: on `admin.sock`, or over TCP with a token ("" for none)."""
        with self.admin() if token is None else self.tcp(token or None) as ask:
            return ask(method, path, body, headers)

    def get(self, path: str) -> Any:
        answer = self.http("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http("POST", path, body)
        assert answer.status == 200, answer
        return answer.json

    def check(self, client_order_id: str, **fields: Any) -> Any:
        return self.post("/v1/orders/check", **order(client_order_id, **fields))

    def stream(self, timeout: float = SECONDS) -> Stream:
        return Stream(self.directory / "run" / "orders.sock", timeout)

    def state(self) -> Any:
        return self.get("/v1/state")

    def token(self, role: Any, name: str | None = None, **bindings: tuple[str, ...]) -> str:
        """A new token, as `token create` makes it."""
        file = TokenFile(self.directory / "state" / "tokens.json")
        text, _ = file.create(name=name or f"{role}-{len(file.tokens())}", role=role, created=0.0, **bindings)
        return text
