"""The recurrence of chunks.py backwards: gradients by matrix products over chunks, from a few states on the way.

With ȳ of the answers and R̄ of the state after a chunk, and P_ij = ȳ_i·x_j, V_j = R̄ B_j, Z_ij = κ_j E_ij P_ij (C_i·B_j),

x̄_j = Σ_i M_ij ȳ_i + κ_j E_Qj V_j            κ̄_j = Σ_{i>j} Z_ij/κ_j + E_Qj x_j·V_j      γ̄_i = P_ii (C_i·B_i)
B̄_j = Σ_i κ_j E_ij P_ij C_i + κ_j E_Qj R̄ᵀx_j    C̄_i = Σ_j κ_j E_ij P_ij B_j + E_i Rᵀȳ_i    R̄⁻ = E_Q R̄ + Σ_i E_i ȳ_i C_iᵀ

A decay E_ij is e to a sum over j < k ≤ i, so the exponent a_k gets every term that its segment spans:

ā_k = Σ_{j<k≤i} Z_ij + Σ_{i≥k} E_i ȳ_i·R C_i + Σ_{j<k} κ_j E_Qj x_j·V_j + E_Q R̄·R

and not a running sum of row sums minus column sums, which is the same number after a cancellation.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

import numpy as np

from statespace.arrays import Array, library_of
from statespace.selective.chunks import (
    Decays,
    Piece,
    Recurrence,
    advance,
    as_heads,
    by_head,
    decay_matrix,
    decays,
    diagonal,
    from_groups,
    kept,
    mixing,
    over_heads,
    products,
    run,
    take,
    to_groups,
    weighted,
    weights,
    with_diagonal,
)
from statespace.selective.rotation import rotate_back


class Tape(NamedTuple):
    """What the way back needs of the way there."""

    parts: list[slice]
    every: int  # parts between two of:
    marks: list[Array]  # states


class Gradients(NamedTuple):
    """Of the recurrence's arrays, each with all batch axes and L samples; of a piece, its own samples."""

    x: Array  # (..., L, h, p)
    exponent: Array  # (..., L, h), double, as the next two
    later: Array
    now: Array
    B: Array  # (..., L, g, n)
    C: Array
    D: Array  # (h, p), double
    theta: Array | None  # (..., L, h, s)
    start: Array  # (..., g, n, h/g·p), double


def record(r: Recurrence, start: Array, parts: list[slice]) -> tuple[Array, Array, Tape]:
    """Run, and keep as many states as there are parts between two of them: memory and time in balance."""
    every = max(isqrt(len(parts)), 1)
    y, final, marks = run(r, start, parts, every)
    return y, final, Tape(parts, every, marks)


def backward(r: Recurrence, tape: Tape, grad_y: Array, grad_final: Array) -> Gradients:
    """All gradients, from those of y and of the final R (with all batch axes, in the layout of `to_rows`)."""
    grads, state_bar = nothing(r, grad_y, grad_final), grad_final.copy()
    with np.errstate(all="ignore"):
        for number in reversed(range(len(tape.marks))):
            parts = tape.parts[number * tape.every :][: tape.every]
            for part, state in reversed(list(zip(parts, _states(r, parts, tape.marks[number]), strict=True))):
                piece = take(r, part)
                write(grads, r, part, piece, _pull(piece, state, grad_y[..., part, :, :], state_bar))
    return grads._replace(start=state_bar)


def _states(r: Recurrence, parts: list[slice], mark: Array) -> list[Array]:
    """The state before each part, once more."""
    states = [mark]
    for part in parts[:-1]:
        states.append(states[-1].copy())
        advance(take(r, part), states[-1])
    return states


def nothing(r: Recurrence, grad_y: Array, start: Array) -> Gradients:
    """Room for all of them."""
    xp, batch = library_of(grad_y), grad_y.shape[:-3]
    exponent, later, now = (xp.zeros((*batch, *r.x.shape[-3:-1])) for _ in range(3))
    b, c = (xp.zeros((*batch, r.x.shape[-3], *r.B.shape[-2:]), r.x.dtype) for _ in range(2))
    theta = None if r.theta is None else xp.zeros((*batch, *r.theta.shape[-3:]))
    return Gradients(xp.zeros_like(grad_y), exponent, later, now, b, c, xp.zeros(r.x.shape[-2:]), theta, start)


def write(grads: Gradients, r: Recurrence, part: slice, piece: Piece, pulled: Gradients) -> None:
    """Write what a piece gave to its samples; B and C turned back."""
    for whole, some in zip(grads[1:4], pulled[1:4], strict=True):
        whole[..., part, :] = some
    grads.x[..., part, :, :] = pulled.x
    grads.D[...] += pulled.D
    for whole, turned, some in ((grads.B, piece.B, pulled.B), (grads.C, piece.C, pulled.C)):
        values = some.swapaxes(-3, -2)
        if r.theta is not None and grads.theta is not None:
            values, by_angle = rotate_back(turned.swapaxes(-3, -2), values, r.theta[..., part, :, :], whole.shape[-2])
            grads.theta[..., part, :, :] += by_angle
        whole[..., part, :, :] = values


# --------------------------------------------------------------- a piece


