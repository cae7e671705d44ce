"""How many singular values of a Hankel matrix are the system, and how many rounding or noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.kernels.hankel import Factors, Hankel, hankel, leading

_FIRST, MOST = 32, 128  # singular values looked at first, and at most: the cap on the order
_BESIDE = 8  # singular values known beyond a given order, for the bound
_SHORTEST = 64  # samples of a noisy record that are looked at alone


class Order(NamedTuple):
    """The matrix, its factors, how many of them to keep, and why."""

    hankel: Hankel
    factors: Factors
    order: int
    noise: float  # rms of one sample, where noise decided
    reason: str  # "rank", "noise", "short" or "cap"

    @property
    def tail(self) -> float:
        """Σ σ_k of all that are left out; of those not computed an upper estimate.

        Each of them is at most the last one computed, and together at most √count times what those leave of the
        Frobenius norm.
        """
        sigma, whole = self.factors.sigma, self.hankel.squared_norm()
        count = min(self.hankel.shape) - len(sigma)
        left = max(whole - float(np.sum(sigma**2)), 0.0) + 4 * np.finfo(float).eps * whole  # it cancels
        return float(np.sum(sigma[self.order :])) + min(count * float(sigma[-1]), float(np.sqrt(count * left)))


def given_order(h: Hankel, order: int, tol: float) -> Order:
    """So many singular values, but not those at or below tol·σ_1: they are rounding."""
    count = max(_FIRST, order + _BESIDE)
    factors = leading(h, count)
    rank = _above(factors.sigma, tol)
    if rank == len(factors.sigma):
        shown = _beginning(_judge(h, factors, tol), count, order)
        h, factors = (shown.hankel, shown.factors) if shown.order >= order else (h, factors)
    return Order(h, factors, min(order, rank), 0.0, "rank")


def numerical_order(h: Hankel, tol: float) -> Order:
    """The singular values above tol·σ_1; where they do not fall so low, those above the noise."""
    count = _FIRST
    while True:
        found = _judge(h, leading(h, count), tol)
        if found.reason == "noise":
            return _beginning(found, count)
        if found.reason != "cap" or count >= MOST:
            return found
        count *= 2


def _above(sigma: Array, tol: float) -> int:
    return int(np.sum(sigma > tol * sigma[0]))


def _judge(h: Hankel, factors: Factors, tol: float) -> Order:
    """What the singular values that are known say."""
    sigma, full = factors.sigma, len(factors.sigma) == min(h.shape)
    rank = _above(sigma, tol)
    if rank <= h.most and rank < len(sigma):
        return Order(h, factors, rank, 0.0, "rank")
    order, noise = _above_noise(h, factors, 0.0)
    if full and not _looks_like_noise(h, sigma[order:], noise):
        return Order(h, factors, min(rank, h.most), 0.0, "short")
    return Order(h, factors, order, noise, "noise" if full or order < len(sigma) else "cap")


def _edge(h: Hankel) -> float:
    """Largest singular value of white noise of rms 1, with a quarter to spare.

    That of an n×n Hankel matrix is about √(2 n log n), times 0.83 for large n; with p outputs and m inputs log n grows
    by p + m − 2. Of those drawn, 1 to 4 channels, the largest was 1.36 of it at n = 25, 1.25 at 100, 0.94 from 400 on.

    References
    ----------
    A. Sen, B. Virág, "The top eigenvalue of the random Toeplitz matrix and the sine kernel", Ann. Probab. 41 (2013),
    theorem 1.
    """
    (_, p, m), n = h.samples.shape, (h.rows + h.columns) / 2
    return float(1.25 * np.sqrt(2 * n * (np.log(n) + p + m - 2)))


def _above_noise(h: Hankel, factors: Factors, least: float) -> tuple[int, float]:
    """How many singular values stand above those of the noise, and the rms of the noise in one sample.

    What r singular values leave of the Frobenius norm is noise in (rows − r)(columns − r) entries, at least of rms
    ``least``. The order r only falls, so this ends.
    """
    sigma, (rows, columns), edge = factors.sigma, h.shape, _edge(h)
    order = min(len(sigma), min(h.shape) // 2)
    while True:
        left = float(np.sum(sigma[order:] ** 2)) + factors.rest
        noise = max(least, float(np.sqrt(left / ((rows - order) * (columns - order)))))
        above = min(order, int(np.sum(sigma > edge * noise)))
        if above == order:
            return order, noise
        order = above


def _looks_like_noise(h: Hankel, left: Array, noise: float) -> bool:
    """Whether what is left is spread as noise is: half of its singular values above 0.67 s √n; the bar is 0.2.

    Those of a system that the record is too short for fall by a factor each, so that half of them are next to nothing.
    """
    return bool(np.median(left) > 0.2 * noise * np.sqrt(max(h.shape)))


def _beginning(found: Order, count: int, wanted: int = MOST) -> Order:
    """The longest beginning of a noisy record that shows ``wanted`` poles, or else most: all, half of it, a quarter.

    What has decayed adds noise alone: its singular values grow as √n, those of the system do not. The rms of the noise
    is that of the whole, or more where the beginning has more of it. The longest, since of two that show all poles the
    longer fits them better: what rings to its end six times better than a sixteenth of it.
    """
    best, samples = found, found.hankel.samples
    length = len(samples) // 2
    while length >= _SHORTEST and best.order < wanted:
        h = hankel(samples[:length])
        factors = leading(h, count)
        order, noise = _above_noise(h, factors, found.noise)
        best = Order(h, factors, order, noise, "noise") if order > best.order else best
        length //= 2
    return best
