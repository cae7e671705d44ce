"""What pullbacks take and give: gradients of the shapes and kinds of the arrays as they were given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from statespace.arrays import Array, as_signal, library_of
from statespace.selective.ssd_arguments import as_real


def as_given(*values: Any) -> Iterator[Any]:
    """The arguments as arrays, for the shapes of their gradients."""
    return (None if value is None else as_signal(value, "an argument") for value in values)


def read_grad(value: Any, shape: tuple[int, ...], name: str) -> Array:
    """The gradient of something of a shape."""
    grad = as_real(value, name)
    if grad.shape != shape:
        raise ValueError(f"{name} must have the shape of what it is the gradient of, {shape}, got {grad.shape}")
    return grad


def summed(grad: Array | None, like: Array | None) -> Any:
    """Sum a gradient over what was broadcast, in double, and give it the shape and kind of its array.

    The gradient of a real array is real.
    """
    if grad is None or like is None:
        return None
    extra = grad.ndim - like.ndim
    axes = [i for i in range(grad.ndim) if i < extra or (like.shape[i - extra] == 1 != grad.shape[i])]
    wide = np.result_type(grad.dtype, np.float64)
    sums = (grad.sum(axis=tuple(axes), dtype=wide) if axes else grad).reshape(like.shape)
    return library_of(sums).ascontiguousarray(sums if like.dtype.kind == "c" else sums.real, dtype=like.dtype)


def of_heads(grad: Array, like: Array | None) -> Array:
    """The gradient (h, p) of a D, of one number a head where it was given so."""
    return grad if like is None or like.ndim == 2 else grad.sum(axis=-1)
