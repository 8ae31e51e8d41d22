"""Extreme value theory: losses over a threshold follow a generalised Pareto distribution, whatever those below do."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from weltklassebot.var.special import Floats

__all__ = ["TAIL_SHARE", "Peaks", "fit_peaks", "pareto_tail"]

TAIL_SHARE: Final = 0.1
"""Of a window's losses, the largest: those over the threshold."""
_HEAVIEST: Final = 0.9
"""Expected shortfall is finite below 1."""
_LIGHTEST: Final = -1.0
_FLAT: Final = 1e-8


class Peaks(NamedTuple):
    """By window: threshold u, shape xi, scale beta, and which share of the losses is over the threshold."""

    threshold: Floats
    shape: Floats
    scale: Floats
    share: float


def fit_peaks(losses: Floats) -> Peaks:
    """Of windows, one a row: the threshold is the largest loss that is not among the tenth that is largest; shape and
    scale by L-moments of the excesses, xi = 2 - l1 / l2 and beta = l1 (1 - xi), with xi between -1 and 0.9.

    With some 25 excesses these moments are surer than the likelihood. Source: Hosking and Wallis, Technometrics 29
    (1987), 339-349.
    """
    n = losses.shape[1]
    count = int(n * TAIL_SHARE + 1e-9)
    largest = np.sort(np.partition(losses, n - count - 1, axis=1)[:, n - count - 1 :], axis=1)
    threshold, excess = largest[:, 0], largest[:, 1:] - largest[:, :1]
    weight = np.arange(count - 1, -1, -1) / (count - 1)
    first = excess.mean(axis=1)
    second = first - 2.0 * (excess * weight).mean(axis=1)
    there = second > 1e-12 * first
    shape = np.where(first > 0, 2.0 - first / np.where(there, second, 1.0), 0.0)
    shape = np.clip(np.where(there | (first <= 0), shape, _LIGHTEST), _LIGHTEST, _HEAVIEST)
    return Peaks(threshold, shape, first * (1.0 - shape), count / n)


def pareto_tail(peaks: Peaks, p: float) -> tuple[Floats, Floats]:
    """VaR = u + beta / xi ((p / share)^-xi - 1) and ES = (VaR + beta - xi u) / (1 - xi), for p below the share.

    Source: McNeil, Frey and Embrechts, Quantitative Risk Management (2005), section 7.2.3.
    """
    depth = -math.log(p / peaks.share)
    steep = np.abs(peaks.shape) > _FLAT
    shape = np.where(steep, peaks.shape, 1.0)
    reach = np.where(steep, np.expm1(shape * depth) / shape, depth)
    var = peaks.threshold + peaks.scale * reach
    return var, (var + peaks.scale - peaks.shape * peaks.threshold) / (1.0 - peaks.shape)
