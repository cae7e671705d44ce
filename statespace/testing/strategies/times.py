"""Steps of time and grids of stamps, relative to the speed of a system."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import Array, shorten
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.testing.strategies.arguments import check_count, check_flag
from statespace.testing.strategies.signals import positions

_EPS = float(np.finfo(float).eps)
_NYQUIST = 0.9 * math.pi  # how far a step turns the fastest oscillation where nothing may alias
_UNIX = 1.7e9  # seconds since 1970
_RESOLVED = 1e6  # roundings of a stamp that an interval is worth at least, wherever the grid begins
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # k times this, modulo 1, never repeats and leaves no gap


def time_steps(
    system: ContinuousSystem | None = None, *, aliased: bool = False, trivial: bool = False
) -> st.SearchStrategy[float]:
    """Draw steps of time Δ that mean something to a system: an angle Δ|λ| of one of its poles.

    Angles go from 1 down to 1/32. A step is shortened until the fastest oscillation turns by at most 0.9π, short of
    the Nyquist frequency; of a stiff system the slow poles give steps that are long for the fast ones.

    Parameters
    ----------
    system : ContinuousSystem, optional
        All poles of a batch count; poles at 0 do not. None, or no other pole: angles of a pole at −1.
    aliased : bool
        Angles up to 64 as well, and oscillations beyond the Nyquist frequency.
    trivial : bool
        Steps up to a million times shorter and longer as well, at which nothing or everything happens.

    Returns
    -------
    SearchStrategy
        Of positive floats; the simplest is 1/|λ| of the fastest pole, or what 0.9π leaves of it.

    Raises
    ------
    TypeError
        The system is discrete, which has a step, or no system; or a switch is not True or False.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., chapter 11 (sample rates).

    Examples
    --------
    >>> from hypothesis import find
    >>> import statespace as ss
    >>> from statespace.testing import strategies
    >>> find(strategies.time_steps(ss.from_zpk([], [-4.0], 1.0)), lambda dt: True)
    0.25
    """
    check_flag(aliased, "aliased")
    check_flag(trivial, "trivial")
    rates, turning = _speeds(system, "time_steps")
    longest = _NYQUIST / turning if turning and not aliased else math.inf
    # Half powers of two; integers shrink towards 0.
    angle = st.integers(-12 if aliased else 0, 10).map(lambda k: 2.0 ** (-k / 2))
    decade = st.integers(-6, 6).map(lambda k: 10.0**k) if trivial else st.just(1.0)
    drawn = st.tuples(st.sampled_from(rates), angle, decade)
    return drawn.map(lambda of: min(of[1] / of[0] * of[2], longest))


def irregular_grids(
    system: ContinuousSystem | None = None, length: int | None = None, *, uniform: bool = False
) -> st.SearchStrategy[Array]:
    """Draw stamps of time, with steps relative to the speed of a system.

    Equal steps, a few different ones, one gap, all different (by as little as 1e-9), over six decades, stamps recorded
    to few digits; from 0, from one step, from before 0, or from a Unix time as far as the steps stay resolved: each
    is at least a million roundings of its stamps.

    Parameters
    ----------
    system : ContinuousSystem, optional
        As in `time_steps`, which draws the step that the others are multiples of.
    length : int, optional
        Stamps, 0 or more; None draws 1 to 64.
    uniform : bool
        Equal steps alone, written in the ways that people write them: k·dt, k/fs, a running sum, linspace, arange. They
        differ in their last digits, within 4·eps·max|t| of a straight line, where `simulate` sees one step. Of two
        stamps or more.

    Returns
    -------
    SearchStrategy
        Of strictly increasing float64 arrays, (L,); the simplest is 0, Δ, 2Δ, …

    Raises
    ------
    TypeError
        The system is discrete, or no system; the length is not an integer; uniform is not True or False.
    ValueError
        The length is negative, or less than the two stamps that make a step of a uniform grid.

    References
    ----------
    L. Kuipers, H. Niederreiter, *Uniform Distribution of Sequences*, Wiley 1974, section 2.3 (multiples of the golden
    ratio, modulo 1).

    Examples
    --------
    >>> from hypothesis import find
    >>> from statespace.testing import strategies
    >>> find(strategies.irregular_grids(length=4), lambda t: True)
    array([0., 1., 2., 3.])
    """
    check_flag(uniform, "uniform")
    check_count(length, "length", drawn=True)
    if uniform and length is not None and length < 2:
        raise ValueError(f"a uniform grid needs at least 2 stamps to have a step, got length={length}")
    _speeds(system, "irregular_grids")
    return _uniform(time_steps(system), length) if uniform else _irregular(time_steps(system), length)


# --------------------------------------------------------------- the speed of a system


def _speeds(system: Any, name: str) -> tuple[list[float], float]:
    """|λ| of the poles, each once, the fastest first, and the largest |Im λ|."""
    if isinstance(system, DiscreteSystem):
        raise TypeError(f"{name} takes a continuous system; this one is discrete and has a step, system.dt")
    if not isinstance(system, ContinuousSystem | None):
        raise TypeError(f"{name} takes a ContinuousSystem or None, got {shorten(system)}")
    poles = np.zeros(0, complex) if system is None else system.poles.ravel()
    # A computed pole of 1e-17 is one at 0; and steps stay far from the ends of the range of floats.
    size = np.clip(np.abs(poles), None, 1e290)
    rates = np.unique(size[size > max(1e-14 * size.max(initial=0.0), 1e-290)])[::-1].tolist() or [1.0]
    return rates, float(np.abs(poles.imag).max(initial=0.0))


# --------------------------------------------------------------- irregular


@st.composite
def _irregular(draw: st.DrawFn, steps: st.SearchStrategy[float], length: int | None) -> Array:
    count = draw(st.integers(1, 64)) if length is None else int(length)
    if count == 0:
        return np.zeros(0)
    multiples = draw(_multiples(count - 1))
    elapsed = np.concatenate([[0.0], np.cumsum(multiples)])
    if coarse := draw(st.sampled_from((0.0, 0.0, 0.3, 0.03, 3e-4))):
        digit = coarse * multiples.min(initial=1.0)  # below every step, so that no two stamps fall together
        elapsed = np.round(elapsed / digit) * digit
    step = draw(steps)
    return elapsed * step + draw(_STARTS)(elapsed * step, step)


def _multiples(count: int) -> st.SearchStrategy[Array]:
    """Intervals in units of the step, (count,)."""
    k = np.arange(count)
    few = st.lists(st.sampled_from((1.0, 2.0, 0.5, 3.0, 1.5, 0.1)), min_size=2, max_size=6)
    gaps = st.tuples(positions(count), st.sampled_from((2.0, 3.5, 1000.0)))
    uneven = st.tuples(st.floats(0.0, 1.0), st.sampled_from((1.0, 1e-3, 1e-6, 1e-9)))
    return st.one_of(
        st.just(np.ones(count)),
        few.map(lambda drawn: np.resize(drawn, count)),
        gaps.map(lambda drawn: np.where(k == drawn[0], drawn[1], 1.0)),
        uneven.map(lambda drawn: 1.0 + drawn[1] * ((k * _GOLDEN + drawn[0]) % 1.0)),
        st.floats(0.0, 1.0).map(lambda phase: 10.0 ** (6.0 * ((k * _GOLDEN + phase) % 1.0) - 3.0)),
    )


# --------------------------------------------------------------- where a grid begins


def _at_unix_time(elapsed: Array, step: float) -> float:
    """1.7e9, or less where the shortest interval would be lost in the rounding of the stamps."""
    resolved = 0.9 * np.diff(elapsed).min(initial=math.inf) / (_RESOLVED * _EPS)
    return float(max(min(_UNIX, resolved - elapsed[-1]), 0.0))


def _before_zero(elapsed: Array, step: float) -> float:
    return float(-elapsed[len(elapsed) // 2])


_Start = Callable[[Array, float], float]
_STARTS: st.SearchStrategy[_Start] = st.sampled_from(
    (lambda elapsed, step: 0.0, lambda elapsed, step: step, _before_zero, _at_unix_time)
)


# --------------------------------------------------------------- uniform


@st.composite
def _uniform(draw: st.DrawFn, steps: st.SearchStrategy[float], length: int | None) -> Array:
    count = draw(st.integers(2, 64)) if length is None else int(length)
    way = draw(st.sampled_from(_WAYS))
    step = draw(steps)
    elapsed = step * np.arange(count)
    start = draw(_STARTS)(elapsed, step)
    stamps = way(start, step, count)
    # A long running sum wanders off the line; a straight grid stands in for it.
    return stamps if _fits_a_line(stamps) else start + elapsed


def _fits_a_line(t: Array) -> bool:
    line = (t[-1] - t[0]) / (len(t) - 1) * np.arange(len(t))
    return bool(np.max(np.abs(t - t[0] - line)) <= 4 * _EPS * np.max(np.abs(t)))


def _running_sum(start: float, step: float, count: int) -> Array:
    return np.cumsum([start, *[step] * (count - 1)])


def _linspace(start: float, step: float, count: int) -> Array:
    return np.linspace(start, start + (count - 1) * step, count)


def _arange(start: float, step: float, count: int) -> Array:
    """The end half a step late: at the end itself rounding decides whether there is one stamp more."""
    return np.arange(start, start + (count - 0.5) * step, step)[:count]


_WAYS: tuple[Callable[[float, float, int], Array], ...] = (
    lambda start, step, count: start + step * np.arange(count),
    lambda start, step, count: start + np.arange(count) / (1.0 / step),
    _running_sum,
    _linspace,
    _arange,
)
