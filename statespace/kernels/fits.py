"""Every kernel of a batch to A, B and C: the order, the leading zeros, and what is done about unstable poles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.kernels.hankel import Hankel, hankel
from statespace.kernels.order import Order, given_order, numerical_order
from statespace.kernels.record import refuse_long_delay
from statespace.kernels.shift import Fitted, backward_zeros, largest_difference, reflected, shift_invariant

_ON_THE_CIRCLE = 4 * np.finfo(float).eps  # as DiscreteSystem.is_stable
_INSIDE = 1 - 1e-13  # where a pole on the circle is put: 1e-8 of it is lost in 100,000 samples
_BACKWARD = 1e-10  # of the peak: a sample before the first that counts as the zero it was given as


class One(NamedTuple):
    """What became of one kernel of a batch."""

    fitted: Fitted
    sigma: Array
    bound: float
    error: float  # not yet in max|h|
    explained: float  # how much of it what was left out may be
    reflected: bool
    reason: str
    noise: float


def fit_after(flat: Array, zeros: int, order: int | None, tol: float, unstable: str) -> tuple[list[One], int]:
    """Fit what follows the zeros; less those that the system continues backwards by itself, which need no delay.

    A mass on a spring by Euler has h_1 = C B = 0 and two poles: they give that zero, a delay would be a third state.
    """
    ones = fit(flat, zeros, order, tol, unstable)
    small = _BACKWARD * np.abs(flat).max()
    free = min(backward_zeros(one.fitted, zeros, small) for one in ones)
    if free:
        again = fit(flat, zeros - free, order, tol, unstable)
        if states(again) <= states(ones):
            return again, zeros - free
    return ones, zeros


def states(ones: list[One]) -> int:
    return max(len(one.fitted.a) for one in ones)


def fit(flat: Array, delay: int, order: int | None, tol: float, unstable: str) -> list[One]:
    """Each kernel of a batch, from h_{delay+1} on."""
    refuse_long_delay(flat.shape[1], delay)
    names = ["the fit"] if len(flat) == 1 else [f"the fit of kernel {i} of the batch" for i in range(len(flat))]
    ones = [_fit_one(one[1 + delay :], order, tol, unstable, name) for one, name in zip(flat, names, strict=True)]
    if order is not None and order > states(ones):
        raise ValueError(
            f"order={order} is more than the numerical order {states(ones)} of h: the singular values beyond it are "
            f"below {tol:.1e} of the largest, rounding; take order={states(ones)} or None, or set tol="
        )
    return ones


def _fit_one(samples: Array, order: int | None, tol: float, unstable: str, name: str) -> One:
    """C A^k B = g_k for samples g (N, p, m)."""
    # A power of four, half of it to B and half to C, keeps squares within range and changes no digit.
    half = np.exp2(np.round(np.log2(np.abs(samples).max() or 1.0) / 2))
    scaled = samples / half / half
    h = hankel(scaled)
    found = _found(h, order, tol)
    fitted = shift_invariant(found.factors, found.order, *samples.shape[1:])
    explained = bound = 2 * found.tail
    unsafe = found.order > 0 and bool(np.abs(fitted.poles).max() >= 1 - _ON_THE_CIRCLE)
    if unsafe:
        fitted, bound = _stable(fitted, scaled, unstable, name), float(np.inf)
    error = largest_difference(fitted, scaled)
    fitted = fitted._replace(b=fitted.b * half, c=fitted.c * half)
    size = half * half
    values = found.factors.sigma * size, bound * size, error * size, explained * size
    return One(fitted, *values, unsafe and unstable == "stabilize", found.reason, found.noise * size)


def _found(h: Hankel, order: int | None, tol: float) -> Order:
    """The order that the singular values show, or the one that was asked for."""
    if order is None:
        return numerical_order(h, tol)
    if order > h.most:
        raise ValueError(
            f"order={order} is more than {len(h.samples)} samples after h_0 and the delay determine, at most {h.most}; "
            "give more samples or a lower order"
        )
    return given_order(h, order, tol)


def _stable(fitted: Fitted, samples: Array, unstable: str, name: str) -> Fitted:
    """What is done about poles outside or on the circle."""
    if unstable == "keep":
        return fitted
    if unstable == "stabilize":
        return reflected(fitted, samples, _INSIDE)
    raise ValueError(
        f"realize: {name}, of order {len(fitted.a)}, has a pole of modulus {np.abs(fitted.poles).max():.12g}, on or "
        "outside the unit circle: h does not decay, or is too short for so many poles. Give more samples or a lower "
        "order=; or write unstable='keep', which fits h best, or unstable='stabilize', which reflects the pole and "
        "fits C again, and may miss h by much (see .error); from_ba(h, [1.0], dt=dt) is the exact FIR of one channel"
    )
