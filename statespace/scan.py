"""Floor 2: running a recurrence. The reference loop, and the engine for each structure.

x_{k+1} = A x_k + B u_k        y_k = C x_k + D u_k
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_coefficients, shorten
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank
from statespace.structure.cascade import in_sections
from statespace.structure.matrices import blocks

if TYPE_CHECKING:
    from statespace.systems import DiscreteSystem


class Run(NamedTuple):
    """Output (..., L, p), next state (..., state_size), and the states before the last samples (..., S, state_size)."""

    y: Array
    final: Array
    states: Array


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


def run(system: DiscreteSystem, u: Array, x0: Array | None = None, *, keep: int = 0) -> Run:
    """Run a discrete system over u (..., L, m) from x0 (..., state_size), sequentially in time.

    ``keep`` is the number S of last samples whose states are returned. Precision follows the signal outside and is
    double inside; any split of u gives the same bits.
    """
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
        return _delay if _shifts_in_one_input(system) else _dense
    if isinstance(system.A, DiagonalPlusLowRank):
        return _low_rank
    return _diagonal if isinstance(system.A, Diagonal) else _dense


def _shifts_in_one_input(system: DiscreteSystem) -> bool:
    """Whether a delay line is an FIR filter: the input enters at its head only, as it is."""
    siso = system.n_inputs == system.n_outputs == 1
    return siso and bool(np.all(system.B[..., 0] == np.eye(system.n_states)[0]))


def _rows(system: DiscreteSystem, u: Array, x0: Array | None, keep: int) -> Rows:
    """Broadcast system, signal and state against each other and flatten the batch."""
    n = system.state_size
    x0 = np.zeros(n) if x0 is None else x0
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


def state_and_output_types(system: Any, u: Array, x0: Array) -> tuple[Any, Any]:
    """The state is double; the output as precise as u, and complex where the system, u or x0 is."""
    is_complex = system.is_complex or "c" in (u.dtype.kind, x0.dtype.kind)
    state = np.complex128 if is_complex or system.stores_pairs else np.float64
    return state, np.result_type(u.dtype, np.complex64 if is_complex and not system.stores_pairs else np.float32)


def broadcast_batch(system: Any, u: Array, x0: Array) -> tuple[int, ...]:
    """Batch axes of a run, or an error that shows all three."""
    try:
        return np.broadcast_shapes(system.batch_shape, u.shape[:-2], x0.shape[:-1])
    except ValueError:
        raise ValueError(
            "the batch axes do not broadcast: "
            f"the system has {system.batch_shape}, u has {u.shape[:-2]}, the state has {x0.shape[:-1]}"
        ) from None


def systems_of_rows(system: Any, batch: tuple[int, ...]) -> Array:
    """Number of the system that each row of a flattened batch belongs to."""
    own = system.batch_shape
    count = int(np.prod(own))
    return np.ascontiguousarray(np.broadcast_to(np.arange(count).reshape(own), batch).reshape(-1))


def flat(matrix: Array, system: Any, dtype: Any, core: int = 2) -> Array:
    """(..., r, c) as (systems, c, r): one matrix for each system, transposed for the loops."""
    batch, last = system.batch_shape, matrix.shape[matrix.ndim - core :]
    one = np.broadcast_to(matrix, (*batch, *last)).reshape(int(np.prod(batch)), *last)
    one = one.swapaxes(-1, -2) if core == 2 else one
    return np.ascontiguousarray(one, dtype=dtype)


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

    sections = np.stack([np.broadcast_to(m, system.A.gains.shape) for m in system.A.sections()], axis=-1)
    q = flat(sections, system, rows.x.dtype).swapaxes(-1, -2).copy()
    n, count = system.n_states, system.A.n_sections
    x = in_sections(rows.x, 0.0)
    states = np.empty((*rows.states.shape[:2], count, 2), rows.x.dtype)
    cascade_steps(q, rows.which, rows.u[..., 0], x, rows.y[..., 0], states)
    rows.states[...] = states.reshape(*rows.states.shape[:2], 2 * count)[..., :n]
    return x.reshape(len(x), 2 * count)[:, :n]


def _delay(system: DiscreteSystem, rows: Rows) -> Array:
    from statespace.cpu import delay_steps

    n, length = system.n_states, rows.u.shape[1]
    taps = np.concatenate([np.broadcast_to(system.D[..., 0], (*system.C.shape[:-2], 1)), system.C[..., 0, :]], axis=-1)
    padded = np.concatenate([rows.x[:, ::-1], rows.u[..., 0]], axis=1)
    delay_steps(flat(taps, system, rows.x.dtype, core=1), rows.which, padded, rows.y[..., 0])
    windows = np.lib.stride_tricks.sliding_window_view(padded, n, axis=1)
    rows.states[...] = windows[:, length - rows.states.shape[1] : length, ::-1]
    return np.ascontiguousarray(padded[:, ::-1][:, :n])


def refuse_complex_on_pairs(system: Any, u: Array) -> None:
    """Raise for a complex signal where the state holds one member of each conjugate pair only."""
    if system.stores_pairs and u.dtype.kind == "c":
        raise ValueError(
            "a system stored as conjugate pairs runs on real signals (its state holds one of each pair), "
            f"got u of dtype {u.dtype}; run u.real and u.imag"
        )


def as_state(value: Any, system: Any, name: str = "x0") -> Array | None:
    """A state vector (..., state_size) in double precision, or None."""
    if value is None:
        return None
    state = np.atleast_1d(as_coefficients(value, name))
    if state.shape[-1] != system.state_size:
        raise ValueError(
            f"{name} must have shape (..., {system.state_size}), one number for each state, "
            f"got {name}.shape={state.shape} from {shorten(value)}"
        )
    return state
