"""Systems of every structure, of drawn poles in well-conditioned coordinates."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import AccuracyWarning, Array, as_step, check_choice, shorten
from statespace.conversion import from_zpk
from statespace.structure import Cascade, DelayLine, Dense, Diagonal, DiagonalPlusLowRank
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.testing.strategies.arguments import check_count
from statespace.testing.strategies.bases import bases
from statespace.testing.strategies.poles import (
    Limits,
    check_range,
    counts,
    limits_of,
    modes,
    spread,
    width,
)

STRUCTURES = ("dense", "cascade", "diagonal", "pairs", "delay", "low_rank")
_STEPS = (1.0, 0.1, 1e-3, 1 / 44100, 3600.0)
_ENTRIES = (1.0, -1.0, 2.0, 0.5, 0.0, -3.0)
_THROUGH = (0.0, 1.0, -2.0, 0.5)
_SISO = ("cascade", "delay")
_MOST_DAMPED_PAIR = 0.9


class Sizes(NamedTuple):
    """States at least and at most, inputs and outputs in a range, batch axes."""

    states: tuple[int, int]
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    batch: tuple[int, ...]


class Shape(NamedTuple):
    """One system: its states, inputs and outputs, and the unit of its speeds."""

    n: int
    m: int
    p: int
    scale: float


def systems(
    time: str = "continuous",
    *,
    structure: str | tuple[str, ...] | None = None,
    min_states: int = 0,
    max_states: int = 6,
    inputs: int | tuple[int, int] = (1, 2),
    outputs: int | tuple[int, int] = (1, 2),
    batch: tuple[int, ...] = (),
    margin: float = 0.0,
    damping: tuple[float, float] = (0.0, 1.0),
    stiffness: float = 1e6,
    time_scale: tuple[float, float] = (1e-4, 1e4),
    dt: float | None = None,
    dtype: Any = float,
) -> st.SearchStrategy[Any]:
    """Stable systems, by their poles, damping and time scale, in coordinates of condition 16 at most.

    Corners come on purpose: those of `stable_poles`, Jordan blocks, modes that drive each other, static gains without
    states, inputs and outputs that do not reach a mode.

    Parameters
    ----------
    time : {"continuous", "discrete"}
        Which of the two types.
    structure : str or tuple of str, optional
        Of "dense", "cascade", "diagonal", "pairs", "delay" (discrete) and "low_rank" (complex); all that the other
        arguments allow when omitted.
    min_states, max_states : int
        Number of states. 0 states are a static gain, always dense.
    inputs, outputs : int or (int, int)
        Their number, or a range. A cascade and a delay line have one of each.
    batch : tuple of int
        Batch axes: as many systems of one size.
    margin, damping, stiffness
        As in `stable_poles`. A low-rank term leaves the damping open, and keeps the margin.
    time_scale : (float, float)
        Range of the unit, in decades, of all speeds of a continuous system.
    dt : float, optional
        Step of discrete systems, so that two of them can be connected; drawn when omitted.
    dtype : {float, complex}
        Real systems, or complex ones without any symmetry.

    Returns
    -------
    SearchStrategy of ContinuousSystem or DiscreteSystem
        Shrinks to one state with the pole −1, or 0.5, B = C = 1, D = 0, dt = 1.

    Raises
    ------
    TypeError
        The dtype is neither real nor complex floats, or dt is no number.
    ValueError
        A range is empty, contradicts another, or leaves no structure.

    References
    ----------
    D. R. MacIver, Z. Hatfield-Dodds et al., "Hypothesis: A new approach to property-based testing", JOSS 4 (2019).

    Examples
    --------
    >>> import hypothesis, statespace as ss
    >>> hypothesis.find(ss.testing.strategies.systems(), lambda system: True)
    ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[0.0]])
    >>> oscillates = lambda system: abs(system.poles.imag).max(initial=0) > 0
    >>> spring = hypothesis.find(ss.testing.strategies.systems(), oscillates)
    >>> spring.n_states
    2
    """
    limits = limits_of(time, margin, damping, stiffness, dtype)
    low, high = check_range(time_scale, "time_scale", 1e-300, 1e300)
    check_count(min_states, "min_states", 0)
    check_count(max_states, "max_states", max(min_states, 0))
    sizes = Sizes((min_states, max_states), _span(inputs, "inputs"), _span(outputs, "outputs"), _batch(batch))
    if dt is not None and not limits.discrete:
        raise ValueError(f"a continuous system has no dt, got dt={shorten(dt)}; ask for time='discrete'")
    step = None if dt is None else as_step(dt, what="systems")
    if step is not None and step.ndim:
        raise ValueError(f"dt must be one step, got {shorten(dt)}")
    among = _STEPS if step is None else (float(step),)
    decades = (0, 0) if limits.discrete else (int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))))
    if not limits.discrete and margin > high * limits.widest:
        raise ValueError(
            f"margin={margin:g} is more than the speeds: time_scale up to {high:g} times √stiffness = {limits.widest:g}"
        )
    if decades[0] > decades[1]:
        raise ValueError(f"time_scale must hold a power of ten, got {low:g} to {high:g}")
    return _systems(_structures(structure, sizes, limits), sizes, limits, decades, among)


# --------------------------------------------------------------- arguments


def _span(value: Any, name: str) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    for count in pair:
        check_count(count, name, 1)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise ValueError(f"{name} must be a number or a range (low, high), got {shorten(value)}")
    return int(pair[0]), int(pair[1])


def _batch(value: Any) -> tuple[int, ...]:
    axes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for axis in axes:
        check_count(axis, "batch", 1)
    return tuple(int(axis) for axis in axes)


def _structures(structure: Any, sizes: Sizes, limits: Limits) -> tuple[str, ...]:
    """Structures that can be drawn, dense first; an error where one was asked for that cannot."""
    reasons = _reasons(sizes, limits)
    if structure is None:
        possible = tuple(name for name in STRUCTURES if reasons[name] is None)
        if not possible:
            raise ValueError(f"no structure is left: dense is not possible, since {reasons['dense']}")
        return possible
    asked = tuple(structure) if isinstance(structure, (tuple, list)) else (structure,)
    if not asked:
        raise ValueError("structure is empty; name one, such as 'dense', or leave it out")
    for name in asked:
        check_choice(name, STRUCTURES, "structure")
        if reasons[name] is not None:
            raise ValueError(f"structure {name!r} is not possible: {reasons[name]}")
    return asked


def _reasons(sizes: Sizes, limits: Limits) -> dict[str, str | None]:
    """Why a structure cannot be drawn, or None."""
    most, (low, high) = sizes.states[1], limits.damping
    real, one = limits.is_complex or high == 1, sizes.inputs[0] == sizes.outputs[0] == 1
    even = real or most // 2 >= max((sizes.states[0] + 1) // 2, 1)
    odd = None if even else "poles in pairs need an even number of states"
    single = None if one else "it has one input and one output, and more were asked for"
    some = None if most >= 1 else "it has a state, and max_states is 0"
    return {
        "dense": None if sizes.states[0] == 0 else odd,
        "cascade": single or some or odd,
        "diagonal": some or (None if real else "a real diagonal has real poles, and damping ends below 1"),
        "pairs": _no_pairs(sizes, limits) or (None if low < _MOST_DAMPED_PAIR else "damping leaves no complex poles"),
        "delay": single
        or some
        or (None if limits.discrete else "a delay line is discrete; ask for time='discrete'")
        or (None if high == 1 else "its poles are 0, whose damping is 1, and damping ends below 1"),
        "low_rank": some or (None if limits.is_complex else "it is complex; ask for dtype=complex"),
    }


def _no_pairs(sizes: Sizes, limits: Limits) -> str | None:
    if limits.is_complex:
        return "pairs stand for a real system, and dtype is complex"
    return None if sizes.states[1] // 2 >= max(sizes.states[0] + 1, 2) // 2 else "pairs need an even number of states"


# --------------------------------------------------------------- drawing


@st.composite
def _systems(
    draw: Any,
    structures: tuple[str, ...],
    sizes: Sizes,
    limits: Limits,
    decades: tuple[int, int],
    among: tuple[float, ...],
) -> ContinuousSystem | DiscreteSystem:
    name = draw(st.sampled_from(structures))
    m, p = (min(draw(st.integers(*span)), 1 if name in _SISO else span[1]) for span in (sizes.inputs, sizes.outputs))
    n = draw(_state_counts(name, sizes, limits))
    shape = Shape(n, m, p, 10.0 ** draw(_near_zero(decades)))
    member, inside = _static if n == 0 else _MEMBERS[name], limits._replace(decay=limits.decay / shape.scale)
    found = [draw(member(shape, inside, None))]
    for _ in range(int(np.prod(sizes.batch)) - 1):
        found.append(draw(member(shape, inside, found[0])))
    step = {"dt": draw(st.sampled_from(among))} if limits.discrete else {}
    kind = DiscreteSystem if limits.discrete else ContinuousSystem
    return kind(*_stacked(found, sizes.batch), **step)


@cache
def _near_zero(decades: tuple[int, int]) -> st.SearchStrategy[int]:
    """Shrinks to the decade next to 0."""
    low, high = decades
    middle = min(max(0, low), high)
    return st.integers(low - middle, high - middle).map(lambda k: k + middle)


@cache
@st.composite
def _state_counts(draw: Any, name: str, sizes: Sizes, limits: Limits) -> int:
    """Number of states, 0 for a dense system only; as many draws for every structure."""
    least, most = sizes.states
    none = draw(st.sampled_from((False,) * 7 + (True,)))
    fewest = 1 if limits.is_complex or limits.damping[1] == 1 else 2
    if name == "dense" and least == 0 and (none or most < fewest):
        draw(st.booleans())
        return 0
    if name == "pairs":
        return 2 * draw(st.integers(max(least + 1, 2) // 2, most // 2))
    if name == "delay":
        return draw(st.integers(max(least, 1), most))
    return draw(counts(max(least, 1), most, limits))


def _stacked(found: list[tuple[Any, ...]], batch: tuple[int, ...]) -> tuple[Any, ...]:
    """Members of a batch as one: parts are a structure's arrays, or B, C and D."""
    if not batch:
        return found[0]
    first, *rest = zip(*found, strict=True)
    return (_joined(first, batch), *(np.stack(m).reshape(*batch, *m[0].shape) for m in rest))


