"""settling_samples: how much history matters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.kernels.samples import check_discrete, kernel
from statespace.systems import DiscreteSystem

_MOST = 2**23  # samples of a kernel that is looked through
_BEYOND = 1e-3  # of the tolerance: how far the kernel is followed after it


def settling_samples(system: DiscreteSystem, tol: float = 1e-6) -> int:
    """Count the samples of history that matter: forgetting older ones changes no output by more than tol.

    The smallest S with Σ_{k ≥ S} |h_k| ≤ tol · Σ_k |h_k| for every channel from an input to an output: an output that
    sees the last S inputs alone is off by at most tol times the largest output that an input as large could
    make. It is the overlap of blocks that are run one by one, the padding before a record, the length at which a
    kernel may be cut.

    Parameters
    ----------
    system : DiscreteSystem
        Stable. For a batch the most of any system.
    tol : float
        Between 0 and 1.

    Returns
    -------
    int
        At least 0; 1 for a gain.

    Raises
    ------
    TypeError
        The system is continuous.
    ValueError
        The tolerance is not between 0 and 1, or the system does not settle: it is not stable, or takes more than eight
        million samples.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.6 (a stable system sums its kernel).

    Examples
    --------
    >>> import statespace as ss
    >>> half = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=1.0)
    >>> ss.settling_samples(half, 2.0**-10)
    11
    """
    check_discrete(system, "settling_samples")
    if not isinstance(tol, (int, float, np.number)) or isinstance(tol, bool) or not 0 < tol < 1:
        raise ValueError(f"tol must lie between 0 and 1, got {shorten(tol)}")
    radii = np.abs(system.poles)
    radius = float(radii.max(initial=0.0))
    if not np.all(system.is_stable):
        raise ValueError(
            f"the system does not settle: it is not stable, its largest pole has modulus {radius:.9g}; an integrator "
            "remembers everything"
        )
    length = _horizon(radii, float(tol))
    while length <= _MOST:
        size = np.abs(kernel(system, length))
        size = size / (size.max(initial=0.0) or 1.0)  # sums of very large gains overflow
        left = _tails(size)  # (..., L + 1, p, m)
        if np.all(left[..., length // 2, :, :] <= _BEYOND * tol * left[..., 0, :, :]):
            enough = (left <= tol * left[..., :1, :, :]).all(axis=(*range(left.ndim - 3), -2, -1))
            return int(np.argmax(enough))
        length *= 2
    raise ValueError(
        f"the system does not settle within {_MOST} samples: its largest pole has modulus {radius:.9g}; "
        "take a larger tol"
    )


def _horizon(radii: Array, tol: float) -> int:
    """Twice what all poles in a row take to answer, Σ 1/−log|λ|, and the slowest to decay beyond the tolerance.

    Sixty equal poles in a row are silent for sixty time constants. Enough for every state to show in any case.
    """
    rates = -np.log(np.maximum(radii, 1e-300))
    answer = float((1.0 / rates).sum(axis=-1).max(initial=0.0))
    decay = -math.log(0.1 * _BEYOND * tol) / float(rates.min(initial=np.inf))
    return int(min(max(64, 2 * radii.shape[-1] + 2, 2 * math.ceil(answer + decay)), _MOST))


def _tails(size: Array) -> Any:
    """Σ_{k ≥ S} for S = 0 … L, from the small end."""
    sums = np.flip(np.cumsum(np.flip(size, -3), axis=-3), -3)
    return np.concatenate([sums, np.zeros_like(sums[..., :1, :, :])], axis=-3)
