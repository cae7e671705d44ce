"""Forms of a run on a GPU. One system, the same numbers as on the CPU.

recurrent     sample by sample, a row to each thread or group of threads; the same bits under any split
chunked       diagonal systems: blocks of time as rows of the recurrence, where there are few rows
              all others: x⁺ = A^M x + R u_block,  y_block = O x + T u_block  for all blocks by products of matrices
convolution   y = h ∗ u + C A^k x_0 by FFT

Delay lines of one input have all samples at once in any form. What products of matrices take of a system is worked out
on the host, as for the CPU, and uploaded.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, library_of
from statespace.kernels.convolution import fft_convolved
from statespace.kernels.lifting import blocks, toeplitz
from statespace.kernels.samples import kernel
from statespace.scan import (
    Run,
    broadcast_batch,
    flat,
    require_one_place,
    run,
    shifts_in_one_input,
    state_and_output_types,
    systems_of_rows,
)
from statespace.scan.device import run_on_device
from statespace.simulation.forms import block_length, finite_length, refuse_infinite
from statespace.structure import Cascade, DelayLine, Diagonal
from statespace.systems import DiscreteSystem

_NUMBERS = 2**24  # of a signal in double that are worked on at a time: 128 MB
_WORTH_IT = 8  # blocks of M samples, from which products of matrices pay


def form_on_device(form: str, system: DiscreteSystem, u: Any, x0: Any, *, keep: int = 0) -> Run:
    """Run u (..., L, m) in a form; ``keep`` is the number of last states wanted, 0 or 1 but for recurrent."""
    if form == "convolution":
        return _convolved(system, u, x0, keep)
    if form == "recurrent" or _is_parallel(system):
        return run_on_device(system, u, x0, keep=keep, in_time=form == "chunked")
    return _lifted(system, u, x0, keep)


def choose_on_device(system: DiscreteSystem, length: int, rows: int, form: str) -> tuple[str, str, int | None]:
    """Form to take, why, and the samples of a block where there are blocks of time."""
    from statespace.gpu.diagonal import blocks_of_time
    from statespace.gpu.loader import multiprocessors

    diagonal, processors = isinstance(system.A, Diagonal), multiprocessors()
    M = length if _is_parallel(system) else block_length(system)
    if diagonal:
        M = blocks_of_time(rows, system.state_size, length, processors).steps
    block = M if 1 < M < length and not (_is_parallel(system) and not diagonal) else None
    if form != "auto":
        return form, "as asked, on the device", block if form == "chunked" else None
    if block is None:
        why = "powers of A grow at once" if M == 1 else "rows fill the device, or the signal is short"
        return "recurrent", why, None
    if not np.all(system.is_stable):
        return "recurrent", "blocks of time would be quicker, but the system is not stable", None
    if not diagonal and (length < _WORTH_IT * M or (isinstance(system.A, Cascade) and rows >= 40 * processors)):
        return "recurrent", "rows fill the device, or the signal is short", None
    return "chunked", "blocks of time run at once on the device", block


@lru_cache(maxsize=128)
def chosen_on_device(system: DiscreteSystem, length: int, rows: int, form: str) -> str:
    """Form to take; the last few answers are kept."""
    return choose_on_device(system, length, rows, form)[0]


def _is_parallel(system: DiscreteSystem) -> bool:
    """Whether kernels take blocks of time, or all samples, by themselves."""
    return isinstance(system.A, Diagonal) or (isinstance(system.A, DelayLine) and shifts_in_one_input(system))


# --------------------------------------------------------------- products of matrices


class _Lift(NamedTuple):
    """M samples as one, on the host: what products take, transposed, batch axes of the system first."""

    reach: Array  # R, (..., M·m, n)
    seen: Array  # O, (..., n, M·p)
    through: Array  # T, (..., M·m, M·p)
    power: Array  # A^M of each system, (systems, n, n), as `carry` takes it


@lru_cache(maxsize=32)
def _lift(system: DiscreteSystem, M: int) -> _Lift:
    parts, n = blocks(system, M), system.state_size
    r = parts.reach[..., ::-1, :, :].swapaxes(-1, -2)  # (..., M, m, n), the last input first applied
    o = parts.seen.reshape(*parts.seen.shape[:-3], M * system.n_outputs, n)
    return _Lift(
        r.reshape(*r.shape[:-3], M * system.n_inputs, n),
        o.swapaxes(-1, -2),
        toeplitz(kernel(system, M)).swapaxes(-1, -2),
        flat(parts.power, system, parts.power.dtype),
    )


def _lifted(system: DiscreteSystem, u: Any, x0: Any, keep: int) -> Run:
    """Run blocks of M samples, in pieces of the signal that bound the memory.

    Samples after the last whole block, and everything from the block with the first NaN or infinity on, run by the
    recurrence: T has zeros for the future, and 0·NaN is NaN. Looking for one waits for the device.
    """
    xp, length, M = library_of(u), u.shape[-2], block_length(system)
    x0 = xp.zeros(system.state_size) if x0 is None else x0
    require_one_place(u, "u", {"state": x0})
    count = min(finite_length(u), length - keep) // M if M > 1 else 0
    batch = broadcast_batch(system, u, x0)
    if count <= 0 or 0 in batch:
        return run_on_device(system, u, x0, keep=keep)
    state_type, out_type = state_and_output_types(system, u, x0)
    y = xp.empty((*batch, length, system.n_outputs), out_type)
    x = _whole_blocks(system, M, u[..., : count * M, :], xp.broadcast_to(x0, (*batch, x0.shape[-1])), state_type, y)
    rest = run_on_device(system, u[..., count * M :, :], x, keep=keep)
    y[..., count * M :, :] = rest.y
    return Run(y, rest.final, rest.states)


def _whole_blocks(system: DiscreteSystem, M: int, u: Any, x: Any, kind: Any, y: Any | None) -> Any:
    """Run u (..., count·M, m) from x (..., n) with batch axes, fill y where there is one, and return the next state."""
    xp, lift, batch, m = library_of(u), _lift(system, M), x.shape[:-1], u.shape[-1]
    reach, seen, through = (xp.asarray(np.ascontiguousarray(matrix)) for matrix in lift[:3])
    which, count = systems_of_rows(system, batch), u.shape[-2] // M
    span = max(1, _NUMBERS // (len(which) * M * max(m, system.n_outputs, 1)))
    for first in range(0, count, span):
        size = min(span, count - first)
        part = slice(first * M, (first + size) * M)
        head = u[..., part, :].astype(np.result_type(u.dtype, np.float64))
        head = head.reshape(*u.shape[:-2], size, M * m)
        v = xp.empty((*batch, size, system.state_size), kind)
        v[...] = _times(head, reach)
        starts = _carried(lift.power, which, v.reshape(len(which), *v.shape[-2:]), x.reshape(len(which), x.shape[-1]))
        starts = starts.reshape(*batch, *starts.shape[1:])
        if y is not None:
            answer = _times(starts[..., :-1, :], seen) + _times(head, through)
            y[..., part, :] = answer.reshape(*answer.shape[:-2], size * M, system.n_outputs)
        x = starts[..., -1, :]
    return x


def _times(rows: Any, matrix: Any) -> Any:
    """Rows (..., count, i) times (..., i, j); one matrix takes all rows in one product."""
    if matrix.ndim > 2 or 0 in rows.shape:
        return library_of(rows).matmul(rows, matrix)
    return (rows.reshape(-1, rows.shape[-1]) @ matrix).reshape(*rows.shape[:-1], matrix.shape[-1])


# --------------------------------------------------------------- from block to block


def _carried(power: Array, which: Array, v: Any, x: Any) -> Any:
    """x_{j+1} = A^M x_j + v_j, all states (rows, count + 1, n); few long rows in groups of blocks.

    The end of each group from zero, the start of each group from that of the one before, and all states from there.
    """
    from statespace.gpu.dense import carry

    xp, (rows, count, n) = library_of(v), v.shape
    size = _group(rows, count)
    groups = -(-count // size)
    states = xp.empty((rows * groups, size + 1, n), v.dtype)
    if groups == 1:
        states[:, 0] = x
        carry(power, which, v, states)
        return states
    made = xp.zeros((rows, groups * size, n), v.dtype)
    made[:, :count] = v
    made, own = made.reshape(rows * groups, size, n), which.repeat(groups)
    states[:, 0] = 0
    carry(power, own, made, states)
    starts = xp.empty((rows, groups + 1, n), v.dtype)
    starts[:, 0] = x
    ends = xp.ascontiguousarray(states[:, -1]).reshape(rows, groups, n)
    carry(_repeated(power, size), which, ends, starts)
    states[:, 0] = starts[:, :-1].reshape(rows * groups, n)
    carry(power, own, made, states)
    after = states[:, 1:].reshape(rows, groups * size, n)
    return xp.concatenate([starts[:, :1], after[:, :count]], axis=1)


def _group(rows: int, count: int) -> int:
    """Blocks of a group, about √count where few rows have many: 3 √count steps one after the other, not count."""
    if rows > 64 or count < 256:
        return count
    return int(2 ** round(math.log2(count) / 2))


def _repeated(power: Array, count: int) -> Array:
    """P^count, P applied step by step, as a state would have it."""
    total = power
    for _ in range(count - 1):
        total = total @ power
    return total


# --------------------------------------------------------------- convolution


def _convolved(system: DiscreteSystem, u: Any, x0: Any, keep: int) -> Run:
    """Convolve with the kernel, add what the starting state does, and find the final state by blocks."""
    refuse_infinite(u)
    xp, length = library_of(u), u.shape[-2]
    start = xp.zeros(system.state_size) if x0 is None else x0
    require_one_place(u, "u", {"state": start})
    if length == 0:
        return run_on_device(system, u, start)
    batch, (state_type, out_type) = broadcast_batch(system, u, start), state_and_output_types(system, u, start)
    y = xp.empty((*batch, length, system.n_outputs), out_type)
    y[...] = fft_convolved(u, kernel(system, length, like=xp.zeros(0)))
    if x0 is not None:
        silence = xp.zeros((length, system.n_inputs), u.dtype)
        y += form_on_device("chunked", system, silence, start).y
    before = _state_after(system, u[..., :-1, :], xp.broadcast_to(start, (*batch, start.shape[-1])), state_type)
    last = run_on_device(system, u[..., -1:, :], before, keep=keep)
    return Run(y, last.final, last.states)


def _state_after(system: DiscreteSystem, u: Any, x0: Any, kind: Any) -> Any:
    """State after the last sample, by blocks and without an output."""
    M = 1 if _is_parallel(system) else block_length(system)
    count = u.shape[-2] // M if M > 1 and x0.size else 0
    if count:
        x0 = _whole_blocks(system, M, u[..., : count * M, :], x0, kind, None)
    return run(system, u[..., count * M :, :], x0).final
