"""Running a recurrence sample by sample. The reference loop, and the engine for each structure.

x_{k+1} = A x_k + B u_k        y_k = C x_k + D u_k
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from statespace.arrays import Array, on_device
from statespace.scan.lanes import Lanes, as_lanes, from_lanes, into_lanes, placed, readable, run_rows
from statespace.scan.rows import (
    Run,
    broadcast_batch,
    flat,
    refuse_complex_on_pairs,
    state_and_output_types,
    systems_of_rows,
)
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank
from statespace.structure.cascade import in_sections
from statespace.structure.matrices import blocks

if TYPE_CHECKING:
    from statespace.systems import DiscreteSystem


class Rows(NamedTuple):
    """A batch of systems and signals, flattened for the loops."""

    batch: tuple[int, ...]
    which: Array  # (rows,) the system of each row
    u: Array  # (rows, L, m)
    x: Array  # (rows, state_size)
    y: Array  # (rows, L, p)
    states: Array  # (rows, S, state_size), before the last S samples


def reference(system: DiscreteSystem, u: Array, x0: Array) -> Array:
    """Five plain lines that every engine is held against: one system, u (L, m), x0 (n,)."""
    a, b, c, d = system
    x, y = np.array(x0), []
    for u_k in u:
        y.append(c @ x + d @ u_k)
        x = a @ x + b @ u_k
    return np.array(y)


def run(system: DiscreteSystem, u: Array, x0: Array | None = None, *, keep: int = 0, overwrite: bool = False) -> Run:
    """Run a discrete system over u (..., L, m) from x0 (..., state_size), sequentially in time.

    ``keep`` is the number S of last samples whose states are returned, ``overwrite`` lets y take the place of u.
    Precision follows the signal outside and is double inside; any split of u gives the same bits. A signal on a GPU
    runs there.
    """
    if not (type(u) is np.ndarray and (x0 is None or type(x0) is np.ndarray)) and (on_device(u) or on_device(x0)):
        from statespace.scan.device import run_on_device

        return run_on_device(system, u, x0, keep=keep)
    x0 = np.zeros(system.state_size) if x0 is None else x0
    lanes = as_lanes(system) if isinstance(system.A, Cascade) and 0 not in u.shape else None
    if lanes is not None:
        return _real_cascade(system, lanes, u, x0, keep, overwrite)
    return one_by_one(system, u, x0, keep)


def one_by_one(system: DiscreteSystem, u: Array, x0: Array, keep: int) -> Run:
    """Run it row by row and number by number."""
    rows = _rows(system, u, x0, keep)
    something = rows.u.shape[0] > 0 and rows.u.shape[1] > 0
    final = _engine(system)(system, rows) if something else rows.x
    y = rows.y.reshape(*rows.batch, *rows.y.shape[1:])
    states = rows.states.reshape(*rows.batch, *rows.states.shape[1:])
    return Run(y, final.reshape(*rows.batch, system.state_size), states)


def without_remnants(x: Array, system: DiscreteSystem) -> Array:
    """States of a run without input, 0 where they are gone: what follows are subnormal numbers, a hundred times slower.

    Gone is 1e-290 of what the inputs drive; below that size of B itself nothing is cut.
    """
    limit = 1e-290 * min(1.0, float(np.abs(system.B).max(initial=0.0)))
    return np.where(np.abs(x) < limit, 0.0, x)


def _engine(system: DiscreteSystem) -> Any:
    if isinstance(system.A, Cascade):
        return _cascade
    if isinstance(system.A, DelayLine):
        return _delay if shifts_in_one_input(system) else _dense
    if isinstance(system.A, DiagonalPlusLowRank):
        return _low_rank
    return _diagonal if isinstance(system.A, Diagonal) else _dense


def shifts_in_one_input(system: DiscreteSystem) -> bool:
    """Whether a delay line is an FIR filter: the input enters at its head only, as it is."""
    siso = system.n_inputs == system.n_outputs == 1
    return siso and bool(np.all(system.B[..., 0] == np.eye(system.n_states)[0]))


def _rows(system: DiscreteSystem, u: Array, x0: Array, keep: int) -> Rows:
    """Broadcast system, signal and state against each other and flatten the batch."""
    n = system.state_size
    batch = broadcast_batch(system, u, x0)
    rows = int(np.prod(batch))
    length, p = u.shape[-2], system.n_outputs
    state_type, out_type = state_and_output_types(system, u, x0)
    return Rows(
        batch,
        systems_of_rows(system, batch),
        np.ascontiguousarray(np.broadcast_to(u, (*batch, *u.shape[-2:])).reshape(rows, *u.shape[-2:])),
        np.array(np.broadcast_to(x0, (*batch, n)).reshape(rows, n), dtype=state_type),
        np.empty((rows, length, p), out_type),
        np.empty((rows, min(keep, length), n), state_type),
    )


def _dense(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import complex_dense_steps, dense_steps, tiled

    if rows.x.dtype.kind == "c":
        mt = flat(blocks(*system), system, rows.x.dtype)  # [[A, B], [C, D]]
        complex_dense_steps(mt, rows.which, rows.u, rows.x, rows.y, rows.states)
    else:
        tiles = flat(tiled(*system), system, rows.x.dtype, core=1)
        dense_steps(tiles, rows.which, rows.u, rows.x, rows.y, rows.states)
    return rows.x


def _diagonal(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import diagonal_steps, pair_steps

    refuse_complex_on_pairs(system, rows.u)
    dtype = rows.x.dtype
    a = flat(system.A.diagonal, system, dtype, core=1)
    b, c = flat(system.B, system, dtype), flat(system.C, system, dtype)
    d = flat(system.D, system, np.float64 if system.A.pairs else dtype)
    steps = pair_steps if system.A.pairs else diagonal_steps
    steps(a, b, c, d, rows.which, rows.u, rows.x, rows.y, rows.states)
    return rows.x


def _low_rank(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import low_rank_steps

    dtype = rows.x.dtype
    a = flat(system.A.diagonal, system, dtype, core=1)
    matrices = (system.A.P, system.A.Q.conj(), system.B, system.C, system.D)
    pt, qt, bt, ct, dt = (flat(m, system, dtype) for m in matrices)
    low_rank_steps(a, pt, qt, bt, ct, dt, rows.which, rows.u, rows.x, rows.y, rows.states)
    return rows.x


def _cascade(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import cascade_steps

    q = flat(system.A.table, system, rows.x.dtype).swapaxes(-1, -2).copy()
    n, count = system.n_states, system.A.n_sections
    x = in_sections(rows.x, 0.0)
    states = np.empty((*rows.states.shape[:2], count, 2), rows.x.dtype)
    cascade_steps(q, rows.which, rows.u[..., 0], x, rows.y[..., 0], states)
    rows.states[...] = states.reshape(*rows.states.shape[:2], 2 * count)[..., :n]
    return x.reshape(len(x), 2 * count)[:, :n]


def _real_cascade(system: DiscreteSystem, lanes: Lanes, u: Array, x0: Array, keep: int, overwrite: bool) -> Run:
    """Rows as lanes: a row alone, among seven copies of itself, takes as long as a loop number by number."""
    length, first = u.shape[-2], u.shape[-2] - min(keep, u.shape[-2])
    y = output_like(system, u, x0, overwrite=overwrite and not keep)
    x = run_lanes(system, lanes, u[..., :first, :], x0, y[..., :first, :])
    states = np.empty((*x.shape[:-1], 0, x.shape[-1]), x.dtype)
    if first < length:
        states = one_by_one(system, u[..., first:, :], x, keep).states
        x = run_lanes(system, lanes, u[..., first:, :], x, y[..., first:, :])
    return Run(y, x, states)


def _delay(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import delay_steps

    n, length = system.n_states, rows.u.shape[1]
    taps = np.concatenate([np.broadcast_to(system.D[..., 0], (*system.C.shape[:-2], 1)), system.C[..., 0, :]], axis=-1)
    padded = np.concatenate([rows.x[:, ::-1], rows.u[..., 0]], axis=1)
    delay_steps(flat(taps, system, rows.x.dtype, core=1), rows.which, padded, rows.y[..., 0])
    windows = np.lib.stride_tricks.sliding_window_view(padded, n, axis=1)
    rows.states[...] = windows[:, length - rows.states.shape[1] : length, ::-1]
    return np.ascontiguousarray(padded[:, ::-1][:, :n])


# --------------------------------------------------------------- rows as lanes


def output_like(system: Any, u: Array, x0: Array, room: int = 0, *, overwrite: bool = False) -> Array:
    """An empty output (..., L + room, p); it has the order of axes in memory, and of time, of u, where that has one.

    It is u itself where that may be overwritten and is as large.
    """
    batch = broadcast_batch(system, u, x0)
    shape, kind = (*batch, u.shape[-2] + room, system.n_outputs), state_and_output_types(system, u, x0)[1]
    repeats = 0 in u.strides and any(step == 0 and count > 1 for step, count in zip(u.strides, u.shape, strict=True))
    if repeats or len(shape) != u.ndim:
        return np.empty(shape, kind)
    if overwrite and shape == u.shape and kind == u.dtype and u.flags.writeable and u.flags.aligned:
        return u
    y = np.empty_like(u, kind, shape=shape)
    return y[..., ::-1, :] if u.strides[-2] < 0 else y


def run_lanes(system: Any, lanes: Lanes, u: Array, x0: Array, y: Array, run: Any = run_rows, **how: Any) -> Array:
    """Fill y (..., L, p) by a run over lanes and return the state after it, (..., state_size).

    A complex signal of a real system is two signals.
    """
    refuse_complex_on_pairs(system, u)
    kind, _ = state_and_output_types(system, u, x0)
    if np.dtype(kind).kind == "c" and not system.stores_pairs:
        x = np.empty((*y.shape[:-2], x0.shape[-1]), kind)
        x.real = run_lanes(system, lanes, u.real, x0.real, y.real, run, **how)
        x.imag = run_lanes(system, lanes, u.imag, x0.imag, y.imag, run, **how)
        return x
    batch, length = y.shape[:-2], y.shape[-2]
    which = systems_of_rows(system, batch)
    u = readable(expanded(u, (*batch, *u.shape[-2:])))
    start = expanded(x0, (*batch, x0.shape[-1])).reshape(len(which), x0.shape[-1])
    w = into_lanes(lanes, which, start.astype(kind, copy=False))
    if length and len(which):
        w = run(lanes, which, placed(u), placed(y), w, count=length, **how)
    return from_lanes(lanes, which, w, system).reshape(*batch, x0.shape[-1])


def expanded(array: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast to a shape, where it is another."""
    return array if array.shape == shape else np.broadcast_to(array, shape)
