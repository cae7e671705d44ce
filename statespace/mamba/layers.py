"""What blocks are made of: matrix products, normalization, the causal depthwise convolution and the gate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.mamba.weights import as_epsilon, as_real
from statespace.selective.arguments import check_flag

_SPAN = 32  # samples that a thread convolves in one piece, some 50 µs


def in_turn(task: Callable[[int, int], None], count: int, least: int = 1) -> None:
    """Share a task; one piece is done at once: to look for a second thread takes as long as a step of a block."""
    if count <= least:
        task(0, count)
        return
    from statespace.cpu import share

    share(task, count, least=least)


def taps_of(weight: Array, bias: Array | None) -> tuple[Array, Array]:
    """Taps (k, c) and bias (c,) of a convolution."""
    return np.ascontiguousarray(weight.T), np.zeros(len(weight), weight.dtype) if bias is None else bias


def linear(u: Array, weight: Array, bias: Array | None) -> Array:
    """Return u Wᵀ + bias over the last axis, all rows in one product; W as it lies."""
    y = u.reshape(-1, u.shape[-1]) @ weight.T
    if bias is not None:
        y += bias
    return y.reshape(*u.shape[:-1], len(weight))


def normalized(x: Array, weight: Array, epsilon: float, groups: int = 1) -> Array:
    """Return w x/√(mean x² + ε), the mean over each of so many groups of channels."""
    from statespace.cpu.blocks import normalize_rows

    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y, w = np.empty(rows.shape, x.dtype), weight.astype(x.dtype, copy=False)
    in_turn(lambda first, last: normalize_rows(first, last, rows, w, epsilon, groups, y), len(rows), least=_SPAN)
    return y.reshape(x.shape)


def gated(y: Array, rows: Array, begin: int) -> Array:
    """Multiply y (..., c), in one piece, in place by z/(1 + e^−z), z the columns of rows (..., w) from ``begin`` on."""
    from statespace.cpu.blocks import gate_rows

    flat, z = y.reshape(-1, y.shape[-1]), rows.reshape(-1, rows.shape[-1])
    in_turn(lambda first, last: gate_rows(first, last, flat, z, begin), len(flat), least=_SPAN)
    return y


def convolved(
    x: Array, begin: int, taps: Array, bias: Array, state: Array, gate: bool = True
) -> tuple[Array, Array]:  # fmt: skip
    """Convolve the columns of x (rows, L, w) from ``begin`` on with taps (k, c); and the last k − 1 of them.

    state (rows, k − 1, c) is what came before, oldest first.
    """
    from statespace.cpu.blocks import convolve_rows

    rows, length, (k, channels) = len(x), x.shape[1], taps.shape
    y = np.empty((rows, length, channels), x.dtype)

    def task(first: int, last: int) -> None:
        convolve_rows(first, last, _SPAN, x, begin, state, taps, bias, y, gate)

    in_turn(task, rows * -(-length // _SPAN))
    recent = x[:, max(length - k + 1, 0) :, begin : begin + channels]
    return y, np.concatenate([state[:, min(length, k - 1) :], recent], axis=1)


def convolved_step(x: Array, begin: int, taps: Array, bias: Array, state: Array) -> tuple[Array, Array]:
    """One sample, gated: x (rows, w)."""
    from statespace.cpu.blocks import convolve_steps

    y, after = np.empty((len(x), taps.shape[1]), x.dtype), np.empty(state.shape, x.dtype)
    in_turn(lambda first, last: convolve_steps(first, last, x, begin, state, taps, bias, y, after), len(x))
    return y, after


# --------------------------------------------------------------- on their own


def rms_norm(x: Any, weight: Any, epsilon: float = 1e-5) -> Array:
    """Divide every sample by its root mean square over the channels, and weigh the channels.

    Parameters
    ----------
    x : array_like, (..., c)
    weight : array_like, (c,)
    epsilon : float
        Added to the mean square.

    Returns
    -------
    ndarray, (..., c)
        w x/√(mean x² + ε), in the precision of x.

    Raises
    ------
    TypeError
        Numbers that are not real.
    ValueError
        Weights that do not fit the channels, an epsilon below 0.

    References
    ----------
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, section 3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> ss.mamba.rms_norm([[3.0, 4.0], [30.0, 40.0]], np.ones(2)).round(4)
    array([[0.8485, 1.1314],
           [0.8485, 1.1314]])
    """
    u, w = as_real(x, "x"), as_real(weight, "weight")
    if u.ndim < 1 or w.shape != u.shape[-1:] or not w.size:
        raise ValueError(
            f"weight must have one number per channel of x, the last axis, got {w.shape} beside x.shape={u.shape}"
        )
    return normalized(u, w.astype(u.dtype), as_epsilon(epsilon))


def causal_convolution(
    u: Any, weight: Any, bias: Any = None, *, state: Any = None, silu: bool = False, return_state: bool = False
) -> Any:
    """Convolve every channel with a short kernel of its own, which sees the sample itself and those before it.

    y_t = Σ_j w[c, j] u_{t − k + 1 + j} + bias, j = 0 … k − 1: the last weight is that of the sample itself.

    Parameters
    ----------
    u : array_like, (..., L, c)
        Signal, time before channels.
    weight : array_like, (c, k)
        As in a checkpoint, without its axis of 1.
    bias : array_like, (c,), optional
    state : array_like, (..., k − 1, c), optional
        The samples before the first, oldest first; zero unless given.
    silu : bool
        Answer y/(1 + e^−y) instead, as the blocks do.
    return_state : bool
        Return (y, state), with what ``state`` takes to go on.

    Returns
    -------
    ndarray, (..., L, c)
        In the precision of u.

    Raises
    ------
    TypeError
        Numbers that are not real.
    ValueError
        Shapes that do not fit.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3.4.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> u = np.arange(4.0)[:, None]
    >>> ss.mamba.causal_convolution(u, [[10.0, 1.0]])[:, 0]  # u_t + 10 u_{t−1}
    array([ 0.,  1., 12., 23.])
    """
    x, w = as_real(u, "u"), as_real(weight, "weight")
    if w.ndim != 2 or not w.size or x.ndim < 2 or x.shape[-1] != len(w):
        raise ValueError(
            f"u must have shape (..., L, c) and weight (c, k), with k from 1 on, got u.shape={x.shape} and "
            f"weight.shape={w.shape}" + (", a checkpoint's: write weight[:, 0]" if w.ndim == 3 else "")
        )
    c, k = w.shape
    b = np.zeros(c) if bias is None else as_real(bias, "bias")
    if b.shape != (c,):
        raise ValueError(f"bias must have shape ({c},), one number per channel, got {b.shape}")
    check_flag(silu, "silu")
    before = as_state(state, "state", x.shape[:-2], (k - 1, c), x.dtype)
    rows, taps = np.ascontiguousarray(as_rows(x, 2)), np.ascontiguousarray(w.T, dtype=x.dtype)
    y, last = convolved(rows, 0, taps, b.astype(x.dtype), as_rows(before, 2), silu)
    y, last = y.reshape(x.shape), last.reshape(before.shape)
    check_flag(return_state, "return_state")
    return (y, last) if return_state else y


# --------------------------------------------------------------- what they are given


def as_rows(array: Array, core: int) -> Array:
    """Batch axes flattened, before so many axes of its own."""
    own = array.shape[array.ndim - core :]
    return array.reshape(math.prod(array.shape[: array.ndim - core]), *own)


def as_state(value: Any, name: str, batch: tuple[int, ...], core: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """A part of a state with the batch axes of the signal, zero where none is given."""
    if value is None:
        return np.zeros((*batch, *core), kind)
    if type(value) is np.ndarray and value.dtype == kind and value.shape == (*batch, *core):
        return value
    state = as_real(value, name)
    if state.shape[state.ndim - len(core) :] != core or state.ndim > len(core) + len(batch):
        raise ValueError(
            f"{name} must have shape {(*batch, *core)}, or {core} for all of a batch, got {shorten(state.shape)}"
        )
    try:
        return np.broadcast_to(state, (*batch, *core)).astype(kind, copy=False)
    except ValueError:
        raise ValueError(
            f"{name} must have shape {(*batch, *core)}, the batch axes of u before its own, got {state.shape}"
        ) from None
