"""Functions of dense matrices, batched over leading axes: balance, e^z, φ1, φ2, zeros."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np

from statespace.arrays import Array

_LOST = 1e-13  # of the largest entry of m: more than rounding leaves of m − e^L


class Exponentials(NamedTuple):
    """The entire functions of z that every exponential rule is made of."""

    exp: Array  # e^z
    phi1: Array  # ∫₀¹ e^{sz} ds
    phi2: Array  # ∫₀¹ (1−s) e^{sz} ds
    ramp: Array  # ∫₀¹ s e^{sz} ds = φ1 − φ2, without the cancellation


def identity_like(z: Array) -> Array:
    """The identity, broadcast to the shape of a batch of square matrices."""
    return np.broadcast_to(np.eye(z.shape[-1], dtype=z.dtype), z.shape)


def norm1(z: Array) -> Array:
    """Largest absolute column sum of each matrix; 0 for a matrix without entries."""
    return np.abs(z).sum(axis=-2).max(axis=-1, initial=0.0)


def balancing(a: Array, sweeps: int = 20) -> Array:
    """Powers of two t, (..., n), that make rows and columns of diag(1/t) a diag(t) equally large.

    Scaling by powers of two changes no digit. An 8-state companion matrix in SI units loses
    1e-5 of its exponential without this and 7e-16 with it.

    References
    ----------
    B. N. Parlett and C. Reinsch, "Balancing a matrix for calculation of eigenvalues and
    eigenvectors", Numer. Math. 13 (1969), section 2.
    """
    size = np.abs(a) * (1.0 - np.eye(a.shape[-1]))
    scale = np.ones(a.shape[:-1])
    for _ in range(sweeps):
        if np.all(_imbalance(size.sum(-2), size.sum(-1)) == 1.0):
            break
        for i in range(a.shape[-1]):
            f = _imbalance(size[..., :, i].sum(-1), size[..., i, :].sum(-1))
            size[..., :, i] *= f[..., None]
            size[..., i, :] /= f[..., None]
            scale[..., i] *= f
    return scale


def _imbalance(column: Array, row: Array) -> Array:
    """Power of two nearest to √(row/column); 1 where one of them is empty."""
    usable = (column > 0) & (row > 0)
    ratio = np.log2(np.where(usable, row, 1.0)) - np.log2(np.where(usable, column, 1.0))  # a quotient may overflow
    return np.asarray(np.exp2(np.round(0.5 * ratio)))


def balanced(a: Array) -> tuple[Array, Array]:
    """The similar matrix diag(1/t) a diag(t) with rows and columns equally large, and t."""
    scale = balancing(a)
    return a * (scale[..., None, :] / scale[..., :, None]), scale


def exponentials(z: Array) -> Exponentials:
    """e^z, φ1(z), φ2(z) and φ1 − φ2 of every matrix in a batch, error eps·‖z‖.

    A Taylor series of 18 terms at ‖z‖/2^s ≤ ½, then s doublings. A doubling is two half steps of the same
    recurrence, each integral cut in the middle; with E = e^z − 1 and r = φ1 − φ2

        E(2z) = 2E + E²      φ1(2z) = φ1 + E φ1/2      φ2(2z) = (φ1 + 2φ2 + E φ2)/4
                                                        r(2z) = (φ1 + 2r + E (φ1 + r))/4

    so nothing is ever divided by z: integrators and Jordan blocks are exact. E keeps the slow modes that e^z
    would round away at ‖z‖/2^s, which a triangular z (a cascade) needs: 1e-4 beside 1e12 is right to 1e-14.
    The fast ones, which cancel in 1 + E, are squared as e^z beside it.

    References
    ----------
    N. J. Higham, *Functions of Matrices*, SIAM 2008, sections 10.3 and 10.7.4.
    """
    z, scale = balanced(z)
    doublings = np.maximum(0, np.ceil(np.log2(np.maximum(norm1(z), 1e-300))) + 1).astype(int)
    values = _taylor(z / np.exp2(doublings)[..., None, None])
    for left in range(int(doublings.max(initial=0)), 0, -1):
        active = doublings >= left
        if active.all():
            values = _doubled(*values)
        else:
            for whole, part in zip(values, _doubled(*(v[active] for v in values)), strict=True):
                whole[active] = part
    expm1, squared, *integrals = values
    back = scale[..., :, None] / scale[..., None, :]
    return Exponentials(*(v * back for v in (_whole(expm1, squared, doublings), *integrals)))


def _taylor(z: Array, terms: int = 18) -> tuple[Array, ...]:
    """E, e^z and the three integrals at small z; one Horner recurrence for φ2, the others from it."""
    one = identity_like(z)
    phi2 = one / math.factorial(terms + 2)
    for k in range(terms - 1, -1, -1):
        phi2 = z @ phi2 + one / math.factorial(k + 2)
    phi1 = one + z @ phi2
    expm1 = z @ phi1
    return expm1, one + expm1, phi1, phi2, phi1 - phi2


def _doubled(expm1: Array, squared: Array, phi1: Array, phi2: Array, ramp: Array) -> tuple[Array, ...]:
    return (
        2 * expm1 + expm1 @ expm1,
        squared @ squared,
        phi1 + expm1 @ phi1 / 2,
        (phi1 + 2 * phi2 + expm1 @ phi2) / 4,
        (phi1 + 2 * ramp + expm1 @ (phi1 + ramp)) / 4,
    )


def _whole(expm1: Array, squared: Array, doublings: Array) -> Array:
    """e^z from E, error eps/e^z; between modes that both fell below 2^−s from the squares, error eps·2^s."""
    decayed = np.abs(np.diagonal(squared, axis1=-2, axis2=-1)) < np.exp2(-doublings)[..., None]
    both = decayed[..., :, None] & decayed[..., None, :]
    return np.where(both, squared, identity_like(expm1) + expm1)


def logarithm(m: Array) -> Array:
    """Principal logarithm of every matrix in a batch, which must have no eigenvalue at or below 0.

    Near the identity one Newton step with the residual m − e^L = (m − 1) − L φ1(L), which is known to all its
    digits there: at ‖L‖ = 1e-5 it turns an error of 1e-10 into 6e-12, half of which is the rounding of m.

    References
    ----------
    A. H. Al-Mohy, N. J. Higham, "Improved inverse scaling and squaring algorithms for the matrix logarithm",
    SIAM J. Sci. Comput. 34 (2012), algorithm 5.1.
    """
    if m.shape[-1] == 0:
        return np.array(m)
    given, (m, scale) = m, balanced(m)
    back = scale[..., :, None] / scale[..., None, :]
    value = np.array([_logm(one) for one in m.reshape(-1, *m.shape[-2:])]).reshape(m.shape)
    near = norm1(m - identity_like(m)) < 0.5
    value[near] += solve(m[near], _residual(m[near], value[near]))
    lost = np.abs(_residual(m, value) * back).max((-2, -1))
    for k in map(tuple, np.argwhere((lost > _LOST * np.abs(given).max((-2, -1))) & (lost < np.inf))):
        if not is_block_triangular(m[k]):
            value[k] = _mended(m[k], value[k], back[k], lost[k])
    return value * back


def _residual(m: Array, logarithm: Array) -> Array:
    """What e^L leaves of m, (m − 1) − L φ1(L)."""
    return m - identity_like(m) - logarithm @ exponentials(logarithm).phi1


def _mended(m: Array, value: Array, back: Array, lost: float) -> Array:
    """A Newton step where balancing trusted small entries that are rounding themselves, if that was the matter.

    1e-17 beside 1 scaled a state by 1e8, and its row of the logarithm came back with an error of 5e-7. Where the
    logarithm is ill conditioned a step gains little and is not taken.
    """
    better = value + _logm_derivative(m, _residual(m, value))
    return better if np.abs(_residual(m, better) * back).max() < lost / 30 else value


def _logm_derivative(m: Array, change: Array) -> Array:
    """What a small change of m does to its logarithm: log [m E; 0 m] = [log m  L(m, E); 0  log m]."""
    from scipy.linalg import logm

    n, size = len(m), np.abs(change).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few digits of a correction are enough
        value = logm(np.block([[m, change / size], [np.zeros_like(m), m]]))[:n, n:]
    return np.asarray(size * (value if m.dtype.kind == "c" else value.real))


def _logm(m: Array) -> Array:
    """SciPy's logarithm of one matrix; a cascade's is made triangular first, so that its modes do not mix.

    Its small error is one in the norm, which leaves small entries wrong: a filter of order 20 came back with its
    response off by 2e-8, and e^−45 beside e^−1 not at all. Triangular, both are right to 1e-14.
    """
    from scipy.linalg import logm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that m is nearly singular: what that costs is known where it is called
        if is_block_triangular(m):
            v = _block_eigenvectors(m)
            value = v @ logm(np.tril(np.linalg.solve(v, m @ v)).T).T @ np.linalg.inv(v)
        else:
            value = logm(m)
    return np.asarray(value if m.dtype.kind == "c" else value.real)


def is_block_triangular(m: Array) -> bool:
    """Whether matrices are lower triangular but for 2×2 blocks of conjugate eigenvalues, as those of cascades are.

    A block [[σ, −ω], [ω, σ]] has orthogonal eigenvectors, and well conditioned ones in other units of its states and
    with roundings of its own. One with two nearly equal eigenvalues, a critically damped spring, has not.
    """
    above, below = np.diagonal(m, 1, -2, -1), np.diagonal(m, -1, -2, -1)
    difference = np.diff(np.diagonal(m, 0, -2, -1), axis=-1) / 2
    turns = (above * below).real < -4 * np.abs(difference * difference)
    alone = np.all(~turns[..., 1:] | ~turns[..., :-1])
    return bool(alone and np.all(turns | (above == 0)) and not np.triu(m, 2).any())


def _block_eigenvectors(m: Array) -> Array:
    """Block-diagonal matrix of the eigenvectors of the 2×2 blocks, 1 elsewhere."""
    v = np.eye(m.shape[-1], dtype=complex)
    for k in np.flatnonzero(np.diagonal(m, 1)):  # each of them begins a block
        v[k : k + 2, k : k + 2] = np.linalg.eig(m[k : k + 2, k : k + 2])[1]
    return v


def solve(matrix: Array, right: Array) -> Array:
    """Solve matrix @ x = right in balanced coordinates, batched; singular raises LinAlgError."""
    if matrix.shape[-1] == 0:
        return np.zeros(np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2]) + right.shape[-2:], right.dtype)
    similar, scale = balanced(matrix)
    return scale[..., :, None] * np.linalg.solve(similar, right / scale[..., :, None])


def invariant_zeros(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Finite s at which [[a − s, b], [c, d]] loses rank; one system, not a batch.

    The system pencil is compressed by orthogonal row and column operations until its feedthrough is
    square and invertible, and the rest is a generalized eigenvalue problem without infinite roots.

    References
    ----------
    A. Emami-Naeini and P. Van Dooren, "Computation of zeros of linear multivariable systems",
    Automatica 18 (1982), section 3.
    """
    from scipy.linalg import eigvals

    if a.shape[0] == 0 or b.shape[1] == 0 or c.shape[0] == 0:
        return np.zeros(0, complex)
    a, scale = balanced(a)
    b, c = b / scale[:, None], c * scale
    b, c, d, tolerance = _equilibrated(a, b, c, d)
    a, b, c, d = _full_row_rank(a, b, c, d, tolerance)
    a, c, b, d = (m.T for m in _full_row_rank(a.T, c.T, b.T, d.T, tolerance))
    n, m = a.shape[0], d.shape[1]
    if n == 0 or d.shape[0] == 0:
        return np.linalg.eigvals(a).astype(complex) if d.shape[0] == 0 and n else np.zeros(0, complex)
    # Columns rotated so that [c d] = [0 d̂]: what is left of a − s is a regular pencil.
    _, _, vh = np.linalg.svd(np.hstack([c, d]))
    v = vh.conj().T[:, m:]  # the null space of [c d], n columns
    return _in_exact_pairs(eigvals(np.hstack([a, b]) @ v, v[:n]), real=np.isrealobj(a) and np.isrealobj(v))


