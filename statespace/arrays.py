"""Floor 0: arrays at the door.

Which library an array belongs to, what is accepted, how a complaint is worded, and
the entire functions φ1, φ2 that every discretization is made of, elementwise.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


PROMISED = 1e-10  # how well what is converted or undone comes back, of its size or peak; worse is warned of


class AccuracyWarning(UserWarning):
    """The answer was computed, but digits were lost on the way; the text says how many.

    Examples
    --------
    >>> import warnings
    >>> import statespace as ss
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ss.AccuracyWarning)  # make every loss an error
    ...     digital = ss.discretize(ss.from_zpk([], [-1.0], 1.0), 0.1, "bilinear")
    """


def warn_of_loss(message: str) -> None:
    """Warn of lost accuracy at the line of the user: the first frame outside this package."""
    package = os.path.dirname(__file__)
    level, frame = 1, sys._getframe()
    while frame is not None and os.path.dirname(frame.f_code.co_filename).startswith(package):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, AccuracyWarning, stacklevel=level)


# --------------------------------------------------------------- which library

# What to write for an array of another library; the key is the first part of its module.
_HOW_TO_CONVERT = {
    "dask": "{name}.compute()",
    "jax": "numpy.asarray({name})",
    "jaxlib": "numpy.asarray({name})",
    "torch": "{name}.detach().cpu().numpy()",
    "tensorflow": "{name}.numpy()",
    "pandas": "{name}.to_numpy()",
    "polars": "{name}.to_numpy()",
    "xarray": "{name}.to_numpy()",
    "scipy": "{name}.toarray()",
    "cupy": "cupy.asnumpy({name})",
    "control": "statespace.as_system({name})",
}


def refuse_foreign(value: Any, name: str) -> None:
    """Raise for an array of a library that is not understood, with the line to write.

    The library is recognised by the name of its module; nothing is imported to find out.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost; "
            f"write {name}.filled(numpy.nan) and see gaps= of simulate"
        )
    root = type(value).__module__.partition(".")[0]
    if root in _HOW_TO_CONVERT:
        line = _HOW_TO_CONVERT[root].format(name=name)
        if type(value).__module__.startswith("scipy.signal"):
            line = f"statespace.as_system({name})"
        raise TypeError(
            f"{name} is a {root} {type(value).__name__}, which is not understood here "
            f"(NumPy arrays and nested lists are); write {line}"
        )


def on_device(value: Any) -> bool:
    """Whether a value is an array of CuPy, which lives on a GPU. Nothing is imported to find out."""
    kind = type(value)
    return kind is not np.ndarray and kind.__name__ == "ndarray" and kind.__module__.partition(".")[0] == "cupy"


def library_of(*values: Any) -> Any:
    """The module, NumPy or CuPy, whose functions take these arrays: CuPy's where one of them lives on a GPU."""
    for value in values:
        if on_device(value):
            return sys.modules["cupy"]
    return np


def as_numbers(value: Any, name: str) -> Array:
    """Turn an array or nested list into a float or complex array; integers become float64."""
    refuse_foreign(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    except TypeError as error:
        inside = isinstance(value, (list, tuple)) and any(map(on_device, value))
        advice = f"that holds arrays of a GPU; write cupy.stack({name})" if inside else f"which is no array: {error}"
        raise TypeError(f"{name} is a {type(value).__name__} {advice}") from None
    return _in_numbers(array, name, value)


def _in_numbers(array: Array, name: str, value: Any) -> Array:
    if array.dtype.kind in "biu" or array.dtype == np.float16:
        return array.astype(np.float64)
    if array.dtype.kind not in "fc":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype} from {shorten(value)}")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def as_coefficients(value: Any, name: str) -> Array:
    """Float64 or complex128, finite: what systems are made of."""
    array = as_numbers(value, name)
    array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    refuse_nonfinite(array, name)
    return array


def as_signal(value: Any, name: str, half: bool = False) -> Array:
    """Float32, float64, complex64 or complex128, as it came, also on a GPU; anything wider becomes double.

    With ``half`` also float16, on a GPU.
    """
    if half and on_device(value) and value.dtype == np.float16:
        return value
    array = _in_numbers(value, name, value) if on_device(value) else as_numbers(value, name)
    if array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return array


def as_host_signal(value: Any, name: str) -> Array:
    """The same where the code below knows NumPy only: an array of a GPU is refused, with the line to write."""
    refuse_foreign(value, name)
    return as_signal(value, name)


def is_finite(array: Array) -> bool:
    """Whether an array holds no NaN and no infinity: its sum would be one, and needs neither memory nor much time."""
    xp = np if type(array) is np.ndarray else library_of(array)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(xp.isfinite(array.sum())) or bool(xp.isfinite(array).all())  # a sum can overflow by itself


