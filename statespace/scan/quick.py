"""Cascades in quicker units, for runs from which nothing goes on bit by bit, and in single precision where it does.

With x1 = g b w1 and x2 = g b a21 w2, and an input of the section that is g v, a section takes six products for eight:

    y = c1' w1 + c2' w2 + d' v        w1⁺ = a11 w1 + a12 a21 w2 + v        w2⁺ = w1 + a22 w2

g is 1 in double. In single it is the size of what reaches a section, so that no gain between sections leaves the range.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.scan.lanes import Lanes, as_lanes
from statespace.scan.recurrence import one_by_one
from statespace.scan.rows import Run
from statespace.structure import Cascade

_RADIUS = 0.99  # largest pole of what runs in single
_NOISE = 16.0  # rounding noise of the states at the output, for that of rounding the output alone
_FAR, _LARGE = 1e150, 1e15  # of units, and of coefficients in single


@lru_cache(maxsize=32)
def quick_lanes(system: Any, single: bool = False) -> Lanes | None:
    """As `as_lanes`, in quicker units where there are any; in single precision for what `in_single` allows."""
    lanes = as_lanes(system)
    if lanes is None or not isinstance(system.A, Cascade):
        return lanes
    g = _sizes(system) if single else np.ones(system.A.gains.shape)
    assert g is not None
    q, units = _in_units(system, g)
    if not _are_near(units):
        return lanes
    table = q.reshape(-1, 3 * lanes.size).astype(np.float32 if single else np.float64)
    ready = np.repeat(table[:1], 64 // table.itemsize, axis=1)
    cost = (0.6 if single else 0.9) * lanes.cost
    return lanes._replace(table=table, ready=ready, units=units.reshape(-1, lanes.size), cost=cost)


def _in_units(system: Any, g: Array) -> tuple[Array, Array]:
    """a11, a12 a21, a22, c1', c2', d' of each section, (..., sections, 6), and its units, (..., sections, 2)."""
    a11, a12, a21, a22, b, c1, c2, d = np.moveaxis(system.A.table, -1, 0)
    a21 = np.where(a21 == 0, 1.0, a21)  # the last of an odd order, where a12 = c2 = 0
    one, two = g * b, g * b * a21
    after = np.concatenate([g[..., 1:], np.ones((*g.shape[:-1], 1))], axis=-1)
    q = np.stack([a11, a12 * a21, a22, c1 * one / after, c2 * two / after, d * g / after], axis=-1)
    return q, np.stack([one, two], axis=-1)


def _are_near(units: Array) -> bool:
    return bool(np.all((np.abs(units) > 1 / _FAR) & (np.abs(units) < _FAR)))


def in_single(system: Any, kind: Any) -> bool:
    """Whether chunks of a signal of this type are run in single precision.

    They are for one cascade, where no pole is beyond 0.99 and rounding states adds little: up to 16 times what rounding
    the output alone does, which left 6e-6 of the largest output at most, 3e-7 mostly.
    """
    return np.dtype(kind) in (np.float32, np.complex64) and _sizes(system) is not None


@lru_cache(maxsize=32)
def _sizes(system: Any) -> Array | None:
    """Peak g of what reaches each section after an impulse, (sections,), as a power of two; None for double."""
    slow = np.any(np.abs(system.poles) > _RADIUS)
    if not isinstance(system.A, Cascade) or system.batch_shape or as_lanes(system) is None or slow:
        return None
    n, radius = system.n_states, float(np.abs(system.poles).max(initial=0.5))
    count = math.ceil(-40 / math.log(radius)) + 2 * n
    driven = one_by_one(system, np.eye(count, 1), np.zeros(n), count)
    if not _is_quiet(driven, one_by_one(system, np.zeros((n, count, 1)), np.eye(n), 0)):
        return None
    peak = np.abs(driven.states[:, ::2]).max(axis=0) / np.abs(system.A.table[:, 4])
    g = np.exp2(np.round(np.log2(peak)))
    g[0] = 1.0  # the signal itself
    q, units = _in_units(system, g)
    return g if _are_near(units) and np.all(np.abs(q) < _LARGE) else None


def _is_quiet(driven: Run, free: Run) -> bool:
    """Whether √(Σ K_ii W_ii / Σ h²) is small, for K_ii = Σ x_i² after an impulse and W_ii = Σ (C A^k)_i².

    The second-order modes of C. T. Mullis and R. A. Roberts, "Synthesis of minimum roundoff noise fixed point digital
    filters", IEEE Trans. Circuits Syst. 23 (1976), section III.
    """
    noise = (driven.states**2).sum(axis=0) @ (free.y[..., 0] ** 2).sum(axis=-1)
    return bool(noise < _NOISE**2 * (driven.y**2).sum())
