"""Diagonal systems on the device: real, complex or in pairs, in time or in blocks of time; see diagonal.cu."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, library_of
from statespace.gpu.affine import affine_steps, parts_of, real_name, systems_on_device
from statespace.gpu.loader import kernel, launch, multiprocessors
from statespace.gpu.signals import as_places, numbers, placed, rows_in

_THREADS = 128
_MOST, _WARP = 8, 32  # modes that a lane has in registers, lanes of a warp
_MODES = _MOST * _WARP  # that are run together


class Layout(NamedTuple):
    """How the modes of a row are shared."""

    lanes: int  # neighbours in a warp that share a row, a power of two
    each: int  # modes of a lane, a power of two


def shared_out(rows: int, n: int, processors: int) -> Layout:
    """Fewest lanes for a row that fill the card, 352 threads for each multiprocessor, and hold all its modes.

    More than eight only for modes that need them. The length of the signal has no say: a signal that comes in pieces
    is summed in the order of one that comes as a whole.
    """
    lanes = 1
    while lanes < min(n, _WARP) and ((rows * lanes < 352 * processors and lanes < 8) or n > _MOST * lanes):
        lanes *= 2
    each = 1
    while each * lanes < n:
        each *= 2
    return Layout(lanes, each)


class Ends(NamedTuple):
    """Blocks of every row, and samples of each."""

    blocks: int
    steps: int


def blocks_of_time(rows: int, n: int, length: int, processors: int) -> Ends:
    """Blocks of a row and samples of each, a power of two from 256; one block where rows fill the card.

    Enough for 1024 threads on each multiprocessor, and not more than what the pass from block to block, one after the
    other at a sixth of a sample's time, is worth: blocks² ≤ 6 L.
    """
    if rows >= 40 * processors or length < 1024 or n > _MODES:
        return Ends(1, length)
    lanes = shared_out(rows, n, processors).lanes
    steps = 256
    while -(-length // steps) * rows * lanes > 1024 * processors or length > 6 * steps**2:
        steps *= 2
    return Ends(-(-length // steps), steps)


# --------------------------------------------------------------- one sample after the other


def diagonal_steps(
    a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Any, x: Any, y: Any, states: Any
) -> None:
    """Run x_{k+1} = a x_k + B u_k elementwise, y_k = C x_k + D u_k; x is updated, y and states are filled.

    a (systems, n), bt (systems, m, n), ct (systems, n, p), dt (systems, m, p) and which (rows,) are of the host. On the
    device u is (..., L, m), its leading axes the rows, and y (..., L, p), of any strides and as complex as x (rows, n).
    """
    _in_groups((a, bt, ct, dt), which, u, x, y, states, pairs=False)


def pair_steps(a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    """Run x_{k+1} = a x_k + B u_k, y_k = 2·Re(C x_k) + D u_k on real signals; the rest as `diagonal_steps`."""
    _in_groups((a, bt, ct, dt), which, u, x, y, states, pairs=True)


class _Modes(NamedTuple):
    """Coefficients on the device."""

    a: Any
    bt: Any
    ct: Any
    dt: Any
    which: Any
    pairs: bool


def _in_groups(matrices: tuple[Array, ...], which: Array, u: Any, x: Any, y: Any, states: Any, *, pairs: bool) -> None:
    """Run all modes at once, or groups that a warp holds, whose outputs are added in double, in their order."""
    n, place = x.shape[-1], Ends(1, u.shape[-2])
    if n <= _MODES:
        _launch(_uploaded(matrices, which, u, pairs), u, x, y, states, place)
        return
    xp = library_of(u)
    total, part = xp.zeros(y.shape, np.result_type(y, np.float64)), xp.empty(y.shape, np.result_type(y, np.float64))
    for first in range(0, n, _MODES):
        some = slice(first, first + _MODES)
        a, bt, ct, dt = matrices
        group = _uploaded((a[:, some], bt[:, :, some], ct[:, some], dt if first == 0 else 0 * dt), which, u, pairs)
        start, trace = xp.ascontiguousarray(x[:, some]), xp.ascontiguousarray(states[..., some])
        _launch(group, u.astype(total.dtype), start, part, trace, place)
        x[:, some], states[..., some] = start, trace
        total += part
    y[...] = total


def _uploaded(matrices: tuple[Array, ...], which: Array, like: Any, pairs: bool) -> _Modes:
    xp = library_of(like)
    a, bt, ct, dt = (xp.asarray(np.ascontiguousarray(matrix)) for matrix in matrices)
    return _Modes(a, bt, ct, dt, systems_on_device(which, a, like), pairs)


def _launch(modes: _Modes, u: Any, x: Any, y: Any, states: Any, ends: Ends) -> None:
    """Run blocks of every row, x (rows, blocks, n) before and after; without y for the states that they leave."""
    rows, (length, m), n = rows_in(u), u.shape[-2:], x.shape[-1]
    p = modes.ct.shape[-1]
    place = placed(u, u if y is None else y)
    lanes, each = shared_out(rows, n, multiprocessors())
    run = kernel(
        "diagonal.cu",
        "diagonal_lanes",
        (
            ("SIGNAL", real_name(u.dtype)),
            ("PARTS", parts_of(x.dtype)),
            ("PAIRS", int(modes.pairs)),
            ("SINGLE", int(m == p == 1)),
            ("HELD", each),
        ),
    )
    kept = 0 if states is None else states.shape[1]
    counts = (np.int64(count) for count in (rows, *ends, length, kept))
    sizes = (np.int32(size) for size in (lanes, n, m, p))
    grid = (-(-rows * ends.blocks * lanes // _THREADS), 1, 1)
    out = None if y is None else numbers(place.signals[1])
    matrices = (modes.a, modes.bt, modes.ct, modes.dt, modes.which)
    arguments = (
        *matrices,
        numbers(place.signals[0]),
        x,
        out,
        states if kept else None,
        *counts,
        *sizes,
        *as_places(place),
    )
    launch(run, grid, _THREADS, arguments)


# --------------------------------------------------------------- blocks of time


def in_blocks(
    matrices: tuple[Array, ...], power: Array, which: Array, u: Any, x: Any, y: Any, states: Any, ends: Ends, *,
    pairs: bool,
) -> None:  # fmt: skip
    """Run the same in blocks of time: what each leaves from zero, the start of each, and the outputs from there.

    v_j = Σ a^{S−1−k} B u_k of block j        x_{j+1} = a^S x_j + v_j        then y and the last state from every x_j

    matrices are (a, bt, ct, dt), power (systems, n) is a^S of S samples, the length of all blocks but the last.
    """
    xp = library_of(u)
    modes, (rows, n) = _uploaded(matrices, which, u, pairs), x.shape
    starts = xp.zeros((rows, ends.blocks, n), x.dtype)
    _launch(modes, u, starts, None, None, ends)
    before = starts[:, :-1].copy()  # what each makes from zero
    repeated = np.repeat(power.astype(x.dtype)[:, None], ends.blocks - 1, axis=1)
    starts[:, 0] = x
    follow = xp.empty_like(before)
    affine_steps(xp.asarray(repeated), before, which, x, follow)
    starts[:, 1:] = follow
    _launch(modes, u, starts, y, states, ends)
    x[...] = starts[:, -1]
