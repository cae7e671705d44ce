"""selective_scan_vjp: the gradients of a scan, from the states that its tiles started from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_signal, library_of, on_device
from statespace.discretization.names import Method
from statespace.discretization.rules import Impulse
from statespace.scan import require_one_place
from statespace.selective.arguments import Inputs, SelectiveState, as_inputs, check_flag, two_taps
from statespace.selective.plan import (
    Lanes,
    as_kinds,
    as_lanes,
    as_model,
    as_parts,
    as_plan,
    from_parts,
    places_of,
    rule_number,
    step_of,
)
from statespace.selective.projections import SelectiveGradients, through_projections
from statespace.selective.pullbacks import summed
from statespace.selective.scan import Scan, run, state_table, tile_of
from statespace.selective.system import SelectiveSystem, arguments_of, as_layer_input

_LEAST = 128  # samples of a tile
_CHUNKS = 8  # of units that gradients of B and C are summed over, at most; threads take a chunk each
_SHARE = 0.06  # of u and Δ, that these sums may take


def selective_scan_vjp(
    u: Any, delta: Any, A: Any = None, B: Any = None, C: Any = None, D: Any = None, *, groups: int | None = None,
    pairs: bool = False, z: Any = None, delta_bias: Any = None, delta_softplus: bool = False, x0: Any = None,
    reset: Any = None, method: Method | str = "mamba", return_state: bool = False,
) -> tuple[Any, Callable[..., Any]]:  # fmt: skip
    """Run a selective scan and return it with its pullback, which gives the gradients of all its arrays.

    Exact gradients of what `selective_scan` computes, for every method. States are kept once in each tile of some
    hundred samples and computed again from there, tile by tile: the scan and its pullback take a few per cent of the
    memory of u and delta, beside the gradients themselves; as much as these where channels are very few, or B and C are
    those of a few channels each. On a GPU they take 1.5 times u with 16 states, and more with more.

    Parameters
    ----------
    u, delta, A, B, C, D, groups, pairs, z, delta_bias, delta_softplus, x0, reset, method, return_state
        As `selective_scan` takes them, also with a SelectiveSystem in the place of delta.
        The pullback reads the arrays again: leave them as they are until then.

    Returns
    -------
    y : ndarray, or (y, state) with return_state
        The bits of `selective_scan`.
    pullback : callable (grad_y, grad_state=None) -> SelectiveGradients, of a SelectiveSystem SystemGradients
        From the gradient of y, and of the last state where it is used, to one gradient for each array argument, in its
        shape: sums over whatever was broadcast. Of complex arrays the gradient is that of Re Σ conj(g) dx, as in
        PyTorch. It can be called again, and gives the same bits on any number of threads.

    Raises
    ------
    TypeError, ValueError
        As `selective_scan`; the pullback where a gradient does not have the shape of what it belongs to, or is complex
        where that is real, or does not live where u does.

    Warns
    -----
    RuntimeWarning
        As `selective_scan`.

    References
    ----------
    A. Gu, T. Dao, "Mamba", 2023, section 3.3.2 (recomputation); A. Griewank, A. Walther, *Evaluating Derivatives*,
    2nd ed., SIAM 2008, section 12.2 (checkpoints).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> u, delta, one = np.ones((3, 1)), np.full((3, 1), 0.5), np.ones((1, 1))
    >>> y, pullback = ss.selective_scan_vjp(u, delta, [[-1.0]], one, one)
    >>> pullback(np.array([[0.0], [0.0], [1.0]])).u[:, 0].round(4)  # what y[2] owes to each sample
    array([0.1839, 0.3033, 0.5   ])
    """
    check_flag(return_state, "return_state")
    how: dict[str, Any] = {
        "groups": groups, "pairs": pairs, "delta_bias": delta_bias, "delta_softplus": delta_softplus, "method": method,
    }  # fmt: skip
    system, project = delta, None
    if isinstance(system, SelectiveSystem):
        u = as_layer_input(system, u)
        (delta, A, B, C, D), how = arguments_of(system, u, {"A": A, "B": B, "C": C, "D": D, **how})
        project = partial(through_projections, system, u)
    inputs = as_inputs(u, delta, A, B, C, D, z=z, x0=x0, reset=reset, **how)
    span = _span(inputs)
    scan = run(inputs, span, keep=True)
    adjoint = _adjoint(inputs, scan, span)

    def pullback(grad_y: Any, grad_state: Any = None) -> Any:
        require_one_place(inputs.u, "u", {"grad_y": grad_y, "grad_state": grad_state})
        grad = _as_gradient(grad_y, "grad_y", (*inputs.batch, *inputs.u.shape[-2:]), inputs.output_type)
        found = _fitted(inputs, adjoint(grad, _last(inputs, grad_state)))
        return found if project is None else project(found)

    return ((scan.y, scan.state) if return_state else scan.y), pullback


class _Pulled(NamedTuple):
    """Gradients before what was broadcast is summed; the engine on a GPU gives one like it."""

    u: Array  # (*batch, L, d), as the next two
    delta: Array
    z: Array | None
    A: Array  # (d, n)
    B: Array  # (*batch, L or 1, g, n)
    C: Array
    D: Array | None  # (d,)
    delta_bias: Array | None  # (d,)
    x0: Array  # (*batch, d, n)
    v0: Array | None


def _adjoint(inputs: Inputs, scan: Scan, span: int) -> Callable[..., Any]:
    """From the gradient of y and those of the last state to all of them."""
    if on_device(inputs.u):
        return partial(_pulled_on_gpu, inputs, scan.marks)
    return partial(_pulled, inputs, *_together(inputs, scan.lanes, scan.marks), span)


def _pulled_on_gpu(inputs: Inputs, marks: Any, grad: Array, last: tuple[Array | None, Array | None]) -> Any:
    from statespace.gpu import selective_adjoint

    return selective_adjoint(inputs, *rule_number(inputs.rule), marks, grad, *last)


def _together(inputs: Inputs, ran: Any, marks: Array) -> tuple[Lanes, Array]:
    """Lanes that share B and C, as sums over channels want them, and what tiles start from in their order."""
    if not ran.own:
        return ran, marks
    _, d, n, _ = inputs.sizes
    rows, units, tiles = int(np.prod(inputs.batch, dtype=np.int64)), len(ran.valid), marks.shape[1]
    lanes = as_lanes(inputs, ran.channels.shape[1], own=False)
    numbers = marks.reshape(rows, units, *marks.shape[1:]).swapaxes(1, 2)
    numbers = numbers.reshape(rows * tiles, units, numbers.shape[-1])
    moved = [
        as_parts(from_parts(part, ran, d, n, inputs.is_complex), lanes, inputs.is_complex)
        for part in ([numbers] if isinstance(inputs.rule, Impulse) else np.split(numbers, 2, axis=-1))  # x, and v
    ]
    table = np.concatenate(moved, axis=-1)
    table = table.reshape(rows, tiles, *table.shape[1:]).swapaxes(1, 2)
    return lanes, np.ascontiguousarray(table.reshape(rows * len(lanes.valid), *table.shape[2:]))


def _span(inputs: Inputs) -> int:
    """Samples of a tile: so many that the states kept take a thirtieth of u and Δ."""
    numbers = inputs.A.shape[1] * (2 if inputs.is_complex else 1) * (1 if isinstance(inputs.rule, Impulse) else 2)
    return tile_of(max(_LEAST, 1 << (16 * max(numbers, 1) - 1).bit_length()), inputs.u.shape[-2])


def _as_gradient(value: Any, name: str, shape: tuple[int, ...], kind: Any) -> Array:
    array = as_signal(value, name, half=True)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of what it is the gradient of, {shape}, got {array.shape}")
    if array.dtype.kind == "c" and np.dtype(kind).kind != "c":
        raise TypeError(f"{name} must be real, as what it is the gradient of, got dtype {array.dtype}")
    return array.astype(kind, copy=False)


def _last(inputs: Inputs, grad_state: Any) -> tuple[Array | None, Array | None]:
    """Gradients of the last state."""
    shape = (*inputs.batch, inputs.u.shape[-1], inputs.A.shape[-1])
    if grad_state is None:
        return None, None
    if not two_taps(inputs.rule):
        if isinstance(grad_state, tuple):
            raise TypeError(f"grad_state must be one array, {inputs.rule!r} has one tap and no pair, got a tuple")
        return _as_gradient(grad_state, "grad_state", shape, inputs.state_type), None
    if not (isinstance(grad_state, tuple) and len(grad_state) == 2):
        raise TypeError("grad_state must be a pair, (x, v), as the state is")
    x, v = grad_state
    return (
        _as_gradient(x, "grad_state[0]", shape, inputs.state_type),
        _as_gradient(v, "grad_state[1]", shape, inputs.state_type),
    )


def _pulled(
    inputs: Inputs, lanes: Lanes, marks: Array, span: int, grad: Array, last: tuple[Array | None, Array | None]
) -> _Pulled:
    """Run the adjoint and put its answers together."""
    from statespace.cpu import share
    from statespace.cpu.selective_adjoint import selective_adjoint

    signals = _empty_signals(inputs)
    out = _slots(inputs, lanes, grad, signals, last)
    length, _, n, _ = inputs.sizes
    real = np.zeros(0, inputs.u.dtype).real.dtype
    if grad.size:
        kinds, plan, model = as_kinds(inputs, lanes), as_plan(inputs, lanes, grad), as_model(inputs, lanes)

        def task(first: int, final: int) -> None:
            selective_adjoint(first, final, kinds, plan, model, out, n, length, span, marks, real.type(0))

        share(task, len(out.chunks))
    return _assembled(inputs, lanes, signals, out)


def _empty_signals(inputs: Inputs) -> tuple[Array, Array, Array]:
    """Room for the gradients of Δ, u and z."""
    shape = (*inputs.batch, *inputs.u.shape[-2:])
    delta, u = np.zeros(shape, inputs.delta.dtype), np.zeros(shape, inputs.u.dtype)
    return delta, u, delta if inputs.z is None else np.zeros(shape, inputs.delta.dtype)


def _slots(
    inputs: Inputs, lanes: Lanes, grad: Array, signals: tuple[Array, Array, Array],
    last: tuple[Array | None, Array | None],
) -> Any:  # fmt: skip
    from statespace.cpu.selective_adjoint import Gradients

    batch, complex_ = inputs.batch, inputs.is_complex
    rows, units, width = int(np.prod(batch, dtype=np.int64)), len(lanes.valid), lanes.channels.shape[1]
    real, n, parts = np.zeros(0, inputs.u.dtype).real.dtype, inputs.A.shape[-1], 2 if complex_ else 1
    every = (grad, *signals)
    chunks = _chunks(rows, units, inputs.sizes[3], inputs.A)
    back, back_v = (state_table(inputs, lanes, state) for state in last)
    for table in (back, back_v):
        _forget_repeats(table, lanes, rows)
    told = 2 if np.dtype(inputs.output_type).kind == "c" else 1
    length = inputs.sizes[0]
    varies = [level.shape[-3] == length > 1 for level in (inputs.B, inputs.C)]
    return Gradients(
        np.stack([places_of(s, batch, lanes) for s in every], axis=1),
        np.array([step_of(s, -2) for s in every], np.intp),
        chunks,
        lanes.valid,
        back,
        back_v,
        np.zeros((rows * units, n * parts * width)),
        np.zeros((rows * units, told * width)),
        np.zeros((rows * units, width)),
        *(np.zeros((len(chunks), length * steps, n, parts), real) for steps in varies),
        *(np.zeros((len(chunks), n, parts)) for _ in varies),
    )


def _forget_repeats(table: Array, lanes: Lanes, rows: int) -> None:
    """Gradients are 0 in lanes that repeat others."""
    width = lanes.channels.shape[1]
    numbers = table.reshape(rows, len(lanes.valid), table.shape[1] // width, width)
    numbers[:] = np.where((np.arange(width) < lanes.valid[:, None])[None, :, None, :], numbers, 0)


def _chunks(rows: int, units: int, groups: int, a: Array) -> Array:
    """First and last unit of each chunk: units that share B and C, in parts where there are few such sets."""
    sets, each = rows * groups, units // groups
    affordable = math.ceil(_SHARE * a.shape[0] / max(a.shape[1] * groups, 1))
    pieces = max(1, min(each, _CHUNKS // max(sets, 1), affordable))
    edges = np.arange(pieces + 1) * each // pieces
    first = np.arange(sets)[:, None] * each
    return np.stack([first + edges[:-1], first + edges[1:]], axis=-1).reshape(sets * pieces, 2)


def _assembled(inputs: Inputs, lanes: Lanes, signals: tuple[Array, Array, Array], out: Any) -> _Pulled:
    _, d, n, _ = inputs.sizes
    rows = int(np.prod(inputs.batch, dtype=np.int64))
    delta, u, z = signals
    told = np.dtype(inputs.output_type).kind == "c"

    def of_channels(table: Array, k: int, complex_: bool) -> Array:
        return from_parts(table.reshape(rows, len(lanes.valid), table.shape[1]), lanes, d, k, complex_)

    x, v = (of_channels(t, n, inputs.is_complex).reshape(*inputs.batch, d, n) for t in (out.back, out.back_v))
    return _Pulled(
        u,
        delta,
        z,
        of_channels(out.a, n, inputs.is_complex).sum(axis=0),
        _of_rows(inputs, out.b, out.total_b, inputs.B),
        _of_rows(inputs, out.c, out.total_c, inputs.C),
        of_channels(out.direct, 1, told).sum(axis=0)[:, 0] if inputs.D is not None else None,
        of_channels(out.bias, 1, False).sum(axis=0)[:, 0],
        x,
        v,
    )


def _of_rows(inputs: Inputs, grads: Array, total: Array, like: Array) -> Array:
    """Gradient of B or C from those of the chunks, (chunks, L, n, parts), or from their sums (chunks, n, parts)."""
    grads = grads if grads.shape[1] or not like.shape[-3] else total[:, None]
    _, _, n, g = inputs.sizes
    numbers = grads[..., 0] + 1j * grads[..., 1] if grads.shape[-1] == 2 else grads[..., 0]
    rows = int(np.prod(inputs.batch, dtype=np.int64))
    pieces, times = len(numbers) // max(rows * g, 1), numbers.shape[1]
    every: Array = numbers.reshape(rows, g, pieces, times, n).sum(axis=2)
    return every.swapaxes(1, 2).reshape(*inputs.batch, times, g, n)


def _fitted(inputs: Inputs, g: Any) -> SelectiveGradients:
    """Gradients in the shapes and kinds of the arrays."""
    x, v = summed(g.x0, inputs.x0), summed(g.v0, inputs.v0)
    return SelectiveGradients(
        summed(g.u, inputs.u),
        summed(g.delta, inputs.delta),
        summed(g.A, inputs.A),
        _level(inputs, g.B, inputs.B, inputs.real[0]),
        _level(inputs, g.C, inputs.C, inputs.real[1]),
        summed(g.D, inputs.D),
        summed(g.z, inputs.z),
        summed(g.delta_bias, inputs.delta_bias),
        None if inputs.x0 is None else SelectiveState(x, v) if inputs.v0 is not None else x,
    )


def _level(inputs: Inputs, grad: Array, like: Array, real: bool) -> Array:
    """Gradient of B or C as it came."""
    found = summed(grad, like)
    found = (found.real if real else found).astype(like.real.dtype if real else like.dtype, copy=False)
    return library_of(found).ascontiguousarray(found if inputs.grouped else found[..., 0, :])
