"""lift: M steps of a discrete system as one step of another, between the recurrence (M = 1) and the kernel (M = L).

x_{k+M} = A^M x_k + R u_block        y_block = O x_k + T u_block

R = [A^{M−1}B … AB B],  O = [C; CA; …; CA^{M−1}],  T the lower triangular Toeplitz matrix of the kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.kernels.samples import check_count, check_discrete, kernel
from statespace.kernels.vandermonde import in_two_doubles, power, power_table
from statespace.scan import run
from statespace.structure import Dense, Diagonal
from statespace.systems import DiscreteSystem


class Parts(NamedTuple):
    """What M steps do to a state of numbers as they are stored; the parts of a lifted system, time an axis of its own.

    After them the state is A^M x + Σ_j reach[j] u_{M−1−j}, and on the way y_j = seen[j] x + Σ h.
    """

    power: Array  # A^M, (..., n, n), or its diagonal, (..., n)
    reach: Array  # A^j B, (..., M, n, m)
    seen: Array  # C A^j, (..., M, p, n)


def lift(system: DiscreteSystem, M: int) -> DiscreteSystem:
    """Take M steps at once: a discrete system whose samples are blocks of M samples of the given one.

    Its input is a block of inputs one after the other, ``u.reshape(..., L // M, M * m)``, its output the block of
    outputs, its state the state before each block, its step M·dt. M = 1 is the system itself, M = L holds its whole
    kernel in D. What passes from block to block is one state: the chunked form, threads, and blocks of a GPU or of
    a cluster all run this system.

    Parameters
    ----------
    system : DiscreteSystem
    M : int
        Length of a block, at least 1.

    Returns
    -------
    DiscreteSystem
        M·m inputs and M·p outputs, a Diagonal for a Diagonal, otherwise Dense with the M-th powers of the poles that
        the system knows. A^M comes from running the system from its unit states for M steps, never from
        squaring a matrix.

    Raises
    ------
    TypeError
        The system is continuous.
    ValueError
        M is not a positive integer, or the system overflows within M steps.

    References
    ----------
    T. Chen, B. Francis, *Optimal Sampled-Data Control Systems*, Springer 1995, section 8.2 (lifting).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> mean = ss.DiscreteSystem([[0.5]], [[0.5]], [[1.0]], dt=1.0)
    >>> pairs = ss.lift(mean, 2)
    >>> pairs.D
    array([[0. , 0. ],
           [0.5, 0. ]])
    >>> ss.simulate(pairs, np.ones((2, 2))).y.reshape(4)
    array([0.   , 0.5  , 0.75 , 0.875])
    """
    check_discrete(system, "lift")
    check_count(M, "M", "it is the length of a block")
    M = int(M)
    parts = blocks(system, M)
    structure = Diagonal(parts.power, system.A.pairs) if isinstance(system.A, Diagonal) else _dense(system, parts, M)
    n, m, p = system.state_size, system.n_inputs, system.n_outputs
    b = np.moveaxis(parts.reach[..., ::-1, :, :], -3, -2)  # (..., n, M, m), the last input first applied
    c = parts.seen
    h = kernel(system, M)
    return DiscreteSystem(
        structure,
        b.reshape(*b.shape[:-3], n, M * m),
        c.reshape(*c.shape[:-3], M * p, n),
        toeplitz(h),
        dt=M * system.dt,
        time_unit=system.time_unit,
    )


def blocks(system: DiscreteSystem, M: int) -> Parts:
    """A^M, A^j B and C A^j for j < M."""
    return _of_poles(system, M) if isinstance(system.A, Diagonal) else _of_runs(system, M)


def _of_poles(system: DiscreteSystem, M: int) -> Parts:
    table, last = power_table(in_two_doubles(system.A.diagonal), M)
    whole: Array = last[..., 0] + 1j * last[..., 2]
    if system.A.diagonal.dtype.kind == "f":
        table, whole = table.real, whole.real
    steps = table.swapaxes(-1, -2)  # (..., M, n)
    return Parts(
        whole, steps[..., :, None] * system.B[..., None, :, :], steps[..., None, :] * system.C[..., None, :, :]
    )


def _of_runs(system: DiscreteSystem, M: int) -> Parts:
    """Run the system from every unit state without input, and from rest on an impulse at each input."""
    n, m = system.state_size, system.n_inputs
    ones = (1,) * len(system.batch_shape)
    with np.errstate(over="ignore", invalid="ignore"):
        free = run(system, np.zeros((M, m)), np.eye(n).reshape(n, *ones, n))
        impulses = np.eye(m).reshape(m, *ones, 1, m) * (np.arange(M) == 0)[:, None]
        driven = run(system, impulses, keep=M)
    whole, seen = np.moveaxis(free.final, 0, -1), np.moveaxis(free.y, 0, -1)
    reach = np.concatenate([driven.states[..., 1:, :], driven.final[..., None, :]], axis=-2)
    return Parts(whole, np.moveaxis(reach, 0, -1), seen)


def _dense(system: DiscreteSystem, parts: Parts, M: int) -> Dense:
    known = None if getattr(system.A, "known_poles", None) is None else power(system.A.known_poles, M)
    return Dense(parts.power, known)


def toeplitz(h: Array) -> Array:
    """The matrix that a kernel (..., M, p, m) is over a block: (..., M·p, M·m), h_{i−j} at block row i, column j."""
    length, p, m = h.shape[-3:]
    lag = np.arange(length)[:, None] - np.arange(length)
    t = np.where((lag >= 0)[:, :, None, None], h[..., np.maximum(lag, 0), :, :], 0.0)  # (..., i, j, p, m)
    return t.swapaxes(-3, -2).reshape(*h.shape[:-3], length * p, length * m)
