"""Affine steps x_k = a_k x_{k−1} + b_k on the device; see affine.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import library_of
from statespace.gpu.loader import kernel, launch

_THREADS = 128


def affine_steps(a: Any, b: Any, which: Any, x: Any, states: Any) -> None:
    """Run x_k = a_k x_{k−1} + b_k elementwise; a (systems, L, n), b and states (rows, L, n), x (rows, n) updated.

    All of one type, real or complex, single or double, and C-contiguous on the device; which (rows,) is of the host.
    """
    rows, length, n = b.shape
    run = kernel("affine.cu", "affine_steps", (("REAL", real_name(b.dtype)), ("PARTS", parts_of(b.dtype))))
    sizes = (np.int64(rows), np.int64(length), np.int64(n))
    blocks = -(-rows * n // _THREADS)
    launch(run, (blocks, 1, 1), _THREADS, (a, b, systems_on_device(which, a, b), x, states, *sizes))


def real_name(kind: Any) -> str:
    """What C++ calls the real numbers of a type."""
    return "float" if np.dtype(kind) in (np.float32, np.complex64) else "double"


def parts_of(kind: Any) -> int:
    """Real numbers in a number of a type."""
    return 2 if np.dtype(kind).kind == "c" else 1


def systems_on_device(which: Any, coefficients: Any, like: Any) -> Any:
    """Upload the system of each row, or None where there is only one."""
    return None if len(coefficients) == 1 else library_of(like).asarray(which, dtype=np.int64)
