"""What is given to `realize`: its samples, where they begin and end, and the options."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_numbers, check_choice, refuse_nonfinite, shorten

# Threshold on σ_k/σ_1, in units of the rounding of the kernel: 9e-13 in double precision. Drawn kernels have 4e-15
# beyond their order, those of 131,072 samples that ring to the end 7e-13, by the rounding of their own formula.
_ROUNDINGS = 4096
_ROUNDINGS_SINGLE = 4  # the sums are double: what is left is the rounding of the samples, 1e-7 of each


class Precision(NamedTuple):
    """Of the type that a kernel came in, but never finer than double."""

    rounding: float
    smallest: float

    @property
    def threshold(self) -> float:
        """Smallest σ_k/σ_1 that counts."""
        return self.rounding * (_ROUNDINGS if self.rounding <= np.finfo(float).eps else _ROUNDINGS_SINGLE)


def read_kernel(h: Any) -> tuple[Array, Precision]:
    """Samples (..., L, p, m) in double precision, and the precision they came in."""
    if hasattr(h, "system") or hasattr(h, "time_unit"):
        raise TypeError(
            f"realize takes a kernel, an array, got a {type(h).__name__}; write statespace.kernel(system, length) for "
            "a discrete system, or .y of an impulse response"
        )
    array = as_numbers(h, "h")
    given = np.asarray(h).dtype
    types = [np.finfo(t) for t in (given if given.kind in "fc" else float, float)]
    precision = Precision(max(float(t.eps) for t in types), max(float(t.tiny) for t in types))
    array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if array.ndim == 2:
        a, b = array.shape
        raise ValueError(
            f"h must have shape (L,) or (..., L, p, m), outputs by inputs, got h.shape={array.shape}; write "
            f"h[:, :, None] for {b} outputs of one input, h[:, None, :] for one output of {b} inputs, "
            f"h[:, :, None, None] for a batch of {a} kernels of one channel"
        )
    array = array[:, None, None] if array.ndim == 1 else array
    if array.ndim < 3 or array.shape[-3] < 3 or array.size == 0:
        raise ValueError(
            "h must have at least 3 samples, since h_0 is D and n poles take 2n samples after it, and at least one "
            f"channel; got h.shape={np.shape(h)}, where time is axis −3: (..., L, p, m)"
        )
    refuse_nonfinite(array, "h")
    return array, precision


def check_options(order: Any, unstable: Any, delay: Any, tol: Any) -> None:
    """The options, as far as they do not depend on h."""
    check_choice(unstable, ("raise", "keep", "stabilize"), "unstable")
    for name, value, least in (("order", order, 1), ("delay", delay, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least):
            kind = "a positive integer, or None to find it" if least else "a number of samples (0, 1, …), or None"
            raise ValueError(f"{name} must be {kind}, got {shorten(value)}")
    if tol is not None and (isinstance(tol, bool) or not isinstance(tol, (int, float, np.number)) or not 0 <= tol < 1):
        raise ValueError(
            f"tol must be a number from 0 to below 1, the smallest σ_k/σ_1 that counts, got {shorten(tol)}"
        )


def support_of(flat: Array) -> tuple[int, int]:
    """How many samples after h_0 are zero in all kernels and channels, and the index of the last that is not."""
    there = np.flatnonzero(np.abs(flat).max(axis=(0, 2, 3))[1:]) + 1
    return (int(there[0]) - 1, int(there[-1])) if there.size else (flat.shape[1] - 1, 0)


def is_finite(flat: Array, support: int, precision: Precision) -> bool:
    """Whether the kernel ends: as many zeros at its end as samples from h_1 to the last that is not zero.

    From 2n samples after h_0 the minimal system of order n is unique, and the shift over the support s is one of
    order s. A kernel that decays until it underflows does not end: what is last then is near the smallest number, and
    far below the rounding of the first.
    """
    size = np.abs(flat).max(axis=(0, 2, 3))
    ends = size[support] > min(1e6 * precision.smallest, precision.rounding**2 * size.max())
    return len(size) - 1 >= 2 * support and (support == 0 or bool(ends))


def after_delay(flat: Array, delay: int) -> Array:
    """Kernels (batch, L, p, m) with h_1 … h_delay taken as 0."""
    refuse_long_delay(flat.shape[1], delay)
    silent = np.array(flat)
    silent[:, 1 : delay + 1] = 0.0
    return silent


def refuse_long_delay(length: int, delay: int) -> None:
    """Two samples are the least that show how a kernel goes on."""
    left = length - 1 - delay
    if left < 2:
        have = "1 sample" if left == 1 else f"{max(left, 0)} samples"
        raise ValueError(
            f"h has {have} after h_0 and a delay of {delay}, at least 2 are needed to see how it goes on; "
            f"give more than {length} samples, or a shorter delay="
        )
