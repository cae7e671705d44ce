"""ssd_trapezoidal: Mamba-3's recurrence, two taps and turning states, on the chunks of Mamba-2."""

from __future__ import annotations

from typing import Any, Literal, overload

from statespace.arrays import Array
from statespace.selective.chunk_runs import run_chunks
from statespace.selective.mamba3_arguments import (
    TrapezoidalState,
    first_rows,
    groups_of,
    last_state,
    read_trapezoid,
    trapezoid_recurrence,
)


@overload
def ssd_trapezoidal(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, *, weight: Any, angles: Any = None,
    chunk: int = 64, x0: Any = None, reset: Any = None, return_state: Literal[False] = False,
) -> Array: ...  # fmt: skip
@overload
def ssd_trapezoidal(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, *, weight: Any, angles: Any = None,
    chunk: int = 64, x0: Any = None, reset: Any = None, return_state: bool,
) -> Array | tuple[Array, TrapezoidalState]: ...  # fmt: skip
def ssd_trapezoidal(
    x: Any,
    delta: Any,
    A: Any,
    B: Any,
    C: Any,
    D: Any = None,
    *,
    weight: Any,
    angles: Any = None,
    chunk: int = 64,
    x0: Any = None,
    reset: Any = None,
    return_state: bool = False,
) -> Array | tuple[Array, TrapezoidalState]:
    """Run Mamba-3's recurrence (single input, single output): input by a weighted trapezoid, states that turn.

    S_t = α S_{t−1} + (1 − τ)Δ α x_{t−1} k_{t−1}ᵀ + τΔ x_t k_tᵀ with α = e^{ΔA}, and y_t = S_t q_t + D x_t. The keys k
    are B, the queries q are C, with the pairs (2i, 2i+1) of their entries turned by θ_t = θ_{t−1} + angles_t mod 2π.
    With weight 1 and no angles this is `ssd`.

    Parameters
    ----------
    x, delta, A, B, C, D, chunk, reset
        As for `ssd`. A reset cuts all of the state: the sample before, and θ, which starts from 0 again.
    weight : array_like, (..., L, h)
        τ in [0, 1], what a step takes from its own sample; 1 − τ it takes from the sample before. Mamba-3: a sigmoid.
    angles : array_like, (..., L, h, s), optional
        Radians that step t turns pair i < s by, s ≤ n/2; what is left of n does not turn. Mamba-3: π·tanh(·)·Δ.
    x0 : TrapezoidalState, optional
        From a call before: (state, key, value, angle).
    return_state : bool
        Return (y, state).

    Returns
    -------
    y : ndarray, (..., L, h, p)
        Single precision for x in single precision, whatever the others are; an array of CuPy where x is one.
    state : TrapezoidalState
        Only with ``return_state``: S (..., h, p, n), the last k (..., h, n) and x (..., h, p), and θ (..., h, s), all
        double. Any split in time gives the answer of one call, to rounding.

    Raises
    ------
    TypeError
        An array is complex, reset is not bool, or x0 is not a TrapezoidalState.
    ValueError
        As for `ssd`; weight lies outside [0, 1], there are more angles than pairs, or an angle is not finite.

    Warns
    -----
    RuntimeWarning
        A is positive: the state grows.

    Notes
    -----
    A sample weighs τ_tΔ_t at once and (1 − τ_{t+1})Δ_{t+1} more from the next step on, so that the state with what the
    next step will add obeys a recurrence of one tap, which runs as `ssd` does. Turning B and C instead of the state
    keeps that recurrence real: C·B sees only differences of angles. Angles are summed in double, and reduced.

    On a GPU, as for `ssd`; that weight lies in [0, 1] and that angles are finite is not checked there either, and what
    an angle that is not finite gives is not defined.

    References
    ----------
    A. Lahoti et al., "Mamba-3: Improved Sequence Modeling using State Space Principles", 2026, sections 3.1 and 3.2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> x = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)  # an impulse, one head of one channel
    >>> delta, A, half = np.ones((3, 1)), [-np.log(2.0)], np.full((3, 1), 0.5)
    >>> one = np.ones((1, 1, 1))
    >>> ss.ssd_trapezoidal(x, delta, A, one, one, weight=half).ravel()  # ½, then (½ + ½)·½
    array([0.5 , 0.5 , 0.25])
    >>> pair = np.array([1.0, 0.0]).reshape(1, 1, 2)
    >>> y = ss.ssd_trapezoidal(x, delta, [0.0], pair, pair, weight=half, angles=np.full((3, 1, 1), np.pi / 3))
    >>> y.ravel().round(12)  # it turns by 60 degrees a step
    array([ 0.5,  0.5, -0.5])
    """
    given = read_trapezoid(x, delta, A, B, C, D, weight, angles, chunk, x0, reset)
    r = trapezoid_recurrence(given)
    y, final = run_chunks(r, first_rows(given, groups_of(r)), given.plain.chunk)
    return (y, last_state(given, r, final)) if return_state else y
