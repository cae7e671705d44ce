"""sequence_matrix: a selective scan as the matrix that it multiplies its signal with."""

from __future__ import annotations

from typing import Any

from statespace.arrays import Array, as_signal, library_of
from statespace.discretization.names import Method
from statespace.scan import require_one_place
from statespace.selective.arguments import as_reset, refuse_missing
from statespace.selective.scan import selective_scan
from statespace.selective.system import SelectiveSystem, arguments_of, as_layer_input


def sequence_matrix(
    delta: Any, A: Any = None, B: Any = None, C: Any = None, D: Any = None, *, groups: int | None = None,
    pairs: bool = False, delta_bias: Any = None, delta_softplus: bool = False, reset: Any = None,
    method: Method | str = "mamba",
) -> Array:  # fmt: skip
    """Return the lower triangular matrices that a selective scan multiplies its signal with, one for each channel.

    y[..., :, c] = M[..., c, :, :] @ u[..., :, c] from a state of zero: row k says what sample k hears of those before
    it, as the weights of an attention do.

    Parameters
    ----------
    delta, A, B, C, D, groups, pairs, delta_bias, delta_softplus, reset, method
        As `selective_scan` takes them. Or the first two are a SelectiveSystem and its signal u, (..., L, d).

    Returns
    -------
    ndarray, (..., d, L, L)
        In the precision of delta.
        Columns are what a scan makes of unit impulses; above the diagonal exactly 0. Takes d·L² numbers.

    Raises
    ------
    TypeError, ValueError
        As `selective_scan`.

    References
    ----------
    A. Ali, I. Zimerman, L. Wolf, "The Hidden Attention of Mamba Models", 2024, section 3; T. Dao, A. Gu, "Transformers
    are SSMs", ICML 2024, section 3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> delta, one = np.array([[1.0], [0.0], [2.0]]), np.ones((1, 1))
    >>> ss.sequence_matrix(delta, [[-1.0]], one, one)[0].round(4)
    array([[1.    , 0.    , 0.    ],
           [1.    , 0.    , 0.    ],
           [0.1353, 0.    , 2.    ]])
    """
    how: dict[str, Any] = {
        "groups": groups, "pairs": pairs, "delta_bias": delta_bias, "delta_softplus": delta_softplus, "method": method,
    }  # fmt: skip
    if isinstance(A, SelectiveSystem) or (isinstance(delta, SelectiveSystem) and A is None):
        raise TypeError("sequence_matrix of a SelectiveSystem takes the system and then its signal u")
    if isinstance(delta, SelectiveSystem):
        system, u = delta, as_layer_input(delta, A)
        (delta, A, B, C, D), how = arguments_of(system, u, {"B": B, "C": C, "D": D, **how})
    refuse_missing({"delta": delta, "A": A, "B": B, "C": C})
    require_one_place(delta, "delta", {"A": A, "B": B, "C": C, "D": D, "reset": reset})
    step = as_signal(delta, "delta")
    if step.ndim < 2:
        raise ValueError(f"delta must have shape (..., L, d), time before channels, got delta.shape={step.shape}")
    length, xp = step.shape[-2], library_of(step)
    # impulse s is row s of a batch in front of the time axis
    impulses = xp.broadcast_to(xp.eye(length, dtype=step.dtype)[..., None], (length, length, step.shape[-1]))
    level = 2 if groups is None else 3
    cuts = None if reset is None else as_reset(reset, length)[..., None, :]
    B, C = (_of_each_impulse(as_signal(x, name), level) for x, name in ((B, "B"), (C, "C")))
    y = selective_scan(impulses, step[..., None, :, :], A, B, C, D, reset=cuts, **how)
    return xp.ascontiguousarray(y.swapaxes(-1, -3))


def _of_each_impulse(level: Array, core: int) -> Array:
    """B or C with an axis for the impulses; one that lacks axes is refused by the scan."""
    return level if level.ndim < core else level[(..., None, *(slice(None),) * core)]
