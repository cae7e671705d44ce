"""Inputs of a selective scan."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import Array
from statespace.testing.strategies.arguments import DType, as_batch, as_dtype, check_count, check_flag
from statespace.testing.strategies.signals import LENGTHS, draw_signals

# |λ|: an integrator, Mamba's first states, slow and stiff ones.
_RATES = (1.0, 0.0, 2.0, 0.5, 1e-3, 16.0, 1e3, 1e-6, 1e6)


class SelectiveInputs(NamedTuple):
    """The arrays of a selective scan, in the order in which it takes them.

    Parameters
    ----------
    u : ndarray, (*batch, L, d)
        Signal.
    delta : ndarray, (*batch, L, d)
        Steps of time, real, 0 or more; 0 is a hold: the state stays.
    A : ndarray, (d, n)
        Poles of every channel, Re ≤ 0.
    B, C : ndarray, (*batch, L or 1, n), or (*batch, L or 1, g, n) with groups
        Input and output vectors, shared by the channels of a group.
    D : ndarray, (d,)
        Feedthrough.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.testing import strategies
    >>> one = np.ones((4, 1))
    >>> x = strategies.SelectiveInputs(one, one, np.array([[-1.0]]), one, one, np.zeros(1))
    >>> x.delta.shape, x.A.shape
    ((4, 1), (1, 1))
    """

    u: Array
    delta: Array
    A: Array
    B: Array
    C: Array
    D: Array


def selective_inputs(
    length: int | None = None,
    channels: int | None = None,
    states: int | None = None,
    *,
    groups: int | None = None,
    batch: tuple[int, ...] = (),
    constant: bool = False,
    dtype: Any = float,
) -> st.SearchStrategy[SelectiveInputs]:
    """Draw what a selective scan takes: u, delta, A, B, C and D.

    Poles over twelve decades, equal ones, −1 … −n as in Mamba, integrators at exactly 0, and with a complex dtype
    lightly damped and undamped oscillations. Steps relative to the poles, also far shorter and longer, and holds of
    exactly 0. The simplest is an impulse into poles at −1 with steps 1, B = C = 1 and D = 0.

    Parameters
    ----------
    length : int, optional
        Samples, 0 or more; None draws 1 to 64.
    channels : int, optional
        Channels d, 0 or more; None draws 1 to 4, or as many in units of the groups.
    states : int, optional
        States n of each channel, 0 or more; None draws 1 to 4.
    groups : int, optional
        B and C come in g groups on an axis of their own; the channels are divided between them.
    batch : tuple of int
        Leading axes of u, delta, B and C.
    constant : bool
        Nothing changes over time: B and C have a time axis of length 1, and delta, then never 0, is the same at every
        step. Each channel is then a linear time-invariant system.
    dtype : dtype
        float32, float64, complex64 or complex128; delta is real, of the same precision.

    Returns
    -------
    SearchStrategy
        Of `SelectiveInputs`.

    Raises
    ------
    TypeError
        A size is not an integer, batch is not a tuple of sizes, constant is not True or False, or the dtype is not one
        of the four.
    ValueError
        A size is negative, or the groups do not divide the channels.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.

    Examples
    --------
    >>> from hypothesis import find
    >>> from statespace.testing import strategies
    >>> x = find(strategies.selective_inputs(length=2), lambda x: True)
    >>> x.u[:, 0], x.delta[:, 0], x.A, x.D
    (array([1., 0.]), array([1., 1.]), array([[-1.]]), array([0.]))
    """
    check_count(length, "length", drawn=True)
    check_count(channels, "channels", drawn=True)
    check_count(states, "states", drawn=True)
    check_count(groups, "groups", 1, drawn=True)
    check_flag(constant, "constant")
    if groups is not None and channels is not None and channels % groups:
        raise ValueError(
            f"groups must divide the channels between them, got groups={groups} and channels={channels}; "
            f"take channels={groups * (channels // groups + 1)}"
        )
    d = st.integers(1, 4).map(lambda k: k * (groups or 1)) if channels is None else st.just(int(channels))
    n = st.integers(1, 4) if states is None else st.just(int(states))
    sizes = st.tuples(LENGTHS if length is None else st.just(int(length)), d, n)
    return _inputs(sizes, groups, as_batch(batch), bool(constant), as_dtype(dtype))


@st.composite
def _inputs(
    draw: st.DrawFn, sizes: st.SearchStrategy[Any], groups: int | None, batch: tuple[int, ...], lti: bool, dtype: DType
) -> SelectiveInputs:
    length, d, n = draw(sizes)
    u = draw(draw_signals(length, d, dtype, batch))
    a = draw(_poles(d, n, dtype))
    delta = draw(_steps((*batch, length, d), a, lti)).astype(np.zeros(0, dtype).real.dtype)
    # Vectors of size 1, constant at first: u has the decades already.
    vectors = draw_signals(1 if lti else length, n * (groups or 1), dtype, batch, decades=0, constant_first=True)
    b, c = draw(vectors), draw(vectors)
    if groups is not None:
        b, c = (v.reshape(*v.shape[:-1], groups, n) for v in (b, c))
    direct = draw(st.lists(st.sampled_from((0.0, 1.0, -1.0, 0.5)), min_size=1, max_size=4))
    return SelectiveInputs(u, delta, a, b, c, np.resize(direct, d).astype(dtype))


@st.composite
def _poles(draw: st.DrawFn, d: int, n: int, dtype: DType) -> Array:
    """(d, n): all at −1, from a few rates that repeat, or 1 … n in every channel.

    All at −1 takes no further choice: Hypothesis counts what takes fewer choices as simpler.
    """
    drawn = st.lists(st.sampled_from(_RATES), min_size=1, max_size=8).map(lambda rates: np.resize(rates, (d, n)))
    ladder = st.just(np.broadcast_to(np.arange(1.0, n + 1), (d, n)))
    decay = draw(st.one_of(st.just(np.ones((d, n))), drawn, ladder))
    if dtype.kind != "c":
        return (-decay).astype(dtype) + 0  # never −0.0
    turns = draw(st.lists(st.sampled_from((0.0, 1.0, -1.0, 3.0, 100.0)), min_size=1, max_size=5))
    return (1j * np.resize(turns, (d, n)) - decay).astype(dtype)


@st.composite
def _steps(draw: st.DrawFn, shape: tuple[int, ...], poles: Array, lti: bool) -> Array:
    """An angle of one of the poles, times a pattern over time and one over channels and batch."""
    speeds = np.unique(np.abs(poles[poles != 0]))[::-1].tolist() or [1.0]
    factors = (1.0, 0.5, 2.0, 1e-3) + (() if lti else (0.0,))
    pattern = st.lists(st.sampled_from(factors), min_size=1, max_size=6)
    step = draw(st.integers(-6, 2).map(lambda k: 10.0**k)) / draw(st.sampled_from(speeds))
    over_time = np.resize(1.0 if lti else draw(pattern), shape[-2])[:, None]
    each = np.resize(draw(pattern), (*shape[:-2], 1, shape[-1]))
    return step * over_time * each
