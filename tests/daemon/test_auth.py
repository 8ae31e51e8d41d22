"""Who may do what: tokens over TCP, the kernel's word on unix sockets. Refusals leave no record, secrets no trace."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys

import pytest

from tests.daemon.clients import order
from tests.daemon.routes import READS, ROUTES, method
from weltklassebot.api.tokens import TokenFile

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="acts as another user")
OPEN = ("/healthz", "/readyz", "/metrics")
TRADER = ("/v1/orders/check", "/v1/orders/events", "/v1/fills", "/v1/marks", "/v1/equity")
NOBODY = pwd.getpwnam("nobody")


def test_without_a_valid_token_nothing_but_health(shared):
    good = shared.token("operator", "real")
    name, _, secret = good.rpartition("_")
    wrong = [
        None, "", "x", "Bearer", good[:-1], good + "x", good.upper(), name + "_" + "A" * len(secret),
        "wkb_" + "0" * 16 + "_" + secret, "é", "a" * 5000,
    ]  # fmt: skip
    size = shared.journal.stat().st_size
    with shared.tcp() as ask:
        for path in OPEN:
            assert ask("GET", path).status == 200
        for path in (*ROUTES, *READS):
            if path in OPEN:
                continue
            ask.close()  # a connection that is refused again and again is answered later and later
            answer = ask(method(path) if path in ROUTES else "GET", path, ROUTES.get(path))
            assert (answer.status, answer["type"]) == (401, "unauthorized"), path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        for token in wrong:
            ask.close()
            headers = {} if token is None else {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
            assert ask("GET", "/v1/state", headers=headers).status == 401, token
        ask.close()
        for scheme in ("Basic", "Token", ""):
            assert ask("GET", "/v1/state", headers={"Authorization": f"{scheme} {good}".strip()}).status == 401
        assert ask("GET", f"/v1/state?token={good}").status == 401
        assert ask("GET", "/v1/state", headers={"Authorization": f"bearer  {good}"}).status == 200
    assert shared.journal.stat().st_size == size


def test_each_role_reaches_what_it_may(shared):
    size = shared.journal.stat().st_size
    for role in ("viewer", "trader", "operator"):
        with shared.tcp(shared.token(role)) as ask:
            for path in READS:
                assert ask("GET", path).status == 200, (role, path)
            for path in ROUTES:
                # What is let in is not understood, so that nothing is recorded. Of a halt and a kill all is taken.
                if role == "operator" and path in ("/v1/admin/halt", "/v1/kill-switch/trigger"):
                    continue
                assert ask("GET", "/v1/state").status == 200  # nor is one that is let in again kept waiting
                status = ask(method(path), path, {"nonsense": 1, "minutes": 0, "account": ""}).status
                may = role == "operator" or (role == "trader" and path in TRADER)
                assert status == (422 if may else 403), (role, path)
                if not may:
                    assert ask(method(path), path, ROUTES[path]).status == 403
    assert shared.journal.stat().st_size == size


def test_the_journal_names_who_was_authenticated(daemon):
    token = daemon.token("operator", "night-desk")
    daemon.http("POST", "/v1/admin/halt", {"reason": "drill", "actor": "sre@desk"}, token=token)
    line = list(daemon.lines())[-1]
    assert (line["actor"], line["principal"]) == ("sre@desk", f"token:{token.split('_')[1]}:night-desk")
    daemon.http("POST", "/v1/admin/resume", {"reason": "over"}, token=token)
    assert list(daemon.lines())[-1]["actor"] == line["principal"]


def test_bindings(daemon):
    bound = daemon.token("trader", accounts=("main",), strategies=("test",))
    head = daemon.token("operator", accounts=("main",))
    desk = daemon.token("trader")
    assert daemon.http("POST", "/v1/orders/check", order("x", account="other"), token=desk)["allowed"]
    daemon.http("POST", "/v1/orders/check", order("y", strategy="other"), token=desk)
    size = daemon.journal.stat().st_size
    event = {"client_order_id": "x", "status": "sent", "strategy": "test"}
    for token in (bound, head):
        with daemon.tcp(token) as ask:
            for path, body in (
                ("/v1/orders/check", order("b", account="other")),
                ("/v1/orders/check", {"orders": [order("b"), order("c", account="other")]}),
                ("/v1/orders/events", event | {"account": "other"}),
                ("/v1/orders/events", event),
                ("/v1/equity", {"equity": "1", "account": "other"}),
                ("/v1/marks", {"symbol": "X", "price": 1}),
                ("/v1/marks", {"marks": [{"symbol": "X", "price": 1}]}),
            ):
                answer = ask("POST", path, body)
                assert (answer.status, answer["type"]) == (403, "forbidden"), (path, body)
            assert {row["account"] for row in ask("GET", "/v1/orders")["orders"]} <= {"main"}
            assert {row["account"] for row in ask("GET", "/v1/state")["positions"]} <= {"main"}
    for path in ("/v1/admin/halt", "/v1/kill-switch/trigger", "/v1/admin/resume", "/v1/orders/cancel-all"):
        assert daemon.http("POST", path, {"reason": "r"}, token=head).status == 403, "the desk is not its account"
    assert daemon.http("POST", "/v1/orders/check", order("b", strategy="other"), token=bound).status == 403
    assert daemon.http("GET", "/v1/orders", token=bound)["orders"] == []
    assert daemon.journal.stat().st_size == size
    assert daemon.http("POST", "/v1/orders/check", order("b"), token=bound)["allowed"]
    assert daemon.http("POST", "/v1/orders/check", order("c", strategy="other"), token=head)["allowed"]
    assert daemon.http("POST", "/v1/equity", {"equity": "1", "account": "main"}, token=bound).status == 403
    assert len(daemon.http("GET", "/v1/orders", token=bound)["orders"]) == 1


def test_a_bound_token_sees_no_totals_of_others(daemon):
    bound = daemon.token("viewer", accounts=("main",))
    strategy = daemon.token("viewer", strategies=("test",))
    daemon.post("/v1/equity", account="other", equity="100000")
    for name, fields in (("a", {}), ("b", {"account": "other"}), ("c", {"strategy": "other"})):
        assert daemon.check(name, **fields)["allowed"]
        daemon.post("/v1/fills", fill_id=name, **order(name, quantity="0.0005", **fields))
        assert daemon.post("/v1/fills", fill_id=f"{name}-never", **order("never", **fields))["doubtful"]
    daemon.post("/v1/orders/cancel-all", reason="drill")
    whole = daemon.state()
    totals = ("trades_today", "equity", "peak_equity", "drawdown", "gross_notional")
    assert [whole[name] is None for name in totals] == [False] * 5
    assert (whole["open_orders"], whole["doubtful_fills"]) == (3, 3)
    for token, cancels in ((bound, {"a", "c"}), (strategy, {"a", "b"})):
        with daemon.tcp(token) as ask:
            seen = ask("GET", "/v1/state").json
            requests = ask("GET", "/v1/cancel-requests")["cancel_requests"]
        assert [seen[name] for name in totals] == [None] * 5
        assert (seen["open_orders"], seen["doubtful_fills"]) == (2, 2)
        assert {row["client_order_id"] for row in requests} == cancels
        assert seen["kill_switch"]["unconfirmed_cancels"] == sorted(row["id"] for row in requests)
        assert seen["limits"] == whole["limits"]
        assert seen.keys() == whole.keys()
    assert [row["account"] for row in daemon.http("GET", "/v1/state", token=bound)["positions"]] == ["main"]
    with daemon.tcp(strategy) as ask:
        assert ask("GET", "/v1/positions")["positions"] == [], "an account's position is also that of other strategies"
        assert {row["strategy"] for row in ask("GET", "/v1/positions?by=strategy")["positions"]} == {"test"}


def test_a_bound_operator_stops_its_own_orders_and_is_told_so(daemon):
    head = daemon.token("operator", accounts=("main",))
    both = daemon.token("operator", accounts=("main",), strategies=("test", "t2", "t3", "t4", "t5", "t6"))
    for name, fields in (("a", {}), ("b", {"account": "other"}), ("c", {"strategy": "other"})):
        daemon.check(name, **fields)
    for path, body, about in (
        ("/v1/orders/cancel-all", {}, "all of them"),
        ("/v1/orders/cancel-all", {"account": "other"}, "other"),
        ("/v1/orders/cancel-all", {"strategy": "test"}, "all of them"),
        ("/v1/admin/halt", {}, "the whole desk"),
        ("/v1/kill-switch/trigger", {}, "the whole desk"),
        ("/v1/admin/cooldown", {"minutes": 5}, "the whole desk"),
    ):
        answer = daemon.http("POST", path, {"reason": "drill", **body}, token=head)
        assert answer.status == 403
        said = f"is bound to account main: this is about {about}; cancel-all works within the binding"
        assert answer["detail"].endswith(said), answer
    answer = daemon.http("POST", "/v1/orders/cancel-all", {"reason": "drill", "account": "main"}, token=both)
    assert "is bound to strategy t2, t3, t4, t5, t6, ...: this is about all of them" in answer["detail"]
    assert daemon.get("/v1/cancel-requests")["cancel_requests"] == []

    def asked_for():
        return {row["client_order_id"] for row in daemon.get("/v1/cancel-requests")["cancel_requests"]}

    scope = {"reason": "drill", "account": "main", "strategy": "test"}
    assert daemon.http("POST", "/v1/orders/cancel-all", scope, token=both).status == 200
    assert asked_for() == {"a"}
    assert daemon.http("POST", "/v1/orders/cancel-all", {"reason": "x", "account": "main"}, token=head).status == 200
    assert asked_for() == {"a", "c"}


def test_a_token_is_made_and_revoked_without_a_restart(daemon):
    token = daemon.token("viewer", "first")
    other = daemon.token("viewer", "other")
    file = TokenFile(daemon.directory / "state" / "tokens.json")
    with daemon.tcp(token) as ask, daemon.tcp(other) as stays:
        assert ask("GET", "/v1/state").status == 200
        file.revoke("first")
        assert ask("GET", "/v1/state").status == 401, "on a connection that was open before as well"
        assert stays("GET", "/v1/state").status == 200
        # A role that is taken down by hand counts as well.
        later = daemon.token("trader", "later")
        with daemon.tcp(later) as trader:
            assert trader("GET", "/v1/state").status == 200
            text = file.path.read_text().replace('"trader"', '"viewer"')
            file.path.write_text(text)
            assert trader("POST", "/v1/marks", {}).status == 403
        file.path.chmod(0o644)
        assert stays("GET", "/v1/state").status == 401, "a file that others can read lets nobody in"


def test_secrets_leave_no_trace(daemon):
    token = daemon.token("operator", "desk")
    secret = token.split("_", 2)[2]
    answers = []
    with daemon.tcp(token) as ask:
        for path in (*ROUTES, *READS, "/nowhere", f"/{token}"):
            for verb in ("GET", "POST", "PATCH"):
                if not path.endswith(token):
                    answers.append(ask(verb, path, ROUTES.get(path)).body)
    for header in (f"Authorization: Bearer {token}\r\nbad header", f"Authorization\x00: {token}", f"X: {token}\rY"):
        with socket.create_connection(("127.0.0.1", daemon.port), 10) as sock:
            sock.sendall(f"GET /v1/state HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
            answer = sock.recv(65536)
            assert b" 400 " in answer.partition(b"\r\n")[0]
            assert b"application/problem+json" in answer
            answers.append(answer)
    daemon.terminate()
    places = [*answers, "\n".join(daemon.text).encode(), *(path.read_bytes() for path in daemon.store.iterdir())]
    places.append((daemon.directory / "state" / "tokens.json").read_bytes())
    assert not [place for place in places if secret.encode() in place]
    assert not [place for place in places if b"Traceback" in place]


def test_the_sockets_are_for_owner_and_group(make):
    daemon = make(AUTH__TRADE_GROUP="games", AUTH__ADMIN_GROUP="users").start()
    for name, group in (("admin.sock", "users"), ("orders.sock", "games")):
        found = os.stat(daemon.directory / "run" / name)
        assert stat.S_IMODE(found.st_mode) == 0o660
        if os.geteuid() == 0:
            assert found.st_gid == grp.getgrnam(group).gr_gid


def as_nobody(daemon, groups, name, request):
    """Connect as an unprivileged user in these groups, send, and return what comes until the end."""
    code = (
        "import os, socket, sys; os.setgroups(list(map(int, sys.argv[4].split()))); "
        "os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10)\n"
        "s.connect(sys.argv[1]); request = sys.stdin.buffer.read()\n"
        "try: s.sendall(request); sys.argv[1].endswith('orders.sock') and s.shutdown(socket.SHUT_WR)\n"
        "except BrokenPipeError: pass\n"  # it was shown the door before it had said anything
        "while part := s.recv(65536): sys.stdout.buffer.write(part)"
    )
    path = str(daemon.directory / "run" / name)
    arguments = [path, str(NOBODY.pw_uid), str(NOBODY.pw_gid), " ".join(map(str, groups))]
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, input=request, capture_output=True, timeout=20, check=False)


@NEEDS_ROOT
@pytest.mark.needs_root
def test_the_kernel_says_who_is_there(make):
    trade, admin = grp.getgrnam("games").gr_gid, grp.getgrnam("users").gr_gid
    daemon = make(AUTH__TRADE_GROUP="games", AUTH__ADMIN_GROUP="users").start()
    daemon.directory.chmod(0o755)
    halt = json.dumps({"reason": "drill"}).encode()
    http = b"POST /v1/admin/halt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        len(halt),
        halt,
    )
    check = json.dumps({"op": "check", **order("u-1")}).encode() + b"\n"
    for groups, name in (([], "admin.sock"), ([trade], "admin.sock"), ([], "orders.sock")):
        refused = as_nobody(daemon, groups, name, http)
        assert b"PermissionError" in refused.stderr, "the file's mode"
    size = daemon.journal.stat().st_size
    for name in ("admin.sock", "orders.sock"):
        (daemon.directory / "run" / name).chmod(0o666)
    for groups in ([], [trade]):
        answer = as_nobody(daemon, groups, "admin.sock", http)
        assert answer.stdout.startswith(b"HTTP/1.1 403 "), (groups, answer)
    answer = as_nobody(daemon, [], "orders.sock", check * 100)
    assert json.loads(answer.stdout)["error"]["status"] == 403
    assert daemon.journal.stat().st_size == size
    # A supplementary group is enough.
    answer = as_nobody(daemon, [trade], "orders.sock", check)
    assert b'"allowed":true' in answer.stdout, answer
    assert list(daemon.lines())[-1]["principal"] == "nobody"
    answer = as_nobody(daemon, [admin], "admin.sock", http)
    assert answer.stdout.startswith(b"HTTP/1.1 200 "), answer
    assert daemon.state()["state"] == "HALTED"
    told = {(line["outcome"], line["door"], line["uid"]) for line in daemon.logs if line["event"] == "access_refused"}
    assert told == {("unknown_user", door, NOBODY.pw_uid) for door in ("admin", "orders")}
    assert 'access_refused_total{outcome="unknown_user"} 3.0' in daemon.http("GET", "/metrics").body.decode()
    answer = as_nobody(daemon, [admin], "orders.sock", check)
    assert json.loads(answer.stdout)["allowed"] is False, "an operator may trade, and is halted like all others"
    assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text
