"""What one unit of an instrument is worth at a price, before multiplier and exchange rate, the same for every limit.

Everything that is valued (marks, orders, doubtful fills, what is held) is valued in this, so that exposure is the same
sum of quantity x worth for every kind. `q` contracts, `m` the multiplier, `p` the price, worth in `currency`:

    linear    q x m x p     a share, a coin, a future: 2 E-mini at 5,000 with m = 50 are 500,000 USD
    inverse   q x m / p     settled in the coin that is priced. BitMEX XBTUSD, m = 1 USD: 100,000 contracts at 10,000
                            are 10 XBT, and at 10,500 they have gained 100,000 x (1/10,000 - 1/10,500) = 0.476 XBT.
                            Deribit BTC-PERPETUAL, m = 10 USD: 6,400 contracts at 64,000 are 1 BTC
    quanto    q x m x p     settled at a fixed rate, which is in m: the arithmetic of linear, with `currency` what it is
                            settled in. BitMEX ETHUSD, m = 0.000001 XBT: 1,000 contracts at 500 are 0.5 XBT

The lower its price, the more an inverse contract is worth: what bounds its worth is the limit of a sell. 1/p is rounded
up to 18 places, so that sums stay exact and nothing is worth less than it is.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal, DivisionByZero, InvalidOperation
from typing import Final

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.numbers import ONE, STEP, ZERO, plain
from weltklassebot.core.parameters import Instrument, Parameters
from weltklassebot.core.refused import Refused

__all__ = ["check_prices", "is_inverse", "own_worth", "worth"]

_UP: Final = Context(prec=200, rounding=ROUND_CEILING, traps=[InvalidOperation, DivisionByZero])


def is_inverse(parameters: Parameters, symbol: str) -> bool:
    instrument = parameters.instrument(symbol)
    return instrument is not None and instrument.kind == "inverse"


def worth(price: Decimal, *, inverse: bool) -> Decimal:
    """Of one unit: |price|, of an inverse one 1/|price|. Zero for a price of zero, which says nothing."""
    price = abs(price)
    if not inverse or not price:
        return price
    return Decimal(plain(_UP.quantize(_UP.divide(ONE, price), STEP)))


def own_worth(order: CheckOrder, *, inverse: bool) -> Decimal:
    """The most that a unit is worth at |limit| and |stop|; zero for an order that names no price."""
    price, stop = order.price, order.stop_price
    if inverse:
        return max(worth(ZERO if said is None else said, inverse=True) for said in (price, stop))
    own = ZERO if price is None else abs(price)
    if stop is not None and abs(stop) > own:
        own = abs(stop)
    return own


def check_prices(instrument: Instrument | None, symbol: str, **prices: Decimal | None) -> None:
    """Raises `Refused` (422, with the field) for a price that an inverse symbol cannot have."""
    if instrument is None or instrument.kind != "inverse":
        return
    for field, price in prices.items():
        if price is not None and price <= 0:
            raise Refused(f"must be above zero: {symbol} is inverse", code="bad_input", field=field)