def _pull(piece: Piece, state: Array, grad_y: Array, state_bar: Array) -> Gradients:
    """Gradients of a piece; the gradient of the state after it becomes that of the state before it, in place."""
    decay = decays(piece)
    heard = grad_y * decay.since[..., None]  # E_i ȳ_i
    grads = gradients_of(piece, decay, heard, state, grad_y, state_bar)
    as_heads(state_bar, piece)[...] *= by_head(decay.total, piece.B.shape[-3])
    state_bar += carried_back(piece, heard)
    return grads


def carried_back(piece: Piece, heard: Array) -> Array:
    """Σ_i E_i ȳ_i C_iᵀ, what answers of a piece tell the state before it."""
    return piece.C.swapaxes(-1, -2) @ to_groups(heard, piece.C.shape[-3])


def gradients_of(piece: Piece, decay: Decays, heard: Array, state: Array, grad_y: Array, state_bar: Array) -> Gradients:
    """Gradients of a piece from those of its answers and of the state after it."""
    h, g, dtype = piece.x.shape[-2], piece.B.shape[-3], piece.x.dtype
    bar = state_bar.astype(dtype)
    seen = from_groups(piece.B @ bar, h)  # V_j
    spans = _within(piece, grad_y)
    z = (heard * from_groups(piece.C @ state.astype(dtype), h)).sum(axis=-1, dtype=np.float64)
    u = (piece.x * seen).sum(axis=-1, dtype=np.float64)
    total = decay.total * _dot(state, state_bar, piece)
    exponent = spans.exponent + _from(z) + _before(kept(piece, decay) * u) + total[..., None, :]
    by_weight, direct = kept(piece, decay)[..., None] * seen, 0.0 if piece.D is None else grad_y * piece.D
    outer, x = to_groups(heard, g), to_groups(weighted(piece, decay), g)
    return Gradients(
        spans.x + by_weight + direct,
        exponent,
        spans.later + decay.until * u,
        spans.now,
        spans.B + x @ bar.swapaxes(-1, -2),
        spans.C + outer @ state.astype(dtype).swapaxes(-1, -2),
        (grad_y * piece.x).sum(axis=tuple(range(grad_y.ndim - 2)), dtype=np.float64),
        None,
        state_bar,
    )


class _Within(NamedTuple):  # what goes from sample to sample of a piece
    x: Array
    exponent: Array
    later: Array
    now: Array
    B: Array
    C: Array


def _within(piece: Piece, grad_y: Array) -> _Within:
    decay, dot = decay_matrix(piece), products(piece)
    weight, heads = weights(piece, decay), grad_y.swapaxes(-3, -2)
    outer = (heads @ piece.x.swapaxes(-3, -2).swapaxes(-2, -1)).swapaxes(-3, -2)  # P, (..., Q, h, Q)
    by_dot = _per_group(outer * weight, piece)
    spans = over_heads(outer * decay, dot)  # Z without κ
    x = mixing(weight, dot).swapaxes(-3, -2).swapaxes(-1, -2) @ heads
    now = diagonal(spans).astype(np.float64)
    spans = with_diagonal(spans, 0.0)
    return _Within(
        x.swapaxes(-3, -2),
        _spanned(spans * piece.later.swapaxes(-1, -2)[..., None, :, :].astype(spans.dtype)),
        spans.sum(axis=-3, dtype=np.float64).swapaxes(-1, -2),
        now,
        by_dot.swapaxes(-1, -2) @ piece.C,
        by_dot @ piece.B,
    )


def _spanned(z: Array) -> Array:
    """Σ_{j<k≤i} Z_ij for each k, (..., Q, h), of a strictly lower Z (..., Q, h, Q)."""
    xp, (*batch, q, h, _) = library_of(z), z.shape
    before = z.reshape(*batch, q * h, q) @ xp.tri(q, k=-1, dtype=z.dtype).T  # Σ_{j<k} Z_ij, k last
    before = before.reshape(z.shape)
    before *= xp.tri(q, dtype=z.dtype)[:, None, :]  # i ≥ k
    sums: Array = before.sum(axis=-3, dtype=np.float64)
    return sums.swapaxes(-1, -2)


def _per_group(heads: Array, piece: Piece) -> Array:
    """Sum (..., Q, h, Q) over the heads of a group: (..., g, Q, Q)."""
    g, (q, h) = piece.B.shape[-3], heads.shape[-3:-1]
    summed: Array = heads.reshape(*heads.shape[:-2], g, h // g, q).sum(axis=-2)
    return summed.swapaxes(-3, -2)


def _from(z: Array) -> Array:
    """Σ_{i≥k} z_i."""
    return library_of(z).cumsum(z[..., ::-1, :], axis=-2)[..., ::-1, :]


def _before(u: Array) -> Array:
    """Σ_{j<k} u_j."""
    xp = library_of(u)
    sums = xp.zeros(u.shape)
    sums[..., 1:, :] = xp.cumsum(u[..., :-1, :], axis=-2)
    return sums


def _dot(state: Array, bar: Array, piece: Piece) -> Array:
    """R̄·R of each head, (..., h)."""
    both: Array = as_heads(state * bar, piece).sum(axis=(-3, -1))
    return both.reshape(*both.shape[:-2], piece.x.shape[-2])
