"""The door of ssd and ssd_trapezoidal: what they take, checked once."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_signal, library_of, on_device, shorten
from statespace.scan import refuse_nonfinite_here, require_one_place
from statespace.selective.chunks import Recurrence, to_rows


class Arguments(NamedTuple):
    """The arguments of Mamba-2's recurrence; steps and state are double, the rest is as x."""

    x: Array  # (..., L, h, p)
    delta: Array  # (..., L, h)
    A: Array  # (h,) or (..., L, h)
    B: Array  # (..., L or 1, g, n)
    C: Array  # (..., L or 1, g, n)
    D: Array | None  # (h, 1) or (h, p)
    chunk: int
    x0: Array | None  # (..., h, p, n)
    reset: Array | None  # (..., L), bool
    batch: tuple[int, ...]  # of all of them


def read(
    x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any, chunk: Any, x0: Any, reset: Any, *, depth: int = 0
) -> Arguments:
    """Check the arguments of ssd; a warning points ``depth`` frames above who called the caller of this."""
    require_one_place(x, "x", {"delta": delta, "A": A, "B": B, "C": C, "D": D, "x0": x0, "reset": reset})
    u = as_real(x, "x")
    if u.ndim < 3:
        raise ValueError(f"x must have shape (..., L, h, p): time, heads, channels of a head; got {u.shape}")
    length, h, p = u.shape[-3:]
    step = read_step(delta, u)
    a = _read_a(A, u, 4 + depth)
    b, c = _read_matrices(B, C, u)
    d = None if D is None else as_real(D, "D")
    if d is not None and d.shape not in ((h,), (h, p)):
        raise ValueError(f"D must have shape (h={h},) or (h={h}, p={p}), got {d.shape}")
    start = None if x0 is None else read_state(x0, (h, p, b.shape[-1]), "x0")
    cuts = None if reset is None else _read_reset(reset, length)
    batch = read_batch(
        x=(u, 3), delta=(step, 2), A=(a, 2), B=(b, 3), C=(c, 3), x0=(start, 3), reset=(cuts, 1)
    )  # fmt: skip
    b, c = (with_rows(array.astype(u.dtype, copy=False)) for array in (b, c))
    d = None if d is None else d.astype(u.dtype).reshape(h, -1)
    return Arguments(with_rows(u), step, a, b, c, d, _read_chunk(chunk), start, cuts, batch)


def as_real(value: Any, name: str) -> Array:
    """Float32 or float64, as it came."""
    array = as_signal(value, name)
    if array.dtype.kind == "c":
        raise TypeError(
            f"{name} must be real, got {array.dtype}; ssd_trapezoidal turns real states by angles=, "
            "and selective_scan takes complex arrays"
        )
    return array


def read_step(delta: Any, x: Array) -> Array:
    """The steps Δ, (..., L, h)."""
    step = as_real(delta, "delta").astype(np.float64)
    check_series(step, x, "delta")
    refuse_nonfinite_here(step, "delta")
    if not on_device(step) and (step < 0).any():
        first = tuple(int(i) for i in np.argwhere(step < 0)[0])
        raise ValueError(
            f"delta must not be negative, it is a step of time: got {int((step < 0).sum())} negative of {step.size} "
            f"values, the first is delta[{', '.join(map(str, first))}] = {step[first]:g}; apply softplus to it first"
        )
    return step


def check_series(array: Array, x: Array, name: str, tail: str = "") -> None:
    """Raise unless an array has one number per time and head of x, or with a tail as many as there are angles."""
    shape = array.shape[: array.ndim - bool(tail)]
    if shape[-2:] != x.shape[-3:-1]:
        turned = len(shape) >= 2 and shape[-2:] == (x.shape[-2], x.shape[-3])
        raise ValueError(
            f"{name} must have shape (..., L={x.shape[-3]}, h={x.shape[-2]}{tail}) beside x of shape "
            f"(..., L, h, p) = {x.shape}, got {array.shape}" + (_TURN_X if turned else "")
        )


_TURN_X = "; time is in front of the heads here: for x of shape (batch, h, L, p) write x.swapaxes(-3, -2)"


