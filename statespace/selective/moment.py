"""frozen: the linear time-invariant systems that act in a selective one at a moment."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import as_signal, refuse_foreign, refuse_nonfinite
from statespace.discretization import discretize
from statespace.selective.system import SelectiveSystem, driven
from statespace.structure import Diagonal
from statespace.systems import ContinuousSystem, DiscreteSystem


def frozen(system: SelectiveSystem, u_t: Any) -> DiscreteSystem:
    """Return the linear time-invariant systems that act in a layer while it hears u_t.

    Each channel is a system of one input and one output, discretized with the step, B and C that u_t makes: its poles,
    frequency response and kernel are those of the layer at that moment.

    Parameters
    ----------
    system : SelectiveSystem
    u_t : array_like, (..., d)
        One sample, or several.

    Returns
    -------
    DiscreteSystem
        Batch axes (..., d), one system for each channel; dt is the step Δ of each.

    Raises
    ------
    TypeError
        The system is not a SelectiveSystem, or u_t is not real.
    ValueError
        u_t has another number of channels, or is not finite.

    References
    ----------
    A. Gu, T. Dao, "Mamba", 2023, section 3.5.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> layer = ss.SelectiveSystem.initial(3, 2, seed=1)
    >>> moment = ss.frozen(layer, np.zeros(3))
    >>> moment.batch_shape, moment.poles.shape
    ((3,), (3, 2))
    """
    if not isinstance(system, SelectiveSystem):
        raise TypeError(f"frozen takes a SelectiveSystem and a sample, got {type(system).__name__}")
    refuse_foreign(u_t, "u_t")  # systems live on the host
    sample = as_signal(u_t, "u_t")
    if sample.dtype.kind == "c" or sample.ndim < 1 or sample.shape[-1] != system.n_channels:
        raise ValueError(
            f"u_t must be real and have shape (..., {system.n_channels}), one sample of every channel, "
            f"got {sample.dtype} of shape {sample.shape}"
        )
    refuse_nonfinite(sample, "u_t")
    delta, b, c = (level[..., 0, :] for level in driven(system, sample.astype(np.float64)[..., None, :]))
    step = np.logaddexp(0, delta + system.delta_bias)
    d = np.zeros(system.n_channels) if system.D is None else system.D
    model = ContinuousSystem(
        Diagonal(system.A, pairs=system.pairs), b[..., None, :, None], c[..., None, None, :], d[:, None, None]
    )
    return discretize(model, step, system.rule)
