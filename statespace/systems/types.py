"""The two types: a system in continuous time and a system in discrete time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from statespace.arrays import Array, FrozenArrays, as_coefficients, as_step, frozen, shorten
from statespace.structure import Cascade, DelayLine, Dense, Diagonal, DiagonalPlusLowRank, Structure
from statespace.systems import algebra, properties, show

# What people from other libraries type on a system, and what it is called here.
_METHODS_ELSEWHERE = {
    "discretize": "statespace.discretize(system, dt, method)",
    "to_discrete": "statespace.discretize(system, dt, method)",
    "c2d": "statespace.discretize(system, dt, method)",
    "sample": "statespace.discretize(system, dt, method)",
    "simulate": "statespace.simulate(system, u, ...)",
    "lsim": "statespace.simulate(system, u, ...)",
    "output": "statespace.simulate(system, u, ...)",
    "filter": "statespace.filter(system, x, axis=...)",
    "step": "statespace.step_response(system, ...)",
    "impulse": "statespace.impulse_response(system, ...)",
    "bode": "statespace.plot.bode(system)",
    "freqresp": "statespace.frequency_response(system, omega)",
    "frequency_response": "statespace.frequency_response(system, omega)",
    "pole": "system.poles",
    "zero": "system.zeros",
    "dcgain": "system.dc_gain",
    "feedback": "statespace.feedback(system, other)",
    "nstates": "system.n_states",
    "ninputs": "system.n_inputs",
    "noutputs": "system.n_outputs",
    "eval": "system(s)",
    "horner": "system(s)",
    "to_tf": "statespace.to_tf(system)",
    "to_zpk": "statespace.to_zpk(system)",
    "to_sos": "statespace.to_sos(system)",
    "to_ba": "statespace.to_ba(system)",
    "to_c": "statespace.to_c(system, name)",
    "to_continuous": "statespace.undiscretize(system)",
    "undiscretize": "statespace.undiscretize(system)",
    "rediscretize": "statespace.rediscretize(system, dt)",
    "filtfilt": "statespace.filtfilt(system, x, axis=...)",
    "modal": "statespace.modal(system)",
    "save": "statespace.save(system, path)",
    "kernel": "statespace.kernel(system, length)",
    "lift": "statespace.lift(system, M)",
    "convolve": "statespace.convolve(u, statespace.kernel(system, length))",
    "explain": "statespace.explain(system, u)",
    "impulse_response": "statespace.impulse_response(system, ...)",
    "step_response": "statespace.step_response(system, ...)",
    "stream": "statespace.Stream(system)",
    "markov": "statespace.kernel(system, length)",
    "to_ss": "nothing: it is a state space already",
    "Ts": "system.dt",
    "shape": "(system.n_outputs, system.n_inputs), and system.batch_shape",
}


@dataclass(frozen=True, eq=False, repr=False)
class _System(FrozenArrays):
    """What the two types share; never made itself."""

    A: Any
    B: Any = None
    C: Any = None
    D: Any = None
    _: KW_ONLY
    time_unit: str = "s"

    __array_ufunc__ = None  # so that NumPy leaves `matrix * system` to us

    def _settle(self) -> None:
        """Check the four matrices once and keep read-only copies."""
        structure, (b, c, d) = _matrices(self.A, self.B, self.C, self.D)
        if not isinstance(self.time_unit, str):
            raise TypeError(f"time_unit must be a word such as 's' or 'week', got {shorten(self.time_unit)}")
        for name, value in (("A", structure), ("B", frozen(b)), ("C", frozen(c)), ("D", frozen(d))):
            object.__setattr__(self, name, value)
        try:
            _ = self.batch_shape
        except ValueError:
            step = np.shape(getattr(self, "dt", 0.0))
            shapes = f"A {structure.batch_shape}, B {b.shape[:-2]}, C {c.shape[:-2]}, D {d.shape[:-2]}, dt {step}"
            raise ValueError(f"the batch axes of the system do not broadcast, got {shapes}") from None

    _dc_point: ClassVar[float]

    # ------------------------------------------------------------ size

    @property
    def n_states(self) -> int:
        """Order of the system: the number of its poles."""
        return self.A.n_states

    @property
    def state_size(self) -> int:
        """Numbers in a state vector: n_states, or half of it where conjugate pairs are stored once."""
        return self.A.state_size

    @property
    def n_inputs(self) -> int:
        """Number of inputs m."""
        return self.B.shape[-1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs p."""
        return self.C.shape[-2]

    @cached_property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes that all matrices broadcast to."""
        step = np.shape(getattr(self, "dt", 0.0))
        matrices = (m.shape[:-2] for m in (self.B, self.C, self.D))
        return np.broadcast_shapes(self.A.batch_shape, *matrices, step)

    @property
    def is_siso(self) -> bool:
        """One input, one output, no batch."""
        return self.n_inputs == self.n_outputs == 1 and self.batch_shape == ()

    @property
    def stores_pairs(self) -> bool:
        """Whether the state holds one of each conjugate pair, so that an output is 2·Re(C x) + D u."""
        return isinstance(self.A, Diagonal) and self.A.pairs

    @cached_property
    def is_complex(self) -> bool:
        """Whether a real signal gives a complex one."""
        if self.stores_pairs:
            return False
        return self.A.is_complex or any(m.dtype.kind == "c" for m in (self.B, self.C, self.D))

    # ------------------------------------------------------------ what a system is

    @property
    def poles(self) -> Array:
        """Poles, (..., n_states), complex."""
        shape = (*self.batch_shape, self.n_states)
        return np.broadcast_to(self.A.poles, shape).astype(complex)

    @property
    def zeros(self) -> Array:
        """Finite invariant zeros, complex. A batch is filled up with inf: a zero at infinity."""
        return properties.zeros(self)

    @property
    def dc_gain(self) -> Array:
        """Transfer matrix at zero frequency, (..., p, m); inf where a channel integrates."""
        gain = properties.dc_gain(self, self._dc_point)
        return gain if self.is_complex else gain.real

    def __call__(self, s: Any) -> Array:
        """Transfer matrix C (s − A)⁻¹ B + D at complex s (or z), of shape (..., *s.shape, p, m)."""
        points = as_coefficients(s, "s").astype(complex)
        column = points.reshape(-1, *(1,) * len(self.batch_shape))
        values = np.moveaxis(properties.transfer(self, column), 0, len(self.batch_shape))
        return values.reshape(*self.batch_shape, *points.shape, self.n_outputs, self.n_inputs)

    def __iter__(self) -> Iterator[Array]:
        """Unpack as four plain arrays of the same system: ``A, B, C, D = system``."""
        return iter(properties.realization(self))

    # ------------------------------------------------------------ algebra

    def __add__(self, other: Any) -> Self:
        return algebra.parallel(self, other)

    __radd__ = __add__

    def __neg__(self) -> Self:
        return algebra.scaled(self, -1.0)

    def __sub__(self, other: Any) -> Self:
        negative = -other if hasattr(other, "time_unit") else -algebra.as_gain(other)
        return algebra.parallel(self, negative)

    def __rsub__(self, other: Any) -> Self:
        return algebra.parallel(-self, other)

    def __mul__(self, other: Any) -> Self:
        return algebra.scaled(self, other) if _is_number(other) else algebra.series(other, self)

    def __rmul__(self, other: Any) -> Self:
        return algebra.scaled(self, other) if _is_number(other) else algebra.series(self, other)

    def __truediv__(self, other: Any) -> Self:
        if not _is_number(other):
            raise TypeError(
                f"a system can be divided by a number only, got {type(other).__name__}; "
                "for a loop write statespace.feedback(system, other)"
            )
        if other == 0:
            raise ZeroDivisionError("a system cannot be divided by zero")
        return algebra.scaled(self, 1.0 / other)

    def __getitem__(self, key: Any) -> Self:
        """``system[outputs, inputs]``: the channels between them, both kept as axes."""
        return algebra.channels(self, key)

    # ------------------------------------------------------------ showing

    def __repr__(self) -> str:
        return show.text(self)

    def _repr_html_(self) -> str:
        return show.html(self)

    if not TYPE_CHECKING:  # a typo stays an error for the type checker

        def __getattr__(self, name: str) -> NoReturn:
            hint = _METHODS_ELSEWHERE.get(name)
            kind = type(self).__name__
            raise AttributeError(f"{kind} has no attribute {name!r}" + (f"; here it is {hint}" if hint else ""))


@dataclass(frozen=True, eq=False, repr=False)
class ContinuousSystem(_System):
    """A linear system in continuous time: x' = A x + B u, y = C x + D u.

    Parameters
    ----------
    A : array_like (..., n, n), or Dense, Diagonal, DiagonalPlusLowRank, Cascade
        State matrix. Batch axes lead, and broadcast between the four matrices.
    B : array_like, (..., n, m)
        Input matrix; not given with a Cascade, which implies B, C and D.
    C : array_like, (..., p, n)
        Output matrix.
    D : array_like, (..., p, m), optional
        Feedthrough; zero when omitted.
    time_unit : str
        Name of the user's unit of time: poles and ω are per this unit. A label for plots, and what
        datetime64 stamps are converted to.

    Raises
    ------
    ValueError
        A shape does not fit the others, or an entry is not finite.
    TypeError
        An array belongs to a library that is not understood.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    A mass of 1 kg on a spring of 4 N/m with a little friction, pushed by a force:

    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> spring.poles.round(3)
    array([-0.2+1.99j, -0.2-1.99j])
    >>> float(spring.dc_gain[0, 0])
    0.25
    """

    _dc_point: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        self._settle()
        if isinstance(self.A, DelayLine):
            raise TypeError("a DelayLine is a discrete structure; build a DiscreteSystem with it")

    @property
    def is_stable(self) -> Any:
        """Whether every pole has a negative real part; a bool, or one for each system of a batch."""
        stable = np.all(self.poles.real < 0, axis=-1)
        return stable if self.batch_shape else bool(stable)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class DiscreteSystem(_System):
    """A linear system in discrete time: x[k+1] = A x[k] + B u[k], y[k] = C x[k] + D u[k].

    Parameters
    ----------
    A : array_like (..., n, n), or Dense, Diagonal, DiagonalPlusLowRank, Cascade, DelayLine
        State matrix. Batch axes lead, and broadcast between the four matrices and dt.
    B, C, D : array_like
        Input (..., n, m), output (..., p, n) and feedthrough (..., p, m) matrices, as in ContinuousSystem.
    dt : float or array_like, (...)
        Step of time, in the user's unit; one for each system where it has batch axes.
    fs : float or array_like, (...)
        Samples per unit of time, instead of dt.
    method : discretization method, optional
        The method object that made this system; None when unknown.
    time_unit : str
        Name of the user's unit of time.

    Raises
    ------
    ValueError
        A shape does not fit the others, an entry is not finite, the step is not positive, or dt and fs
        are given together or neither.
    TypeError
        An array belongs to a library that is not understood.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> mean = ss.DiscreteSystem([[0.9]], [[0.1]], [[1.0]], dt=0.5)
    >>> mean
    DiscreteSystem([[0.9]], [[0.1]], [[1.0]], [[0.0]], dt=0.5)
    >>> mean.is_stable
    True
    """

    dt: Any = None
    method: Any = None

    _dc_point: ClassVar[float] = 1.0

    def __init__(
        self,
        A: Any,
        B: Any = None,
        C: Any = None,
        D: Any = None,
        *,
        dt: Any = None,
        fs: Any = None,
        method: Any = None,
        time_unit: str = "s",
    ) -> None:
        step = as_step(dt, fs, what="DiscreteSystem")
        if not (method is None or is_dataclass(method)) or isinstance(method, type):
            raise TypeError(f"method must be a method object such as Bilinear(), or None, got {shorten(method)}")
        given = {"A": A, "B": B, "C": C, "D": D, "method": method, "time_unit": time_unit}
        given["dt"] = frozen(step) if step.ndim else float(step)
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self._settle()

    @property
    def fs(self) -> Any:
        """Samples per unit of time, 1/dt."""
        return 1.0 / self.dt

    @property
    def is_stable(self) -> Any:
        """Whether every pole lies inside the unit circle; a bool, or one for each system of a batch.

        A pole within four roundings of the circle counts as on it: that of a discretized integrator or
        oscillator falls on either side.
        """
        stable = np.all(np.abs(self.poles) < 1 - 4 * np.finfo(float).eps, axis=-1)
        return stable if self.batch_shape else bool(stable)


# --------------------------------------------------------------- checks


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number))


def _matrices(a: Any, b: Any, c: Any, d: Any) -> tuple[Structure, tuple[Array, Array, Array]]:
    """The structure of A, and B, C, D with shapes that fit it."""
    if isinstance(a, Cascade):
        if not (b is None and c is None and d is None):
            raise ValueError("a Cascade implies B, C and D; give the Cascade alone")
        return a, a.realization()[1:]
    if b is None or c is None:
        raise ValueError(f"{'B' if b is None else 'C'} is missing; a system needs A (n, n), B (n, m) and C (p, n)")
    if not isinstance(a, (Dense, Diagonal, DelayLine, DiagonalPlusLowRank)):
        a = Dense(_square(a))
    n = a.state_size
    d_given = None if d is None else as_coefficients(d, "D")
    if n == 0 and d_given is not None and np.size(b) == np.size(c) == 0:  # [] stands for no states
        b, c = np.zeros((0, d_given.shape[-1])), np.zeros((d_given.shape[-2], 0))
    b, c = _shaped(b, "B", n), _shaped(c, "C", n)
    if d_given is None:
        d_given = np.zeros((c.shape[-2], b.shape[-1]))
    if d_given.ndim < 2 or d_given.shape[-2:] != (c.shape[-2], b.shape[-1]):
        p, m = c.shape[-2], b.shape[-1]
        hint = f"; write [[{d_given.item()}]]" if d_given.ndim == 0 and p == m == 1 else "; leave it out for zero"
        raise ValueError(
            f"D must have shape (..., p={p}, m={m}), the rows of C and the columns of B, "
            f"got D.shape={d_given.shape}{hint}"
        )
    if isinstance(a, Diagonal) and a.pairs and d_given.dtype.kind == "c":
        raise ValueError("D must be real where conjugate pairs are stored once, since the output is 2·Re(C x) + D u")
    return a, (b, c, d_given)


def _square(a: Any) -> Array:
    """A as an array; nothing at all is a system without states."""
    array = as_coefficients(a, "A")
    return np.zeros((0, 0)) if array.size == 0 and array.ndim <= 2 else array


def _shaped(value: Any, name: str, n: int) -> Array:
    """B (..., n, m) or C (..., p, n), with the line to write for a vector."""
    array = as_coefficients(value, name)
    axis, wanted = (-2, f"(..., n={n}, m)") if name == "B" else (-1, f"(..., p, n={n})")
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape {wanted}, got {name}.shape=(); write [[{array.item()}]]")
    if array.ndim < 2:
        vector = "[:, None]" if name == "B" else "[None, :]"
        raise ValueError(f"{name} must have shape {wanted}, got {name}.shape={array.shape}; write {name}{vector}")
    if array.shape[axis] != n:
        raise ValueError(f"{name} must have shape {wanted} to fit A with n={n}, got {name}.shape={array.shape}")
    return array
