"""What pullbacks return, and the way from the gradients of a scan through the projections of its system."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, library_of
from statespace.selective.arguments import SelectiveState
from statespace.selective.system import SelectiveSystem


class SelectiveGradients(NamedTuple):
    """What a pullback of `selective_scan_vjp` returns: one gradient for each array argument, None where there was none.

    Attributes
    ----------
    u, delta, A, B, C, D, z, delta_bias : ndarray or None
        In the shape of the argument.
    x0 : ndarray, SelectiveState or None
        A pair where the state is one.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> one = np.ones((1, 1))
    >>> y, pullback = ss.selective_scan_vjp(one, one, -one, one, one)
    >>> gradients = pullback(one)
    >>> float(gradients.C[0, 0]), gradients.D
    (1.0, None)
    """

    u: Array
    delta: Array
    A: Array
    B: Array
    C: Array
    D: Array | None
    z: Array | None
    delta_bias: Array | None
    x0: Array | SelectiveState | None


class SystemGradients(NamedTuple):
    """What the pullback of a SelectiveSystem returns: gradients of u and of each parameter, None where there is none.

    Attributes
    ----------
    u, A, delta_bias, B, C, B_projection, C_projection, delta_up, delta_down, D, z : ndarray or None
        In the shape of the argument.
    x0 : ndarray, SelectiveState or None
        Of the state before the first sample.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> layer = ss.SelectiveSystem.initial(2, 3, selective=("delta",))
    >>> y, pullback = ss.selective_scan_vjp(np.ones((5, 2)), layer)
    >>> gradients = pullback(y)
    >>> gradients.delta_up.shape, gradients.B.shape, gradients.B_projection
    ((2, 1), (3,), None)
    """

    u: Array
    A: Array
    delta_bias: Array
    B: Array | None
    C: Array | None
    B_projection: Array | None
    C_projection: Array | None
    delta_up: Array | None
    delta_down: Array | None
    D: Array | None
    z: Array | None
    x0: Array | SelectiveState | None


def through_projections(system: SelectiveSystem, u: Array, g: SelectiveGradients) -> SystemGradients:
    """From the gradients of Δ, B and C to those of what made them."""
    of_u, up, down, here = g.u, None, None, library_of(u).asarray
    if system.delta_up is not None and system.delta_down is not None:
        w_down, w_up = here(system.delta_down), here(system.delta_up)
        low, of_low = u @ w_down.T, g.delta @ w_up
        up, down = _outer(g.delta, low), _outer(of_low, u)
        of_u = of_u + of_low @ w_down
    b, of_b, of_u = _level(system.B, system.B_projection, g.B, u, of_u)
    c, of_c, of_u = _level(system.C, system.C_projection, g.C, u, of_u)
    bias: Any = g.delta_bias  # a system has one
    return SystemGradients(of_u.astype(u.dtype, copy=False), g.A, bias, b, c, of_b, of_c, up, down, g.D, g.z, g.x0)


def _level(
    constant: Array | None, projection: Array | None, grad: Array, u: Array, of_u: Array
) -> tuple[Array | None, Array | None, Array]:
    """Gradients of a constant, of a projection, and of u with what comes through the projection."""
    if projection is None:
        return grad.reshape(-1, grad.shape[-1]).sum(axis=0), None, of_u
    back = library_of(u).asarray(projection.conj())
    return None, _outer(grad, u), of_u + (grad @ back).real


def _outer(grad: Array, u: Array) -> Array:
    """Σ over time and batch of grad uᵀ, of float16 in float32."""
    wide = np.result_type(grad.dtype, np.float32)
    product = grad.reshape(-1, grad.shape[-1]).astype(wide, copy=False).T @ u.reshape(-1, u.shape[-1])
    return library_of(product).ascontiguousarray(product)
