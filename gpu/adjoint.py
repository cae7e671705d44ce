"""The pullback of the selective scan on the device: selective_adjoint.cu, and sums over what its blocks leave."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import library_of
from statespace.gpu.layout import Sizes, adjoint_sizes, blocks_of_time
from statespace.gpu.loader import kernel, launch
from statespace.gpu.selective import Prepared, cuts, defines, grid_of, numbers_of, passed_on, prepare


class Gradients(NamedTuple):
    """Gradients of every argument, in the full shape of a batch but for what has none; None where it was not given."""

    u: Any  # (*batch, L, d)
    delta: Any
    z: Any
    A: Any  # (d, n), summed over the batch
    B: Any  # (*batch, L or 1, g, n)
    C: Any
    D: Any  # (d,), summed over the batch
    delta_bias: Any
    x0: Any  # (*batch, d, n)
    v0: Any


class Sums(NamedTuple):
    """What blocks of threads leave to be summed, in the order of the arguments of the kernel."""

    b: Any  # (rows, groups, blocks, L, n), or None where B is constant
    c: Any
    total_b: Any  # (rows, groups, blocks, blocks of time, n), or None where it is not
    total_c: Any
    a: Any  # (rows, blocks of time, d, n)
    direct: Any  # (rows, blocks of time, d)
    bias: Any


def selective_adjoint(
    inputs: Any, rule: int, weight: float, marks: Any, grad_y: Any, back: Any = None, back_v: Any = None
) -> Gradients:
    """Pull gradients of y (*batch, L, d), and of the last state (*batch, d, n), back through a scan.

    The same bits in every run on one card: sums are taken in an order that the shapes decide.
    """
    scan = prepare(inputs, rule, weight)
    xp, scene = library_of(inputs.u), scan.scene
    sizes = adjoint_sizes(scene)
    of_u = xp.zeros((scene.rows, scene.length, scene.d), scan.kinds.heard)
    of_delta = xp.zeros(of_u.shape, scan.kinds.scalar)
    of_z = of_delta if inputs.z is None else xp.zeros(of_u.shape, scan.kinds.scalar)
    states = [_last(scan, state) for state in (back, back_v)]
    blocks, chunk = blocks_of_time(scene, sizes.tpc)
    sums = _room(scan, sizes, blocks)
    if of_u.size:
        grad = xp.ascontiguousarray(grad_y.reshape(of_u.shape).astype(_told(scan), copy=False))
        back_all = [state[:, None] for state in states]
        if blocks > 1:
            back_all = _handed_on(scan, sizes, grad, states, blocks, chunk)
        signals = (of_u, of_delta, of_z if inputs.z is not None else None)
        _run(scan, sizes, (grad, *back_all, marks), signals, sums, states, blocks, chunk)
    return _assembled(inputs, scan, (of_u, of_delta, of_z), sums, states)


def _told(scan: Prepared) -> Any:
    """The type of y as kernels read and write it."""
    return scan.kinds.told if scan.scene.told == 2 else scan.kinds.scalar


def _last(scan: Prepared, state: Any) -> Any:
    """The gradient of the last state, (rows, d, n), an array of its own that is left with that of the first."""
    xp, scene = library_of(scan.arrays["u"]), scan.scene
    given = xp.zeros((scene.rows, scene.d, scene.n), scan.kinds.state)
    if state is not None and state.shape[-1]:
        given[...] = state.reshape(given.shape)
    return given


def _room(scan: Prepared, sizes: Sizes, blocks: int) -> Sums:
    xp, scene, kinds = library_of(scan.arrays["u"]), scan.scene, scan.kinds
    parts = grid_of(scan, sizes, 1)[0] // max(scene.rows * scene.groups, 1)
    lead, wide = (scene.rows, scene.groups, parts), np.result_type(kinds.state, np.float64)
    constant = [scan.arrays[name].shape[1] == 1 for name in "BC"]
    each = [None if one else xp.zeros((*lead, scene.length, scene.n), kinds.state) for one in constant]
    totals = [xp.zeros((*lead, blocks, scene.n), wide) if one else None for one in constant]
    of_time = (scene.rows, blocks, scene.d)
    direct = xp.zeros(of_time, np.result_type(kinds.told, np.float64))
    return Sums(
        each[0],
        each[1],
        totals[0],
        totals[1],
        xp.zeros((*of_time, scene.n), wide),
        direct,
        xp.zeros(of_time, np.float64),
    )


def _run(
    scan: Prepared, sizes: Sizes, given: tuple[Any, ...], signals: tuple[Any, ...], sums: Sums, states: list[Any],
    blocks: int, chunk: int,
) -> None:  # fmt: skip
    run = kernel("selective_adjoint.cu", "selective_adjoint", defines(scan, sizes, SUB=sizes.tile, MIN_BLOCKS=1))
    names = ("u", "delta", "z", "A", "B", "C", "D", "delta_bias", "v0", "reset")
    read = (*(scan.arrays[name] for name in names), *given)
    arguments = (*read, *signals, *sums, *states, *numbers_of(scan, chunk))
    launch(run, grid_of(scan, sizes, blocks), sizes.threads, arguments, sizes.shared)


def _handed_on(scan: Prepared, sizes: Sizes, grad: Any, states: list[Any], blocks: int, chunk: int) -> list[Any]:
    """What comes from after each block of time, (rows, blocks, d, n), for x and for v."""
    xp, scene = library_of(grad), scan.scene
    shape = (scene.rows, blocks, scene.d, scene.n)
    powers, ends, powers_v, ends_v = (xp.zeros(shape, scan.kinds.state) for _ in range(4))
    run = kernel("adjoint_ends.cu", "adjoint_ends", defines(scan, sizes, MIN_BLOCKS=1))
    read = (scan.arrays[name] for name in ("delta", "z", "A", "C", "delta_bias", "reset"))
    arguments = (*read, grad, powers, ends, powers_v, ends_v, *numbers_of(scan, chunk))
    launch(run, grid_of(scan, sizes, blocks), sizes.threads, arguments)
    # The last block first: what comes from after a block is what the next one hands on.
    cut = cuts(scan, blocks, chunk)
    turned = [None if a is None else a[:, ::-1].copy() for a in (powers, ends, cut)]
    from_after = passed_on(scan, *turned, states[0])[:, ::-1].copy()
    nothing = from_after == 0 if cut is None else (from_after == 0) | cut[:, :, None, None]
    of_v = xp.where(nothing, ends_v, powers_v * from_after + ends_v)[:, 1:]
    return [from_after, xp.concatenate([of_v, states[1][:, None]], axis=1)]


def _assembled(inputs: Any, scan: Prepared, signals: tuple[Any, ...], sums: Sums, states: list[Any]) -> Gradients:
    """Sums over blocks in their order, and the shapes of the arguments."""
    scene, n = scan.scene, inputs.A.shape[-1]
    u, delta, z = (s.reshape(*inputs.batch, scene.length, scene.d) for s in signals)
    x0, v0 = (s.reshape(*inputs.batch, scene.d, scene.n)[..., :n] for s in states)
    return Gradients(
        u, delta, z if inputs.z is not None else None, sums.a.sum(axis=(0, 1))[..., :n],
        _level(inputs, sums.b, sums.total_b, n), _level(inputs, sums.c, sums.total_c, n),
        None if inputs.D is None else sums.direct.sum(axis=(0, 1)),
        None if inputs.delta_bias is None else sums.bias.sum(axis=(0, 1)), x0, v0 if scan.two_taps else None,
    )  # fmt: skip


def _level(inputs: Any, each: Any, total: Any, n: int) -> Any:
    """Gradient of B or C, (*batch, L or 1, g, n), from sums over the channels of blocks."""
    times = each.sum(axis=2) if total is None else total.sum(axis=(2, 3))[:, :, None]  # (rows, g, L or 1, n)
    times = times.swapaxes(1, 2)
    return times.reshape(*inputs.batch, *times.shape[1:])[..., :n]
