"""Functions of dense matrices, batched over leading axes: balance, e^z, φ1, φ2, zeros."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.arrays import Array


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
    n = a.shape[-1]
    size = np.abs(a) * (1.0 - np.eye(n))
    scale = np.ones(a.shape[:-1])
    for _ in range(sweeps):
        changed = False
        for i in range(n):
            column, row = size[..., :, i].sum(-1), size[..., i, :].sum(-1)
            usable = (column > 0) & (row > 0)
            ratio = np.where(usable, row, 1.0) / np.where(usable, column, 1.0)
            f = np.exp2(np.round(0.5 * np.log2(ratio)))
            if np.any(f != 1.0):
                size[..., :, i] *= f[..., None]
                size[..., i, :] /= f[..., None]
                scale[..., i] *= f
                changed = True
        if not changed:
            break
    return scale


def balanced(a: Array) -> Array:
    """The similar matrix with rows and columns equally large."""
    scale = balancing(a)
    return a * (scale[..., None, :] / scale[..., :, None])


def exponentials(z: Array) -> Exponentials:
    """e^z, φ1(z), φ2(z) and φ1 − φ2 of every matrix in a batch, error eps·‖z‖.

    A Taylor series of 18 terms at ‖z‖/2^s ≤ ½, then s doublings. A doubling is two half
    steps of the same recurrence, each integral cut in the middle:

        φ1(2z) = (φ1 + e^z φ1)/2      φ2(2z) = (φ1 + φ2 + e^z φ2)/4
        e^{2z} = e^z e^z              (φ1−φ2)(2z) = (r + e^z (φ1 + r))/4,  r = φ1 − φ2

    so nothing is ever divided by z: integrators and Jordan blocks are exact.

    References
    ----------
    N. J. Higham, *Functions of Matrices*, SIAM 2008, sections 10.3 and 10.7.4.
    """
    scale = balancing(z)
    z = z * (scale[..., None, :] / scale[..., :, None])
    doublings = np.maximum(0, np.ceil(np.log2(np.maximum(norm1(z), 1e-300))) + 1).astype(int)
    values = _taylor(z / np.exp2(doublings)[..., None, None])
    for left in range(int(doublings.max(initial=0)), 0, -1):
        active = doublings >= left
        if active.all():
            values = _doubled(*values)
        else:
            for whole, part in zip(values, _doubled(*(v[active] for v in values)), strict=True):
                whole[active] = part
    back = scale[..., :, None] / scale[..., None, :]
    return Exponentials(*(v * back for v in values))


def _taylor(z: Array, terms: int = 18) -> Exponentials:
    """The four series at small z; one Horner recurrence for φ2, the others from it."""
    one = identity_like(z)
    phi2 = one / math.factorial(terms + 2)
    for k in range(terms - 1, -1, -1):
        phi2 = z @ phi2 + one / math.factorial(k + 2)
    phi1 = one + z @ phi2
    return Exponentials(one + z @ phi1, phi1, phi2, phi1 - phi2)


def _doubled(exp: Array, phi1: Array, phi2: Array, ramp: Array) -> Exponentials:
    return Exponentials(
        exp @ exp,
        (phi1 + exp @ phi1) / 2,
        (phi1 + phi2 + exp @ phi2) / 4,
        (ramp + exp @ (phi1 + ramp)) / 4,
    )


def solve(matrix: Array, right: Array) -> Array:
    """Solve matrix @ x = right in balanced coordinates, batched; singular raises LinAlgError."""
    if matrix.shape[-1] == 0:
        return np.zeros(np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2]) + right.shape[-2:], right.dtype)
    scale = balancing(matrix)
    balanced = matrix * (scale[..., None, :] / scale[..., :, None])
    return scale[..., :, None] * np.linalg.solve(balanced, right / scale[..., :, None])


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
    scale = balancing(a)
    a, b, c = a * (scale / scale[:, None]), b / scale[:, None], c * scale
    b, c, d, tolerance = _equilibrated(a, b, c, d)
    a, b, c, d = _full_row_rank(a, b, c, d, tolerance)
    a, c, b, d = (m.T for m in _full_row_rank(a.T, c.T, b.T, d.T, tolerance))
    n, m = a.shape[0], d.shape[1]
    if n == 0 or d.shape[0] == 0:
        return np.linalg.eigvals(a).astype(complex) if d.shape[0] == 0 and n else np.zeros(0, complex)
    # Columns rotated so that [c d] = [0 d̂]: what is left of a − s is a regular pencil.
    _, _, vh = np.linalg.svd(np.hstack([c, d]))
    v = vh.conj().T[:, m:]  # the null space of [c d], n columns
    return np.asarray(eigvals(np.hstack([a, b]) @ v, v[:n]), complex)


def _equilibrated(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array, Array, float]:
    """Scale inputs and outputs so that b and c are as large as a; zeros do not move."""
    size, b_size, c_size = (float(np.abs(m).max(initial=0.0)) or 1.0 for m in (a, b, c))
    inputs, outputs = size / b_size, size / c_size
    tolerance = 10 * (a.shape[0] + b.shape[1] + c.shape[0]) * float(np.finfo(float).eps) * size
    return b * inputs, c * outputs, d * inputs * outputs, tolerance


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


def transfer_at_pole(m: Array, b: Array, c: Array) -> Array:
    """Limit of c (m + ε)⁻¹ b for ε → 0 and singular m: inf where the channel has the pole, else its value.

    With right and left null vectors N, L and P = N (LᴴN)⁻¹ Lᴴ the residue is c P b, and without it the
    value is c (I − P) m⁺ (I − P) b. A defective eigenvalue (LᴴN singular) answers inf throughout.
    """
    u, sigma, vh = np.linalg.svd(m)
    null = sigma <= m.shape[0] * np.finfo(float).eps * max(sigma[0], 1e-300)
    left, right = u[:, null].conj().T, vh[null].conj().T
    coupling = left @ right
    if null.any() and np.linalg.svd(coupling)[1][-1] < 1e-8:
        return np.full((c.shape[0], b.shape[1]), np.inf + 0j)
    p = right @ np.linalg.solve(coupling, left)
    rest = np.eye(m.shape[0]) - p
    value = c @ rest @ np.linalg.pinv(m, rcond=m.shape[0] * np.finfo(float).eps) @ rest @ b
    size = np.linalg.norm(c, axis=1)[:, None] * np.linalg.norm(b, axis=0) * np.linalg.norm(p)
    return np.where(np.abs(c @ p @ b) > 1e-13 * size, np.inf + 0j, value)


def blocks(a: Array, b: Array | None, c: Array | None, d: Array) -> Array:
    """[[a, b], [c, d]], batch axes broadcast; None is a block of zeros."""
    b = np.zeros((a.shape[-2], d.shape[-1])) if b is None else b
    c = np.zeros((d.shape[-2], a.shape[-1])) if c is None else c
    batch = np.broadcast_shapes(*(m.shape[:-2] for m in (a, b, c, d)))
    full = [np.broadcast_to(m, batch + m.shape[-2:]) for m in (a, b, c, d)]
    return np.concatenate([np.concatenate(full[:2], axis=-1), np.concatenate(full[2:], axis=-1)], axis=-2)