def _read_a(A: Any, x: Array, level: int) -> Array:
    a = as_real(A, "A").astype(np.float64)
    length, h = x.shape[-3:-1]
    if a.shape[-2:] not in ((h,), (length, h)):
        raise ValueError(
            f"A must have shape (h={h},), or (..., L={length}, h={h}) where it depends on the input, got {a.shape} "
            f"beside x of shape (..., L, h, p) = {x.shape}" + (_TURN_X if a.shape == (length,) else "")
        )
    refuse_nonfinite_here(a, "A")
    if not on_device(a) and (a > 0).any():
        warnings.warn(
            f"A is positive in {int((a > 0).sum())} of {a.size} entries: what e^(ΔA) multiplies grows without bound; "
            "models store log(-A), write A = -np.exp(A_log)",
            RuntimeWarning,
            stacklevel=level,
        )
    return a


def _read_matrices(B: Any, C: Any, x: Array) -> tuple[Array, Array]:
    b, c = as_real(B, "B"), as_real(C, "C")
    length, h = x.shape[-3:-1]
    for name, array in (("B", b), ("C", c)):
        if array.ndim < 3 or array.shape[-3] not in (1, length):
            turned = array.ndim >= 3 and length != h == array.shape[-3]
            raise ValueError(
                f"{name} must have shape (..., L={length} or 1, g, n): time, groups of heads, states; got "
                f"{array.shape} beside x of shape (..., L, h, p) = {x.shape}" + (_TURN_X if turned else "")
            )
    if b.shape[-2:] != c.shape[-2:]:
        raise ValueError(f"B and C must have the same groups and states (g, n), got {b.shape} and {c.shape}")
    groups = b.shape[-2]
    if groups == 0 or h % groups:
        raise ValueError(
            f"the groups of B and C must divide the heads of x, got g={groups}, h={h} and B.shape={b.shape}"
        )
    return b, c


def read_state(value: Any, shape: tuple[int, ...], name: str) -> Array:
    """A state or a part of one, double: (..., *shape)."""
    state = as_real(value, name).astype(np.float64)
    if state.shape[-len(shape) :] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (..., {wanted}): heads first, after batch axes; got {state.shape}")
    return state


def _read_reset(reset: Any, length: int) -> Array:
    try:
        known = isinstance(reset, (list, tuple, np.ndarray))
        cuts = reset if on_device(reset) else np.asarray(reset if known else None)
    except ValueError:  # ragged
        cuts = np.asarray(None)
    if cuts.dtype != bool:
        raise TypeError(f"reset must be bool (..., L), True where a sequence starts, got {shorten(reset)}")
    if cuts.ndim < 1 or cuts.shape[-1] != length:
        raise ValueError(f"reset must have shape (..., L={length}), one bool per sample of x, got {cuts.shape}")
    return cuts


def _read_chunk(chunk: Any) -> int:
    if not isinstance(chunk, (int, np.integer)) or isinstance(chunk, bool) or chunk < 1:
        raise ValueError(f"chunk must be an integer, 1 or more: samples that are done at once; got {shorten(chunk)}")
    return int(chunk)


def read_batch(**arrays: tuple[Array | None, int]) -> tuple[int, ...]:
    """The batch axes of all arrays, each given with how many axes of its own it has."""
    shapes = {
        name: array.shape[: max(array.ndim - own, 0)] for name, (array, own) in arrays.items() if array is not None
    }
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ValueError(f"the batch axes do not broadcast: {got}; they lead, in front of time and heads") from None


def with_rows(array: Array) -> Array:
    """The array itself where its last axis lies in one piece, as BLAS wants it."""
    in_rows = array.shape[-1] < 2 or array.strides[-1] == array.itemsize
    return array if in_rows else library_of(array).ascontiguousarray(array)


# --------------------------------------------------------------- to the recurrence and back


def recurrence(given: Arguments) -> Recurrence:
    """Mamba-2's: a = ΔA, and a sample weighs Δ now and later."""
    a = exponents(given)
    return Recurrence(given.x, a, given.delta, given.delta, given.B, given.C, given.D, given.reset, None)


def exponents(given: Arguments) -> Array:
    """Δ A, −inf where a sequence starts; bounded above, so that a sum with −inf is −inf."""
    xp = library_of(given.delta)
    with np.errstate(over="ignore"):
        a = xp.minimum(given.delta * given.A, 1e300)
    return a if given.reset is None else xp.where(given.reset[..., None], -np.inf, a)


def state_of(given: Arguments) -> tuple[int, ...]:
    """The shape of the state, (..., h, p, n), with all batch axes."""
    return (*given.batch, *given.x.shape[-2:], given.B.shape[-1])


def starting_rows(given: Arguments, groups: int) -> Array:
    """The state before the first sample, in the layout of the chunks."""
    xp = library_of(given.x)
    return to_rows(xp.broadcast_to(xp.zeros(()) if given.x0 is None else given.x0, state_of(given)), groups)
