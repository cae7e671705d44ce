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
_LOUD = 250.0  # roundings of the states at the output, for one of its own
_NOTHING = 1e-30  # of coefficients in single: their products are subnormal before they count
_FAR, _LARGE = 1e150, 1e15  # of units in double; of units and coefficients in single


@lru_cache(maxsize=32)
def quick_lanes(system: Any, single: bool = False) -> Lanes | None:
    """As `as_lanes`, in quicker units where there are any; in single precision for what `in_single` allows."""
    lanes = as_lanes(system)
    if lanes is None or not isinstance(system.A, Cascade):
        return lanes
    g = _sizes(system) if single else np.ones(system.A.gains.shape)
    assert g is not None
    q, units = _in_units(system, g)
    if not _are_within(_FAR, units):
        return lanes
    table = q.reshape(-1, 3 * lanes.size)
    if single:
        table = np.where(np.abs(table) < _NOTHING, 0.0, table).astype(np.float32)
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


def _are_within(limit: float, numbers: Array) -> bool:
    return bool(np.all((np.abs(numbers) > 1 / limit) & (np.abs(numbers) < limit)))


def in_single(system: Any, kind: Any, x0: Array | None = None) -> bool:
    """Whether chunks of a signal of this type are run in single precision, from a state within its range.

    They are for one cascade, where no pole is beyond 0.99 and what states are rounded by adds up to at most 250
    roundings of the output, 1.5e-5 of the largest input times the peak gain; of 552 designs the worst had 5e-6.
    """
    if np.dtype(kind) not in (np.float32, np.complex64) or (g := _sizes(system)) is None:
        return False
    if x0 is None or not np.any(x0):
        return True
    units = _in_units(system, g)[1].reshape(-1)[: system.n_states]
    return bool(np.all(np.abs(x0) < 1e35 * np.abs(units)))


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
    return g if _are_within(_LARGE, units) and np.all(np.abs(q) < _LARGE) else None


def _is_quiet(driven: Run, free: Run) -> bool:
    """Whether Σ_i max|F_i| max|G_i| / max|H| is small, over all frequencies, and the gain within the range.

    F_i leads from the input to a state, G_i from there to the output, H = C F + D. A state is rounded by half an ulp,
    and of a constant always to the same side: eight poles at 0.99 have 800 such halves and were 4.9e-5 off.
    """
    points = 4 * driven.y.shape[0]
    peak = np.abs(np.fft.rfft(driven.y[:, 0], points)).max()
    into = np.abs(np.fft.rfft(driven.states, points, axis=0)).max(axis=0)
    out_of = np.abs(np.fft.rfft(free.y[..., 0], points, axis=-1)).max(axis=-1)
    return bool(into @ out_of < _LOUD * peak) and _are_within(_LARGE, peak)
