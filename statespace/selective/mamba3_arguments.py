"""The door of ssd_trapezoidal, and its recurrence as one that chunks.py runs.

S_t = α_t S_{t−1} + β_t x_{t−1} k_{t−1}ᵀ + γ_t x_t k_tᵀ,   α = e^{ΔA},   β_t = ν_t α_t,   γ = τΔ,   with ν = (1 − τ)Δ

hears a sample twice: with γ_t at once, and as soon as the next step is known with ν_{t+1} more, which then decays like
the rest. So R_t = S_t + ν_{t+1} x_t k_tᵀ, the state with what the next step will add, has one tap alone,

R_t = α_t R_{t−1} + κ_t x_t k_tᵀ,   κ_t = γ_t + ν_{t+1}        S_t = α_t R_{t−1} + γ_t x_t k_tᵀ

which is exact, divides by nothing and subtracts nothing: a sample weighs κ in what follows and γ in its own output.
After the last sample the next step is not known: there κ = γ and R = S, and the pair (x, k) is handed on with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, library_of, on_device, shorten
from statespace.scan import refuse_nonfinite_here, require_one_place
from statespace.selective.chunks import Recurrence, from_rows, to_rows
from statespace.selective.rotation import cumulate, rotate
from statespace.selective.ssd_arguments import (
    Arguments,
    as_real,
    check_series,
    exponents,
    read,
    read_batch,
    read_state,
    state_of,
)


class TrapezoidalState(NamedTuple):
    """What `ssd_trapezoidal` hands on after the last sample; double.

    Attributes
    ----------
    state : ndarray, (..., h, p, n)
        S.
    key, value : ndarray, (..., h, n) and (..., h, p)
        The last B, turned, and the last x.
    angle : ndarray, (..., h, s)
        θ; s = 0 without angles.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> start = ss.TrapezoidalState(np.zeros((2, 3, 4)), np.zeros((2, 4)), np.zeros((2, 3)), np.zeros((2, 0)))
    >>> start.state.shape  # 2 heads, 3 channels each, 4 states
    (2, 3, 4)
    """

    state: Any
    key: Any
    value: Any
    angle: Any


class Trapezoid(NamedTuple):
    """The arguments of Mamba-3's recurrence, checked."""

    plain: Arguments  # those of ssd, without x0; batch axes of all
    weight: Array  # τ, (..., L, h), double
    angles: Array | None  # (..., L, h, s), double
    before: TrapezoidalState | None


def read_trapezoid(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any, weight: Any, angles: Any, chunk: Any, x0: Any, reset: Any
) -> Trapezoid:
    """Check the arguments of ssd_trapezoidal; a warning points at who called the caller of this."""
    require_one_place(x, "x", {"weight": weight, "angles": angles, "x0": x0})
    plain = read(x, delta, A, B, C, D, chunk, None, reset, depth=1)
    tau = _read_weight(weight, plain.x)
    turns = None if angles is None else _read_angles(angles, plain)
    before = None if x0 is None else _read_before(x0, plain, 0 if turns is None else turns.shape[-1])
    own = {} if before is None else {"x0." + name: (part, 2) for name, part in before._asdict().items()}
    own |= {} if before is None else {"x0.state": (before.state, 3)}
    batch = read_batch(
        **{"x, delta, A, B, C and reset": (np.empty((*plain.batch, 0)), 1)}, weight=(tau, 2), angles=(turns, 3), **own
    )
    return Trapezoid(plain._replace(batch=batch), tau, turns, before)


def _read_weight(weight: Any, x: Array) -> Array:
    tau = as_real(weight, "weight").astype(np.float64)
    check_series(tau, x, "weight")
    if on_device(tau):  # its values would have to be waited for
        return tau
    outside = ~((tau >= 0) & (tau <= 1))
    if outside.any():
        first = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"weight must lie in [0, 1], got {int(outside.sum())} of {tau.size} values outside, the first is "
            f"weight[{', '.join(map(str, first))}] = {tau[first]:g}; it is the sigmoid of what the model projects"
        )
    return tau


