"""What scipy.signal takes for a system, a time grid, an input and a state, read into what this library takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array, as_coefficients, as_step, shorten
from statespace.conversion import as_system
from statespace.systems import ContinuousSystem, DiscreteSystem

# In this order: a StateSpace has zeros, too, and computes them when it is asked for them.
_FORMS = (("A", "B", "C", "D"), ("num", "den"), ("zeros", "poles", "gain"))


@dataclass(frozen=True, eq=False)
class Model:
    """A system in its own numbers, and as a system of this library, with what poles it knows."""

    parts: tuple[Any, ...]  # (num (p, k), den), (z, p, k) or (A, B, C, D)
    own: Any

    @property
    def is_matrices(self) -> bool:
        """Whether it was given as a state space, whose states are those of the answer."""
        return len(self.parts) == 4

    @property
    def states(self) -> ContinuousSystem | DiscreteSystem:
        """The same system in the coordinates that SciPy's states have: the controllable companion form."""
        if self.is_matrices:
            return self.own
        if len(self.parts) == 2:
            num, den = self.parts
        else:
            z, p, k = self.parts
            num, den = np.atleast_2d(k * np.poly(z)), np.poly(p)
        matrices = _companion(num / den[0], den / den[0])
        if isinstance(self.own, DiscreteSystem):
            return DiscreteSystem(*matrices, dt=self.own.dt)
        return ContinuousSystem(*matrices)


def read_model(system: Any, name: str, *, discrete: bool = False) -> Model:
    """Read a tuple, or an lti or dlti of scipy.signal; in a tuple of a discrete system the step comes last."""
    parts, dt = _parts(system, name, discrete)
    read = (read_fraction, _zpk, _state_space)[len(parts) - 2](*parts)
    single = (read[0][0], read[1]) if len(read) == 2 and len(read[0]) == 1 else read
    return Model(read, as_system(single, dt=dt))


def _parts(system: Any, name: str, discrete: bool) -> tuple[tuple[Any, ...], Any]:
    if isinstance(system, (ContinuousSystem, DiscreteSystem)):
        parts, dt = tuple(system), getattr(system, "dt", None)
    elif isinstance(system, (tuple, list)):
        parts, dt = (tuple(system[:-1]), system[-1]) if discrete and system else (tuple(system), None)
    else:
        form = next((f for f in _FORMS if all(hasattr(system, key) for key in f)), None)
        if form is None:
            raise TypeError(f"{name} takes tuples and systems of scipy.signal, got {type(system).__name__}")
        parts, dt = tuple(getattr(system, key) for key in form), getattr(system, "dt", None)
    if len(parts) not in (2, 3, 4):
        step = ", each with dt at the end" if discrete else ""
        raise ValueError(f"{name} takes (num, den), (z, p, k) or (A, B, C, D){step}; got {len(parts)} parts")
    if (dt is None) == discrete:  # the type of error is SciPy's
        other = "lsim runs it" if discrete else f"it has dt={shorten(dt)}, dlsim runs it"
        if dt == 0:  # python-control's word for continuous time
            other = "dt=0 is how python-control says so: statespace.as_system takes its systems"
        raise AttributeError(f"{name} needs a {'discrete' if discrete else 'continuous'} system; {other}")
    return parts, None if dt is None else 1.0 if dt is True else as_step(dt, what=name)


def read_fraction(num: Any, den: Any) -> tuple[Array, Array]:
    """Coefficients without leading zeros, a row of the numerator for each output."""
    rows, below = np.atleast_2d(as_coefficients(num, "num")), np.atleast_1d(as_coefficients(den, "den"))
    if rows.ndim != 2 or below.ndim != 1 or 0 in rows.shape or not below.any():
        raise ValueError(
            f"num must be one row of coefficients for each output and den one row, not all zero, got shapes "
            f"{np.shape(num)} and {np.shape(den)}"
        )
    used = np.flatnonzero(rows.any(axis=0))
    return rows[:, used[0] if used.size else -1 :], np.trim_zeros(below, "f")


def _zpk(z: Any, p: Any, k: Any) -> tuple[Array, Array, Any]:
    zeros, poles, gain = (np.atleast_1d(as_coefficients(v, name)) for v, name in ((z, "z"), (p, "p"), (k, "k")))
    if zeros.ndim != 1 or poles.ndim != 1 or gain.size != 1:
        raise ValueError(
            "zeros and poles must be rows and the gain one number, got shapes "
            f"{zeros.shape}, {poles.shape} and {gain.shape}"
        )
    return zeros, poles, gain.item()


