"""ssd_vjp: ssd and its gradients, by the same matrix products backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from statespace.arrays import Array, library_of
from statespace.scan import require_one_place
from statespace.selective.chunk_runs import pull_chunks, record_chunks
from statespace.selective.chunks import from_rows, to_rows
from statespace.selective.pullbacks import as_given, of_heads, read_grad, summed
from statespace.selective.ssd_arguments import read, recurrence, starting_rows, state_of


class SSDGradients(NamedTuple):
    """What a pullback of `ssd_vjp` returns: for each array argument its gradient, of its shape, or None.

    Attributes
    ----------
    x, delta, A, B, C, D, x0 : ndarray or None
        In the shape of the argument.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> one = np.ones((1, 1, 1))
    >>> y, pullback = ss.ssd_vjp(one, [[1.0]], [-1.0], 2 * one, 3 * one)
    >>> gradients = pullback(np.ones_like(y))
    >>> gradients.x.item(), gradients.D  # y = Δ (C·B) x
    (6.0, None)
    """

    x: Array
    delta: Array
    A: Array
    B: Array
    C: Array
    D: Array | None
    x0: Array | None


def ssd_vjp(
    x: Any,
    delta: Any,
    A: Any,
    B: Any,
    C: Any,
    D: Any = None,
    *,
    chunk: int = 64,
    x0: Any = None,
    reset: Any = None,
    return_state: bool = False,
) -> tuple[Any, Callable[..., SSDGradients]]:
    """Run `ssd`, and get the function that takes a gradient of its answer to the gradients of its arguments.

    Parameters
    ----------
    x, delta, A, B, C, D, chunk, x0, reset, return_state
        As for `ssd`. Arrays are not copied and read again by the pullback: leave them as they are until then.

    Returns
    -------
    y : ndarray, (..., L, h, p), or (y, state) with return_state
    pullback : callable (grad_y, grad_state=None) -> SSDGradients
        ``grad_y`` has the shape of y, ``grad_state`` that of the state after the last sample, (..., h, p, n), 0 unless
        given. The gradients are those of Σ grad_y·y + Σ grad_state·state, of the shapes and kinds of the arguments as
        given: summed over what was broadcast, None for what was not given. Exact, the same at each call, and it can be
        called as often as wanted.

    Raises
    ------
    TypeError, ValueError
        As `ssd`; from the pullback where the shape of a gradient does not fit, or where it lives.

    Notes
    -----
    Of all states in time only one in about √(L/chunk) chunks is kept; the others are computed once more.
    Where an argument is not finite, what its gradients hold is not defined.

    References
    ----------
    T. Dao, A. Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
    Duality", ICML 2024, section 6; A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 12
    (checkpoints).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> x = np.ones((4, 1, 1))
    >>> delta, A, one = np.ones((4, 1)), [-np.log(2.0)], np.ones((1, 1, 1))
    >>> y, pullback = ss.ssd_vjp(x, delta, A, one, one)
    >>> pullback(np.array([0.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)).x.ravel()  # the last y heard the first x decay
    array([0.125, 0.25 , 0.5  , 1.   ])
    """
    given = read(x, delta, A, B, C, D, chunk, x0, reset)
    like = SSDGradients(*as_given(x, delta, A, B, C, D, x0))
    r, groups = recurrence(given), given.B.shape[-2]
    y, final, tape = record_chunks(r, starting_rows(given, groups), given.chunk)
    xp, state_shape = library_of(y), state_of(given)

    def pullback(grad_y: Any, grad_state: Any = None) -> SSDGradients:
        require_one_place(y, "x", {"grad_y": grad_y, "grad_state": grad_state})
        after = xp.zeros(state_shape) if grad_state is None else read_grad(grad_state, state_shape, "grad_state")
        back = read_grad(grad_y, y.shape, "grad_y").astype(y.dtype)
        grads = pull_chunks(r, tape, back, to_rows(after, groups))
        a = grads.exponent  # = ΔA, and κ = γ = Δ
        step = a * given.A + grads.later + grads.now
        start = from_rows(grads.start, y.shape[-2])
        parts = (grads.x, step, a * given.delta, grads.B, grads.C, of_heads(grads.D, like.D), start)
        return SSDGradients(*(summed(grad, array) for grad, array in zip(parts, like, strict=True)))

    return ((y, from_rows(final, y.shape[-2])) if return_state else y), pullback
