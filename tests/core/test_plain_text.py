"""A stop's words are made fit for the journal, whatever they are."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weltklassebot.core.commands import CancelAll, Cooldown, Halt, TriggerKillSwitch
from weltklassebot.core.plain_text import NO_REASON, STOPS, clean_stop, clean_text
from weltklassebot.core.validation import Invalid, validate

ANYTHING = st.one_of(
    st.none(),
    st.text(st.characters(codec=None, categories=None), max_size=2_000),
    st.binary(max_size=50).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.integers(),
    st.floats(),
    st.lists(st.text(), max_size=3),
    st.builds(object),
)


@given(ANYTHING, ANYTHING, st.sampled_from(sorted(STOPS, key=str)))
def test_whatever_is_said_a_stop_can_be_recorded(reason, actor, kind):
    stop, notices = clean_stop(kind(reason=reason, actor=actor))
    validate(stop)
    assert msgspec.json.decode(msgspec.json.encode(stop), type=kind) == stop
    assert all(notice.startswith(("reason: ", "actor: ")) and notice.isprintable() for notice in notices)
    try:
        validate(kind(reason=reason, actor=actor))
        good = isinstance(reason, str) and isinstance(actor, str | None)
    except (Invalid, TypeError):
        good = False
    # An empty actor is as good as none.
    assert (not notices) == (good or (stop.reason == reason and actor in (None, "")))


@pytest.mark.parametrize(
    ("said", "taken", "complaint"),
    [
        ("exchange down", "exchange down", None),
        ("ä" * 500, "ä" * 500, None),
        (" spaced ", " spaced ", None),
        ("x" * 501, "x" * 500, "had 501 characters: cut to 500"),
        ("a\nb\r\n\tc\n", "a b c", "had line breaks or control characters"),
        ("\x1b[31mred", "[31mred", "had line breaks or control characters"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\ufffd", "was not UTF-8"),
        ("a\u2028b", "a b", "had line breaks or control characters"),
        ("z" * 10_000_000, "z" * 500, "had 10000000 characters: cut to 500"),
    ],
)
def test_what_is_made_of_a_text(said, taken, complaint):
    text, complaints = clean_text(said)
    assert text == taken
    assert len(complaints) == (complaint is not None)
    assert complaint is None or complaints[0].startswith(complaint)


def test_the_rest_of_a_stop_is_untouched():
    stop = Cooldown(reason="news", minutes=float("nan"), actor="sre")
    assert clean_stop(stop) == (stop, [])
    stop, notices = clean_stop(CancelAll(reason="", account="a b", symbol="X"))
    assert (stop.reason, stop.account, stop.symbol) == (NO_REASON, "a b", "X")
    assert notices == ["reason: is missing: say why another time"]
    assert clean_stop(TriggerKillSwitch(reason=7))[0].reason == "7"
    assert clean_stop(Halt(reason=["a"]))[0].reason == '["a"]'


@pytest.mark.parametrize("command", [Halt(reason="\udcff"), Halt(reason="a", actor="\ud800")])
def test_what_cannot_be_written_is_no_text(command):
    with pytest.raises(Invalid):
        validate(command)
