"""How far equity is below its peak."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.numbers import EXACT, ZERO, ratio

__all__ = ["breached", "drawdown"]


def breached(equity: Decimal, peak: Decimal, limit: Decimal) -> bool:
    """Whether 1 - equity / peak >= limit, without a division."""
    return peak > 0 and peak - equity >= limit * peak


def drawdown(equity: Decimal, peak: Decimal) -> Decimal:
    """1 - equity / peak, to 18 places; zero while there is no positive peak."""
    if peak <= 0:
        return ZERO
    return ratio(EXACT.subtract(peak, equity), peak)
