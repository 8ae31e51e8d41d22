"""GARCH(1,1) by maximum likelihood, refitted for every day: all windows at once, one step of each at a time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from weltklassebot.var.special import Floats

__all__ = ["Garch", "fit_garch"]

_BLOCK: Final = 2_048
"""Windows that are fitted together."""
_MOST_STEPS: Final = 60
_GAIN: Final = 1e-9
"""A log likelihood that grows by less has arrived."""
_PERSISTENCE: Final = 0.9999
"""Alpha + beta stay below: the variance has a mean."""
_SHARES: Final = (0.03, 0.1, 0.3, 0.7)
_STARTS: Final = tuple(
    tuple((sum_, share) for share in _SHARES for sum_ in sums) for sums in ((0.3, 0.8), (0.95, 0.99))
)
"""Alpha + beta, and alpha's share of it. Likelihoods of a year often have two tops: one is sought from the best start
with a short memory, one from the best with a long one."""
_BOUND: Final = np.array([[8.0], [15.0], [15.0]])


class Garch(NamedTuple):
    """By window: omega, alpha, beta, log likelihood (without its constant), and the next day's variance."""

    omega: Floats
    alpha: Floats
    beta: Floats
    log_likelihood: Floats
    variance: Floats


def fit_garch(residuals: Floats) -> Garch:
    """h_t = omega + alpha e_(t-1)^2 + beta h_(t-1), normal e_t, one window a row; omega > 0, alpha, beta >= 0, alpha +
    beta < 0.9999.

    Before the window stands its mean square, for both. The likelihood is climbed by Fisher scoring with Levenberg and
    Marquardt's damping, from two starts, in (log of the mean variance, logits of alpha + beta and of
    alpha's share of it). A window of zeros has variance 0. Source: Bollerslev, Journal of Econometrics 31 (1986),
    307-327.
    """
    scale = (residuals**2).mean(axis=1)
    squares = np.ascontiguousarray((residuals**2 / np.where(scale > 0, scale, 1.0)[:, None]).T)
    blocks = [_fit(squares[:, at : at + _BLOCK]) for at in range(0, squares.shape[1], _BLOCK)]
    omega, alpha, beta, likelihood, ahead = (np.concatenate(part) for part in zip(*blocks, strict=True))
    shift = np.where(scale > 0, -0.5 * len(squares) * np.log(np.where(scale > 0, scale, 1.0)), 0.0)
    return Garch(omega * scale, alpha, beta, likelihood + shift, ahead * scale)


def _fit(squares: Floats) -> tuple[Floats, ...]:
    """Of squares with mean 1, (days, windows)."""
    (x, value, ahead), (other, better, then) = (_climbed_to_the_top(squares, starts) for starts in _STARTS)
    chosen = better > value
    return (
        *_natural(np.where(chosen, other, x)), np.where(chosen, better, value), np.where(chosen, then, ahead)
    )  # fmt: skip


def _climbed_to_the_top(squares: Floats, starts: tuple[tuple[float, float], ...]) -> tuple[Floats, Floats, Floats]:
    """The parameters, their log likelihood and the next variance."""
    x = _best_start(squares, starts)
    value, slope, information, _ = _climbed(squares, x)
    damping = np.full(x.shape[1], 1e-2)
    left = np.arange(x.shape[1])
    for _ in range(_MOST_STEPS):
        scaled = information[left] * (1.0 + damping[left, None, None] * np.eye(3)) + 1e-9 * np.eye(3)
        step = np.linalg.solve(scaled, slope[:, left].T[:, :, None])[:, :, 0].T
        tried = np.clip(x[:, left] + np.clip(step, -2.0, 2.0), -_BOUND, _BOUND)
        found, new_slope, new_information, _ = _climbed(squares[:, left], tried)
        gain = found - value[left]
        better = gain > 0
        at = left[better]
        x[:, at], value[at], slope[:, at] = tried[:, better], found[better], new_slope[:, better]
        information[at] = new_information[better]
        damping[left] = np.where(better, damping[left] * 0.2, damping[left] * 8.0)
        done = (better & (gain < _GAIN)) | (damping[left] > 1e6)
        left = left[~done]
        if not len(left):
            break
    value, _, _, ahead = _climbed(squares, x)
    return x, value, ahead


def _best_start(squares: Floats, starts: tuple[tuple[float, float], ...]) -> Floats:
    best, at = np.full(squares.shape[1], -np.inf), np.zeros((3, squares.shape[1]))
    for persistence, share in starts:
        x = np.array([0.0, _logit(persistence / _PERSISTENCE), _logit(share)])[:, None]
        value = _likelihood(squares, *(float(each[0]) for each in _natural(x)))
        at = np.where(value > best, x, at)
        best = np.maximum(value, best)
    return at


def _likelihood(squares: Floats, omega: float, alpha: float, beta: float) -> Floats:
    h = np.full(squares.shape[1], omega + alpha + beta)
    total = np.zeros(squares.shape[1])
    for square in squares:
        total -= np.log(h) + square / h
        h = omega + alpha * square + beta * h
    return 0.5 * total


def _climbed(squares: Floats, x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Log likelihood, its slope in x (3, windows), Fisher's information (windows, 3, 3), and the next variance."""
    omega, alpha, beta = _natural(x)
    windows = squares.shape[1]
    h, change = omega + alpha + beta, np.ones((3, windows))
    value, slope, products = np.zeros(windows), np.zeros((3, windows)), np.zeros((6, windows))
    first, second = np.triu_indices(3)
    for square in squares:
        over = square / h
        relative = change / h
        value -= np.log(h) + over
        slope += relative * (over - 1.0)
        products += relative[first] * relative[second]
        change *= beta
        change[0] += 1.0
        change[1] += square
        change[2] += h
        h = omega + alpha * square + beta * h
    information = np.empty((windows, 3, 3))
    information[:, first, second] = information[:, second, first] = 0.5 * products.T
    turn = _jacobian(x)
    along = np.einsum("wij,iw->jw", turn, 0.5 * slope)
    return 0.5 * value, along, np.swapaxes(turn, 1, 2) @ information @ turn, h


def _natural(x: Floats) -> tuple[Floats, Floats, Floats]:
    persistence, share = _PERSISTENCE * _logistic(x[1]), _logistic(x[2])
    return np.exp(x[0]) * (1.0 - persistence), persistence * share, persistence * (1.0 - share)


def _jacobian(x: Floats) -> Floats:
    """d(omega, alpha, beta) / dx, (windows, 3, 3)."""
    mean, rise, share = np.exp(x[0]), _logistic(x[1]), _logistic(x[2])
    persistence = _PERSISTENCE * rise
    by_rise, by_share = persistence * (1.0 - rise), share * (1.0 - share)
    turn = np.zeros((x.shape[1], 3, 3))
    turn[:, 0, 0], turn[:, 0, 1] = mean * (1.0 - persistence), -mean * by_rise
    turn[:, 1, 1], turn[:, 1, 2] = share * by_rise, persistence * by_share
    turn[:, 2, 1], turn[:, 2, 2] = (1.0 - share) * by_rise, -persistence * by_share
    return turn


def _logistic(x: npt.ArrayLike) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64))))


def _logit(probability: float) -> float:
    return float(np.log(probability / (1.0 - probability)))
