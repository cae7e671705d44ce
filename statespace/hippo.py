"""Floor 3: systems that remember. The HiPPO matrices, LegS in its diagonal plus low-rank form, and what S4D made of it.

    x' = A x + B u        u(t − τ) ≈ Σ_n x_n(t) g_n(τ)

The state holds the coefficients of the past in a basis g that each function names; its impulse response e^{Aτ}B is
that basis under its weight. Time has no unit of its own: for a window twice as long take half the dt.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.structure import Dense, Diagonal, DiagonalPlusLowRank
from statespace.systems import ContinuousSystem

__all__ = ["fourier", "lagt", "legs", "legs_dplr", "legt", "s4d_inv", "s4d_legs", "s4d_lin", "s4d_real"]


# --------------------------------------------------------------- memories


def legs(n: int, C: Any = None) -> ContinuousSystem:
    """HiPPO-LegS: scaled Legendre polynomials over the whole past.

    A_nk = −√(2n+1)√(2k+1) below the diagonal, −(n+1) on it, 0 above; B_n = √(2n+1). Run with the 1/t it was derived
    with, x' = (A x + B u)/t, the state holds what is best known of all that has been since 0, under the uniform weight:

        x_n(t) = (1/t) ∫₀ᵗ √(2n+1) P_n(2s/t − 1) u(s) ds        u(s) ≈ Σ x_n √(2n+1) P_n(2s/t − 1)

    That is this system in the time log t, run on the stamps log t: ``simulate(legs(n), u, t=np.log(t))``, exactly so
    for a signal that is held between them. Run as it is, as in S4, the past is weighted by e^−τ instead:

        x_n(t) = ∫₀^∞ e^−τ √(2n+1) P_n(2e^−τ − 1) u(t − τ) dτ

    Parameters
    ----------
    n : int
        Number of states.
    C : array_like, (..., p, n), optional
        What is read of the state; the identity when omitted, the coefficients themselves.

    Returns
    -------
    ContinuousSystem
        Real and dense, with its poles −1 … −n, which it keeps. The condition of its eigenvectors is 4e20 for n = 64:
        it has no modal form, and in another basis its eigenvalues cannot be computed.

    Raises
    ------
    ValueError
        n is not a positive integer, or C does not fit.

    References
    ----------
    A. Gu, T. Dao, S. Ermon, A. Rudra, C. Ré, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", NeurIPS
    2020, section 3 and appendix D.3; A. Gu, I. Johnson, A. Timalsina, A. Rudra, C. Ré, "How to Train Your HiPPO", ICLR
    2023, section 3 (the weight e^−τ).

    Examples
    --------
    >>> import statespace as ss
    >>> memory = ss.hippo.legs(3)
    >>> memory.A.matrix.round(3)
    array([[-1.   ,  0.   ,  0.   ],
           [-1.732, -2.   ,  0.   ],
           [-2.236, -3.873, -3.   ]])
    >>> memory.poles
    array([-1.+0.j, -2.+0.j, -3.+0.j])
    """
    a, b = _legs(_count(n))
    return _memory(Dense(a, -np.arange(1.0, len(a) + 1)), b, C)


def legt(n: int, C: Any = None) -> ContinuousSystem:
    """HiPPO-LegT, the Legendre memory: Legendre polynomials over a sliding window of length 2.

    A_nk = −½ √(2n+1)√(2k+1) (−1)^(n−k) above the diagonal, without the sign elsewhere; B_n = ½ √(2n+1).

        x_n(t) ≈ ½ ∫₀² √(2n+1) P_n(1 − τ) u(t − τ) dτ        u(t − τ) ≈ Σ x_n √(2n+1) P_n(1 − τ)

    for 0 ≤ τ ≤ 2. Exact for polynomials of a degree below n; approximate otherwise, since what leaves the window is not
    known but taken from the state itself. Σ (−1)^k √(2k+1) x_k is u(t − 2) by the Padé approximant of e^(−2s) with
    n − 1 zeros and n poles, good up to about n/2 rad per unit of time.

    Parameters
    ----------
    n : int
        Number of states.
    C : array_like, (..., p, n), optional
        What is read of the state; the identity when omitted, the coefficients themselves.

    Returns
    -------
    ContinuousSystem
        Real and dense. For a window of length θ run it in the time 2t/θ.

    Raises
    ------
    ValueError
        n is not a positive integer, or C does not fit.

    References
    ----------
    A. Voelker, I. Kajić, C. Eliasmith, "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural
    Networks", NeurIPS 2019, section 2 (the same system in other coordinates); A. Gu, T. Dao, S. Ermon, A. Rudra,
    C. Ré, "HiPPO", NeurIPS 2020, appendix D.1.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> memory = ss.hippo.legt(4)
    >>> ramp = ss.simulate(memory, np.arange(0, 20, 0.01), dt=0.01, hold="foh").y[-1]  # at t = 19.99
    >>> now = ramp @ np.sqrt([1, 3, 5, 7])  # P_n(1) = 1
    >>> ago = ramp @ (np.sqrt([1, 3, 5, 7]) * [1, -1, 1, -1])  # P_n(−1) = (−1)^n
    >>> float(now.round(6)), float(ago.round(6))
    (19.99, 17.99)
    """
    k = np.arange(_count(n))
    root = np.sqrt(2.0 * k + 1)
    sign = np.where(k[:, None] < k, (-1.0) ** (k[:, None] - k), 1.0)
    return _memory(Dense(-0.5 * root[:, None] * root * sign), 0.5 * root[:, None], C)


def lagt(n: int, C: Any = None) -> ContinuousSystem:
    """HiPPO-LagT: Laguerre functions over the whole past.

    A has −½ on the diagonal, −1 below it, 0 above; B = 1. Its impulse response is the orthonormal Laguerre functions,
    so that the state holds its coefficients exactly, with nothing approximated but the number of them:

        x_n(t) = ∫₀^∞ e^(−τ/2) L_n(τ) u(t − τ) dτ        u(t − τ) ≈ Σ x_n e^(−τ/2) L_n(τ)

    The error counts alike at all times τ. They are the polynomials of the weight e^−τ, tilted by half of it: u has to
    die away into the past, and what is more than 4n ago is forgotten.

    Parameters
    ----------
    n : int
        Number of states.
    C : array_like, (..., p, n), optional
        What is read of the state; the identity when omitted, the coefficients themselves.

    Returns
    -------
    ContinuousSystem
        Real and dense, with its n poles at −½, which it keeps: a single Jordan block.

    Raises
    ------
    ValueError
        n is not a positive integer, or C does not fit.

    References
    ----------
    A. Gu, T. Dao, S. Ermon, A. Rudra, C. Ré, "HiPPO", NeurIPS 2020, appendix D.2 (with α = 0, β = 1); G. Szegő,
    *Orthogonal Polynomials*, 4th ed., section 5.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.hippo.lagt(2)
    ContinuousSystem(Dense([[-0.5, 0.0], [-1.0, -0.5]], poles=[-0.5, -0.5]), [[1.0], [1.0]], [[1.0, 0.0], [0.0, 1.0]], \
[[0.0], [0.0]])
    """
    size = _count(n)
    a = 0.5 * np.eye(size) - np.tril(np.ones((size, size)))
    return _memory(Dense(a, np.full(size, -0.5)), np.ones((size, 1)), C)


def fourier(n: int, C: Any = None) -> ContinuousSystem:
    """HiPPO-FouT: a Fourier series over a sliding window of length 2.

    A = S − B Bᵀ, with S turning the states 2k and 2k + 1 into each other at the frequency πk, and B = (1, 0, √2, 0,
    √2, 0, …).

        x_2k(t) ≈ ½ ∫₀² √2 cos(πkτ) u(t − τ) dτ        x_2k+1(t) ≈ ½ ∫₀² √2 sin(πkτ) u(t − τ) dτ

        u(t − τ) ≈ x_0 + √2 Σ_k x_2k cos(πkτ) + x_2k+1 sin(πkτ)

    approximately since what leaves the window, u(t − 2), is taken from the state: at a jump, as between the two ends of
    a window, a Fourier series has the mean of both sides. At both ends, within 1/n or so,
    it therefore sees that mean; between them it is right to 1/n.

    The sine of frequency 0 is the state 1: nothing drives it, nothing moves it, nothing but itself sees it. It is an
    uncontrollable pole at exactly 0, kept because S4 has it; for it `is_stable` is False, although every state that an
    input can reach dies away. It starts at 0 and stays there; ``fourier(n, C)`` with a C that does not look at it has
    the transfer function of the other n − 1 states.

    Parameters
    ----------
    n : int
        Number of states, even: cosines and sines.
    C : array_like, (..., p, n), optional
        What is read of the state; the identity when omitted, the coefficients themselves.

    Returns
    -------
    ContinuousSystem
        Real and dense. For a window of length θ run it in the time 2t/θ.

    Raises
    ------
    ValueError
        n is not a positive even integer, or C does not fit.

    References
    ----------
    A. Gu, T. Dao, S. Ermon, A. Rudra, C. Ré, "HiPPO", NeurIPS 2020, appendix D.4; A. Gu, I. Johnson, A. Timalsina,
    A. Rudra, C. Ré, "How to Train Your HiPPO", ICLR 2023, section 3.

    Examples
    --------
    >>> import statespace as ss
    >>> memory = ss.hippo.fourier(4)
    >>> memory.A.matrix.round(3)
    array([[-1.   ,  0.   , -1.414,  0.   ],
           [ 0.   ,  0.   ,  0.   ,  0.   ],
           [-1.414,  0.   , -2.   , -3.142],
           [ 0.   ,  0.   ,  3.142,  0.   ]])
    >>> memory.is_stable, 0 in memory.poles
    (False, True)
    """
    size = 2 * _half(n, "fourier")
    b = np.sqrt(2.0) * (np.arange(size) % 2 == 0)
    b[0] = 1.0
    turns = np.zeros(size - 1)
    turns[::2] = np.pi * np.arange(size // 2)
    a = np.diag(turns, -1) - np.diag(turns, 1) - b[:, None] * b
    return _memory(Dense(a), b[:, None], C)


# --------------------------------------------------------------- LegS as S4 runs it


def legs_dplr(n: int, C: Any = None) -> ContinuousSystem:
    """HiPPO-LegS as a diagonal plus a matrix of rank 1, in a unitary basis: what S4 runs in O(n) a step.

    With p_n = √(n + ½) the matrix A + p pᵀ = −½ I + S has a skew S and so a unitary basis of eigenvectors V, to full
    precision, while those of A itself are useless:

        A = V (Λ − P Pᴴ) Vᴴ        Λ = −½ + i ω        P = Vᴴ p        B = Vᴴ B_legs        C = V

    Parameters
    ----------
    n : int
        Number of states, all of them stored: complex modes, no pairs.
    C : array_like, (..., p, n), optional
        What is read of the modes; V when omitted, which gives the coefficients of `legs`. To read C₀ of those, give
        C₀ @ V, with V = legs_dplr(n).C.

    Returns
    -------
    ContinuousSystem
        Complex, a `DiagonalPlusLowRank` with the poles of LegS, −1 … −n. For real signals and V, or C₀ @ V, its outputs
        are real but for rounding. Discretize it by a rational method, as "s4_bilinear".

    Raises
    ------
    ValueError
        n is not a positive integer, or C does not fit.

    References
    ----------
    A. Gu, K. Goel, C. Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", ICLR 2022, section 3.2
    (theorem 1) and appendix C.1.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> memory, plain = ss.hippo.legs_dplr(16), ss.hippo.legs(16)
    >>> V = memory.C
    >>> bool(np.abs(V @ np.asarray(memory.A) @ V.conj().T - plain.A.matrix).max() < 1e-12)
    True
    """
    size = _count(n)
    omega, v = _turning(size)
    p = v.conj().T @ np.sqrt(np.arange(size) + 0.5)[:, None]
    structure = DiagonalPlusLowRank(-0.5 + 1j * omega, p, p, -np.arange(1.0, size + 1))
    return ContinuousSystem(structure, v.conj().T @ _legs(size)[1], v if C is None else C)


# --------------------------------------------------------------- diagonal: S4D


def s4d_lin(n: int, C: Any = None) -> ContinuousSystem:
    """S4D-Lin: poles −½ ± iπk, k = 0 … n/2 − 1, the frequencies of a Fourier series on a window of length 2.

    A damped Fourier series: with B = 1 the modes are e^(−τ/2) e^(iπkτ), which remember the past under the weight e^−τ,
    not over a window.

    Parameters
    ----------
    n : int
        Number of states, even; n/2 pairs are stored. That of k = 0 is real, and its pair is itself.
    C : array_like, (..., p, n/2), optional
        What is read of the stored modes; an output is 2·Re(C x). Ones when omitted.

    Returns
    -------
    ContinuousSystem
        With a ``Diagonal(..., pairs=True)`` and B = 1.

    Raises
    ------
    ValueError
        n is not a positive even integer, or C does not fit.

    References
    ----------
    A. Gu, A. Gupta, K. Goel, C. Ré, "On the Parameterization and Initialization of Diagonal State Space Models",
    NeurIPS 2022, section 4.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.hippo.s4d_lin(4).A
    Diagonal([(-0.5+0j), (-0.5+3.141592653589793j)], pairs=True)
    """
    k = np.arange(_half(n, "s4d_lin"))
    return _modes(Diagonal(-0.5 + 1j * np.pi * k, pairs=True), C)


def s4d_inv(n: int, C: Any = None) -> ContinuousSystem:
    """S4D-Inv: poles −½ ± i (n/π)(n/(2k+1) − 1), k = 0 … n/2 − 1, which follow the frequencies of LegS by one formula.

    Parameters
    ----------
    n : int
        Number of states, even; n/2 pairs are stored, the fastest first.
    C : array_like, (..., p, n/2), optional
        What is read of the stored modes; an output is 2·Re(C x). Ones when omitted.

    Returns
    -------
    ContinuousSystem
        With a ``Diagonal(..., pairs=True)`` and B = 1.

    Raises
    ------
    ValueError
        n is not a positive even integer, or C does not fit.

    References
    ----------
    A. Gu, A. Gupta, K. Goel, C. Ré, "On the Parameterization and Initialization of Diagonal State Space Models",
    NeurIPS 2022, section 4.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.hippo.s4d_inv(4).A.diagonal.imag.round(4)
    array([3.8197, 0.4244])
    """
    k, size = np.arange(_half(n, "s4d_inv")), float(n)
    return _modes(Diagonal(-0.5 + 1j * size / np.pi * (size / (2 * k + 1) - 1), pairs=True), C)


def s4d_legs(n: int, C: Any = None) -> ContinuousSystem:
    """S4D-LegS: the diagonal Λ of `legs_dplr` alone, poles −½ − iω.

    Without its term of rank 1 it is not LegS. With half of the B of `legs_dplr` its response at any one frequency tends
    to that of LegS as 1/n (theorem 3 of the reference). Here B is 1, as in all of the family.

    Parameters
    ----------
    n : int
        Number of states, even; of each pair the one below the real axis is stored, the fastest first, as S4 does.
    C : array_like, (..., p, n/2), optional
        What is read of the stored modes; an output is 2·Re(C x). Ones when omitted.

    Returns
    -------
    ContinuousSystem
        With a ``Diagonal(..., pairs=True)`` and B = 1.

    Raises
    ------
    ValueError
        n is not a positive even integer, or C does not fit.

    References
    ----------
    A. Gu, A. Gupta, K. Goel, C. Ré, "On the Parameterization and Initialization of Diagonal State Space Models",
    NeurIPS 2022, section 4.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.hippo.s4d_legs(4).A.diagonal.round(4)
    array([-0.5-4.6033j, -0.5-0.5565j])
    """
    half = _half(n, "s4d_legs")
    return _modes(Diagonal(-0.5 + 1j * _turning(2 * half)[0][:half], pairs=True), C)


def s4d_real(n: int, C: Any = None) -> ContinuousSystem:
    """S4D-Real: real poles −1 … −n, those of LegS, without what couples them.

    Parameters
    ----------
    n : int
        Number of states.
    C : array_like, (..., p, n), optional
        What is read of the modes. Ones when omitted.

    Returns
    -------
    ContinuousSystem
        With a real ``Diagonal`` and B = 1.

    Raises
    ------
    ValueError
        n is not a positive integer, or C does not fit.

    References
    ----------
    A. Gu, A. Gupta, K. Goel, C. Ré, "On the Parameterization and Initialization of Diagonal State Space Models",
    NeurIPS 2022, section 5 (as a comparison); A. Gu, T. Dao, "Mamba", 2023, section 3.6.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.hippo.s4d_real(3).A
    Diagonal([-1.0, -2.0, -3.0])
    """
    return _modes(Diagonal(-np.arange(1.0, _count(n) + 1)), C)


# --------------------------------------------------------------- what they share


def _memory(structure: Dense, b: Array, c: Any) -> ContinuousSystem:
    return ContinuousSystem(structure, b, np.eye(len(b)) if c is None else c)


def _modes(structure: Diagonal, c: Any) -> ContinuousSystem:
    ones = np.ones((structure.state_size, 1))
    return ContinuousSystem(structure, ones, ones.T if c is None else c)


def _legs(n: int) -> tuple[Array, Array]:
    """A and B of LegS."""
    root = np.sqrt(2.0 * np.arange(n) + 1)
    return np.tril(-root[:, None] * root, -1) - np.diag(np.arange(1.0, n + 1)), root[:, None]


def _turning(n: int) -> tuple[Array, Array]:
    """Frequencies, increasing, and unitary V of the skew part of LegS, S = V iω Vᴴ, by the Hermitian −iS."""
    a, _ = _legs(n)
    return np.linalg.eigh(-0.5j * (a - a.T))


def _count(n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n must be a positive number of states, got {shorten(n)}")
    return int(n)


def _half(n: Any, name: str) -> int:
    if _count(n) % 2:
        raise ValueError(f"{name} needs an even number of states n, two for each frequency, got {n}")
    return int(n) // 2
