"""The forms of a run: the recurrence, blocks of M steps, one convolution. One system, the same numbers.

recurrent     x⁺ = A x + B u,  y = C x + D u                        sample by sample, the same bits under any split
chunked       x⁺ = A^M x + R u_block,  y_block = O x + T u_block      all blocks at once: long blocks as lanes of the
                                                                      recurrence, or short ones by matrix products
convolution   y = h ∗ u + C A^k x_0                                  h = kernel(system, L), by FFT
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from statespace.arrays import Array, is_finite, library_of, on_device
from statespace.kernels.convolution import fft_convolved
from statespace.kernels.lifting import Parts, blocks, toeplitz
from statespace.kernels.samples import kernel
from statespace.scan import (
    Blocks,
    Run,
    broadcast_batch,
    cut,
    in_single,
    memory,
    output_like,
    quick_lanes,
    refuse_complex_on_pairs,
    run,
    run_blocks,
    run_lanes,
    state_and_output_types,
)
from statespace.structure import Cascade, DelayLine, Diagonal
from statespace.structure.matrices import balanced, norm1
from statespace.systems import DiscreteSystem

_BOUNDED = 10.0  # ‖A^j‖ after balancing


def run_form(
    form: str, system: DiscreteSystem, u: Array, x0: Array | None, *, keep: int = 0, overwrite: bool = False
) -> Run:
    """Run u (..., L, m) from x0 in a form; ``keep`` is the number of last states wanted, 0 or 1 but for recurrent.

    ``overwrite`` lets y take the place of u, and saves memory where it does.
    """
    if type(u) is not np.ndarray and on_device(u):
        from statespace.simulation.device import form_on_device

        return form_on_device(form, system, u, x0, keep=keep)
    if form == "recurrent":
        return run(system, u, x0, keep=keep, overwrite=overwrite)
    if form == "chunked" and not keep:
        return chunked(system, u, x0, overwrite=overwrite)
    whole = chunked if form == "chunked" else convolved
    if not keep or u.shape[-2] == 0:
        return whole(system, u, x0)
    # The state before the last sample: that sample is one step of the recurrence, its output put where there is room.
    before = whole(system, u[..., :-1, :], x0, room=1)
    last = run(system, u[..., -1:, :], before.final, keep=1)
    before.y[..., -1:, :] = last.y
    return Run(before.y, last.final, last.states)


def best_block_length(system: DiscreteSystem) -> int:
    """M that costs least, M·p·m + n²/M products a sample, as a power of two from 32 (short products pay for calls)."""
    best = system.n_states / max(1.0, (system.n_outputs * system.n_inputs) ** 0.5)
    return int(2 ** min(max(round(math.log2(max(best, 1.0))), 5), 8))


def block_length(system: DiscreteSystem) -> int:
    """The best M, or the longest power of two below it over which ‖A‖, ‖A²‖, ‖A⁴‖, … stay bounded.

    A block adds what its start and its inputs make of it. Where powers of A grow before they decay, as those of a
    companion matrix do, both are large and cancel: a band-pass of order 12 lost four digits in blocks of 256.
    """
    most = best_block_length(system)
    if isinstance(system.A, (Diagonal, DelayLine)) or system.n_states == 0:
        return most
    a = np.asarray(system.A)
    if _bounded_length(a, most, _bound_of_norm) == most:  # the common case, without balancing
        return most
    return _bounded_length(balanced(a)[0], most, lambda m: np.linalg.norm(m, 2, axis=(-2, -1)))


def _bounded_length(power: Array, most: int, norm: Callable[[Array], Array]) -> int:
    """Longest power of two, at most ``most``, over which A, A², A⁴, … stay bounded."""
    length = 1
    while length <= most:
        if not np.all(norm(power) <= _BOUNDED):
            return max(1, length // 2)
        power, length = power @ power, 2 * length
    return most


def _bound_of_norm(m: Array) -> Array:
    """√(‖A‖₁ ‖A‖_∞) ≥ ‖A‖₂."""
    return np.sqrt(norm1(m) * norm1(m.swapaxes(-1, -2)))


# --------------------------------------------------------------- chunked


def chunked(system: DiscreteSystem, u: Array, x0: Array | None, *, room: int = 0, overwrite: bool = False) -> Run:
    """Run blocks all at once; one small state passes between them. y has ``room`` for samples at its end."""
    refuse_complex_on_pairs(system, u)
    start = np.zeros(system.state_size) if x0 is None else x0
    rows = math.prod(broadcast_batch(system, u, start))
    single = in_single(system, u.dtype, start)
    blocks = blocks_that_run(system, rows, u.shape[-2], single)
    if blocks is None:
        return _by_products(system, u, x0, room)
    return _over_lanes(system, blocks, single, u, start, room, overwrite)


@lru_cache(maxsize=128)
def lane_blocks(system: DiscreteSystem, rows: int, length: int, single: bool = False) -> Blocks | None:
    """Blocks that are lanes of the recurrence, or None where products cost less, or there is no loop over lanes.

    Matrix products of M samples at once are fewer for a wide state with few inputs and outputs.
    """
    lanes = quick_lanes(system, single) if rows and length else None
    blocks = None if lanes is None else cut(system, rows, length, single)
    if lanes is None or blocks is None:
        return None
    return blocks if lane_cost(system, blocks, single) <= product_cost(system, best_block_length(system)) else None


def blocks_that_run(system: DiscreteSystem, rows: int, length: int, single: bool = False) -> Blocks | None:
    """The same, or None where powers of A grow within a block as well."""
    blocks = lane_blocks(system, rows, length, single)
    return blocks if blocks and (blocks.pieces == 1 or memory(system, blocks.length, single)) else None


def lane_cost(system: DiscreteSystem, blocks: Blocks, single: bool = False) -> float:
    """Time in ns of a sample of a lane; blocks of time are read twice."""
    lanes = quick_lanes(system, single)
    assert lanes is not None
    again = 0.3 + 0.02 * lanes.size * lanes.inputs if blocks.pieces > 1 else 0.0
    return lanes.cost + again


def _over_lanes(
    system: DiscreteSystem, blocks: Blocks, single: bool, u: Array, x0: Array, room: int, overwrite: bool
) -> Run:
    """Blocks of time, or channels, eight at a time, sixteen in single."""
    lanes = quick_lanes(system, single)
    assert lanes is not None
    y = output_like(system, u, x0, room, overwrite=overwrite)
    told = y[..., : u.shape[-2], :]
    if blocks.pieces == 1:
        final = run_lanes(system, lanes, u, x0, told)
    else:
        how = {"blocks": blocks, "past": memory(system, blocks.length, single)}
        final = run_lanes(system, lanes, u, x0, told, run_blocks, **how)
    return Run(y, final, np.empty((*final.shape[:-1], 0, final.shape[-1]), final.dtype))


def product_cost(system: DiscreteSystem, M: int) -> float:
    """Time in ns of a sample in blocks of M by matrix products; see `statespace.simulation.choice`."""
    n, m, p = system.n_states, system.n_inputs, system.n_outputs
    return 16 + (0.5 if system.is_complex else 0.08) * (M * p * m + n * (p + m) + 2 * n * n / M)


def _by_products(system: DiscreteSystem, u: Array, x0: Array | None, room: int = 0) -> Run:
    """Run blocks of M samples, each from zero.

    Samples after the last whole block, and everything from the block with the first NaN or infinity on, run by the
    recurrence: T has zeros for the future, and 0·NaN is NaN.
    """
    M = block_length(system)
    count = finite_length(u) // M
    if count == 0 or M == 1:
        return _with_room(run(system, u, x0), room)
    parts = blocks(system, M)
    x0 = np.zeros(system.state_size) if x0 is None else x0
    batch = broadcast_batch(system, u, x0)
    state_type, out_type = state_and_output_types(system, u, x0)
    head = _in_blocks(u, count, M)
    x = _block_states(system, parts, head, x0, state_type)  # (..., count + 1, n)
    y = np.empty((*batch, u.shape[-2] + room, system.n_outputs), out_type)
    answer = _seen(system, parts, x[..., :-1, :]) + head @ toeplitz(kernel(system, M)).swapaxes(-1, -2)
    y[..., : count * M, :] = answer.reshape(*answer.shape[:-2], count * M, system.n_outputs)
    rest = run(system, u[..., count * M :, :], x[..., -1, :])
    y[..., count * M : u.shape[-2], :] = rest.y
    return Run(y, rest.final, rest.states)


def _with_room(run: Run, room: int) -> Run:
    """The same with room at the end of y."""
    return run._replace(y=np.concatenate([run.y, run.y[..., :room, :]], axis=-2)) if room else run


def finite_length(u: Array) -> int:
    """Samples before the first that holds NaN or infinity."""
    if is_finite(u):
        return u.shape[-2]
    xp = library_of(u)
    return int(xp.argmin(xp.isfinite(u).all(axis=(*range(u.ndim - 2), -1))))


def _in_blocks(u: Array, count: int, M: int) -> Array:
    """(..., L, m) as (..., count, M·m) in double."""
    head = u[..., : count * M, :]
    return head.reshape(*u.shape[:-2], count, M * u.shape[-1]).astype(np.result_type(u, np.float64), copy=False)


def _block_states(system: DiscreteSystem, parts: Parts, head: Array, x0: Array, state_type: Any) -> Array:
    """State before each block and after the last: v = R u_block for all blocks, then x⁺ = A^M x + v."""
    r = parts.reach[..., ::-1, :, :].swapaxes(-1, -2)  # (..., M, m, n), the last input first applied
    r = np.ascontiguousarray(r.reshape(*r.shape[:-3], head.shape[-1], r.shape[-1]))
    # Pairs: a real product of twice the columns.
    v = (head @ r.view(np.float64)).view(np.complex128) if system.stores_pairs else head @ r
    batch = broadcast_batch(system, head, x0)
    v = np.broadcast_to(v, (*batch, *v.shape[-2:])).astype(state_type)
    x0 = np.broadcast_to(x0, (*batch, x0.shape[-1])).astype(state_type)
    return _passed(system, parts, v, x0)


def _passed(system: DiscreteSystem, parts: Parts, v: Array, x0: Array) -> Array:
    """x_{j+1} = A^M x_j + v_j, all states (..., count + 1, n)."""
    n = system.state_size
    if isinstance(system.A, Diagonal):
        step: Any = Diagonal(parts.power)
    else:
        step = parts.power
    passing = DiscreteSystem(step, np.eye(n), np.zeros((0, n)), dt=system.dt)
    result = run(passing, v, x0, keep=v.shape[-2])
    return np.concatenate([result.states, result.final[..., None, :]], axis=-2)


def _seen(system: DiscreteSystem, parts: Parts, x: Array) -> Array:
    """O x for all blocks, (..., count, M·p)."""
    M, p, n = parts.seen.shape[-3:]
    o = np.ascontiguousarray(parts.seen.reshape(*parts.seen.shape[:-3], M * p, n))
    if system.stores_pairs:  # 2·Re(O x) = 2 Re O Re x − 2 Im O Im x
        o = 2.0 * o.conj()
        return np.ascontiguousarray(x).view(np.float64) @ o.view(np.float64).swapaxes(-1, -2)
    return x @ o.swapaxes(-1, -2)


# --------------------------------------------------------------- convolution


def convolved(system: DiscreteSystem, u: Array, x0: Array | None, *, room: int = 0) -> Run:
    """Convolve with the kernel, add what the starting state does, and find the final state by blocks."""
    refuse_infinite(u)
    length = u.shape[-2]
    if length == 0:
        return _with_room(run(system, u, x0), room)
    refuse_complex_on_pairs(system, u)
    start = np.zeros(system.state_size) if x0 is None else x0
    batch = broadcast_batch(system, u, start)
    y = fft_convolved(u, kernel(system, length))
    if start.any():
        y = y + chunked(system, np.zeros((length, system.n_inputs), u.dtype), start).y
    if y.shape[:-2] != batch:  # a batch of states, all of them zero
        y = np.array(np.broadcast_to(y, (*batch, *y.shape[-2:])))
    y = y.astype(state_and_output_types(system, u, start)[1], copy=False)
    run_all = Run(y, _final_state(system, u, start), np.zeros((*y.shape[:-2], 0, system.state_size)))
    return _with_room(run_all, room)


def refuse_infinite(u: Array) -> None:
    """Raise for a signal that an FFT would make NaN from end to end."""
    if not is_finite(u):
        raise ValueError(
            "form='convolution' needs a finite u: an FFT would spread infinity over the whole record; "
            "form='recurrent' passes it on from its sample"
        )


def _final_state(system: DiscreteSystem, u: Array, x0: Array) -> Array:
    """State after the last sample, by blocks and without an output."""
    M = block_length(system)
    count = u.shape[-2] // M if M > 1 else 0
    blind = system
    if not isinstance(system.A, Cascade):  # which comes with the one output that it has
        blind = DiscreteSystem(system.A, system.B, np.zeros((0, system.state_size)), dt=system.dt)
    if count:
        state_type, _ = state_and_output_types(system, u, x0)
        x0 = _block_states(system, blocks(blind, M), _in_blocks(u, count, M), x0, state_type)[..., -1, :]
    final = run(blind, u[..., count * M :, :], x0).final
    return np.broadcast_to(final, (*broadcast_batch(system, u, x0), final.shape[-1]))  # C and D may have batch axes


# --------------------------------------------------------------- how far they agree


def error_bound(system: DiscreteSystem, length: int) -> Array:
    """What two forms may differ by, relative to the largest output: 8·eps·κ·min(L, 1/(1 − ρ)), (...).

    κ = max_j ‖C A^j‖·‖B‖ / max|h| over the run, seen from the unit states in the stored coordinates: how much more
    the states hold than is ever seen of them. Every step rounds the state, min(L, 1/(1 − ρ)) steps are remembered
    at a time, and an FFT adds eps·log₂(L), which the 8 covers.
    """
    radius = np.abs(system.poles).max(axis=-1, initial=0.0)
    memory = np.minimum(length, 1.0 / np.maximum(1.0 - radius, 1.0 / length))
    steps = int(min(length, 5 * np.max(memory) + 2 * system.n_states, 2**15))  # where the largest of ‖C A^j‖ lies
    n, batch = system.state_size, (1,) * len(system.batch_shape)
    unit = np.eye(n).reshape(n, *batch, n)
    starts = np.concatenate([unit, 1j * unit]) if system.stores_pairs else unit
    seen = run(system, np.zeros((steps, system.n_inputs)), starts).y  # (n, ..., steps, p)
    held = np.sqrt((np.abs(seen) ** 2).sum(axis=(0, -1))).max(axis=-1)
    largest = np.abs(kernel(system, steps)).max(axis=(-3, -2, -1), initial=0.0)
    kappa = held * np.linalg.norm(system.B, axis=(-2, -1)) / np.where(largest > 0, largest, np.inf)
    return np.asarray(8 * np.finfo(float).eps * np.maximum(kappa, 1.0) * memory)
