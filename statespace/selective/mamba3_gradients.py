"""ssd_trapezoidal_vjp: Mamba-3's recurrence and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from statespace.arrays import Array, library_of, shorten
from statespace.scan import require_one_place
from statespace.selective.chunk_gradients import Gradients
from statespace.selective.chunk_runs import pull_chunks, record_chunks
from statespace.selective.chunks import Recurrence, from_rows, to_rows
from statespace.selective.mamba3_arguments import (
    Trapezoid,
    TrapezoidalState,
    first_rows,
    groups_of,
    last_angle,
    last_state,
    next_weight,
    read_trapezoid,
    state_shapes,
    trapezoid_recurrence,
)
from statespace.selective.pullbacks import as_given, of_heads, read_grad, summed
from statespace.selective.rotation import cumulate_back, rotate, rotate_back


class TrapezoidalGradients(NamedTuple):
    """What a pullback of `ssd_trapezoidal_vjp` returns: for each array argument its gradient, of its shape, or None.

    Attributes
    ----------
    x, delta, A, B, C, D, weight, angles : ndarray or None
        In the shape of the argument.
    x0 : TrapezoidalState or None
        Of the state before the first sample.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> one = np.ones((1, 1, 1))
    >>> y, pullback = ss.ssd_trapezoidal_vjp(one, [[1.0]], [-1.0], 2 * one, 3 * one, weight=[[0.5]])
    >>> gradients = pullback(np.ones_like(y))
    >>> gradients.weight.item(), gradients.angles  # y = τ Δ (C·B) x
    (6.0, None)
    """

    x: Array
    delta: Array
    A: Array
    B: Array
    C: Array
    D: Array | None
    weight: Array
    angles: Array | None
    x0: TrapezoidalState | None


def ssd_trapezoidal_vjp(
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
) -> tuple[Any, Callable[..., TrapezoidalGradients]]:
    """Run `ssd_trapezoidal`, and get the function from a gradient of its answer to the gradients of its arguments.

    Parameters
    ----------
    x, delta, A, B, C, D, weight, angles, chunk, x0, reset, return_state
        As for `ssd_trapezoidal`. Arrays are not copied and read again by the pullback: leave them as they are.

    Returns
    -------
    y : ndarray, (..., L, h, p), or (y, state) with return_state
    pullback : callable (grad_y, grad_state=None) -> TrapezoidalGradients
        ``grad_state`` is a TrapezoidalState of the gradients of what is handed on, each of its shape, or None for 0.
        The gradients are those of Σ grad_y·y + Σ grad_state·state, of the shapes and kinds of the arguments as given;
        that of x0 is a TrapezoidalState. Exact, the same at each call, and it can be called as often as wanted.

    Raises
    ------
    TypeError, ValueError
        As `ssd_trapezoidal`; from the pullback where a gradient does not fit.

    Notes
    -----
    As for `ssd_vjp`, one state in about √(L/chunk) chunks is kept. θ is differentiated as the sum it is: that it is
    reduced mod 2π changes nothing.

    References
    ----------
    A. Lahoti et al., "Mamba-3: Improved Sequence Modeling using State Space Principles", 2026, sections 3.1 and 3.2;
    A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 12 (checkpoints).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> x, delta, A = np.ones((2, 1, 1)), np.ones((2, 1)), [0.0]  # nothing decays
    >>> pair, half = np.array([1.0, 0.0]).reshape(1, 1, 2), np.full((2, 1), 0.5)
    >>> turn = np.full((2, 1, 1), np.pi / 2)
    >>> y, pullback = ss.ssd_trapezoidal_vjp(x, delta, A, pair, pair, weight=half, angles=turn)
    >>> pullback(np.array([0.0, 1.0]).reshape(2, 1, 1)).angles.ravel().round(12)  # y_1 = ½ + cos(its angle)
    array([ 0., -1.])
    """
    given = read_trapezoid(x, delta, A, B, C, D, weight, angles, chunk, x0, reset)
    before = None if x0 is None else TrapezoidalState(*as_given(*x0))
    like = TrapezoidalGradients._make([*as_given(x, delta, A, B, C, D, weight, angles), before])
    r = trapezoid_recurrence(given)
    groups = groups_of(r)
    y, final, tape = record_chunks(r, first_rows(given, groups), given.plain.chunk)

    def pullback(grad_y: Any, grad_state: Any = None) -> TrapezoidalGradients:
        require_one_place(y, "x", {"grad_y": grad_y, "grad_state": grad_state})
        after = _read_after(grad_state, state_shapes(given), library_of(y))
        back = read_grad(grad_y, y.shape, "grad_y").astype(y.dtype)
        grads = pull_chunks(r, tape, back, to_rows(after.state, groups))
        return _gathered(_through_last(grads, r, after), given, after, like)

    return ((y, last_state(given, r, final)) if return_state else y), pullback


def _read_after(grad_state: Any, shapes: TrapezoidalState, xp: Any) -> TrapezoidalState:
    if grad_state is None:
        return TrapezoidalState(*map(xp.zeros, shapes))
    if not isinstance(grad_state, (tuple, list)) or len(grad_state) != len(shapes):
        raise TypeError(
            f"grad_state must be a TrapezoidalState of gradients, each an array or None, got {shorten(grad_state)}"
        )
    parts = zip(grad_state, shapes, TrapezoidalState._fields, strict=True)
    return TrapezoidalState(
        *(xp.zeros(k) if v is None else read_grad(v, k, "grad_state." + name) for v, k, name in parts)
    )


def _through_last(grads: Gradients, r: Recurrence, after: TrapezoidalState) -> Gradients:
    """Add what comes from the last sample being handed on: its x, its B as turned, and θ."""
    if r.x.shape[-3] == 0:
        return grads
    angle = last_angle(r)
    key, g = rotate(r.B[..., -1:, :, :], angle), r.B.shape[-2]
    back, by_angle = rotate_back(key, after.key[..., None, :, :], angle, g)
    grads.x[..., -1, :, :] += after.value
    grads.B[..., -1:, :, :] += back
    if grads.theta is not None:
        grads.theta[..., -1:, :, :] += by_angle + after.angle[..., None, :, :]
    return grads


def _gathered(
    grads: Gradients, given: Trapezoid, after: TrapezoidalState, like: TrapezoidalGradients
) -> TrapezoidalGradients:
    """From the gradients of R's recurrence to those of the arguments."""
    plain, tau, a = given.plain, given.weight, grads.exponent  # a = ΔA
    start = from_rows(grads.start, plain.x.shape[-2])
    before, by_first = _through_first(start, given, after)
    # γ = τΔ is in κ too; ν_t = (1 − τ_t)Δ_t is in κ_{t−1}, the first one in R before the first sample
    gamma, nu = grads.later + grads.now, library_of(grads.later).zeros_like(grads.later)
    nu[..., 1:, :] = grads.later[..., :-1, :]
    nu[..., :1, :] = by_first[..., None, :][..., : nu.shape[-2], :]
    step = a * plain.A + tau * gamma + (1.0 - tau) * nu
    angles = None
    if grads.theta is not None:
        angles, first_angle = cumulate_back(grads.theta, plain.reset)
        before = before._replace(angle=before.angle + first_angle)
    weight = plain.delta * (gamma - nu)
    parts = (grads.x, step, a * plain.delta, grads.B, grads.C, of_heads(grads.D, like.D), weight, angles)
    arrays = (summed(grad, array) for grad, array in zip(parts, like[:-1], strict=True))
    x0 = None if like.x0 is None else TrapezoidalState(*map(summed, before, like.x0))
    return TrapezoidalGradients._make([*arrays, x0])


def _through_first(start: Array, given: Trapezoid, after: TrapezoidalState) -> tuple[TrapezoidalState, Array]:
    """From the gradient of R = S + ν_0 x kᵀ before the first sample to those of the state before and of ν_0."""
    xp = library_of(start)
    nothing = xp.zeros(after.angle.shape)
    if given.weight.shape[-2] == 0:
        return after, start[..., 0, 0]  # nothing ran: what was handed in is handed on
    if given.before is None:
        return TrapezoidalState(start, None, None, nothing), xp.zeros(start.shape[:-2])
    nu = next_weight(given)[..., 0, :, None]
    by_value = (start @ given.before.key[..., None])[..., 0]  # (..., h, p)
    by_key = (start.swapaxes(-1, -2) @ given.before.value[..., None])[..., 0]
    by_first: Array = (by_value * given.before.value).sum(axis=-1)
    return TrapezoidalState(start, nu * by_key, nu * by_value, nothing), by_first
