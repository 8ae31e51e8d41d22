"""How numbers and moments are written, against what Python itself would read."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.written import NO_MOMENTS, NO_NUMBERS, NO_WHOLES
from weltklassebot.core import grammar
from weltklassebot.core.grammar import NotWritten


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_number(text: str) -> None:
    with pytest.raises(NotWritten, match="plain decimal number"):
        grammar.number(text)


@pytest.mark.parametrize("text", NO_WHOLES)
def test_no_whole_number(text: str) -> None:
    with pytest.raises(NotWritten, match="whole number"):
        grammar.whole(text)


@pytest.mark.parametrize("text", NO_MOMENTS)
def test_no_moment(text: str) -> None:
    with pytest.raises(NotWritten, match="Unix seconds"):
        grammar.unix_seconds(text)


def test_what_is_written_well() -> None:
    for text in ("0", "-0", "+1", "1.", ".5", "-.5", "1e5", "1E-5", "007", "64000.000000000000000001"):
        assert grammar.number(text) == Decimal(text)
    assert [grammar.whole(text) for text in ("0", "-5", "+5", "007", "9" * 19)] == [0, -5, 5, 7, 10**19 - 1]
    for text, seconds in (
        ("1763712000.123456", 1763712000.123456),
        ("1.763712e9", 1763712000.0),
        ("2025-11-21T08:00:00Z", 1763712000.0),
        ("2025-11-21 09:00:00.123456+01:00", 1763712000.123456),
        ("1969-12-31T23:59:59Z", -1.0),
    ):
        assert grammar.unix_seconds(text) == seconds


@given(st.text(alphabet=st.sampled_from("0123456789.+-eE_ naif\u0661\uff11\n"), max_size=12))
def test_whatever_is_read_is_finite_and_what_python_reads(text: str) -> None:
    for read, own in ((grammar.number, Decimal), (grammar.whole, int), (grammar.unix_seconds, float)):
        try:
            found = read(text)
        except NotWritten:
            continue
        assert found == own(text)  # type: ignore[operator]
        assert abs(found) < Decimal("Infinity")  # type: ignore[operator]
        assert text.isascii()
        assert not set(text) & set(" _\n")
