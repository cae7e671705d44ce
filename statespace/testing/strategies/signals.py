"""Signals and the blocks that they come in.

Every sample is computed from a few drawn numbers, so that a signal is cheap to draw at any length and a failing one
shrinks to something that can be read.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import Array
from statespace.testing.strategies.arguments import DType, as_batch, as_dtype, check_count

LENGTHS = st.integers(1, 64)  # where no length is asked for

_DECADES = 6  # amplitudes from 1e-6 to 1e6
_SHORT = 16  # samples that are drawn one by one
_VARIANTS = 8  # channels that are drawn; more repeat them, later in time


def signals(
    length: int | None = None, channels: int | None = None, *, dtype: Any = float, batch: tuple[int, ...] = ()
) -> st.SearchStrategy[Any]:
    """Draw signals: time on axis −2, channels on axis −1.

    An impulse, a step, alternating signs, silence, a ramp, spikes beside the borders of blocks, tones up to the Nyquist
    frequency, broadband chirps cos(πθk²), small integers where the signal is short, sums of two of these; amplitudes
    over twelve decades, always finite. The channels differ in shape, size, sign and delay; some are silent. The
    simplest is an impulse at sample 0 in every channel. A long signal costs no more to draw than a short one.

    Parameters
    ----------
    length : int, optional
        Samples, 0 or more; None draws 1 to 64.
    channels : int, optional
        Channels, 0 or more; None is a signal without an axis of channels.
    dtype : dtype
        float32, float64, complex64 or complex128; float and complex are double.
    batch : tuple of int
        Leading axes.

    Returns
    -------
    SearchStrategy
        Of arrays (*batch, L, channels), or (*batch, L).

    Raises
    ------
    TypeError
        A size is not an integer, batch is not a tuple of sizes, or the dtype is not one of the four.
    ValueError
        A size is negative.

    References
    ----------
    M. R. Schroeder, "Synthesis of low-peak-factor signals and binary sequences with low autocorrelation", IEEE Trans.
    Inf. Theory 16 (1970) 85-89 (chirps of period θ = 1/N are flat in time and in frequency).

    Examples
    --------
    >>> from hypothesis import find
    >>> from statespace.testing import strategies
    >>> find(strategies.signals(length=4), lambda u: True)
    array([1., 0., 0., 0.])
    >>> find(strategies.signals(length=4), lambda u: u[2] != 0)
    array([1., 1., 1., 1.])
    >>> find(strategies.signals(length=2, channels=3), lambda u: True)
    array([[1., 1., 1.],
           [0., 0., 0.]])
    """
    check_count(length, "length", drawn=True)
    check_count(channels, "channels", drawn=True)
    return draw_signals(length, channels, as_dtype(dtype), as_batch(batch))


def chunkings(length: int) -> st.SearchStrategy[Any]:
    """Draw the ways to cut a signal into blocks, empty ones included.

    Everything at once, cuts anywhere, single samples, equal blocks with a remainder, blocks that double. Empty blocks
    come first, last, in between and in a row.

    Parameters
    ----------
    length : int
        Samples to cut, 0 or more.

    Returns
    -------
    SearchStrategy
        Of tuples of block lengths with the sum ``length``, at least one; the simplest is (length,).

    Raises
    ------
    TypeError
        The length is not an integer.
    ValueError
        The length is negative.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 8.7.3 (signals in blocks).

    Examples
    --------
    >>> from hypothesis import find
    >>> from statespace.testing import strategies
    >>> find(strategies.chunkings(5), lambda blocks: True)
    (5,)
    >>> find(strategies.chunkings(5), lambda blocks: 0 in blocks)
    (0, 5)
    """
    check_count(length, "length")
    length = int(length)
    power = st.integers(0, max(length.bit_length() - 1, 0)).map(lambda k: 2**k)
    once = positions(length + 1).map(lambda where: (where, length - where))
    cuts = st.lists(positions(length + 1), min_size=2, max_size=6).map(lambda where: _between(length, where))
    equal = st.one_of(power, st.integers(1, max(length, 1))).map(lambda size: _equal(length, size))
    doubling = power.map(lambda first: _doubling(length, first))
    blocks = st.one_of(st.just((length,)), once, cuts, equal, doubling)
    return st.tuples(blocks, st.lists(st.integers(0, 8), max_size=3)).map(lambda drawn: _with_empty(*drawn))


# --------------------------------------------------------------- blocks


def _between(length: int, where: list[int]) -> tuple[int, ...]:
    """Blocks between cuts; a cut at an end or twice at one place leaves an empty block."""
    edges = [0, *sorted(where), length]
    return tuple(end - start for start, end in itertools.pairwise(edges))


def _equal(length: int, size: int) -> tuple[int, ...]:
    whole, rest = divmod(length, size)
    return (size,) * whole + ((rest,) if rest or not whole else ())


def _doubling(length: int, first: int) -> tuple[int, ...]:
    """first, 2·first, 4·first, … and what is left."""
    left, blocks = length, list[int]()
    while left > first * 2 ** len(blocks):
        blocks.append(first * 2 ** len(blocks))
        left -= blocks[-1]
    return (*blocks, left)


def _with_empty(blocks: tuple[int, ...], where: list[int]) -> tuple[int, ...]:
    """Empty blocks put in at a few places; a place beyond the last block is the end."""
    cut = list(blocks)
    for k in where:
        cut.insert(k, 0)
    return tuple(cut)


# --------------------------------------------------------------- one channel


def positions(length: int) -> st.SearchStrategy[int]:
    """Draw samples of a signal: any, the last, and those beside powers of two, where blocks end."""
    last = max(int(length) - 1, 0)
    borders = {2**k + side for k in range(last.bit_length()) for side in (-1, 0)}
    return st.one_of(st.integers(0, last), st.sampled_from(sorted({last, *borders})))


@functools.lru_cache(32)
def waves(length: int, decades: int = _DECADES, constant_first: bool = False) -> st.SearchStrategy[Array]:
    """Draw one real channel, (L,): a wave times a power of ten, or the sum of two."""
    k = np.arange(length, dtype=float)
    impulse = (k == 0).astype(float)
    fixed = [impulse, np.ones(length), 1.0 - 2.0 * (k % 2), np.zeros(length), k]
    if constant_first:
        fixed[:2] = fixed[1::-1]
    tones = st.floats(0.0, 1.0).map(lambda f: np.cos(np.pi * f * k))
    chirps = st.floats(0.0, 1.0).map(lambda theta: np.cos(np.pi * (theta * k * k % 2.0)))
    shapes = [*map(st.just, fixed), _spikes(length), tones, chirps]
    if length <= _SHORT:
        digits = st.lists(st.integers(-3, 3), min_size=length, max_size=length)
        shapes.append(digits.map(lambda values: np.array(values, dtype=float)))
    sized = st.tuples(st.one_of(shapes), st.integers(-decades, decades)).map(lambda drawn: drawn[0] * 10.0 ** drawn[1])
    return st.one_of(sized, st.tuples(sized, sized).map(lambda pair: pair[0] + pair[1]))


def _spikes(length: int) -> st.SearchStrategy[Array]:
    spike = st.tuples(positions(length), st.sampled_from((1.0, -1.0, 2.0, -3.0)))
    return st.lists(spike, min_size=1, max_size=5).map(lambda drawn: _struck(length, drawn))


def _struck(length: int, spikes: list[tuple[int, float]]) -> Array:
    signal = np.zeros(length)
    for where, height in spikes:
        signal[where : where + 1] += height  # nothing where there are no samples
    return signal


# --------------------------------------------------------------- many channels


@st.composite
def draw_signals(
    draw: st.DrawFn,
    length: int | None,
    channels: int | None,
    dtype: DType,
    batch: tuple[int, ...],
    *,
    decades: int = _DECADES,
    constant_first: bool = False,
) -> Array:
    """Arrays (*batch, L, channels), or (*batch, L): every channel a variant of a few drawn waves."""
    size = draw(LENGTHS) if length is None else int(length)
    wave = waves(size, decades, constant_first)
    if dtype.kind == "c":
        wave = st.tuples(wave, st.one_of(st.just(0.0), wave)).map(lambda parts: parts[0] + 1j * parts[1])
    rows = draw(_rows(math.prod(batch) * (1 if channels is None else int(channels)), size, dtype, wave))
    if channels is None:
        return rows.reshape(*batch, size)
    return np.ascontiguousarray(rows.reshape(*batch, channels, size).swapaxes(-1, -2))


@st.composite
def _rows(draw: st.DrawFn, count: int, length: int, dtype: DType, wave: st.SearchStrategy[Array]) -> Array:
    """Channels as rows, (count, L)."""
    rows = np.zeros((count, length), dtype)
    if not rows.size:
        return rows
    drawn = draw(st.lists(wave, min_size=1, max_size=min(count, 3)))
    variant = st.tuples(st.integers(0, len(drawn) - 1), st.sampled_from((1.0, -1.0, 0.0, 0.5, 1e-3)), positions(length))
    variants = [(0, 1.0, 0), *(draw(variant) for _ in range(min(count, _VARIANTS) - 1))]
    stride = draw(st.integers(0, 3)) if count > _VARIANTS else 0
    for r in range(count):
        which, scale, delay = variants[r % _VARIANTS]
        late = min(delay + stride * (r // _VARIANTS), length)
        rows[r, late:] += scale * drawn[which][: length - late]
    return rows
