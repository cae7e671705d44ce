"""Where signals lie on the device: rows (..., L, channels) of any order and strides, as two axes of rows at most."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import library_of


class Placed(NamedTuple):
    """Signals of one batch, and what a kernel needs to find row r of each: (r / inner, r % inner)."""

    inner: int  # rows on the inner of two axes
    signals: tuple[Any, ...]
    steps: tuple[tuple[int, int, int, int], ...]  # of each: outer, inner, time and channel, in numbers of its type


def placed(*signals: Any) -> Placed:
    """Find signals of one batch, of which the last is written to.

    Where the axes of rows of the others do not come down to two they are copied, the last has to.
    """
    axes = _merged(signals)
    if len(axes) > 2 or any(step % signal.itemsize for signal in signals for step in signal.strides):
        ready = [library_of(signal).ascontiguousarray(signal) for signal in signals[:-1]]
        signals, axes = (*ready, signals[-1]), _merged((*ready, signals[-1]))
    assert len(axes) <= 2
    none: tuple[int, tuple[int, ...]] = (1, (0,) * len(signals))
    (_, outer), (inner, within) = [none, none, *axes][-2:]
    steps = [
        tuple(step // s.itemsize for step in (o, i, s.strides[-2], s.strides[-1]))
        for s, o, i in zip(signals, outer, within, strict=True)
    ]
    return Placed(inner, tuple(signals), tuple(steps))


def _merged(signals: tuple[Any, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """Axes of rows, (how many, bytes from one to the next in each signal), joined where they run on in all."""
    axes: list[tuple[int, tuple[int, ...]]] = []
    for axis in range(signals[0].ndim - 2):
        count = int(signals[0].shape[axis])
        own = tuple(int(signal.strides[axis]) for signal in signals)
        if count == 1:
            continue
        if axes and all(before == count * step for before, step in zip(axes[-1][1], own, strict=True)):
            axes[-1] = (axes[-1][0] * count, own)
        else:
            axes.append((count, own))
    return axes


def numbers(signal: Any) -> Any:
    """A signal as its real numbers, from the first one on: what a kernel that takes complex ones reads in pairs."""
    return signal.real


def rows_in(signal: Any) -> int:
    """Rows of a signal (..., L, channels)."""
    return math.prod(signal.shape[:-2])


def as_places(place: Placed) -> tuple[Any, ...]:
    """What a kernel takes: rows on the inner axis, and the steps of each signal."""
    return tuple(np.int64(number) for number in (place.inner, *(step for steps in place.steps for step in steps)))


def empty_in_order_of(u: Any, shape: tuple[int, ...], kind: Any) -> Any:
    """An empty array whose axes lie in memory in the order of those of u, where both have as many, and at most four."""
    xp = library_of(u)
    if len(shape) != u.ndim or u.ndim > 4:
        return xp.empty(shape, kind)
    order = sorted(range(u.ndim), key=lambda axis: -abs(u.strides[axis]))
    back = sorted(range(u.ndim), key=order.__getitem__)
    return xp.empty(tuple(shape[axis] for axis in order), kind).transpose(back)
