"""How the loops are compiled: nogil, no reassociation, cached on disk where a folder is writable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

# 'reassoc' would break compensated sums and bit-equality of splits, 'nnan' the passage of NaN.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "arcp", "nsz"}}


def compiled(function: F) -> F:
    """Compile on first use; nothing is compiled at import."""
    try:
        result: F = njit(**_OPTIONS, cache=True)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        result = njit(**_OPTIONS)(function)
    return result
