"""A module that stands for CuPy where there is no GPU: its arrays hold those of NumPy, and are as strict as CuPy's.

Nothing of NumPy mixes with them: operators and functions refuse NumPy arrays, and NumPy does not convert them. Results
are arrays, those without an axis too. Names that CuPy does not have are not here. Every way to the host and back is
counted in `machine`. Kernels run on fibres (card.py).
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

import card
import host_build
import numpy as np
from card import launch_mode, machine, no_copies, recorded

# --------------------------------------------------------------------------- what CuPy has

__all__ = ["cupy", "install", "launch_mode", "machine", "modules", "ndarray", "no_copies", "recorded"]

# Names of each kind, of those that CuPy has; a test holds them against the real one where that is installed.
NAMES = {
    "ufuncs": """
        abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2
        atanh bitwise_and bitwise_or bitwise_xor cbrt ceil conj conjugate copysign cos cosh deg2rad degrees
        divide divmod equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod greater
        greater_equal hypot invert isfinite isinf isnan ldexp left_shift less less_equal log log10 log1p log2
        logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul maximum minimum mod multiply
        negative nextafter not_equal positive pow power rad2deg radians reciprocal remainder right_shift rint
        sign signbit sin sinh sqrt square subtract tan tanh true_divide trunc
    """,
    "functions": """
        all allclose amax amin angle any argmax argmin argsort argwhere around array_equal array_split
        atleast_1d atleast_2d atleast_3d average broadcast_arrays broadcast_to clip column_stack concat
        concatenate convolve copy copyto correlate count_nonzero cross cumprod cumsum diag diagonal diff dot
        dstack einsum empty_like expand_dims flatnonzero flip fliplr flipud full_like hstack imag inner interp
        isclose iscomplex isin isreal kron matrix_transpose max may_share_memory mean median meshgrid min
        moveaxis nan_to_num nanmax nanmean nanmin nansum ndim nonzero ones_like outer pad percentile
        permute_dims prod ptp quantile ravel real repeat reshape roll rollaxis round searchsorted select shape
        shares_memory size sort split squeeze stack std sum swapaxes take take_along_axis tensordot tile trace
        transpose tril triu unique vander var vdot vsplit vstack where zeros_like
    """,
    "creation": """
        arange diag_indices eye full identity indices linspace logspace ones tri zeros
    """,
    "plain": """
        bool bool_ broadcast_shapes can_cast complex128 complex64 complexfloating dtype e finfo float16 float32
        float64 floating generic iinfo inexact inf int16 int32 int64 int8 integer intp iscomplexobj isrealobj
        isscalar issubdtype nan newaxis number pi promote_types result_type signedinteger uint16 uint32 uint64
        uint8 uintp unsignedinteger
    """,
    "linalg": """
        cholesky cond det eigh eigvalsh inv lstsq matrix_power matrix_rank norm pinv qr slogdet solve svd
        tensorsolve
    """,
    "fft": """
        fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2
        rfftfreq rfftn
    """,
    "methods": """
        all any argmax argmin argsort clip conj conjugate cumprod cumsum diagonal dot flatten max mean min
        nonzero prod ravel repeat reshape round searchsorted squeeze std sum swapaxes take trace transpose var
        view
    """,
}
# Arguments that functions of NumPy have and those of CuPy have not.
KEYWORDS_OF_NUMPY = {
    "initial",
    "where",
    "device",
    "like",
    "hermitian",
    "rtol",
    "stable",
    "weights",
    "correction",
    "upper",
}
TYPES = "?bhilqBHILQefdFD"


@functools.cache
def _names(kind: str) -> tuple[str, ...]:
    return tuple(NAMES[kind].split())


# --------------------------------------------------------------------------- arrays


def _method(name: str) -> Any:
    """A method of arrays that NumPy's have too."""

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        _refuse_keywords(name, kwargs, KEYWORDS_OF_NUMPY)
        return _call(getattr(np.ndarray, name), self, *args, **kwargs)

    method.__name__ = name
    return method


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of NumPy that only the functions of this module see."""

    __module__ = "cupy"
    __slots__ = ("_held",)
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("an array at a place in memory")
        self._held = poisoned(shape, dtype, order)

    shape = property(lambda self: self._held.shape)
    strides = property(lambda self: self._held.strides)
    dtype = property(lambda self: self._held.dtype)
    ndim = property(lambda self: self._held.ndim)
    size = property(lambda self: self._held.size)
    itemsize = property(lambda self: self._held.itemsize)
    nbytes = property(lambda self: self._held.nbytes)
    T = property(lambda self: self if self.ndim < 2 else held_by(self._held.T))
    mT = property(lambda self: held_by(self._held.mT))
    device = property(lambda self: card.Device(0))
    data = property(lambda self: card.Pointer(self._held.ctypes.data if self.size else 0))

    @property
    def base(self) -> ndarray | None:
        root = card.root_of(self._held)
        return None if root is self._held else held_by(root)

    @property
    def flags(self) -> card.Flags:
        flags = self._held.flags
        return card.Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def real(self) -> ndarray:
        return held_by(self._held.real) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> ndarray:
        return held_by(self._held.imag if self.dtype.kind == "c" else np.zeros_like(self._held))

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value

    # ---- what is not allowed

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        given = (*inputs, *kwargs.get("out", ()))
        if ufunc.__name__ not in _names("ufuncs") or method != "__call__":
            return NotImplemented
        if not all(isinstance(value, (ndarray, np.ndarray)) or is_scalar(value) for value in given):
            return NotImplemented
        return getattr(cupy, ufunc.__name__)(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        try:
            module = functools.reduce(getattr, func.__module__.split(".")[1:], cupy)
            own = getattr(module, func.__name__)
        except AttributeError:
            return NotImplemented
        return own(*args, **kwargs)

    # ---- parts

    def __getitem__(self, index: Any) -> ndarray:
        parts = _index(index)
        basic = all(part is None or isinstance(part, (int, np.integer, slice)) for part in parts)
        return held_by(self._held[(*parts, ...) if basic else parts])  # with ..., a number is a view too

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.shape:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if not isinstance(value, (ndarray, np.ndarray)) and not is_scalar(value):
            raise TypeError(f"Unsupported type {type(value)}")
        self._held[_index(index)] = _bare(value)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    # ---- to the host

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        machine.downloads += 1
        if out is None:
            return np.array(self._held, order=order)  # type: ignore[call-overload]
        if out.dtype != self.dtype or out.shape != self.shape:
            raise TypeError(f"{out.dtype} array of {out.shape} cannot be obtained from {self.dtype} of {self.shape}")
        out[...] = self._held
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if type(arr) is not np.ndarray or arr.dtype != self.dtype:
            raise TypeError(f"{type(arr)} cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        machine.uploads += 1
        self._held[...] = arr

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self._held)

    __str__ = __repr__

    # ---- methods

    def astype(self, dtype: Any, order: Any = "K", casting: Any = None, subok: Any = None, copy: Any = True) -> ndarray:
        return _call(np.ndarray.astype, self, checked_type(dtype), order=order, copy=copy)

    def copy(self, order: str = "C") -> ndarray:
        return held_by(self._held.copy(order=order))  # type: ignore[arg-type]

    def fill(self, value: Any) -> None:
        self[...] = value

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memory: Any) -> ndarray:
        return self.copy()


for _name in _names("methods"):
    setattr(ndarray, _name, _method(_name))


def held_by(array: Any) -> ndarray:
    """Return an array of this module around one of NumPy, or around a number."""
    new = ndarray.__new__(ndarray)
    new._held = np.asarray(array)
    checked_type(new._held.dtype)
    return new


def is_scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, np.number, np.bool_))


def checked_type(dtype: Any) -> Any:
    kind = np.dtype(dtype)
    if kind.char not in TYPES:
        raise ValueError(f"Unsupported dtype {kind}")
    return kind


def poisoned(shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """An array of NaN, −1 or True: nobody may count on what is in new memory."""
    array = np.empty(shape, checked_type(dtype), order)  # type: ignore[call-overload]
    array.ravel("K").view(np.uint8)[:] = 1 if array.dtype == bool else 0xFF
    return array


def _bare(value: Any) -> Any:
    """What arrays of this module hold, also in sequences; arrays of NumPy are refused."""
    if isinstance(value, ndarray):
        return value._held
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if type(value) in (list, tuple):
        return type(value)(_bare(part) for part in value)
    return value


def _arrays_in(value: Any) -> Iterator[ndarray]:
    if isinstance(value, ndarray):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _arrays_in(part)


def _held(result: Any, given: list[ndarray]) -> Any:
    """A result in arrays of this module; what was given, where it is that."""
    if isinstance(result, np.ndarray):
        return next((array for array in given if array._held is result), held_by(result))
    if isinstance(result, np.generic):
        return held_by(result)
    if isinstance(result, (list, tuple)):
        return (
            [_held(part, given) for part in result] if type(result) is list else tuple(_held(p, given) for p in result)
        )
    return result


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    given = list(_arrays_in((*args, *kwargs.values())))
    with np.errstate(all="ignore"):  # CuPy divides by zero without a word
        return _held(function(*map(_bare, args), **{key: _bare(value) for key, value in kwargs.items()}), given)


def _index(index: Any) -> tuple[Any, ...]:
    """The parts of an index; lists and arrays of NumPy go to the device for it, as in CuPy."""
    parts = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, (list, np.ndarray)):
            machine.uploads += 1
        parts.append(part._held if isinstance(part, ndarray) else part)
    return tuple(parts)


# --------------------------------------------------------------------------- functions


def array(obj: Any, dtype: Any = None, copy: bool = True, order: Any = "K", subok: bool = False, ndmin: int = 0) -> Any:
    given = list(_arrays_in(obj))
    machine.uploads += not given
    bare = _bare(obj) if given else obj
    checked_type(dtype or np.asarray(bare).dtype)
    copy = True if copy or not given else None  # type: ignore[assignment]
    made = np.array(bare, dtype, copy=copy, order=order or "K", ndmin=ndmin)
    return _held(made, given)


def asarray(a: Any, dtype: Any = None, order: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, False, order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return asarray(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a, dtype, "C")


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    return asarray(a, dtype, "F")


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return held_by(poisoned(shape, dtype, order))


def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    made = _call(np.empty_like, prototype, dtype, order, True, shape)
    made._held[...] = poisoned(made.shape, made.dtype)
    return made


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)  # type: ignore[call-overload]


def _refuse_keywords(name: str, kwargs: dict[str, Any], refused: set[str]) -> None:
    for keyword in kwargs.keys() & refused:
        raise TypeError(f"{name}() of CuPy got an unexpected keyword argument '{keyword}'")


def _ufunc(name: str) -> Any:
    function = getattr(np, name)

    def ufunc(*args: Any, **kwargs: Any) -> Any:
        _refuse_keywords(name, kwargs, kwargs.keys() - {"out", "dtype", "casting"})
        for value in args:
            if not isinstance(value, ndarray) and not is_scalar(value):
                raise TypeError(f"Unsupported type {type(value)}")
        return _call(function, *args, **kwargs)

    ufunc.__name__ = name
    return ufunc


def _function(module: Any, name: str, needs_array: bool = True) -> Any:
    original = getattr(module, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        _refuse_keywords(name, kwargs, KEYWORDS_OF_NUMPY | ({"out"} if module is np.fft else set()))
        if needs_array and next(_arrays_in((*args, *kwargs.values())), None) is None:
            raise TypeError(f"{name} of CuPy takes its own arrays, got {[type(value).__name__ for value in args]}")
        result = _call(original, *args, **kwargs)
        return held_by(result) if isinstance(result, bool) and name in ("allclose", "array_equal") else result

    function.__name__ = name
    return function


# --------------------------------------------------------------------------- kernels


class RawKernel:
    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.name, self._code, self._options = name, code, tuple(options)
        self._library = host_build.compile_host(code, tuple(options))

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
        x, y, z, threads = card.check_sizes(tuple(grid), tuple(block))
        bare = [self._argument(i, value) for i, value in enumerate(args)]
        kept = card.copies(bare) if machine.keeps_arguments else ()
        card.launch(self._library, self.name, (x, y, z, threads, int(shared_mem)), bare, machine.modes)
        place = (self.name, (x, y, z), threads, int(shared_mem), stream or machine.streams[-1])
        machine.launches.append(card.Launch(*place, self._code, self._options, kept))

    def _argument(self, i: int, value: Any) -> Any:
        if isinstance(value, ndarray):
            return value._held
        if isinstance(value, np.uintp) and value == 0:
            return None  # a null pointer
        if isinstance(value, np.generic):
            return value
        raise TypeError(
            f"argument {i} of {self.name} is {value!r}, of {type(value)}; CuPy would choose a type for it: "
            f"give an array of CuPy, or a NumPy scalar of the type in the kernel (numpy.uintp(0) for no array)"
        )


class RawModule:
    def __init__(
        self,
        code: str | None = None,
        *,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        name_expressions: Any = None,
    ) -> None:
        if code is None or path or name_expressions or not isinstance(options, tuple):
            raise TypeError("RawModule here takes code=, and options= that are a tuple")
        self.code, self.options = code, options

    def get_function(self, name: str) -> RawKernel:
        if name not in host_build.entries(self.code):
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found ({name})")
        return RawKernel(self.code, name, self.options)


# --------------------------------------------------------------------------- the module


def _cupy() -> types.ModuleType:
    own = (ndarray, array, asarray, ascontiguousarray, asfortranarray, empty, asnumpy, RawModule, RawKernel)
    names = {name: _ufunc(name) for name in _names("ufuncs")}
    names |= {name: _function(np, name) for name in _names("functions")}
    names |= {name: _function(np, name, False) for name in _names("creation")}
    names |= {name: getattr(np, name) for name in _names("plain")}
    names |= {
        name: _function(np, name, False) for name in ("iscomplexobj", "isrealobj", "result_type", "ndim", "shape")
    }
    names |= {value.__name__: value for value in own} | {"asanyarray": asarray, "empty_like": empty_like}
    return card.module_of(
        "cupy",
        **names,
        __version__="14.2.0",
        cuda=card.cuda(),
        linalg=card.module_of(
            "cupy.linalg", LinAlgError=np.linalg.LinAlgError, **{n: _function(np.linalg, n) for n in _names("linalg")}
        ),
        fft=card.module_of("cupy.fft", **{n: _function(np.fft, n, not n.endswith("freq")) for n in _names("fft")}),
    )


cupy = _cupy()


def modules() -> dict[str, types.ModuleType]:
    """What `import` has to find."""
    return {"cupy": cupy} | {f"cupy.{name}": getattr(cupy, name) for name in ("cuda", "fft", "linalg")}


def install(monkeypatch: Any) -> types.ModuleType:
    """Let `import cupy` find this module, until the patch is undone."""
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return cupy