def refuse_nonfinite(array: Array, name: str) -> None:
    """Raise when an array holds NaN or infinity, saying how many and where the first is."""
    if is_finite(array):
        return
    xp = library_of(array)
    bad = ~xp.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in xp.argwhere(bad)[0])
        raise ValueError(
            f"{name} must be finite, got {int(bad.sum())} NaN or infinite of {array.size} values, "
            f"the first is {name}[{', '.join(map(str, first))}] = {array[first]}"
        )


def shorten(value: Any, limit: int = 60) -> str:
    """Repr of a value, cut to one line."""
    if on_device(value):  # to print it would be to copy it
        return f"an array {value.shape} of {value.dtype} on a GPU"
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = f"a {type(value).__name__} nested too deeply to be shown"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def check_choice(value: Any, known: tuple[str, ...], name: str) -> None:
    """Raise unless a value is one of the words of an option."""
    if not (isinstance(value, str) and value in known):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {shorten(value)}")


def frozen(array: Array) -> Array:
    """Return a read-only copy of an array."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


class FrozenArrays:
    """Unpickling or copying a frozen dataclass leaves its arrays read-only, and it is printed as its repr."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # IPython and Hypothesis would print the fields

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, frozen(value) if isinstance(value, np.ndarray) else value)


# --------------------------------------------------------------- steps of time


def as_step(dt: Any, fs: Any = None, *, what: str) -> Array:
    """Read a step of time from exactly one of ``dt`` and ``fs``; positive and finite.

    Parameters
    ----------
    dt, fs : float or array_like or None
        The step, or the number of samples per unit of time.
    what : str
        Who asks, for the message.
    """
    if (dt is None) == (fs is None):
        got = "neither" if dt is None else f"dt={shorten(dt)} and fs={shorten(fs)}"
        raise ValueError(f"{what} needs exactly one of dt= (the step) and fs= (samples per unit of time), got {got}")
    name, value = ("dt", dt) if fs is None else ("fs", fs)
    if isinstance(value, (bool, str)):
        order = "; the step comes before the method" if isinstance(value, str) else ""
        raise TypeError(f"{name} must be a number, got {value!r}{order}")
    if isinstance(value, np.timedelta64):
        raise TypeError(f"{name} must be a number in the system's unit of time, got {value!r}; divide by that unit")
    array = as_numbers(value, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must be real, got {shorten(value)}")
    array = array.astype(np.float64)
    if not (array.size and np.all(np.isfinite(array)) and np.all(array > 0)):
        raise ValueError(f"{name} must be positive and finite, got {shorten(value)}")
    return array if fs is None else 1.0 / array


def same_step(first: Array | float, second: Array | float) -> bool:
    """Whether two steps are the same within 1e-9 relative."""
    return bool(np.all(np.abs(np.subtract(first, second)) <= 1e-9 * np.abs(second)))


# --------------------------------------------------------------- entire functions

# ∫₀¹ (1−s) e^{sz} ds = φ2 and ∫₀¹ s e^{sz} ds = φ1 − φ2, as Taylor series. Below |z| = 1.25
# the closed forms lose up to 5e-4 of φ2 to cancellation, the series 8e-16; 21 terms reach 1e-17.
_TAYLOR_RADIUS = 1.25
_TERMS = 21
_PHI2_TAYLOR = tuple(1.0 / math.factorial(k + 2) for k in range(_TERMS))
_RAMP_TAYLOR = tuple((k + 1.0) / math.factorial(k + 2) for k in range(_TERMS))


def _taylor(z: Array, coefficients: tuple[float, ...]) -> Array:
    value = np.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * z + coefficient
    return value


def phi1(z: Array) -> Array:
    """φ1(z) = (e^z − 1)/z = ∫₀¹ e^{sz} ds, elementwise; φ1(0) = 1."""
    safe = np.where(z == 0, 1.0, z)
    return np.where(z == 0, 1.0, np.expm1(safe) / safe)


def phi2(z: Array) -> Array:
    """φ2(z) = (e^z − 1 − z)/z² = ∫₀¹ (1−s) e^{sz} ds, elementwise; φ2(0) = 1/2."""
    near = np.abs(z) < _TAYLOR_RADIUS
    far = np.where(near, 1.0, z)
    return np.where(near, _taylor(np.where(near, z, 0.0), _PHI2_TAYLOR), (phi1(far) - 1.0) / far)


def phi1_minus_phi2(z: Array) -> Array:
    """(φ1 − φ2)(z) = ((z − 1) e^z + 1)/z² = ∫₀¹ s e^{sz} ds, elementwise; 1/2 at 0.

    Subtracting φ2 from φ1 would lose a factor |z| of accuracy for stiff z.
    """
    near = np.abs(z) < _TAYLOR_RADIUS
    far = np.where(near, 1.0, z)
    closed = ((far - 1.0) * np.exp(far) + 1.0) / far / far  # never far², which overflows at 1e154
    return np.where(near, _taylor(np.where(near, z, 0.0), _RAMP_TAYLOR), closed)
