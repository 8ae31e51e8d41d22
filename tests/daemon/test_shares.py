"""One bot that never reports what became of its orders fills nothing that others need, whatever it calls itself."""

from __future__ import annotations

from tests.daemon.clients import order
from weltklassebot.client import RiskClient


def asked(daemon, token, name, **fields):
    return daemon.http("POST", "/v1/orders/check", order(name, **fields), token=token).json


def test_a_bot_that_names_itself_anew_at_each_start(make):
    daemon = make(RISK__MAX_OPEN_ORDERS=20, RISK__OPEN_ORDERS_SHARE="0.2").start()
    loop, desk = daemon.token("trader", "loop"), daemon.token("trader", "desk")
    for number in range(6):
        assert asked(daemon, loop, "a", strategy=f"run{number}")["allowed"], "alone it has all of it"
    for number in range(2):
        assert asked(daemon, desk, f"b{number}", strategy="mm")["allowed"]
        (denial,) = asked(daemon, loop, "a", strategy=f"more{number}")["denials"]
        assert (denial["reason"], denial["limit"], denial["share"]) == ("max_open_orders", "4", "principal")
        assert "the share of this token or user" in denial["message"]
        daemon.restart()
    with RiskClient(f"http://127.0.0.1:{daemon.port}", token=loop, timeout=4) as bot:
        answer = bot.check(**order("c", strategy="another"))
        assert (answer.reasons, answer.denials[0].share) == (("max_open_orders",), "principal")


def test_one_bot_fills_the_stream_and_another_goes_on(make):
    """Both run as one user: then each strategy of an account has its share."""
    daemon = make(RISK__MAX_OPEN_ORDERS=20).start()
    with daemon.stream() as bot, daemon.stream() as other:
        assert other.check("b-0", strategy="mm")["allowed"]
        answers = [bot.check(f"a-{number}", strategy="mute") for number in range(30)]
        assert [answer["allowed"] for answer in answers] == [True] * 5 + [False] * 25
        assert {answer["denials"][0]["share"] for answer in answers[5:]} == {"strategy"}
        assert all(other.check(f"b-{number}", strategy="mm")["allowed"] for number in range(1, 5))
