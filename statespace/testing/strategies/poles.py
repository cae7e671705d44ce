"""Poles, drawn by what they mean: how fast, how damped, how close to each other, how far apart."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import Array, check_choice, shorten
from statespace.testing.strategies.arguments import as_dtype, check_count

TIMES = ("continuous", "discrete")

# Most modes are plain. The rest are the corners: a double pole, a pole beside another, an integrator, and of discrete
# systems a pole that forgets at once, one that alternates, one at 1 − 1e-6.
_CORNERS = ("same", "near", "integrator", "dead", "alternating", "slow")
_SLOW = 1e-6  # radians or nepers a sample
_ALIASED = 0.95 * np.pi  # radians a sample of a drawn oscillation, at most
_DAMPINGS = (1.0, 0.7, 0.5, 0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4, 1e-6, 0.0)


class Limits(NamedTuple):
    """What a mode may be: λ = r (−ζ ± j √(1 − ζ²)), of discrete systems e^λ."""

    discrete: bool
    is_complex: bool
    decay: float  # r ζ at least
    damping: tuple[float, float]  # ζ
    widest: float  # r from 1/widest to widest
    alternates: bool  # whether −e^{−r} is wanted, of any r: its ζ is between 0 and 1


def stable_poles(
    n: int | None = None,
    *,
    time: str = "continuous",
    margin: float = 0.0,
    damping: tuple[float, float] = (0.0, 1.0),
    stiffness: float = 1e6,
    dtype: Any = float,
) -> st.SearchStrategy[Array]:
    """Poles of a stable system.

    Most are drawn by their speed, over decades, and their damping; on purpose there are double poles, poles beside each
    other (to 1e-15), integrators, and in discrete time poles at 0, at −0.5 and at 1 − 1e-6.

    Parameters
    ----------
    n : int, optional
        How many, 1 to 6 when omitted.
    time : {"continuous", "discrete"}
        Poles in the left half plane, or in the unit disc.
    margin : float
        Distance from instability: Re λ ≤ −margin, or |λ| ≤ 1 − margin. 0 lets integrators and undamped poles in.
    damping : (float, float)
        Range of ζ = −Re λ/|λ|, of discrete poles of their logarithm: 1 for real ones, 0 for undamped ones.
    stiffness : float
        Largest ratio of two speeds |λ| (integrators, and what the margin makes faster, apart).
    dtype : {float, complex}
        float for poles that come in conjugate pairs, next to each other; complex for any.

    Returns
    -------
    SearchStrategy of ndarray, (n,), complex
        Shrinks to the single pole −1, or 0.5.

    Raises
    ------
    TypeError
        The dtype is neither real nor complex floats.
    ValueError
        A range is empty or contradicts another.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 4.4.

    Examples
    --------
    >>> import hypothesis, statespace as ss
    >>> hypothesis.find(ss.testing.strategies.stable_poles(), lambda poles: True)
    array([-1.+0.j])
    >>> hypothesis.find(ss.testing.strategies.stable_poles(2, damping=(0, 0.5)), lambda poles: True).round(2)
    array([-0.5+0.87j, -0.5-0.87j])
    """
    limits = limits_of(time, margin, damping, stiffness, dtype)
    if n is not None:
        check_count(n, "n", 1)
        check_countable(n, limits)
    return _poles(n, limits)


@st.composite
def _poles(draw: Any, n: int | None, limits: Limits) -> Array:
    count = draw(counts(1, 6, limits)) if n is None else n
    return spread(draw(modes(count, limits)), limits)


# --------------------------------------------------------------- arguments


def limits_of(time: str, margin: float, damping: Any, stiffness: float, dtype: Any) -> Limits:
    """Check the ranges once, and turn them into limits of r and ζ."""
    check_choice(time, TIMES, "time")
    discrete, is_complex = time == "discrete", is_complex_type(dtype)
    low, high = check_range(damping, "damping", 0.0, 1.0)
    if not (_is_number(margin) and 0 <= margin < (1.0 if discrete else np.inf)):
        limit = "from 0 to below 1 (|λ| ≤ 1 − margin)" if discrete else "0 or more (Re λ ≤ −margin)"
        raise ValueError(f"margin must be {limit}, got {shorten(margin)}")
    if not (_is_number(stiffness) and 1 <= stiffness <= 1e100):
        raise ValueError(f"stiffness is the ratio of two speeds, from 1 to 1e100, got {shorten(stiffness)}")
    decay = -np.log1p(-margin) if discrete else float(margin)
    tangent = decay / _ALIASED if discrete else 0.0  # an oscillation of at most 0.95 π a sample that decays so fast
    least = max(tangent / np.hypot(1.0, tangent), min(1e-3, high) if decay else 0.0)
    if high < least or (decay and not high):
        raise ValueError(
            f"margin={margin:g} asks for a decay that damping={low:g} to {high:g} cannot have; "
            f"the upper end must be above {max(least, 1e-3):.3g}"
        )
    alternates = discrete and low == 0 and high == 1
    return Limits(discrete, is_complex, decay, (max(low, least), high), float(stiffness) ** 0.5, alternates)


def is_complex_type(dtype: Any) -> bool:
    """Whether systems are to be complex."""
    return as_dtype(dtype).kind == "c"


def check_countable(n: int, limits: Limits) -> None:
    """Raise for an odd number of poles that must all be in pairs."""
    if n % 2 and not _has_real(limits):
        raise ValueError(
            f"{n} poles cannot all be complex pairs: damping ends below 1, where real poles are; "
            "ask for an even number, or for dtype=complex"
        )


def check_range(value: Any, name: str, least: float, most: float) -> tuple[float, float]:
    """Raise unless a value is a pair of numbers in order."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(pair) != 2 or not all(map(_is_number, pair)) or not least <= pair[0] <= pair[1] <= most:
        raise ValueError(f"{name} must be a range (low, high) from {least:g} to {most:g}, got {shorten(value)}")
    return float(pair[0]), float(pair[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _has_real(limits: Limits) -> bool:
    return limits.is_complex or limits.damping[1] == 1.0


# --------------------------------------------------------------- modes


@cache
def counts(least: int, most: int, limits: Limits) -> st.SearchStrategy[int]:
    """How many poles, from 1; an even number where all are in pairs."""
    if _has_real(limits):
        return st.integers(least, most)
    return st.integers((least + 1) // 2, most // 2).map(lambda half: 2 * half)


@st.composite
def modes(draw: Any, n: int, limits: Limits) -> list[complex]:
    """Modes of n poles: one number for a real pole or for the upper of a pair, in the s-plane or its logarithm.

    0 is an integrator; −inf a pole at 0 and −r + jπ one at −e^−r, both of discrete systems.
    """
    found: list[complex] = []
    left = n
    while left:
        allowed = limits if left > 1 or limits.is_complex else limits._replace(damping=(1.0, 1.0))
        mode = draw(_mode(allowed, tuple(found)))
        found.append(mode)
        left -= width(mode, limits)
    return found


def width(mode: complex, limits: Limits) -> int:
    """Poles of a mode: 2 for a pair."""
    return 1 if limits.is_complex or mode.imag in (0.0, np.pi) else 2


def spread(found: list[complex], limits: Limits) -> Array:
    """All poles of some modes, (n,), the two of a pair next to each other."""
    both = [z for mode in found for z in ((mode,) if width(mode, limits) == 1 else (mode, mode.conjugate()))]
    poles = np.array(both, dtype=complex)
    if not limits.discrete:
        return poles
    real = np.where(poles.imag == np.pi, -np.exp(poles.real), np.exp(poles.real))
    return np.where(np.isin(poles.imag, (0.0, np.pi)), real, np.exp(np.where(np.isinf(poles), 0.0, poles)))


@st.composite
def _mode(draw: Any, limits: Limits, earlier: tuple[complex, ...]) -> complex:
    """One mode. A corner draws what a plain mode draws: Hypothesis shrinks to what takes the fewest draws."""
    kind = draw(_kinds(_corners(limits, earlier)))
    rate, damping, below = draw(_rates(limits)), draw(_dampings(limits)), draw(st.booleans())
    if kind == "same":
        return earlier[-1]
    if kind == "near":
        return _beside(earlier[-1], draw(st.sampled_from((20, 30, 40, 50))), limits)
    if kind == "integrator":
        return 0.0
    if kind == "dead":
        return complex(-np.inf)
    if kind == "alternating":
        return complex(-max(rate, limits.decay), np.pi)
    return _of_rate(_SLOW if kind == "slow" else rate, damping, below, limits)


def _corners(limits: Limits, earlier: tuple[complex, ...]) -> tuple[str, ...]:
    """Corners that the limits leave, where there is an earlier mode that fits."""
    high = limits.damping[1]
    possible = {
        "same": bool(earlier) and _fits(earlier[-1], limits),
        "near": bool(earlier) and _fits(earlier[-1], limits) and np.isfinite(earlier[-1]) and earlier[-1] != 0,
        "integrator": limits.decay == 0 and high == 1,
        "dead": limits.discrete and high == 1,
        "alternating": limits.alternates,
        "slow": limits.discrete and limits.decay <= _SLOW,
    }
    return tuple(corner for corner in _CORNERS if possible[corner])


@cache  # as below: what is made once is checked once, a third of the time of a draw
def _kinds(corners: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(("plain",) * 6 + corners)


def _fits(mode: complex, limits: Limits) -> bool:
    """Whether there is room for a mode as wide as this one."""
    return width(mode, limits) == 1 or limits.damping != (1.0, 1.0)


@cache
def _rates(limits: Limits) -> st.SearchStrategy[float]:
    """Speeds in quarter octaves around 1, of discrete systems around ln 2, where a real pole is 0.5; and both ends."""
    widest, unit = limits.widest, np.log(2.0) if limits.discrete else 1.0
    far = int(np.ceil(4 * np.log2(widest)))
    near = min(8, far)
    octaves = st.one_of(st.integers(-near, near), st.integers(-far, far), st.sampled_from((far, -far)))
    return octaves.map(lambda k: float(unit * np.clip(2.0 ** (k / 4), 1 / widest, widest)))


@cache
def _dampings(limits: Limits) -> st.SearchStrategy[float]:
    """ζ in its range, the most damped first; on a grid of decades and on an even one."""
    low, high = limits.damping
    decades = tuple(z for z in _DAMPINGS if low < z < high)
    return st.one_of(
        st.sampled_from((high, *decades, low)), st.integers(0, 64).map(lambda k: high - (high - low) * k / 64)
    )


def _of_rate(rate: float, damping: float, below: bool, limits: Limits) -> complex:
    """λ = r (−ζ + j √(1 − ζ²)), as fast as the margin asks and as slow as a sample allows."""
    swing = np.sqrt((1 - damping) * (1 + damping))
    if limits.discrete and swing:
        rate = min(rate, _ALIASED / swing)
    if damping:
        rate = max(rate, limits.decay / damping)
    return complex(-rate * damping, (-1.0 if below and limits.is_complex else 1.0) * rate * swing)


def _beside(mode: complex, bits: int, limits: Limits) -> complex:
    """A mode faster by 2^−bits; one that alternates stays on the negative axis."""
    faster = mode * (1 + 2.0**-bits)
    return complex(faster.real, mode.imag) if limits.discrete and abs(mode.imag) > _ALIASED / 2 else faster