def _in_exact_pairs(values: Array, *, real: bool) -> Array:
    """Of the two quotients that a real pencil gives for a conjugate pair, which may differ by a rounding, the first."""
    values = np.asarray(values, complex)
    if real:
        first = np.flatnonzero(values.imag > 0)  # the conjugate follows
        values[first + 1] = values[first].conj()
    return values


def _equilibrated(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array, Array, float]:
    """Scale each input and output, in powers of two, to the size of a; zeros do not move."""
    size = float(np.abs(a).max(initial=0.0)) or 1.0
    for _ in range(3):
        inputs = _powers_of_two(size, np.vstack([b, d]), axis=0)
        b, d = b * inputs, d * inputs
        outputs = _powers_of_two(size, np.hstack([c, d]), axis=1)[:, None]
        c, d = c * outputs, d * outputs
    tolerance = 10 * (a.shape[0] + b.shape[1] + c.shape[0]) * float(np.finfo(float).eps) * size
    return b, c, d, tolerance


def _powers_of_two(size: float, m: Array, axis: int) -> Array:
    """Factors that bring the largest entries along an axis to a size; 1 where there is none."""
    largest = np.abs(m).max(axis=axis, initial=0.0)
    return np.where(largest > 0, np.exp2(np.round(np.log2(size / np.where(largest > 0, largest, size)))), 1.0)