def _state_space(*matrices: Any) -> tuple[Array, ...]:
    return tuple(np.atleast_2d(as_coefficients(m, name)) for m, name in zip(matrices, "ABCD", strict=True))


def _companion(num: Array, den: Array) -> tuple[Array, Array, Array, Array]:
    """x_0' = −Σ den_k x_k + u, x_k' = x_{k−1}; a gain gets one state that never moves, as it does in SciPy."""
    n = len(den) - 1
    if n == 0:
        return np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((len(num), 1)), num
    num = np.pad(num, ((0, 0), (n + 1 - num.shape[1], 0)))
    a = np.eye(n, k=-1, dtype=den.dtype)
    a[0] -= den[1:]
    return a, np.eye(n, 1), num[:, 1:] - num[:, :1] * den[1:], num[:, :1]


# --------------------------------------------------------------- times, inputs, states, frequencies


def read_times(T: Any) -> Array:
    """Times (L,) of `lsim`: equal steps, from 0 or later."""
    t = np.atleast_1d(as_coefficients(T, "T"))
    if t.ndim != 1 or t.size == 0 or t.dtype.kind == "c":
        raise ValueError(f"T must be one row of real times, got shape {t.shape} and dtype {t.dtype}")
    if t[0] < 0:
        raise ValueError(f"Initial time must be nonnegative, the state is that at time 0; got T[0]={t[0]}")
    if len(t) > 1 and not np.allclose(np.diff(t), t[1] - t[0]):
        raise ValueError(
            "Time steps are not equally spaced. statespace.simulate(system, u, t=t, hold='foh') runs on any"
        )
    return t


def default_times(system: Any, N: Any) -> Array:
    """N times up to seven of the slowest time constants, which SciPy reads off the real parts."""
    count = 100 if N is None else N
    if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1:
        raise ValueError(f"N must be a positive number of times, got {shorten(N)}")
    rate = np.abs(system.poles.real).min(initial=np.inf)
    return np.linspace(0.0, 7.0 / rate if 0 < rate < np.inf else 7.0, count)


def read_input(U: Any, length: int, m: int) -> Array:
    """Input (L, m); nothing and zero stand for none."""
    u = columns(0.0 if U is None else U, "U")
    if not u.any():
        return np.zeros((length, m))
    if u.shape != (length, m):
        raise ValueError(
            f"U must have one row for each time and one column for each input, {(length, m)}, got {u.shape}"
        )
    return u


def columns(value: Any, name: str) -> Array:
    """A signal (L, m); a row of numbers is one column."""
    u = np.atleast_1d(as_coefficients(value, name))
    if u.ndim > 2:
        raise ValueError(f"{name} must have two axes, (times, inputs), or one, got {name}.shape={u.shape}")
    return u[:, None] if u.ndim == 1 else u


def read_state(X0: Any, system: Any) -> Array | None:
    """State (n,); one number stands for all."""
    if X0 is None:
        return None
    x = np.atleast_1d(as_coefficients(X0, "X0"))
    if x.shape not in ((1,), (system.n_states,)):
        raise ValueError(f"X0 must have one number for each of the {system.n_states} states, got shape {x.shape}")
    return np.broadcast_to(x, (system.n_states,))


def read_stamps(t: Any, rows: int) -> Array:
    """Times (L,) at which `dlsim` is given its input."""
    stamps = np.atleast_1d(as_coefficients(t, "t"))
    if stamps.shape != (rows,) or stamps.dtype.kind == "c" or np.any(np.diff(stamps) <= 0) or not stamps[-1] >= 0:
        raise ValueError(
            f"t must hold a time for each of the {rows} rows of u, increasing, the last not below 0; got {shorten(t)}"
        )
    return stamps


def joined(stamps: Array, values: Array, t: Array) -> Array:
    """Straight lines through values (L, m) at the stamps, beyond them too."""
    if len(stamps) == 1:
        return np.broadcast_to(values, (len(t), values.shape[1]))
    k = np.clip(np.searchsorted(stamps, t, side="right") - 1, 0, len(stamps) - 2)
    part = ((t - stamps[k]) / (stamps[k + 1] - stamps[k]))[:, None]
    return values[k] + part * (values[k + 1] - values[k])


def read_count(value: Any, name: str) -> int | None:
    """How many frequencies are asked for, or None where the frequencies themselves are given."""
    number = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iu"
    if not number and not isinstance(value, (int, np.integer)):
        return None
    if value < 0:
        raise ValueError(f"{name} must be a number of frequencies, 0 or more, or the frequencies, got {value}")
    return int(value)
