"""What counts as a number, and how it prints."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weltklassebot.core.numbers import EXACT, NotExact, exact, plain, ratio

DIGITS = st.integers(min_value=-(10**36) + 1, max_value=10**36 - 1)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "-NaN",
        "sNaN",
        "NaN123",
        "Infinity",
        "-Infinity",
        "1e400",
        "1E+99999",
        "1E-99999",
        "1e18",
        "-1e18",
        "1e-19",
        "0.1234567890123456789",
        "1234567890123456789",
        "1" * 40,
        "0." + "1" * 40,
    ],
)
def test_what_cannot_be_held_exactly_is_refused(text):
    with pytest.raises(NotExact):
        exact(Decimal(text))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1e5", "100000"),
        ("-0", "0"),
        ("0", "0"),
        ("0.000", "0"),
        ("0E-400", "0"),
        ("0E+400", "0"),
        ("0.0000001", "0.0000001"),
        ("1E-18", "0.000000000000000001"),
        ("1.50", "1.5"),
        ("64000", "64000"),
        ("1." + "0" * 5000, "1"),
        ("-2.5" + "0" * 5000, "-2.5"),
        ("9" * 18 + "." + "9" * 18, "9" * 18 + "." + "9" * 18),
        ("123456789012345678", "123456789012345678"),
        ("1_000", "1000"),
        ("100", "100"),
    ],
)
def test_what_can_be_held_is_kept_and_printed_without_an_exponent(text, printed):
    number = exact(Decimal(text))
    assert plain(number) == printed
    assert number == Decimal(printed)
    assert len(str(number)) <= 40


@given(DIGITS)
def test_every_number_of_36_digits_goes_through_unchanged(digits):
    number = Decimal(digits).scaleb(-18, Context(prec=50))
    assert exact(number) == number
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number)
    assert exact(exact(number)) == exact(number)


@given(DIGITS, st.integers(min_value=19, max_value=500))
def test_no_number_is_rounded_on_entry(digits, places):
    number = Decimal(digits).scaleb(-places, Context(prec=50))
    try:
        assert exact(number) == number
    except NotExact:
        with localcontext(Context(prec=1100)):
            assert number.normalize().as_tuple().exponent < -18


@given(st.lists(DIGITS, min_size=5, max_size=5))
def test_a_product_of_five_is_exact(digits):
    product, whole = Decimal(1), 1
    for number in digits:
        product = EXACT.multiply(product, Decimal(number).scaleb(-18, Context(prec=50)))
        whole *= number
    assert int(product.scaleb(90, EXACT)) == whole


def test_a_ratio_has_18_places_and_no_exponent():
    assert ratio(Decimal(1), Decimal(3)) == Decimal("0.333333333333333333")
    assert str(ratio(Decimal(2_000_000), Decimal(2))) == "1000000"
