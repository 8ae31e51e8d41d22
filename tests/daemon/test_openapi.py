"""The description says what is served, no more and no less, and the daemon does what it says."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.daemon.daemon import Daemon
from tests.daemon.events import Reader
from tests.daemon.routes import READS, ROUTES, method
from weltklassebot.api import shapes
from weltklassebot.api.operations import OPERATIONS
from weltklassebot.core.numbers import NotExact, exact

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "negative_data_rejection", "missing_required_header",
    "ignored_auth",
)  # fmt: skip
EXAMPLES = 20


@pytest.fixture(scope="module")
def document(shared):
    answer = shared.http("GET", "/openapi.json", token="")  # open: no credentials
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json


def operations(document):
    """(method, path), what is said of it."""
    return [
        ((name.upper(), path), operation)
        for path, methods in document["paths"].items()
        for name, operation in methods.items()
    ]


def example(operation):
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")


def test_it_names_every_route_that_is_served_and_no_other(shared, document):
    said = {key for key, _ in operations(document)}
    assert said == set(OPERATIONS)
    assert said >= {("GET", path) for path in READS} | {(method(path), path) for path in ROUTES}
    for _, path in said - {("GET", "/v1/events")}:
        answer = shared.http("DELETE", path)
        named = {verb for verb, other in said if other == path} | {"OPTIONS"}
        named |= {"HEAD"} if "GET" in named else set()
        assert (answer.status, set(answer.headers["Allow"].split(", "))) == (405, named), path


def test_every_example_is_understood(make):
    one = make().start()
    for (verb, path), operation in operations(one.get("/openapi.json")):
        if path == "/v1/events":
            with Reader(one) as reader:
                assert reader.headers["Content-Type"] == "text/event-stream"
            continue
        answer = one.http(verb, path, example(operation))
        assert answer.status in (200, 404, 409), (path, answer)
        media = answer.headers["Content-Type"].partition(";")[0]
        assert media in operation["responses"]["200"]["content"] or media == "application/problem+json", path


def test_what_a_stop_and_a_late_fill_answer_is_described(make):
    one = make().start()

    def event(name, **fields):
        return one.post("/v1/orders/events", client_order_id=name, strategy="test", account="main", **fields)

    fill = {"strategy": "test", "account": "main", "symbol": "BTC-EUR", "price": "1000"}
    stop = {"side": "sell", "quantity": "1", "order_type": "stop", "price": None, "stop_price": "900"}
    one.check("o-1", quantity="1")
    event("o-1", status="canceled", filled_quantity="0")
    said = [one.post("/v1/fills", fill_id="f-1", client_order_id="o-1", side="buy", quantity="1", **fill)]
    one.check("s-1", **stop)
    event("s-1", status="accepted")
    held = {"symbol": "BTC-EUR", "account": "main", "strategy": "test", "quantity": "0.4", "orders": ["s-1"]}
    one.post("/v1/positions/adjust", **held, reason="part")
    said.append(one.post("/v1/admin/halt", reason="drill"))
    said.append(one.post("/v1/kill-switch/trigger", reason="drill"))
    assert [next(iter({"late", "oversized", "unprotected"} & set(body))) for body in said] == [
        "late", "oversized", "unprotected"
    ]  # fmt: skip
    for body in said:
        msgspec.convert(body, shapes.Accepted)
    event("s-1", status="cancel_rejected")
    asked = one.get("/v1/cancel-requests")
    (request,) = msgspec.convert(asked, shapes.CancelRequests).cancel_requests
    assert request.due is not None


def test_who_is_nobody_gets_nothing(shared, document):
    viewer, trader = shared.token("viewer"), shared.token("trader")
    for (verb, path), operation in operations(document):
        roles = [role for one in operation["security"] for role in one["bearer"]]
        if not roles:
            assert shared.http(verb, path, token="").status == 200, path
            continue
        assert roles == [operation["x-role"]]
        for bad in ("", "wkb_0000000000000000_guess"):
            for body in (example(operation), b"{", None):
                assert shared.http(verb, path, body, token=bad).status == 401, path
        if roles != ["viewer"]:
            assert shared.http(verb, path, example(operation), token=viewer).status == 403, path
        if roles == ["operator"]:
            assert shared.http(verb, path, example(operation), token=trader).status == 403, path


def test_errors_have_one_form(document):
    for key, operation in operations(document):
        for status in set(operation["responses"]) - {"200"}:
            assert operation["responses"][status] == {"$ref": f"#/components/responses/{status}"}, key
    for status, response in document["components"]["responses"].items():
        (media,) = response["content"]
        assert media == "application/problem+json"
        assert response["content"][media]["example"]["status"] == int(status)


def test_what_fits_a_decimals_pattern_is_exact(document):
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    draw = random.Random(seed)
    price = document["components"]["schemas"]["AdjustPosition"]["properties"]["quantity"]
    text = next(form["pattern"] for form in price["anyOf"] if form["type"] == "string")
    for good in ("0", "-1", "+1", "1.", ".5", "0.000000000000000001", "9" * 18 + "." + "9" * 18):
        assert re.search(text, good), good
    for bad in ("", "NaN", "Infinity", "1e400", "1_000", "٣", "1" * 19, "0." + "1" * 19, ".", "1 0", "0x1", "--1"):
        assert not re.search(text, bad), bad
    for _ in range(20_000):
        word = "".join(draw.choices("0123456789.+-eE_ ", k=draw.randrange(1, 40)))
        if re.search(text, word):
            try:
                exact(Decimal(word))
            except NotExact:
                pytest.fail(f"{word!r} fits, and is refused")


def test_the_page_needs_nothing_else(shared, document):
    answer = shared.http("GET", "/docs", token="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    html = answer.body.decode()
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)
    for (verb, path), operation in operations(document):
        assert f'<span class="method">{verb}</span> <code>{path}</code>' in html
        assert f'id="{operation["operationId"]}"' in html
    targets = set(re.findall(r'href="#([^"]+)"', html))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', html))


def test_schemathesis_finds_nothing(make):
    """A tool that knows only the description asks a real daemon everything that it can think of."""
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    one: Daemon = make().start()
    tool = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            tool, "run", f"http://127.0.0.1:{one.port}/openapi.json",
            "--header", f"Authorization: Bearer {one.token('operator')}",
            "--exclude-path", "/v1/events",  # it would wait for the end
            "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS),
            "--max-examples", str(EXAMPLES), "--seed", str(seed), "--no-color", "--request-timeout", "20",
            "--generation-database", "none",
        ],
        cwd=one.directory,
        env={key: value for key, value in os.environ.items() if not key.startswith("WELTKLASSE_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    # All but the stream, and /openapi.json, which the tool leaves out as its source; `document` asks for it.
    assert int(tested[1]) == len(OPERATIONS) - 2, done.stdout
    assert not [line for line in one.logs if line["event"] in ("request_failed", "task_died")]
    assert one.terminate() == 0