def _full_row_rank(a: Array, b: Array, c: Array, d: Array, tolerance: float) -> tuple[Array, Array, Array, Array]:
    """Drop the states that the outputs without feedthrough pin to zero, until d has full row rank."""
    while True:
        u, sigma, _ = np.linalg.svd(d)
        rank = int(np.sum(sigma > tolerance))
        if rank == d.shape[0]:
            return a, b, c, d
        rows = u.conj().T
        d, c = (rows @ d)[:rank], rows @ c
        silent, c = c[rank:], c[:rank]  # outputs that see only the state: c x = 0 on a zero
        _, sigma, vh = np.linalg.svd(silent)
        pinned = int(np.sum(sigma > tolerance))
        if pinned == 0:
            return a, b, c, d
        # New coordinates: the first `pinned` are held at zero, so their derivative is an output.
        t = vh.conj().T
        a, b, c = t.conj().T @ a @ t, t.conj().T @ b, c @ t
        c, d = np.vstack([a[:pinned, pinned:], c[:, pinned:]]), np.vstack([b[:pinned], d])
        a, b = a[pinned:, pinned:], b[pinned:]
        if a.shape[0] == 0:
            return a, b, c, d


def is_singular(m: Array) -> Array:
    """Whether each matrix is singular to rounding, whatever the units of its rows and columns."""
    if m.shape[-1] == 0:
        return np.zeros(m.shape[:-2], bool)
    for axis in (-1, -2):
        largest = np.abs(m).max(axis=axis, keepdims=True)
        m = m / np.where(largest > 0, largest, 1.0)
    sigma = np.linalg.svd(m, compute_uv=False)
    return np.asarray(sigma[..., -1] <= 10 * m.shape[-1] * np.finfo(float).eps * sigma[..., 0])


