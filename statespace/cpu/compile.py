"""How the loops are compiled: nogil, no reassociation, cached on disk where a folder is writable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# 'reassoc' would break compensated sums and bit-equality of splits, 'nnan' the passage of NaN.
FAST = {"contract", "arcp", "nsz"}


def compiled(function: F) -> F:
    """Compile on first use; nothing is compiled at import."""
    return _compiled(function, fastmath=FAST)


def compiled_exactly(function: F) -> F:
    """Compile with every operation rounded as it is written, for sums and products in two doubles."""
    return _compiled(function, fastmath=False)


def _compiled(function: F, **flags: Any) -> F:
    try:
        result: F = njit(**_OPTIONS, **flags, cache=True)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        result = njit(**_OPTIONS, **flags)(function)
    return result


def inlined(function: F) -> F:
    """Compile into every caller: functions of vectors, in loops where a call would take as long as they do."""
    result: F = njit(**_OPTIONS, fastmath=FAST, forceinline=True)(function)
    return result
