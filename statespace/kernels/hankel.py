"""The Hankel matrix of a kernel: its leading singular values, without forming it.

H_ij = h_{1+i+j} = (C A^i)(A^j B): rank n, the order of the system, however large the matrix is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import fft, linalg

from statespace.arrays import Array

# Up to this size a dense SVD: there it is as fast as the randomized one, which knows the leading part only.
_DENSE = 128
_SPARE = 8  # random directions beside those asked for
_ROUNDS = 3  # of H and Hᴴ; one finds an exact rank, three the singular values beside a flat floor to 1 %
_PANEL, _PIECE = 8, 512  # columns and rows of one QR
_TOGETHER = 16  # columns in one FFT: bounds what is held in memory to 16 spectra


@dataclass(frozen=True, eq=False)
class Hankel:
    """The block Hankel matrix of samples g_0 … g_{N−1}, (N, p, m): r block rows, c block columns, r + c − 1 = N.

    Every sample is used, and r ≥ c, so that the shift of r − 1 block rows knows as many poles as possible.
    """

    samples: Array
    rows: int  # block rows r, each of p rows
    columns: int  # block columns c, each of m columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the whole matrix."""
        return self.rows * self.samples.shape[1], self.columns * self.samples.shape[2]

    @property
    def most(self) -> int:
        """Largest order that the data determine: the rows that have a successor, and the columns."""
        return min(self.shape[0] - self.samples.shape[1], self.shape[1])

    def dense(self) -> Array:
        """The matrix itself."""
        i = np.arange(self.rows)[:, None] + np.arange(self.columns)
        return self.samples[i].transpose(0, 2, 1, 3).reshape(self.shape)

    @cached_property
    def size(self) -> int:
        """Of the FFT."""
        return int(fft.next_fast_len(len(self.samples), real=np.isrealobj(self.samples)))

    @cached_property
    def spectrum(self) -> Array:
        """Transform of the samples, (p, m, frequencies)."""
        transform = fft.rfft if np.isrealobj(self.samples) else fft.fft
        return np.asarray(transform(np.ascontiguousarray(np.moveaxis(self.samples, 0, -1)), self.size))

    @cached_property
    def adjoint(self) -> Hankel:
        """Hᴴ, a Hankel matrix again: of ḡᵀ, with rows and columns exchanged."""
        return Hankel(self.samples.conj().swapaxes(1, 2), self.columns, self.rows)

    def times(self, x: Array) -> Array:
        """H x for x (c·m, k): y_i = Σ_j g_{i+j} x_j, a correlation by FFT; nothing wraps since i + j < N."""
        p, m = self.samples.shape[1:]
        y = np.empty((self.rows, p, x.shape[-1]), np.result_type(self.samples, x))
        for k in range(0, x.shape[-1], _TOGETHER):
            part = x[:, k : k + _TOGETHER].reshape(self.columns, m, -1).transpose(1, 2, 0)
            y[..., k : k + _TOGETHER] = self._correlated(part).transpose(2, 0, 1)
        return y.reshape(self.shape[0], -1)

    def _correlated(self, x: Array) -> Array:
        """(p, k, r) from (m, k, c); Σ_j x_j e^{+iωj} is the conjugate of the transform of x̄."""
        real = np.isrealobj(self.samples)
        turned = (fft.rfft(x, self.size) if real else fft.fft(x.conj(), self.size)).conj()
        product = np.einsum("pmf,mkf->pkf", self.spectrum, turned)
        return np.asarray((fft.irfft if real else fft.ifft)(product, self.size)[..., : self.rows])

    def squared_norm(self) -> float:
        """Squared Frobenius norm: each sample as often as it stands in the matrix."""
        k = np.arange(len(self.samples))
        often = np.minimum(np.minimum(k + 1, k[::-1] + 1), min(self.rows, self.columns))
        return float(np.sum(often * np.sum(np.abs(self.samples) ** 2, axis=(1, 2))))


