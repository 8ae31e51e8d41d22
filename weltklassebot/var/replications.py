"""A p-value by replications of the null, which stops when it knows enough.

p = (1 + extreme) / (1 + replications) rejects a right model at most as often as its size says (Dufour, Journal of
Econometrics 133, 2006). Once `ENOUGH` replications are as extreme as what was observed, more would only add digits to a
p-value that is not small: then p = ENOUGH / replications so far, which holds its size as well (Besag and Clifford,
Biometrika 78, 1991). Replications in which the test has nothing to say are left out: the p-value is given that it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from weltklassebot.var.results import check_replications
from weltklassebot.var.special import Bools, Floats

__all__ = ["ENOUGH", "replicated"]

ENOUGH: Final = 500
"""So many extreme ones know a p-value to 4.5 % of itself."""
_MOST_ROWS: Final = 2_000
"""Of a block: whatever is drawn behind the last one needed is drawn for nothing."""
_MOST_DRAWS: Final = 10
"""Times `replications`: a test that seldom has something to say makes do with those in which it had."""


def replicated(
    draw: Callable[[int], Floats], extreme: Callable[[Floats], Bools], replications: int, *, most_rows: int
) -> tuple[float, int]:
    """The p-value, and how many replications it is made of: those that have a statistic, `replications` at most.

    `draw` gives the statistics of so many rows, at most `most_rows` at once, NaN where there is none; `extreme` says
    which of them are at least as far out as what was observed. Raises InputError.
    """
    check_replications(replications)
    block = max(1, min(_MOST_ROWS, most_rows))
    found = used = drawn = 0
    while used < replications and drawn < _MOST_DRAWS * replications:
        rows = min(block, _MOST_DRAWS * replications - drawn, max(replications - used, block // 4))
        values = draw(rows)
        drawn += rows
        out = extreme(values[~np.isnan(values)][: replications - used])
        if found + int(np.count_nonzero(out)) >= ENOUGH:
            last = int(np.flatnonzero(out)[ENOUGH - found - 1])
            return ENOUGH / (used + last + 1), used + last + 1
        found += int(np.count_nonzero(out))
        used += len(out)
    return (1 + found) / (1 + used), used
