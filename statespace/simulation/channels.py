"""What channelwise runs share: one input, one output, one axis of time, and every other axis a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.systems import ContinuousSystem, DiscreteSystem


def check_channelwise(system: Any, name: str) -> None:
    """Raise unless a system is discrete and has one input and one output."""
    if isinstance(system, ContinuousSystem):
        raise TypeError(
            f"{name} needs a DiscreteSystem; discretize first, statespace.discretize(system, dt, 'foh'), "
            "or run it as it is with statespace.simulate(system, u, dt=dt)"
        )
    if not isinstance(system, DiscreteSystem):
        raise TypeError(f"{name} needs a DiscreteSystem first and the signal second, got {type(system).__name__}")
    if not system.n_inputs == system.n_outputs == 1:
        raise ValueError(
            f"{name} runs single-input single-output systems channel by channel, this one has {system.n_inputs} "
            f"inputs and {system.n_outputs} outputs; use statespace.simulate, or pick one, system[i, j]"
        )


def time_axis(axis: Any, signal: Array) -> int:
    """Axis of time, from 0 on; it has to be named where there is a choice."""
    if signal.ndim == 0:
        raise ValueError("x must be a signal, got a single number")
    if axis is None:
        if signal.ndim > 1:
            raise ValueError(
                f"axis is missing: x.shape={signal.shape} could be (time, channels), axis=0 as in this library, or "
                "(channels, time), axis=-1 as in scipy.signal; say which axis is time"
            )
        return 0
    if not isinstance(axis, (int, np.integer)) or not -signal.ndim <= axis < signal.ndim:
        raise ValueError(
            f"axis must be an axis of x, an integer from {-signal.ndim} to {signal.ndim - 1}, got {axis!r}"
        )
    return int(axis) % signal.ndim


def misaligned(name: str, error: ValueError, signal: Array, axis: int) -> ValueError:
    """The error of a run below, with the call it was and how x lies."""
    return ValueError(f"{name}: {error}; x has {signal.shape} with time on axis {axis}")


def time_last(signal: Array, axis: int) -> Array:
    """The same array with time on its last axis, as a view."""
    last = signal.ndim - 1
    return signal if axis == last else signal.transpose(*range(axis), *range(axis + 1, last + 1), axis)


def time_back(signal: Array, axis: int) -> Array:
    """And back to where it was."""
    last = signal.ndim - 1
    return signal if axis == last else signal.transpose(*range(axis), last, *range(axis, last))
