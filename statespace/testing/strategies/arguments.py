"""What a strategy may be asked for: checked when it is made, not when it draws."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from statespace.arrays import shorten

DType: TypeAlias = np.dtype[Any]

_DTYPES = ("float32", "float64", "complex64", "complex128")


def check_count(value: Any, name: str, least: int = 0, *, drawn: bool = False) -> None:
    """Raise unless a size is an integer from ``least`` on; with ``drawn`` None stands for any."""
    if value is None and drawn:
        return
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer{', or None to draw it' * drawn}, got {shorten(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_flag(value: Any, name: str) -> None:
    """Raise unless a switch is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shorten(value)}")


def as_batch(value: Any) -> tuple[int, ...]:
    """Read leading axes: a tuple of sizes."""
    sizes = value if isinstance(value, (tuple, list)) else (None,)
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in sizes):
        raise TypeError(f"batch must be a tuple of sizes, 0 or more each, such as () or (2,), got {shorten(value)}")
    return tuple(int(n) for n in sizes)


def as_dtype(value: Any) -> DType:
    """Read one of the four types that signals have; Python's float and complex are double."""
    try:
        dtype = np.dtype(value if isinstance(value, (str, type, np.dtype)) else object)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses words
        dtype = np.dtype(object)
    if dtype not in _DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(_DTYPES)}, got {shorten(value)}")
    return dtype
