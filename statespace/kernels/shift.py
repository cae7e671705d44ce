"""From the factors of a Hankel matrix to A, B and C, and what stands around them: delay, taps, reflected poles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg

from statespace.arrays import Array
from statespace.kernels.hankel import Factors, orthonormal
from statespace.structure import DelayLine, Dense


class Fitted(NamedTuple):
    """A, B, C of one kernel, C A^k B = g_k, and the poles."""

    a: Array
    b: Array
    c: Array
    poles: Array


def shift_invariant(factors: Factors, order: int, p: int, m: int) -> Fitted:
    """A from the shift of the observability factor, in balanced coordinates.

    H = O K with O = U Σ^½ and K = Σ^½ Vᴴ. O is C, CA, CA², …: its rows from the second block on are those before them
    times A, solved by least squares over all of them. C is the first block row of O, B the first block column of K.

    References
    ----------
    S.-Y. Kung, "A new identification and model reduction algorithm via singular value decomposition", 12th Asilomar
    Conference on Circuits, Systems and Computers (1978), section 3; B. L. Ho, R. E. Kalman, "Effective construction of
    linear state-variable models from input/output functions", Regelungstechnik 14 (1966), theorem 1.
    """
    u, root = factors.u[:, :order], np.sqrt(factors.sigma[:order])
    q, r = orthonormal(u[:-p]) if order else (u[:-p], np.zeros((0, 0)))
    a = linalg.lstsq(r, q.conj().T @ u[p:])[0] if order else r
    a = a / root[:, None] * root  # from U to U Σ^½
    return Fitted(a, root[:, None] * factors.vh[:order, :m], u[:p] * root, np.linalg.eigvals(a).astype(complex))


# --------------------------------------------------------------- states and kernel of a fit


def states_of(a: Array, b: Array, count: int) -> Iterator[tuple[int, Array]]:
    """A^k B for k < count, in blocks (n, M, m) of about √count with the k where each begins.

    X_{i+1} = A^M X_i; in balanced coordinates the powers of A stay bounded.
    """
    size = max(1, int(np.sqrt(count)))
    block = np.empty((*b.shape[:1], size, b.shape[1]), np.result_type(a, b))
    x = b
    for k in range(size):
        block[:, k], x = x, a @ x
    jump, flat = np.linalg.matrix_power(a, size), block.reshape(len(a), size * b.shape[1])
    for start in range(0, count, size):
        yield start, flat.reshape(block.shape)[:, : count - start]
        flat = jump @ flat


def largest_difference(fitted: Fitted, wanted: Array) -> float:
    """Largest |C A^k B − g_k|, for g (N, p, m)."""
    worst = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start, x in states_of(fitted.a, fitted.b, len(wanted)):
            got = np.einsum("pn,nkm->kpm", fitted.c, x)
            worst = np.maximum(worst, np.abs(got - wanted[start : start + len(got)]).max())
    return float(np.nan_to_num(worst, nan=np.inf))


def backward_zeros(fitted: Fitted, most: int, small: float) -> int:
    """How many of C A⁻¹B, C A⁻²B, … are zero: samples before the first that the system continues by itself."""
    x, count = fitted.b, max(0, min(most, len(fitted.a) - 1))
    for found in range(count):
        x = linalg.lstsq(fitted.a, x)[0]
        if np.abs(fitted.c @ x).max() > small:
            return found
    return count


# --------------------------------------------------------------- unstable poles


def reflected(fitted: Fitted, wanted: Array, inside: float) -> Fitted:
    """Poles outside the circle to 1/λ̄, those on it just inside, and C fitted again over the kernel.

    In the Schur form a diagonal block is divided by |λ|², which leaves the other poles and B as they are.
    """
    real = np.isrealobj(fitted.a)
    t, z = linalg.schur(fitted.a, output="real" if real else "complex")
    k, n = 0, len(t)
    while k < n:
        size = 2 if k + 1 < n and t[k + 1, k] != 0 else 1
        block = slice(k, k + size)
        modulus = np.sqrt(np.abs(np.linalg.det(t[block, block]))) if size == 2 else np.abs(t[k, k])
        if modulus >= inside:
            t[block, block] *= min(1 / modulus, inside) / modulus
        k += size
    b = z.conj().T @ fitted.b
    x = np.concatenate([part for _, part in states_of(t, b, len(wanted))], axis=1)
    # wanted_k = C x_k: one row of equations for each sample and input.
    rows = x.reshape(n, -1).T
    length = np.linalg.norm(rows, axis=0)
    length = np.where(length > 0, length, 1.0)
    solution = linalg.lstsq(rows / length, wanted.swapaxes(1, 2).reshape(-1, wanted.shape[1]))[0]
    return Fitted(t, b, (solution / length[:, None]).T, np.linalg.eigvals(t).astype(complex))


# --------------------------------------------------------------- taps


def taps(samples: Array) -> tuple[DelayLine | Dense, Array, Array]:
    """A, B, C of the shift whose kernel is these samples (..., s, p, m) bit for bit: s delays of the narrower side.

    Delays of the inputs, and C the taps; or, with fewer outputs, delays of the outputs, and B the taps, last first.
    One input or one output is a DelayLine, else the shift is of blocks.
    """
    *batch, s, p, m = samples.shape
    width = min(p, m)
    n = s * width
    a: DelayLine | Dense
    a = DelayLine(n) if width == 1 and s else Dense(np.eye(n, k=-width), np.zeros(n, complex))
    if m <= p:
        return a, np.eye(n, m), samples.swapaxes(-3, -2).reshape(*batch, p, n)
    return a, samples[..., ::-1, :, :].reshape(*batch, n, m), np.eye(p, n, k=n - p)