def hankel(samples: Array) -> Hankel:
    """The Hankel matrix of samples (N ≥ 1, p, m)."""
    rows = len(samples) // 2 + 1
    return Hankel(samples, rows, len(samples) - rows + 1)


# --------------------------------------------------------------- leading singular values


class Factors(NamedTuple):
    """H ≈ u · diag(sigma) · vh, sigma descending."""

    u: Array
    sigma: Array
    vh: Array
    rest: float  # Σ σ_k² of the singular values that are not there, estimated


def leading(h: Hankel, count: int) -> Factors:
    """The ``count`` leading singular values and vectors, all of them where the matrix is small.

    Large matrices: subspace iteration from random directions, made orthonormal after every product, so that small
    singular values are as exact as those of a dense SVD, to eps·σ_1. The seed is fixed: the same kernel gives the
    same bits.

    References
    ----------
    N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53 (2011), algorithm 4.4.
    """
    if min(h.shape) <= max(_DENSE, 2 * (count + _SPARE)):
        u, sigma, vh = linalg.svd(h.dense(), full_matrices=False)
        return Factors(u, sigma, vh, 0.0)
    rng = np.random.default_rng(20)
    r = np.eye(0)
    v = rng.standard_normal((h.shape[1], count + _SPARE))
    for _ in range(_ROUNDS):
        u = orthonormal(h.times(v))[0]
        v, r = orthonormal(h.adjoint.times(u))  # Hᴴ u = v r, so H ≈ u rᴴ vᴴ
    left, sigma, right = linalg.svd(r.conj().T)
    u = u @ left[:, :count]
    return Factors(u, sigma[:count], right[:count] @ v.conj().T, _rest(h, u, rng))


def orthonormal(y: Array) -> tuple[Array, Array]:
    """Q and R of a tall matrix, panel by panel: less what the panels before it hold, its own QR, and both again.

    Once more is enough, and a third time where nothing but rounding was left of a column. Panels and their pieces are
    too small for BLAS to use threads on them: one call of LAPACK for the whole is as fast on one core, but up to 10
    times slower on two cores that others use as well, where its threads wait for each other.

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential QR and LU
    factorizations", SIAM J. Sci. Comput. 34 (2012), section 3.
    """
    q, r = np.empty_like(y), np.zeros((y.shape[1], y.shape[1]), y.dtype)
    for i in range(0, y.shape[1], _PANEL):
        own = slice(i, i + _PANEL)
        before, panel, factor = q[:, :i], y[:, own], np.eye(len(r[own]), dtype=y.dtype)
        for _ in range(4):
            inside = before.conj().T @ panel
            panel, step = _tall(panel - before @ inside)
            r[:i, own] += inside @ factor
            factor = step @ factor
            if np.abs(np.diagonal(step)).min() > 0.5 and np.abs(inside).max(initial=0.0) < 0.5:
                break  # panel was orthonormal, and almost nothing of it inside
        q[:, own], r[own, own] = panel, factor
    return q, r


def _tall(y: Array) -> tuple[Array, Array]:
    """Q and R of pieces of the rows, then of their R, which are stacked: no piece is large enough for threads."""
    count = len(y) // _PIECE
    if count < 2:
        q, r = np.linalg.qr(y)
        return q, r
    parts = [np.linalg.qr(piece) for piece in np.array_split(y, count)]
    top, r = _tall(np.concatenate([part for _, part in parts]))
    return np.concatenate([q @ t for (q, _), t in zip(parts, np.split(top, count), strict=True)]), r


def _rest(h: Hankel, u: Array, rng: np.random.Generator) -> float:
    """‖(1 − u uᴴ) H‖² in the Frobenius norm: the mean of ‖(1 − u uᴴ) H ω‖² over random ω.

    The norm of H less that of the singular values is exact, but gone below 1e-8 of σ_1 by cancellation. Of a spread
    rest, as noise leaves it, eight ω show a few per cent.
    """
    y = h.times(rng.standard_normal((h.shape[1], _SPARE)))
    for _ in range(2):
        y = y - u @ (u.conj().T @ y)
    return float(np.sum(np.abs(y) ** 2)) / _SPARE
