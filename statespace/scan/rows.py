"""What runs have in common: their answer, their batch, their types, and the states they take."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_coefficients, on_device, shorten
from statespace.scan.places import require_one_place


class Run(NamedTuple):
    """Output (..., L, p), next state (..., state_size), and the states before the last samples (..., S, state_size)."""

    y: Array
    final: Array
    states: Array


def state_and_output_types(system: Any, u: Array, x0: Array) -> tuple[Any, Any]:
    """The state is double; the output as precise as u, and complex where the system, u or x0 is."""
    is_complex = system.is_complex or "c" in (u.dtype.kind, x0.dtype.kind)
    state = np.complex128 if is_complex or system.stores_pairs else np.float64
    return state, np.result_type(u.dtype, np.complex64 if is_complex and not system.stores_pairs else np.float32)


def broadcast_batch(system: Any, u: Array, x0: Array) -> tuple[int, ...]:
    """Batch axes of a run, or an error that shows all three."""
    if not system.batch_shape and x0.ndim == 1:  # the common case: a block of 64 samples takes 20 µs in all
        return u.shape[:-2]
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
    count = math.prod(own)
    if count == 1:
        return np.zeros(math.prod(batch), np.int64)
    return np.ascontiguousarray(np.broadcast_to(np.arange(count).reshape(own), batch).reshape(-1))


def flat(matrix: Array, system: Any, dtype: Any, core: int = 2) -> Array:
    """(..., r, c) as (systems, c, r): one matrix for each system, transposed for the loops."""
    batch, last = system.batch_shape, matrix.shape[matrix.ndim - core :]
    one = np.broadcast_to(matrix, (*batch, *last)).reshape(int(np.prod(batch)), *last)
    one = one.swapaxes(-1, -2) if core == 2 else one
    return np.ascontiguousarray(one, dtype=dtype)


def refuse_complex_on_pairs(system: Any, u: Array) -> None:
    """Raise for a complex signal where the state holds one member of each conjugate pair only."""
    if system.stores_pairs and u.dtype.kind == "c":
        raise ValueError(
            "a system stored as conjugate pairs runs on real signals (its state holds one of each pair), "
            f"got u of dtype {u.dtype}; run u.real and u.imag"
        )


def as_state(value: Any, system: Any, name: str = "x0", *, like: Any = None) -> Array | None:
    """A state vector (..., state_size) in double precision, or None; where the signal ``like`` lives, if it is given.

    On a device its numbers are not looked at: that would wait for them.
    """
    if value is None:
        return None
    if like is not None and not (type(value) is type(like) is np.ndarray):
        require_one_place(like, "u", {name: value})
    if type(value) is not np.ndarray and on_device(value):
        state = value.astype(np.complex128 if value.dtype.kind == "c" else np.float64).reshape(value.shape or (1,))
    else:
        state = np.atleast_1d(as_coefficients(value, name))
    if state.shape[-1] != system.state_size:
        raise ValueError(
            f"{name} must have shape (..., {system.state_size}), one number for each state, "
            f"got {name}.shape={state.shape} from {shorten(value)}"
        )
    return state
