"""Runs of signals that live on a GPU: the same rows as on the CPU, through the twins in `statespace.gpu`.

Systems stay on the host; what a run needs of one is uploaded, a few kilobytes. Signals, states and outputs stay on the
device, and nothing waits for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from statespace.arrays import Array, library_of
from statespace.scan.places import require_one_place
from statespace.scan.recurrence import shifts_in_one_input
from statespace.scan.rows import (
    Run,
    broadcast_batch,
    flat,
    refuse_complex_on_pairs,
    state_and_output_types,
    systems_of_rows,
)
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank
from statespace.structure.matrices import blocks


def run_on_device(system: Any, u: Any, x0: Any = None, *, keep: int = 0, in_time: bool = False) -> Run:
    """Run a system over u (..., L, m) from x0 (..., state_size), a row to each thread or group of threads.

    ``keep`` is the number of last samples whose states are returned. ``in_time`` lets a diagonal system cut few long
    rows into blocks of time, which agree to rounding; else any split of u gives the same bits.
    """
    xp = library_of(u)
    if x0 is None:
        x0 = xp.zeros(system.state_size)
    require_one_place(u, "u", {"state": x0})
    refuse_complex_on_pairs(system, u)
    batch, (length, _), p = broadcast_batch(system, u, x0), u.shape[-2:], system.n_outputs
    kind, out = state_and_output_types(system, u, x0)
    which, rows = systems_of_rows(system, batch), math.prod(batch)
    x = xp.empty((*batch, system.state_size), kind)
    x[...] = x0
    x = x.reshape(rows, system.state_size)
    u = xp.broadcast_to(u.astype(out, copy=False), (*batch, *u.shape[-2:]))
    y = _output(u, (*batch, length, p), out)
    states = xp.empty((rows, min(keep, length), system.state_size), kind)
    if rows and length:
        _engine(system, which, u, x, y, states, in_time)
    shape = (*batch, system.state_size)
    return Run(y, x.reshape(shape), states.reshape(*batch, *states.shape[1:]))


def _output(u: Any, shape: tuple[int, ...], kind: Any) -> Any:
    from statespace.gpu.signals import empty_in_order_of

    return empty_in_order_of(u, shape, kind)


def _engine(system: Any, which: Array, u: Any, x: Any, y: Any, states: Any, in_time: bool) -> None:
    if isinstance(system.A, Diagonal):
        _diagonal(system, which, u, x, y, states, in_time)
    elif isinstance(system.A, Cascade):
        _cascade(system, which, u, x, y, states)
    elif isinstance(system.A, DelayLine) and shifts_in_one_input(system):
        _delay(system, which, u, x, y, states)
    else:
        _in_rows(system, which, u, x, y, states)


def _diagonal(system: Any, which: Array, u: Any, x: Any, y: Any, states: Any, in_time: bool) -> None:
    from statespace.gpu.diagonal import blocks_of_time, diagonal_steps, in_blocks, pair_steps
    from statespace.gpu.loader import multiprocessors

    kind, pairs = x.dtype, system.A.pairs
    a = flat(system.A.diagonal, system, kind, core=1)
    b, c = flat(system.B, system, kind), flat(system.C, system, kind)
    matrices = (a, b, c, flat(system.D, system, np.float64 if pairs else kind))
    ends = blocks_of_time(*x.shape, u.shape[-2], multiprocessors())
    if in_time and ends.blocks > 1:
        power = _power_of_two(a, ends.steps)
        if np.isfinite(power).all():
            in_blocks(matrices, power, which, u, x, y, states, ends, pairs=pairs)
            return
    steps = pair_steps if pairs else diagonal_steps
    steps(*matrices, which, u, x, y, states)


def _power_of_two(poles: Array, exponent: int) -> Array:
    """λ^exponent, rounded once, by squaring in two doubles; real where the poles are."""
    from statespace.cpu import powers

    base = np.zeros((poles.size, 4))
    base[:, 0], base[:, 2] = poles.real.reshape(-1), poles.imag.reshape(-1)
    for _ in range(exponent.bit_length() - 1):
        powers(base, np.empty((len(base), 2), np.complex128))  # leaves the square
    value = (base[:, 0] + 1j * base[:, 2]).reshape(poles.shape)
    return value if poles.dtype.kind == "c" else value.real


def _cascade(system: Any, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    from statespace.gpu.cascade import cascade_steps

    xp, n, count = library_of(u), system.n_states, system.A.n_sections
    q = flat(system.A.table, system, x.dtype).swapaxes(-1, -2)
    own = xp.zeros((len(x), 2 * count), x.dtype)  # a cascade of odd order has a state to spare
    own[:, :n] = x
    trace = xp.empty((*states.shape[:2], count, 2), x.dtype)
    sections = own.reshape(len(x), count, 2)
    cascade_steps(q, which, u[..., 0], sections, y[..., 0], trace)
    states[...] = trace.reshape(*states.shape[:2], 2 * count)[..., :n]
    x[...] = sections.reshape(len(x), 2 * count)[:, :n]


def _delay(system: Any, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    from statespace.gpu.cascade import delay_steps

    xp, n, length, kept = library_of(u), system.n_states, u.shape[-2], states.shape[1]
    d = np.broadcast_to(system.D[..., 0], (*system.C.shape[:-2], 1))
    taps = flat(np.concatenate([d, system.C[..., 0, :]], axis=-1), system, x.dtype, core=1)
    padded = xp.empty((len(x), n + length), x.dtype)
    padded[:, :n] = x[:, ::-1]
    padded[:, n:] = u.reshape(len(x), length)
    told = xp.empty((len(x), length), y.dtype)
    delay_steps(taps, which, padded, told)
    y[...] = told.reshape(y.shape)
    for i in range(n if kept else 0):  # x_k[i] = u_{k−1−i}
        states[..., i] = padded[:, length - kept + n - 1 - i : length + n - 1 - i]
    x[...] = padded[:, length:][:, ::-1]


def _in_rows(system: Any, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    """Dense and low-rank systems, on rows that lie one after the other."""
    from statespace.gpu.dense import dense_steps, low_rank_steps

    xp, kind = library_of(u), x.dtype
    rows = xp.ascontiguousarray(u).reshape(len(x), *u.shape[-2:])
    told = xp.empty((len(x), *y.shape[-2:]), y.dtype)
    if isinstance(system.A, DiagonalPlusLowRank):
        a = flat(system.A.diagonal, system, kind, core=1)
        matrices = (system.A.P, system.A.Q.conj(), system.B, system.C, system.D)
        low_rank_steps(a, *(flat(matrix, system, kind) for matrix in matrices), which, rows, x, told, states)
    else:
        columns = flat(blocks(*system), system, kind)  # [[A, B], [C, D]] transposed
        dense_steps(columns.reshape(len(columns), -1), which, rows, x, told, states)
    y[...] = told.reshape(y.shape)
