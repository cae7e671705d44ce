"""The recurrence of Mamba-2 and Mamba-3 in chunks: matrix products inside a chunk, one small state between chunks.

R_t = e^{a_t} R_{t−1} + κ_t x_t B_tᵀ        y_t = (e^{a_t} R_{t−1} + γ_t x_t B_tᵀ) C_t + D x_t

for each head, with R of p×n numbers. Mamba-2 has κ = γ = Δ, and then R is its state S. Mamba-3 has another weight for
the sample itself than for what follows it. Over a chunk of Q samples, with the decays E_ij = e^{a_{j+1} + … + a_i},

y_i = Σ_{j<i} κ_j E_ij (C_i·B_j) x_j + γ_i (C_i·B_i) x_i + E_i R C_i + D x_i        R⁺ = E_Q R + Σ_j κ_j E_Qj x_j B_jᵀ

("state space duality": T. Dao, A. Gu, "Transformers are SSMs", ICML 2024, section 6).

Every exponent is the sum of its own segment. As the difference of two running sums it would keep eps times those sums,
and be inf − inf after a huge decay. A segment that holds a reset sums to −inf: what came before counts nothing.

Exponents and R are double where x is single. R collects an update per chunk: in single precision a slow state would
lose a digit for every tenfold of chunks. Both are small beside x and the products, which stay single.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from statespace.arrays import Array, is_finite, library_of, on_device
from statespace.selective.rotation import rotate


class Recurrence(NamedTuple):
    """The whole recurrence; batch axes broadcast."""

    x: Array  # (..., L, h, p)
    exponent: Array  # a, (..., L, h), double; −inf where a sequence starts
    later: Array  # κ, (..., L, h), double: the weight of a sample in what follows
    now: Array  # γ, (..., L, h), double: its weight in its own output; may be `later` itself
    B: Array  # (..., L or 1, g, n)
    C: Array  # (..., L or 1, g, n)
    D: Array | None  # (h, 1 or p)
    reset: Array | None  # (..., L), bool
    theta: Array | None  # (..., L, h, s), double: B and C are turned by these angles, each head by its own


class Piece(NamedTuple):
    """Q consecutive samples of it."""

    x: Array  # (..., Q, h, p)
    exponent: Array  # (..., Q, h)
    later: Array
    now: Array
    B: Array  # (..., g, Q, n)
    C: Array
    D: Array | None
    segment: Array | None  # (..., Q), how many sequences have started in this piece up to here


class Decays(NamedTuple):
    """What is left at the end of a stretch of what was there before it."""

    since: Array  # over samples 0 … i, (..., Q, h)
    until: Array  # over samples i+1 … Q−1, (..., Q, h)
    total: Array  # (..., h), double


# --------------------------------------------------------------- the run


def run(r: Recurrence, start: Array, parts: list[slice], every: int = 0) -> tuple[Array, Array, list[Array]]:
    """Answer y, the final R and, where ``every`` is not 0, the R before every so many parts; R as `to_rows` has it.

    All batch axes are those of ``start``.
    """
    y = np.empty((*start.shape[:-3], *r.x.shape[-3:]), r.x.dtype)
    state, marks = start.copy(), []
    with np.errstate(all="ignore"):  # NaN and infinity go where they belong
        for k, part in enumerate(parts):
            if every and k % every == 0:
                marks.append(state.copy())
            piece = take(r, part)
            answer(piece, state, y[..., part, :, :])
            advance(piece, state)
    return y, state, marks


def cut(r: Recurrence, chunk: int) -> list[slice]:
    """Cut time into chunks; one that holds NaN or infinity into single samples.

    A product with a triangular matrix multiplies later samples by 0, and 0·NaN is NaN: it would go backwards in time,
    and over a reset. A chunk of one sample has no later samples.
    """
    length = r.x.shape[-3]
    parts = [slice(k, min(k + chunk, length)) for k in range(0, length, chunk)]
    if is_finite(r.x) and is_finite(r.B):
        return parts
    singles = [[part] if _is_finite(r, part) else _samples(part) for part in parts]
    return [part for some in singles for part in some]


def _is_finite(r: Recurrence, part: slice) -> bool:
    return is_finite(r.x[..., part, :, :]) and is_finite(during(r.B, part, -3))


def _samples(part: slice) -> list[slice]:
    return [slice(k, k + 1) for k in range(part.start, part.stop)]


def during(array: Array, part: slice, axis: int) -> Array:
    """The samples of a part; of an array that is constant in time, its only one."""
    index: tuple[Any, ...] = (..., part, *(slice(None),) * (-1 - axis))
    return array if array.shape[axis] == 1 else array[index]


# --------------------------------------------------------------- a piece


def take(r: Recurrence, part: slice) -> Piece:
    """Read one part, B and C turned."""
    b, c = (_matrix(array, r.theta, part) for array in (r.B, r.C))
    segment = None if r.reset is None else library_of(r.reset).cumsum(r.reset[..., part], axis=-1)
    later = r.later[..., part, :]
    now = later if r.now is r.later else r.now[..., part, :]
    return Piece(r.x[..., part, :, :], r.exponent[..., part, :], later, now, b, c, r.D, segment)


def _matrix(array: Array, theta: Array | None, part: slice) -> Array:
    """B or C of one part as (..., g, Q, n)."""
    values = during(array, part, -3)
    if theta is not None:
        return rotate(values, theta[..., part, :, :]).swapaxes(-3, -2)
    shape = (*values.shape[:-3], part.stop - part.start, *values.shape[-2:])
    if shape == values.shape:
        return values.swapaxes(-3, -2)
    xp = library_of(values)
    return xp.ascontiguousarray(xp.broadcast_to(values, shape).swapaxes(-3, -2))  # BLAS takes no rows of stride 0


def answer(piece: Piece, state: Array, y: Array) -> None:
    """Write y_i = Σ_{j≤i} M_ij x_j + E_i R C_i + D x_i."""
    np.matmul(piece.C, state.astype(y.dtype, copy=False), out=to_groups(y, piece.C.shape[-3]))
    complete(piece, y)


def complete(piece: Piece, y: Array) -> None:
    """From R C_i to y_i, in place."""
    since = decays(piece).since[..., None]
    if piece.segment is None:
        y *= since
    else:  # not by their decay of 0: 0·NaN would cross the reset
        y[...] = library_of(y).where(piece.segment[..., None, None] == 0, y * since, 0.0)
    mixed = mixing(weights(piece, decay_matrix(piece)), products(piece))
    y += (mixed.swapaxes(-3, -2) @ piece.x.swapaxes(-3, -2)).swapaxes(-3, -2)
    if piece.D is not None:
        y += piece.D * piece.x


def advance(piece: Piece, state: Array) -> None:
    """R ← E_Q R + Σ_j κ_j E_Qj B_j x_jᵀ, in place."""
    decay, g = decays(piece), piece.B.shape[-3]
    as_heads(state, piece)[...] *= by_head(decay.total, g)
    if piece.segment is not None:
        np.copyto(state, 0.0, where=piece.segment[..., -1, None, None, None] > 0)
    state += piece.B.swapaxes(-1, -2) @ to_groups(weighted(piece, decay), g)


def weighted(piece: Piece, decay: Decays) -> Array:
    """κ_j E_Qj x_j: what is left of each sample at the end."""
    return piece.x * kept(piece, decay)[..., None]


def kept(piece: Piece, decay: Decays) -> Array:
    """κ_j E_Qj, (..., Q, h)."""
    return decay.until * piece.later.astype(piece.x.dtype)


def as_heads(state: Array, piece: Piece) -> Array:
    """A view of a state (..., g, n, h/g·p) as (..., g, n, h/g, p)."""
    g, (h, p) = state.shape[-3], piece.x.shape[-2:]
    return state.reshape(*state.shape[:-1], h // g, p)


def by_head(total: Array, g: int) -> Array:
    """Numbers (..., h) to multiply `as_heads` with."""
    return total.reshape(*total.shape[:-1], g, 1, total.shape[-1] // g, 1)


# --------------------------------------------------------------- its matrices, i first: (..., Q, h, Q)


def decays(piece: Piece) -> Decays:
    """e^{a_0 + … + a_i}, e^{a_{i+1} + … + a_{Q−1}} and e^{a_0 + … + a_{Q−1}}."""
    xp = library_of(piece.exponent)
    since, until = xp.cumsum(piece.exponent, axis=-2), xp.zeros_like(piece.exponent)
    until[..., -2::-1, :] = xp.cumsum(piece.exponent[..., :0:-1, :], axis=-2)
    total = decayed(since[..., -1, :].copy(), np.float64)
    return Decays(decayed(since, piece.x.dtype), decayed(until, piece.x.dtype), total)


def decay_matrix(piece: Piece) -> Array:
    """E_ij = e^{a_{j+1} + … + a_i} for j ≤ i, 0 for j > i."""
    a = piece.exponent
    if on_device(a):
        return _decay_matrix_at_once(a, piece.x.dtype)
    *batch, q, h = a.shape
    sums = np.full((*batch, q, h, q), _GONE)
    diagonal(sums)[...] = 0.0
    # s_ij = s_{i−1,j} + a_i
    for i in range(1, q):
        np.add(sums[..., i - 1, :, :i], a[..., i, :, None], out=sums[..., i, :, :i])
    return decayed(sums, piece.x.dtype)


def _decay_matrix_at_once(a: Array, dtype: DTypeLike) -> Array:
    """All rows in one go: s_ij = Σ_{k ≤ i} (a_k where k > j)."""
    xp, q = library_of(a), a.shape[-2]
    sums = xp.cumsum(xp.where(xp.tri(q, k=-1, dtype=bool)[:, None, :], a[..., None], 0.0), axis=-3)
    return decayed(xp.where(xp.tri(q, dtype=bool)[:, None, :], sums, _GONE), dtype)


# Numbers below the normal ones cost a hundred times more in a product, and e^-inf twenty times more than e^-700.
_GONE = -700.0
_NOTHING = {np.dtype(np.float32): np.float32(1e-26), np.dtype(np.float64): np.float64(1e-282)}


def decayed(sums: Array, dtype: DTypeLike) -> Array:
    """e^s, 0 where it is below 1e-26 (single) or 1e-282 (double): too little to be seen. Overwrites the sums."""
    xp = library_of(sums)
    left = xp.exp(xp.maximum(sums, _GONE, out=sums), out=sums).astype(dtype, copy=False)
    left *= left > _NOTHING[left.dtype]
    return left


def diagonal(matrix: Array) -> Array:
    """A view of the entries i = j, (..., Q, h), on the host a writable one."""
    if on_device(matrix):
        return library_of(matrix).diagonal(matrix, 0, -3, -1).swapaxes(-1, -2)
    view: Array = np.einsum("...ihi->...ih", matrix)
    return view


def with_diagonal(matrix: Array, entries: Any) -> Array:
    """The matrix with other entries i = j, (..., Q, h) or one number: on the host itself, on a GPU a new one."""
    if on_device(matrix):
        xp = library_of(matrix)
        values = entries[..., None].astype(matrix.dtype) if on_device(entries) else matrix.dtype.type(entries)
        return xp.where(xp.eye(matrix.shape[-1], dtype=bool)[:, None, :], values, matrix)
    diagonal(matrix)[...] = entries
    return matrix


def weights(piece: Piece, decay: Array) -> Array:
    """κ_j E_ij, on the diagonal γ_i."""
    weight = decay * piece.later.swapaxes(-1, -2)[..., None, :, :].astype(decay.dtype)
    return weight if piece.now is piece.later else with_diagonal(weight, piece.now)


def products(piece: Piece) -> Array:
    """C_i·B_j where sample j may be heard at i, (..., Q, g, 1, Q); elsewhere 0, also where it overflows."""
    heard = heard_at(piece)
    if piece.segment is not None:
        heard = heard[..., None, :, :]
    zero = piece.x.dtype.type(0.0)
    dot: Array = library_of(heard).where(heard, piece.C @ piece.B.swapaxes(-1, -2), zero)
    return dot.swapaxes(-3, -2)[..., :, :, None, :]


def heard_at(piece: Piece) -> Array:
    """Whether sample j may be heard at i: not later, and of the same sequence; (Q, Q), or (..., Q, Q) with resets."""
    heard: Array = library_of(piece.x).tri(piece.x.shape[-3], dtype=bool)
    if piece.segment is not None:
        heard = heard & (piece.segment[..., :, None] == piece.segment[..., None, :])
    return heard


def mixing(weight: Array, dot: Array) -> Array:
    """M_ij = κ_j E_ij (C_i·B_j), the head k with the B and C of its group."""
    return over_heads(weight, dot)


def over_heads(heads: Array, groups: Array) -> Array:
    """Multiply (..., Q, h, Q) by (..., Q, g, 1, Q)."""
    g, (q, h) = groups.shape[-3], heads.shape[-3:-1]
    both = heads.reshape(*heads.shape[:-2], g, h // g, q) * groups
    return both.reshape(*both.shape[:-3], h, q)


# --------------------------------------------------------------- layouts


def to_groups(x: Array, g: int) -> Array:
    """(..., Q, h, p) as (..., g, Q, h/g·p): the heads of a group side by side, one product for all of them."""
    q, h, p = x.shape[-3:]
    return x.reshape(*x.shape[:-3], q, g, h // g * p).swapaxes(-3, -2)


def from_groups(x: Array, h: int) -> Array:
    """Undo `to_groups`."""
    g, q, width = x.shape[-3:]
    return x.swapaxes(-3, -2).reshape(*x.shape[:-3], q, h, g * width // h)


def to_rows(state: Array, g: int) -> Array:
    """A state (..., h, p, n) as (..., g, n, h/g·p), a copy in double."""
    *batch, h, p, n = state.shape
    xp = library_of(state)
    rows = xp.moveaxis(state.reshape(*batch, g, h // g, p, n), -1, -3)
    return xp.array(rows, dtype=np.float64, order="C").reshape(*batch, g, n, h // g * p)


def from_rows(rows: Array, h: int) -> Array:
    """Undo `to_rows`."""
    *batch, g, n, width = rows.shape
    xp, p = library_of(rows), g * width // h
    return xp.ascontiguousarray(xp.moveaxis(rows.reshape(*batch, g, n, h // g, p), -3, -1)).reshape(*batch, h, p, n)
