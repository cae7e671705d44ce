"""kernel: from a discrete system to its unit-sample response, by what its structure allows.

h_0 = D        h_k = C A^{k−1} B
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_signal, library_of, shorten
from statespace.kernels.cauchy import cauchy_kernel
from statespace.kernels.vandermonde import fill_power_sums
from statespace.scan import run, without_remnants
from statespace.structure import Diagonal, DiagonalPlusLowRank
from statespace.systems import ContinuousSystem, DiscreteSystem

_NUMBERS = 2**21  # of a signal made only to drive a run: 16 MB
_BLOCK = 2**13  # samples after which a look is taken whether the state is gone


def kernel(system: DiscreteSystem, length: int, *, like: Any = None) -> Array:
    """Convolution kernel of a discrete system, the unit-sample response: h_0 = D, h_k = C A^{k−1} B.

    A Diagonal takes the powers of its poles from two doubles: right to the last digit at any length. A
    DiagonalPlusLowRank runs its recurrence in O(n r), or, for several inputs, evaluates its generating function (the
    Cauchy form of S4) on the discrete system. Every other structure runs its own recurrence, which is as good as the
    recurrence is: powers of a dense matrix are never taken.

    Parameters
    ----------
    system : DiscreteSystem
        Any structure, any batch; each with its own dt.
    length : int
        Number of samples L, at least 1.
    like : ndarray, optional
        An array whose precision the kernel shall have. It is computed in double and rounded once. With an array of
        CuPy the kernel is one too: of a Diagonal the tables of powers come from the host and their product is taken
        on the device; the kernel of any other structure is computed on the host and uploaded.

    Returns
    -------
    ndarray, (..., L, p, m)
        Output by input, time on axis −3. Nothing is squeezed: (L, 1, 1) for one input and one output.

    Raises
    ------
    TypeError
        The system is continuous.
    ValueError
        The length is not a positive integer, or an unstable system overflows within it.

    See Also
    --------
    convolve : what a kernel is for.
    realize : the way back.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3; A. Gu, A. Gupta, K. Goel, C. Ré, "On the
    Parameterization and Initialization of Diagonal State Space Models", NeurIPS 2022, section 3.2 (Vandermonde);
    A. Gu, K. Goel, C. Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", ICLR 2022,
    appendix C.3 (Cauchy).

    Examples
    --------
    >>> import statespace as ss
    >>> half = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], [[3.0]], dt=1.0)
    >>> ss.kernel(half, 4)[:, 0, 0]
    array([3.  , 1.  , 0.5 , 0.25])
    """
    check_discrete(system, "kernel")
    check_count(length, "length", "a kernel has at least its first sample, D")
    xp = library_of(like)
    with np.errstate(over="ignore", invalid="ignore"):
        h = _samples(system, int(length), xp)
    if not xp.isfinite(h).all():
        axes = tuple(axis for axis in range(h.ndim) if axis != h.ndim - 3)
        first = int(xp.argmax(~xp.isfinite(h).all(axis=axes)))
        raise ValueError(
            f"the kernel overflows at sample {first} of {length}: the system is unstable, or its gain is more than "
            "double precision holds; take a shorter length"
        )
    return h if like is None else h.astype(_precision(like, h), copy=False)


def check_discrete(system: Any, name: str) -> None:
    """Raise unless a system is discrete."""
    if isinstance(system, ContinuousSystem):
        raise TypeError(f"{name} needs a DiscreteSystem; discretize first: statespace.discretize(system, dt, method)")
    if not isinstance(system, DiscreteSystem):
        raise TypeError(f"{name} needs a DiscreteSystem first, got {type(system).__name__}")


def check_count(value: Any, name: str, why: str) -> None:
    """Raise unless a number of samples is a positive integer."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {shorten(value)}; {why}")


def _precision(like: Any, h: Array) -> Any:
    kind = as_signal(like, "like").dtype
    single = kind.itemsize <= (8 if kind.kind == "c" else 4)
    if h.dtype.kind == "c":
        return np.complex64 if single else np.complex128
    return np.float32 if single else np.float64


def _samples(system: DiscreteSystem, length: int, xp: Any) -> Array:
    if isinstance(system.A, Diagonal):
        return _diagonal(system, length, xp)
    h = cauchy_kernel(system, length) if isinstance(system.A, DiagonalPlusLowRank) else recurred(system, length)
    return h if xp is np else xp.asarray(h)


def _diagonal(system: DiscreteSystem, length: int, xp: Any) -> Array:
    """K_l = Σ_n (C_n B_n) λ_n^l, written straight into its place behind D."""
    batch, (p, m) = system.batch_shape, system.D.shape[-2:]
    poles = np.broadcast_to(system.A.diagonal, (*batch, system.state_size)).reshape(-1, system.state_size)
    products = system.C[..., :, None, :] * system.B.swapaxes(-1, -2)[..., None, :, :]  # (..., p, m, n)
    weights = np.broadcast_to(products, (*batch, *products.shape[-3:])).reshape(len(poles), p * m, system.state_size)
    h: Array = xp.empty((*batch, length, p, m), np.complex128 if system.is_complex else np.float64)
    h[..., 0, :, :] = system.D if xp is np else xp.asarray(system.D)
    rest = h.reshape(len(poles), length, p * m)[:, 1:].swapaxes(-1, -2)
    fill_power_sums(poles, weights, rest, pairs=system.A.pairs)
    return h


def recurred(system: DiscreteSystem, length: int) -> Array:
    """Run the recurrence on an impulse at each input, in blocks of time, until the state is gone.

    Block starts by powers of A, where those stay bounded, would be quicker from 64 states and 10⁵ samples on (20 ms for
    156 at 10⁶), and slower below: one way is enough.
    """
    batch, (p, m) = system.batch_shape, system.D.shape[-2:]
    h = np.zeros((*batch, length, p, m), np.complex128 if system.is_complex else np.float64)
    rows = max(1, m * int(np.prod(batch)) * max(m, p, 1))
    block = int(min(np.clip(_NUMBERS // rows, 256, _BLOCK), length))
    u = np.eye(m).reshape(m, *(1,) * len(batch), 1, m) * (np.arange(block) == 0)[:, None]
    state = None
    for first in range(0, length, block):
        part = u[..., : min(block, length - first), :]
        y, state, _ = run(system, part, state)
        h[..., first : first + block, :, :] = np.moveaxis(y, 0, -1)
        state = without_remnants(state, system)
        if not state.any():
            break
        if first == 0:
            u = np.zeros_like(u)
    return h
