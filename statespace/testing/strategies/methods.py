"""Discretization methods."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from hypothesis import strategies as st

from statespace.arrays import as_step
from statespace.discretization import (
    BackwardEuler,
    Bilinear,
    ExponentialTrapezoidal,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    Impulse,
    MatchedPoles,
    ZeroOrderHold,
)
from statespace.testing.strategies.arguments import check_flag

_METHODS = (
    ZeroOrderHold(),
    FirstOrderHold(),
    Bilinear(),
    Impulse(),
    BackwardEuler(),
    ZeroOrderHold(tap="current"),
    Bilinear(tap="current"),
    ExponentialTrapezoidal(),
)


def discretizations(dt: Any = None, *, keeps_stability: bool = False, siso: bool = False) -> st.SearchStrategy[Any]:
    """Draw discretization methods, all that the library has, with drawn weights and frequencies.

    Parameters
    ----------
    dt : float or array_like, optional
        The step, or the steps of a batch, that they will be used with: Tustin's rule is then also prewarped, at 0.05 to
        0.9 of the Nyquist frequency π/dt. Without it no prewarping.
    keeps_stability : bool
        Only methods under which stable stays stable, whatever the step: not forward Euler, nor a weight below ½.
    siso : bool
        `MatchedPoles` as well, which takes one input and one output.

    Returns
    -------
    SearchStrategy
        Of method objects; the simplest is ``ZeroOrderHold()``.

    Raises
    ------
    TypeError
        dt is not a real number, or a switch is not True or False.
    ValueError
        dt is not positive and finite.

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., chapter 6.

    Examples
    --------
    >>> from hypothesis import find
    >>> from statespace.testing import strategies
    >>> find(strategies.discretizations(), lambda method: True)
    ZeroOrderHold(tap='previous')
    """
    check_flag(keeps_stability, "keeps_stability")
    check_flag(siso, "siso")
    known: list[Any] = [*_METHODS]
    if not keeps_stability:
        known.append(ForwardEuler())
    if siso:
        known.append(MatchedPoles())
    drawn: list[st.SearchStrategy[Any]] = [_weights(0.0).map(ExponentialTrapezoidal)]
    drawn.append(_weights(0.5 if keeps_stability else 0.0).map(GeneralizedBilinear))
    if dt is not None:
        drawn.append(_prewarped(float(np.max(as_step(dt, what="discretizations")))))
    return st.one_of(st.sampled_from(known), *drawn)


def _weights(least: float) -> st.SearchStrategy[float]:
    """½ and both ends on purpose, and anything between."""
    return st.one_of(st.sampled_from(sorted({0.5, 1.0, least}, key=lambda w: abs(w - 0.5))), st.floats(least, 1.0))


def _prewarped(step: float) -> st.SearchStrategy[Any]:
    nyquist = min(np.pi / step, sys.float_info.max)
    part = st.integers(1, 18).map(lambda k: 0.05 * k)
    return st.builds(lambda p, tap: Bilinear(p * nyquist, tap), part, st.sampled_from(("previous", "current")))