def _joined(structures: tuple[Any, ...], batch: tuple[int, ...]) -> Any:
    def stack(name: str) -> Array:
        parts = [getattr(s, name) for s in structures]
        return np.stack(parts).reshape(*batch, *parts[0].shape)

    one = structures[0]
    if isinstance(one, Cascade):
        return Cascade(stack("known_poles"), stack("zeros"), stack("gains"))
    if isinstance(one, Diagonal):
        return Diagonal(stack("diagonal"), one.pairs)
    if isinstance(one, DiagonalPlusLowRank):
        return DiagonalPlusLowRank(stack("diagonal"), stack("P"), stack("Q"))
    if isinstance(one, DelayLine):
        return one
    return Dense(stack("matrix"), stack("poles") if any(s.known_poles is not None for s in structures) else None)


@cache
def _matrix(shape: tuple[int, int], is_complex: bool, among: tuple[float, ...] = _ENTRIES) -> st.SearchStrategy[Array]:
    """A matrix of small numbers."""
    count = shape[0] * shape[1]
    real = st.lists(st.sampled_from(among), min_size=count, max_size=count).map(lambda x: np.array(x).reshape(shape))
    if not is_complex:
        return real
    imaginary = st.lists(st.sampled_from((0.0, 1.0, -0.5)), min_size=count, max_size=count)
    return st.tuples(real, imaginary).map(lambda pair: pair[0] + 1j * np.array(pair[1]).reshape(shape))