def _read_angles(angles: Any, plain: Arguments) -> Array:
    turns = as_real(angles, "angles").astype(np.float64)
    check_series(turns, plain.x, "angles", tail=", s")
    most = plain.B.shape[-1] // 2
    if turns.shape[-1] > most:
        raise ValueError(
            f"angles turn pairs of the n={plain.B.shape[-1]} states, at most {most}, got s={turns.shape[-1]} on the "
            f"last axis; angles.shape={turns.shape}"
        )
    refuse_nonfinite_here(turns, "angles")
    return turns


def _read_before(x0: Any, plain: Arguments, s: int) -> TrapezoidalState:
    if not isinstance(x0, (tuple, list)) or len(x0) != len(TrapezoidalState._fields):
        raise TypeError(
            "x0 must be a TrapezoidalState (state, key, value, angle), which return_state=True gives, "
            f"got {shorten(x0)}"
        )
    (h, p), n = plain.x.shape[-2:], plain.B.shape[-1]
    shapes = ((h, p, n), (h, n), (h, p), (h, s))
    names = TrapezoidalState._fields
    return TrapezoidalState(*(read_state(v, k, "x0." + name) for v, k, name in zip(x0, shapes, names, strict=True)))


# --------------------------------------------------------------- to the recurrence and back


def trapezoid_recurrence(given: Trapezoid) -> Recurrence:
    """The recurrence of R."""
    plain = given.plain
    now, nu = given.weight * plain.delta, next_weight(given)
    xp = library_of(now)
    later = xp.array(xp.broadcast_to(now, np.broadcast_shapes(now.shape, nu.shape)))
    later[..., :-1, :] += nu[..., 1:, :]
    theta = None if given.angles is None else cumulate(given.angles, _first_angle(given), plain.reset)
    return Recurrence(plain.x, exponents(plain), later, now, plain.B, plain.C, plain.D, plain.reset, theta)


def next_weight(given: Trapezoid) -> Array:
    """ν = (1 − τ)Δ, what a step adds of the sample before it."""
    return (1.0 - given.weight) * given.plain.delta


def _first_angle(given: Trapezoid) -> Array:
    h, s = state_shapes(given).angle[-2:]
    return library_of(given.weight).zeros((h, s)) if given.before is None else given.before.angle


def groups_of(r: Recurrence) -> int:
    """Groups of heads that share B and C: turned, each head has its own."""
    return int(r.B.shape[-2] if r.theta is None else r.x.shape[-2])


def first_rows(given: Trapezoid, groups: int) -> Array:
    """R before the first sample: the state and what the first step adds."""
    xp = library_of(given.weight)
    first: Any = xp.zeros(())
    if given.before is not None:
        first = given.before.state
        if given.weight.shape[-2]:
            pair = given.before.value[..., :, None] * given.before.key[..., None, :]
            first = first + next_weight(given)[..., 0, :, None, None] * pair
    return to_rows(xp.broadcast_to(first, state_of(given.plain)), groups)


def state_shapes(given: Trapezoid) -> TrapezoidalState:
    """The shapes of what is handed on, with all batch axes."""
    *batch, h, p, n = state_of(given.plain)
    s = 0 if given.angles is None else given.angles.shape[-1]
    return TrapezoidalState((*batch, h, p, n), (*batch, h, n), (*batch, h, p), (*batch, h, s))


def last_state(given: Trapezoid, r: Recurrence, rows: Array) -> TrapezoidalState:
    """What is handed on."""
    shapes, xp = state_shapes(given), library_of(r.x)
    if r.x.shape[-3] == 0:
        parts: Any = (xp.zeros(()),) * 4 if given.before is None else given.before
    else:
        angle = last_angle(r)
        key = rotate(r.B[..., -1:, :, :], angle)
        parts = (from_rows(rows, r.x.shape[-2]), key[..., 0, :, :], r.x[..., -1, :, :], angle[..., 0, :, :])
    return TrapezoidalState(*(xp.array(xp.broadcast_to(v, k), np.float64) for v, k in zip(parts, shapes, strict=True)))


def last_angle(r: Recurrence) -> Array:
    """θ of the last sample, (..., 1, h, s)."""
    return library_of(r.x).zeros((1, r.x.shape[-2], 0)) if r.theta is None else r.theta[..., -1:, :, :]
