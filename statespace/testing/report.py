"""What a failure prints: lines that can be pasted, to have the very same case at hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from statespace.arrays import shorten
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.systems.show import constructor

_MANY = 20  # zeros at the end of an impulse
_LARGEST_SIGNAL = 1000  # numbers of a signal that are written out


def pasted(context: dict[str, Any]) -> str:
    """Lines of Python that build what a law was tried on, one for each name that has a value."""
    lines = [f"{name} = {written(value)}" for name, value in context.items() if value is not None]
    return "\n".join(["", "import numpy as np, statespace as ss", *lines])


def written(value: Any) -> str:
    """A value as Python, with the names as after ``import numpy as np, statespace as ss``."""
    if isinstance(value, (ContinuousSystem, DiscreteSystem)):
        return re.sub(r"\b([A-Z]\w+)\(", r"ss.\1(", constructor(value))
    if isinstance(value, np.ndarray):
        return _array(value)
    if callable(value):
        return f"...  # {getattr(value, '__qualname__', None) or shorten(value)}"
    return re.sub(r"\b([A-Z]\w+)\(", r"ss.\1(", repr(value))


def _array(value: np.ndarray[Any, Any]) -> str:
    if value.size > _LARGEST_SIGNAL:
        return f"...  # {value.dtype} of shape {value.shape}, too long to print"
    if value.dtype.kind == "c" and not np.isfinite(value).all():  # no literal is inf + 1j
        return f"{_array(np.stack([value.real, value.imag], -1))}.view(np.{value.dtype.name})[..., 0]"
    some = (value != 0) | np.signbit(value.real)  # a −0 is written out
    zeros = len(value) - 1 - int(np.max(np.nonzero(some), initial=-1)) if value.ndim == 1 else 0
    if zeros > _MANY and value.dtype == np.float64:
        return f"np.r_[{_array(value[:-zeros])}, np.zeros({zeros})]"
    plain = value.dtype in (np.float64, np.complex128) and value.size
    text = re.sub(r"\b(nan|inf)\b", r"np.\1", repr(value.tolist()))
    shape = "" if value.size else f".reshape({value.shape})"
    return f"np.array({text}{'' if plain else f', np.{value.dtype.name}'}){shape}"
