"""From arrays of any layout to the units of the compiled scan: channels as lanes, signals by address."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.discretization.names import Rule
from statespace.discretization.rules import (
    BackwardEuler,
    Bilinear,
    ExponentialTrapezoidal,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    Impulse,
    ZeroOrderHold,
)
from statespace.rule_numbers import EXP_TRAPEZOIDAL, FOH, GBT, IMPULSE, S4_BILINEAR, S4_ZOH, ZOH
from statespace.selective.arguments import Inputs

_PI = np.longdouble("3.14159265358979323846264338327950288")


class Lanes(NamedTuple):
    """Which channel and states each lane of each unit of one row is; lanes that are left over repeat the last."""

    channels: Array  # (units of a row, lanes)
    valid: Array  # (units of a row,) how many are not repeats
    own: bool  # the lanes of a unit do not share B and C
    beside: int  # lanes that hold states of one channel, side by side

    def states(self, k: int) -> Array:
        """Which of k states each lane has, (states of a lane, lanes)."""
        count, width = -(-k // self.beside), self.channels.shape[1]
        return np.minimum(np.arange(count)[:, None] * self.beside + np.arange(width) % self.beside, max(k - 1, 0))


def rule_number(rule: Rule) -> tuple[int, float]:
    """The number that the compiled rules have, and the weight."""
    if isinstance(rule, ZeroOrderHold):
        return (ZOH if rule.tap == "previous" else S4_ZOH), 0.5
    if isinstance(rule, Bilinear) and rule.tap == "current":
        return S4_BILINEAR, 0.5
    if isinstance(rule, (Bilinear, ForwardEuler, BackwardEuler, GeneralizedBilinear)):
        return GBT, float(rule.w)
    if isinstance(rule, ExponentialTrapezoidal):
        return EXP_TRAPEZOIDAL, float(rule.w)
    return {Impulse: IMPULSE, FirstOrderHold: FOH}[type(rule)], 0.5


def as_lanes(inputs: Inputs, width: int, own: bool = True) -> Lanes:
    """Channels side by side; those of one group of B and C together, unless they are too few to fill a vector.

    Of very few channels with many states each is a unit, its states side by side. Both need ``own``.
    """
    _, d, n, g = inputs.sizes
    if own and 0 < d <= width // 4 and n % width == 0:  # one takes a quarter of the time of a vector of them
        channels = np.arange(d)[:, None].repeat(width, axis=1)
        return Lanes(channels, np.full(d, width), True, width)
    own = own and g > 1 and d // g < width // 2
    each, groups = (d, 1) if own else (d // g, g)
    units = -(-each // width)
    first = np.minimum(np.arange(units * width).reshape(units, width), each - 1)
    channels = (np.arange(groups)[:, None, None] * each + first).reshape(-1, width)
    return Lanes(channels, np.tile(np.minimum(each - width * np.arange(units), width), groups), own, 1)


def address(array: Array, batch: tuple[int, ...], core: int) -> Array:
    """Where the last ``core`` axes of each row of a batch begin, (rows,)."""
    view = np.broadcast_to(array, (*batch, *array.shape[array.ndim - core :]))
    at = np.array(array.__array_interface__["data"][0], np.intp)
    for count, step in zip(batch, view.strides, strict=False):
        at = at[..., None] + np.arange(count) * step
    return at.reshape(-1)


def step_of(array: Array, axis: int) -> int:
    """Bytes from one to the next along an axis; 0 where there is one for all."""
    return array.strides[axis] if array.shape[axis] > 1 else 0


def as_parts(array: Array, lanes: Lanes, complex_: bool) -> Array:
    """(rows, d, k) as numbers of vectors, (rows, units of a row, k of a lane, parts, lanes), flat in the last three."""
    real = np.zeros(0, array.dtype).real.dtype
    taken = array[:, lanes.channels[:, None], lanes.states(array.shape[-1])]
    parts = np.stack([taken.real, taken.imag], axis=-2) if complex_ else taken.real[..., None, :]
    return np.ascontiguousarray(parts.reshape(*parts.shape[:2], math.prod(parts.shape[2:])), dtype=real)


def from_parts(flat: Array, lanes: Lanes, d: int, k: int, complex_: bool) -> Array:
    """And back, (rows, d, k), of (rows, units of a row, numbers); those of repeats count nothing."""
    states = lanes.states(k)
    parts = flat.reshape(*flat.shape[:2], len(states), 2 if complex_ else 1, states.shape[1])
    numbers = parts[:, :, :, 0] + 1j * parts[:, :, :, 1] if complex_ else parts[:, :, :, 0]
    every = np.empty((len(flat), d, k), numbers.dtype)
    unit, lane = np.nonzero(np.arange(states.shape[1]) < lanes.valid[:, None])
    every[:, lanes.channels[unit, lane, None], states[:, lane].T] = numbers[:, unit, :, lane].swapaxes(0, 1)
    return every


def as_model(inputs: Inputs, lanes: Lanes) -> Any:
    """Tables of A, D and the bias, (units of a row, …)."""
    from statespace.cpu.selective import Model

    complex_, kind = inputs.is_complex, np.zeros(0, inputs.u.dtype).real.dtype
    a = as_parts(inputs.A[None], lanes, complex_)[0]
    moved = inputs.delta_softplus or inputs.delta_bias is not None
    bias = np.zeros((len(lanes.valid), lanes.channels.shape[1] if moved else 0), kind)
    if inputs.delta_bias is not None:
        bias[...] = inputs.delta_bias[lanes.channels]
    told = np.dtype(inputs.output_type).kind == "c"
    direct = np.zeros((len(lanes.valid), 0), kind)
    if inputs.D is not None:
        direct = as_parts(inputs.D[None, :, None], lanes, told)[0]
    return Model(a, _turns(a, lanes, complex_), direct, bias)


def _turns(a: Array, lanes: Lanes, complex_: bool) -> Array:
    """Re A·log2(e); for complex A with Im A/π beside it, as a sum of two numbers."""
    width = lanes.channels.shape[1]
    count = 2 if complex_ else 1
    n = a.shape[1] // (count * width)
    exact = a.astype(np.longdouble).reshape(len(a), n, count, width)
    decay = (exact[:, :, 0] * np.log2(np.e)).astype(a.dtype)
    if not complex_:
        return np.ascontiguousarray(decay.reshape(len(a), n * width))
    half = exact[:, :, 1] / _PI
    near = half.astype(a.dtype)
    return np.ascontiguousarray(
        np.stack([decay, near, (half - near).astype(a.dtype)], axis=2).reshape(len(a), 3 * n * width)
    )


def as_kinds(inputs: Inputs, lanes: Lanes) -> Any:
    """What the compiled scan is specialized for."""
    from statespace.cpu.selective import Kinds

    number, weight = rule_number(inputs.rule)
    parts = {False: (0,), True: (0, 0)}
    return Kinds(
        number,
        weight,
        bool(inputs.delta_softplus),
        inputs.z is not None,
        2.0 if inputs.pairs else 1.0,
        parts[inputs.is_complex],
        parts[inputs.u.dtype.kind == "c"],
        parts[np.dtype(inputs.output_type).kind == "c"],
        0 if lanes.own else None,
    )


def places_of(array: Array, batch: tuple[int, ...], lanes: Lanes) -> Array:
    """Addresses of the lanes of a signal (..., L, d), (units, lanes)."""
    rows = address(array, batch, 2)
    return (rows[:, None, None] + lanes.channels * step_of(array, -1)).reshape(-1, lanes.channels.shape[1])


def as_plan(inputs: Inputs, lanes: Lanes, y: Array) -> Any:
    """Addresses and steps of all signals; z stands for itself or is that of u, and is not read."""
    from statespace.cpu.selective import Plan

    batch = inputs.batch
    z = inputs.delta if inputs.z is None else inputs.z
    signals = (inputs.delta, inputs.u, z, y)
    places = np.stack([places_of(s, batch, lanes) for s in signals], axis=1)
    levels, strides = _levels(inputs, lanes)
    edges, edge_of = _edges(inputs)
    rows, units = len(edge_of) - 1, len(lanes.valid)
    steps = np.array([step_of(s, -2) for s in signals], np.intp)
    return Plan(
        places, steps, levels, strides,
        np.tile(np.arange(units), rows), np.repeat(np.arange(rows), units), edges, edge_of, lanes.beside,
    )  # fmt: skip


def _levels(inputs: Inputs, lanes: Lanes) -> tuple[Array, Array]:
    """Addresses of B and C for each lane, and their steps over time and from state to state."""
    found, strides = [], []
    _, d, _, g = inputs.sizes
    first = np.arange(lanes.channels.shape[1]) % lanes.beside
    for level in (inputs.B, inputs.C):
        rows = address(level, inputs.batch, 3)
        group = lanes.channels // (d // g)
        at = rows[:, None, None] + group * step_of(level, -2) + first * step_of(level, -1)
        found.append(at.reshape(-1, group.shape[1]))
        strides.append((step_of(level, -3), lanes.beside * step_of(level, -1)))
    return np.stack(found, axis=1), np.array(strides, np.intp)


def _edges(inputs: Inputs) -> tuple[Array, Array]:
    rows = int(np.prod(inputs.batch, dtype=np.int64))
    if inputs.reset is None:
        return np.zeros(0, np.intp), np.zeros(rows + 1, np.intp)
    length = inputs.reset.shape[-1]
    reset = np.broadcast_to(inputs.reset, (*inputs.batch, length)).reshape(rows, length)
    row, at = np.nonzero(reset)
    return at.astype(np.intp), np.searchsorted(row, np.arange(rows + 1)).astype(np.intp)
