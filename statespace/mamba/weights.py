"""Weights: real numbers that are checked once, and never copied where nobody can write to them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_host_signal, frozen, refuse_nonfinite, shorten


def as_real(value: Any, name: str) -> Array:
    """Float32 or float64."""
    array = as_host_signal(value, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must be real, got dtype {array.dtype}")
    return array


def as_weight(value: Any, name: str, shape: tuple[int | None, ...]) -> Array:
    """A read-only array of real, finite numbers of a shape, None standing for any size from 1 on."""
    array = as_real(value, name)
    fits = array.ndim == len(shape) and all(
        size > 0 if want is None else size == want for want, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        comma = "," if len(shape) == 1 else ""
        raise ValueError(f"{name} must have shape ({wanted}{comma}), got {name}.shape={array.shape}")
    refuse_nonfinite(array, name)
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))  # as loops, BLAS and files want it
    return plain if _is_fixed(plain) else frozen(plain)


def _is_fixed(array: Any) -> bool:
    """Whether nobody can write to an array, nor to what it is a view of."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return True  # its own memory, or a file that is mapped for reading


def as_kind(dtype: Any) -> np.dtype[Any]:
    """float32 or float64, as NumPy names them."""
    for kind in map(np.dtype, (np.float32, np.float64)):
        if dtype is kind.type or (isinstance(dtype, (str, np.dtype)) and dtype in (kind.name, kind)):
            return kind
    if dtype is float:
        return np.dtype(np.float64)
    raise ValueError(f"dtype must be float32 or float64, got {shorten(dtype)}")


def as_epsilon(value: Any) -> float:
    """What is added to a mean square."""
    if not is_number(value) or not 0 <= value < float("inf"):
        raise ValueError(f"epsilon must be a number, 0 or more, got {shorten(value)}")
    return float(value)


def is_number(value: Any) -> bool:
    """Whether a value is one real number."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def as_poles(a_log: Array) -> Array:
    """A = −e^A_log, read-only."""
    with np.errstate(over="ignore"):
        a = -np.exp(a_log)
    refuse_nonfinite(a, "A = -exp(A_log)")
    a.setflags(write=False)
    return a


class Weights(FrozenArrays):
    """A frozen dataclass of weights."""

    def keep(self, name: str, shape: tuple[int | None, ...], optional: bool = False) -> None:
        """Check a field and make it read-only."""
        value = getattr(self, name)
        if not (optional and value is None):
            object.__setattr__(self, name, as_weight(value, name, shape))

    def arrays(self) -> list[Array]:
        """The weights themselves."""
        found = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return [value for value in found if isinstance(value, np.ndarray)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which the weights work: float32, or float64 where one of them is."""
        return np.result_type(*self.arrays())

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(array.size for array in self.arrays())