@cache
@st.composite
def _ports(draw: Any, states: int, shape: Shape, is_complex: bool, through_complex: bool) -> tuple[Array, Array, Array]:
    """B in the unit of the speeds, so that gains are about 1, and C and D."""
    b, c = draw(_matrix((states, shape.m), is_complex)), draw(_matrix((shape.p, states), is_complex))
    return b * shape.scale, c, draw(_matrix((shape.p, shape.m), through_complex, _THROUGH))


# --------------------------------------------------------------- one member of each structure


@st.composite
def _static(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    """No state; one is drawn and left, since Hypothesis shrinks to what takes the fewest draws."""
    draw(_dense(shape._replace(n=1), limits._replace(is_complex=True), shared))
    d = draw(_matrix((shape.p, shape.m), limits.is_complex))
    return Dense(np.zeros((0, 0))), np.zeros((0, shape.m)), np.zeros((shape.p, 0)), d


@st.composite
def _dense(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    found = draw(modes(shape.n, limits))
    a = (_blocks(found, limits) + draw(_couplings(found, limits))) * shape.scale
    b, c, d = draw(_ports(shape.n, shape, limits.is_complex, limits.is_complex))
    if shape.n > 1 and draw(st.booleans()):
        turn, back = draw(bases(shape.n))
        # A rotated matrix hides what was drawn: double poles are computed to the root of eps.
        return Dense(turn @ a @ back, spread(found, limits) * shape.scale), turn @ b, c @ back, d
    return Dense(a), b, c, d


def _blocks(found: list[complex], limits: Limits) -> Array:
    """Block-diagonal, [[Re λ, Im λ], [−Im λ, Re λ]] for each pair."""
    poles = spread(found, limits)
    a = np.diag(poles if limits.is_complex else poles.real)
    at = 0
    for mode in found:
        if width(mode, limits) == 2:
            a[at, at + 1], a[at + 1, at] = poles[at].imag, -poles[at].imag
        at += width(mode, limits)
    return a


@st.composite
def _couplings(draw: Any, found: list[complex], limits: Limits) -> Array:
    """One mode drives the one before it; of a double pole that makes a Jordan block."""
    widths, strongest = [width(mode, limits) for mode in found], 0.25 if limits.discrete else 5.0
    upper, at = np.zeros((sum(widths),) * 2), 0
    for k, (mode, mine) in enumerate(zip(found, widths, strict=True)):
        if k + 1 < len(widths) and widths[k + 1] == mine:
            speed = 1.0 if limits.discrete or not np.isfinite(mode) or mode == 0 else abs(mode)
            strength = draw(st.sampled_from((0.0, 1.0, 1.0 if found[k + 1] == mode else 0.0, strongest)))
            upper[at : at + mine, at + mine : at + 2 * mine] = strength * speed * np.eye(mine)
        at += mine
    return upper


@st.composite
def _diagonal(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    real = limits if limits.is_complex else limits._replace(damping=(1.0, 1.0))
    poles = spread(draw(modes(shape.n, real)), real) * shape.scale
    ports = draw(_ports(shape.n, shape, limits.is_complex, limits.is_complex))
    return Diagonal(poles if limits.is_complex else poles.real), *ports


@st.composite
def _pairs(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    low, high = limits.damping
    upper = limits._replace(damping=(low, min(high, _MOST_DAMPED_PAIR)), is_complex=True)
    poles = spread(draw(modes(shape.n // 2, upper)), upper)
    return Diagonal(poles * shape.scale, pairs=True), *draw(_ports(shape.n // 2, shape, True, False))


@st.composite
def _low_rank(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    """A = (1 − V Vᴴ) Λ of discrete systems, ‖V‖ ≤ 1, which is no larger than Λ; Λ − V Vᴴ of continuous ones."""
    diagonal = spread(draw(modes(shape.n, limits)), limits) * shape.scale
    rank = shared[0].P.shape[-1] if shared else draw(st.integers(1, 2))
    v = draw(_matrix((shape.n, rank), True))
    v = v / max(1.0, float(np.linalg.norm(v)))
    q = diagonal.conj()[:, None] * v if limits.discrete else v * shape.scale
    return DiagonalPlusLowRank(diagonal, v, q), *draw(_ports(shape.n, shape, True, True))


@st.composite
def _delay(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    """Its poles are drawn and left, so that a dense system is the simpler one."""
    draw(modes(shape.n, limits))
    _, c, d = draw(_ports(shape.n, shape, limits.is_complex, limits.is_complex))
    return DelayLine(shape.n), np.eye(shape.n)[:, :1], c, d


@st.composite
def _cascade(draw: Any, shape: Shape, limits: Limits, shared: Any) -> tuple[Any, ...]:
    """Zeros are drawn as poles are, in either half plane, and the gain makes the response about 1."""
    poles = spread(draw(modes(shape.n, limits)), limits)
    count = int(np.isfinite(shared[0].zeros).sum()) if shared else draw(st.integers(0, shape.n))
    draw(_ports(shape.n, shape, limits.is_complex, limits.is_complex))  # and left: a dense system is the simpler one
    open_range = limits._replace(damping=(0.0, 1.0), decay=0.0)
    zeros = spread(draw(modes(count, open_range)), open_range) if count else np.zeros(0, complex)
    if draw(st.booleans()):
        zeros = -zeros
    gain = _unit_gain(poles, zeros, limits) * draw(st.sampled_from((1.0, -1.0)))
    order = shape.n - count
    scale = shape.scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # zeros far from the poles; the system is what it became
        whole = from_zpk(zeros * scale, poles * scale, gain * scale**order, dt=1.0 if limits.discrete else None)
    return (whole.A,)


def _unit_gain(poles: Array, zeros: Array, limits: Limits) -> float:
    """Π |pole| / Π |zero|, or of their distances from 1; roots that are there count as 1."""
    sizes = [np.abs(1 - r) if limits.discrete else np.abs(r) for r in (poles, zeros)]
    up, down = (np.where(size == 0, 1.0, size).prod() for size in sizes)
    return float(up / down)


_MEMBERS: dict[str, Callable[..., st.SearchStrategy[tuple[Any, ...]]]] = {
    "dense": _dense,
    "cascade": _cascade,
    "diagonal": _diagonal,
    "pairs": _pairs,
    "delay": _delay,
    "low_rank": _low_rank,
}