def transfer_at_pole(m: Array, b: Array, c: Array, samples: int = 64) -> Array:
    """Value of c (m + ε)⁻¹ b at ε = 0 for one singular m: inf where the channel has the pole there.

    The Laurent coefficients around the pole, by the trapezoidal rule on a circle a third of the way to the next
    one: a channel that has the pole shows negative powers, in another the coefficient of ε⁰ is the value. Its
    order and the other channels do not matter.
    """
    m, scale = balanced(m)
    b, c = b / scale[:, None], c * scale
    radius = _next_pole(np.sort(np.abs(np.linalg.eigvals(m)))) / 3
    turns = np.exp(2j * np.pi * (np.arange(samples) + 0.25) / samples)  # never on the real axis
    h = c @ np.linalg.solve(m + radius * turns[:, None, None] * np.eye(m.shape[0]), b[None])
    powers = np.fft.fft(h, axis=0) / samples  # coefficient of ε^k times radius^k, negative k at the end
    principal = np.abs(powers[samples // 2 :]).max(axis=0)
    return np.where(principal > 1e-10 * np.abs(h).max(axis=0), complex(np.inf), powers[0])


def _next_pole(distance: Array) -> float:
    """Distance of the first pole that is not one of those at zero, which rounding spreads: a gap of 100 parts them."""
    size = float(distance[-1]) or 1.0
    near, following = np.maximum(distance[:-1], 1e-300), distance[1:]
    rounding = 10 * len(distance) * np.finfo(float).eps * size
    parted = (following >= 100 * near) & (near <= 1e-4 * size) & (following > rounding)
    return float(following[parted][0]) if parted.any() else 3 * size


def blocks(a: Array, b: Array | None, c: Array | None, d: Array) -> Array:
    """[[a, b], [c, d]], batch axes broadcast; None is a block of zeros."""
    b = np.zeros((a.shape[-2], d.shape[-1])) if b is None else b
    c = np.zeros((d.shape[-2], a.shape[-1])) if c is None else c
    batch = np.broadcast_shapes(*(m.shape[:-2] for m in (a, b, c, d)))
    full = [np.broadcast_to(m, batch + m.shape[-2:]) for m in (a, b, c, d)]
    return np.concatenate([np.concatenate(full[:2], axis=-1), np.concatenate(full[2:], axis=-1)], axis=-2)
