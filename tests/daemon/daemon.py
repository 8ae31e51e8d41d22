"""A real daemon in a process of its own, and real clients for its sockets.

Waits are for events: a log line, an answer, an exit. Every wait has a bound, so that a daemon that does nothing fails
the test instead of hanging it. Only processes that were started here are ended here, by their id.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from weltklassebot.api.tokens import TokenFile
from weltklassebot.core.records import Record
from weltklassebot.journal.reading import iterate, iterate_lines

__all__ = ["ROOT", "Answer", "Daemon", "Stream", "Http", "order"]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "weltklassebot", "serve"]
SECONDS = 20.0


def order(client_order_id: str, **fields: Any) -> dict[str, Any]:
    """A small limit order that nothing speaks against."""
    known = {"symbol": "BTC-EUR", "side": "buy", "quantity": "0.001", "price": "1000", "account": "main"}
    return {"client_order_id": client_order_id, "strategy": "test", **known, **fields}


class Answer:
    """A status, headers, and the body."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, key: str) -> Any:
        return self.json[key]

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:2000]!r}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Http:
    """One keep-alive connection."""

    def __init__(self, connection: http.client.HTTPConnection, token: str | None = None) -> None:
        self.connection = connection
        self._token = token

    def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        headers = dict(headers or {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, headers)
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream:
    """A connection to the order stream. Pushes are kept apart from answers."""

    def __init__(self, path: Path, timeout: float = SECONDS) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self._file = self.sock.makefile("rb")
        self.pushes: list[dict[str, Any]] = []

    def send(self, *lines: Any) -> None:
        """Each line: bytes as they are, anything else as JSON."""
        self.sock.sendall(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))

    def line(self) -> dict[str, Any] | None:
        """The next line, push or answer; None at the end."""
        text = self._file.readline()
        return json.loads(text) if text else None

    def answer(self) -> dict[str, Any]:
        """The next answer."""
        while True:
            found = self.line()
            if found is None:
                raise EOFError
            if "push" not in found:
                return found
            self.pushes.append(found)

    def push(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next push that is wanted."""
        while True:
            for number, found in enumerate(self.pushes):
                if wanted(found):
                    return self.pushes.pop(number)
            line = self.line()
            if line is None:
                raise EOFError
            assert "push" in line, line
            self.pushes.append(line)

    def ask(self, line: Any) -> dict[str, Any]:
        self.send(line)
        return self.answer()

    def check(self, client_order_id: str, **fields: Any) -> dict[str, Any]:
        return self.ask({"op": "check", **order(client_order_id, **fields)})

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        self._reader: threading.Thread | None = None

    # --- its life

    def start(self, *, wrapper: tuple[str, ...] = (), wait: bool = True, **popen: Any) -> Daemon:
        """Start it and wait until it serves. Raises `AssertionError` with its logs if it ends instead."""
        self.logs, self.text = [], []
        self._process = subprocess.Popen(
            [*wrapper, *COMMAND],
            env=self._environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **popen,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if wait:
            ready = self.log("ready")
            self.port = int(ready["url"].rpartition(":")[2])
        return self

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
            line = raw.decode(errors="replace").rstrip("\n")
            with self._news:
                self.text.append(line)
                if line.startswith("{"):
                    self.logs.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._reader = None
            self._news.notify_all()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def writer_pid(self) -> int:
        """The child that writes the journal."""
        (child,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(child)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for its end, and for the last of its logs; the exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        with self._news:
            assert self._news.wait_for(lambda: self._reader is None, SECONDS), "its output stays open"
        assert self._process.stdout is not None
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
        return Http(_UnixConnection(self.directory / "run" / "admin.sock", timeout))

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
