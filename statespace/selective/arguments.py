"""The door of the selective scan: what its arguments are, checked once."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_signal, on_device, refuse_foreign, refuse_nonfinite, shorten
from statespace.discretization.names import Rule, as_method
from statespace.discretization.rules import (
    Bilinear,
    ExponentialTrapezoidal,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    MatchedPoles,
    ZeroOrderHold,
)
from statespace.scan import refuse_nonfinite_here, require_one_place


class SelectiveState(NamedTuple):
    """The state of a selective scan by a method with two taps.

    Attributes
    ----------
    x : ndarray, (..., d, n)
        After the last sample.
    v : ndarray, (..., d, n)
        B u of the last sample, which the next step still takes.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> one = np.ones((1, 1))
    >>> y, state = ss.selective_scan(one, one, -one, one, one, method="bilinear", return_state=True)
    >>> state.x.round(4), state.v
    (array([[0.3333]]), array([[1.]]))
    """

    x: Array
    v: Array


class Inputs(NamedTuple):
    """Arguments of a scan in one precision, as they came but for their types; what was not given is None.

    All live in one place. float16 there is on a GPU only: of u, delta and z, of B and C where nothing is complex. The
    others are float32 or complex64 beside it, as the states are.
    """

    u: Array  # (..., L, d)
    delta: Array  # (..., L, d)
    A: Array  # (d, n)
    B: Array  # (..., L or 1, g, n)
    C: Array  # (..., L or 1, g, n)
    D: Array | None  # (d,)
    z: Array | None  # (..., L, d)
    delta_bias: Array | None  # (d,)
    x0: Array | None  # (..., d, n)
    v0: Array | None  # (..., d, n)
    reset: Array | None  # (..., L)
    batch: tuple[int, ...]
    rule: Rule
    delta_softplus: bool
    pairs: bool
    grouped: bool  # B and C came with an axis of groups
    real: tuple[bool, bool]  # whether B and C came real

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """L, d, n and the groups."""
        return self.u.shape[-2], self.u.shape[-1], self.A.shape[-1], self.B.shape[-2]

    @property
    def is_complex(self) -> bool:
        """Whether states are complex."""
        arrays = (self.u, self.A, self.B, self.C, self.D, self.x0, self.v0)
        return any(a is not None and a.dtype.kind == "c" for a in arrays)

    @property
    def state_type(self) -> Any:
        """The type of states; that of y is real where pairs are stored."""
        return np.result_type(self.u.dtype, np.complex64 if self.is_complex else np.float32)

    @property
    def output_type(self) -> Any:
        """The type of y."""
        return self.state_type if self.is_complex and not self.pairs else self.u.dtype


def two_taps(rule: Rule) -> bool:
    """Whether a rule takes the sample before too, so that its state is a pair."""
    if isinstance(rule, (ZeroOrderHold, Bilinear)):
        return rule.tap == "previous"
    if isinstance(rule, (ExponentialTrapezoidal, GeneralizedBilinear)):
        return rule.w != 1
    return isinstance(rule, (FirstOrderHold, ForwardEuler))


def as_rule(method: Any) -> Rule:
    """A method that can change its step from sample to sample."""
    rule = as_method(method)
    if isinstance(rule, MatchedPoles):
        raise ValueError("MatchedPoles is no function of ΔA and has no step that varies; take another, such as 'zoh'")
    if isinstance(rule, Bilinear) and rule.prewarp is not None:
        raise ValueError(
            f"a selective scan has no one step to prewarp for, got {rule!r}; "
            "take Bilinear() and warp delta: 2/ω·tan(ω·delta/2)"
        )
    return rule


def as_inputs(
    u: Any, delta: Any, A: Any, B: Any, C: Any, D: Any = None, *, groups: Any = None, pairs: Any = False, z: Any = None,
    delta_bias: Any = None, delta_softplus: Any = False, x0: Any = None, reset: Any = None, method: Any = "mamba",
) -> Inputs:  # fmt: skip
    """Read and check all arguments of a scan."""
    rule = as_rule(method)
    check_flag(pairs, "pairs")
    check_flag(delta_softplus, "delta_softplus")
    arrays = {"delta": delta, "A": A, "B": B, "C": C}
    refuse_missing(arrays)
    require_one_place(u, "u", {**arrays, "D": D, "z": z, "delta_bias": delta_bias, "x0": x0, "reset": reset})
    u = as_signal(u, "u", half=True)
    real = np.zeros(0, u.dtype).real.dtype
    wide = np.result_type(real, np.float32)
    a = _model(A, wide, "A")
    _check_signal(u, "u", a, u)
    length, d = u.shape[-2:]
    delta, z = _real_signal(delta, "delta", a, u, real), None if z is None else _real_signal(z, "z", a, u, real)
    g = _as_groups(groups, d)
    b, c = (_level(value, name, length, g, a.shape[1], real) for value, name in ((B, "B"), (C, "C")))
    direct, bias = _row(D, "D", d, wide), _row(delta_bias, "delta_bias", d, wide)
    if bias is not None and bias.dtype.kind == "c":
        raise TypeError(f"delta_bias must be real, got dtype {bias.dtype}")
    x, v = _states(x0, rule, (d, a.shape[1]), wide)
    cuts = None if reset is None else as_reset(reset, length)
    if pairs:
        check_pairs(u, direct)
    came_real = b.dtype.kind == "f", c.dtype.kind == "f"
    if any(value is not None and value.dtype.kind == "c" for value in (u, a, b, c, direct, x, v)):
        b, c = (level.astype(np.result_type(real, np.complex64), copy=False) for level in (b, c))
    batch = _common_batch(
        (("u", u, 2), ("delta", delta, 2), ("z", z, 2), ("B", b, 3), ("C", c, 3), ("x0", x, 2), ("x0[1]", v, 2),
         ("reset", cuts, 1))
    )  # fmt: skip
    if not on_device(u):  # of values, which would have to be waited for
        _check_steps(delta, bias, delta_softplus)
        _refuse_poles(rule, a, delta, bias, bool(delta_softplus))
        _warn_of_growth(a)
    return Inputs(
        u, delta, a, b, c, direct, z, bias, x, v, cuts, batch, rule, bool(delta_softplus), bool(pairs), g is not None,
        came_real,
    )  # fmt: skip


def refuse_missing(given: dict[str, Any]) -> None:
    """Raise where an argument that a scan needs is None."""
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise TypeError(
            f"a selective scan needs delta, A, B and C, or a SelectiveSystem in the place of delta; "
            f"missing: {', '.join(missing)}"
        )


def check_flag(value: Any, name: str) -> None:
    """Raise unless a value is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shorten(value)}")


def _precision(array: Array, real: Any) -> Array:
    """An array in the precision of the signal."""
    kind = np.result_type(real, np.complex64) if array.dtype.kind == "c" else real
    return array.astype(kind, copy=False)


def _model(value: Any, real: Any, name: str) -> Array:
    a = _precision(as_signal(value, name, half=True), real)
    refuse_nonfinite_here(a, name)
    if a.ndim != 2:
        raise ValueError(f"{name} must have shape (d, n), poles of every channel, got {name}.shape={a.shape}")
    return a


def _check_signal(array: Array, name: str, a: Array, u: Array) -> None:
    d = a.shape[0]
    if array.ndim < 2:
        raise ValueError(f"{name} must have shape (..., L, d), time before channels, got {name}.shape={array.shape}")
    if array.shape[-1] != d or array.shape[-2] != u.shape[-2]:
        wanted = f"(..., L, {d})" if name == "u" else f"(..., {u.shape[-2]}, {d})"
        turned = array.shape[-2] == d and (name == "u" or array.shape[-1] == u.shape[-2])
        hint = (
            f"; it looks like (batch, d, L), and here time is axis −2: write numpy.swapaxes({name}, -1, -2)"
            if turned
            else ""
        )
        raise ValueError(
            f"{name} must have shape {wanted}, as A of shape {a.shape} has {d} channels, "
            f"got {name}.shape={array.shape}{hint}"
        )


def _real_signal(value: Any, name: str, a: Array, u: Array, real: Any) -> Array:
    array = as_signal(value, name, half=True)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must be real, got dtype {array.dtype}")
    _check_signal(array, name, a, u)
    return array.astype(real, copy=False)


def _as_groups(groups: Any, d: int) -> int | None:
    if groups is None:
        return None
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 1:
        raise TypeError(f"groups must be a whole number, 1 or more, got {shorten(groups)}")
    if d % groups:
        raise ValueError(f"groups must divide the channels between them, got groups={groups} and {d} channels")
    return int(groups)


def _level(value: Any, name: str, length: int, groups: int | None, n: int, real: Any) -> Array:
    """B or C with an axis of groups."""
    array = _precision(as_signal(value, name, half=True), real)
    shape = (n,) if groups is None else (groups, n)
    core = array.shape[array.ndim - len(shape) - 1 :]
    if array.ndim < len(shape) + 1 or core[1:] != shape or core[0] not in (length, 1):
        times = f"{length} or 1" if length != 1 else "1"
        hint = _hint_for_level(array, name, length, groups, n)
        raise ValueError(
            f"{name} must have shape (..., {times}, {', '.join(map(str, shape))}), time before states, "
            f"got {name}.shape={array.shape}{hint}"
        )
    return array[..., None, :] if groups is None else array


def _hint_for_level(array: Array, name: str, length: int, groups: int | None, n: int) -> str:
    if groups is None and array.ndim >= 3 and array.shape[-1] == n and array.shape[-3] in (length, 1):
        return f"; for an axis of groups say so: groups={array.shape[-2]}"
    if groups is None and array.ndim >= 2 and array.shape[-2:] == (n, length):
        return f"; it looks like (batch, n, L), and here time is axis −2: write numpy.swapaxes({name}, -1, -2)"
    if array.shape == (n,):
        return f"; a constant has a time axis of length 1: write {name}[None, :]"
    return ""


def _row(value: Any, name: str, d: int, real: Any) -> Array | None:
    if value is None:
        return None
    array = _precision(as_signal(value, name, half=True), real)
    if array.shape != (d,):
        raise ValueError(f"{name} must have shape ({d},), one number for each channel, got {name}.shape={array.shape}")
    refuse_nonfinite_here(array, name)
    return array


def _states(x0: Any, rule: Rule, shape: tuple[int, int], real: Any) -> tuple[Array | None, Array | None]:
    """The state before the first sample: x, and v = B u where the rule has two taps."""
    if x0 is None:
        return None, None
    if not two_taps(rule):
        if isinstance(x0, tuple):
            raise TypeError(f"x0 must be one array, {rule!r} has one tap and no pair (x, v), got a tuple")
        return _state(x0, "x0", shape, real), None
    if not (isinstance(x0, tuple) and len(x0) == 2):
        raise TypeError(
            f"{rule!r} takes the sample before too: x0 must be the pair (x, v) with v = B u of the last sample, "
            f"or the state that a scan returned, got {shorten(x0)}"
        )
    return _state(x0[0], "x0[0]", shape, real), _state(x0[1], "x0[1]", shape, real)


def _state(value: Any, name: str, shape: tuple[int, int], real: Any) -> Array:
    array = _precision(as_signal(value, name, half=True), real)
    if array.shape[-2:] != shape:
        raise ValueError(f"{name} must have shape (..., {shape[0]}, {shape[1]}), got {name}.shape={array.shape}")
    return array


def as_reset(value: Any, length: int) -> Array:
    """Where sequences start, bool (..., L)."""
    reset = value if on_device(value) else _as_array(value)
    if reset.dtype != np.bool_:
        raise TypeError(f"reset must be bool, True where a sequence starts, got {shorten(value)}")
    if reset.ndim < 1 or reset.shape[-1] != length:
        raise ValueError(f"reset must have shape (..., {length}), one for each sample, got reset.shape={reset.shape}")
    return reset


def _as_array(value: Any) -> Array:
    refuse_foreign(value, "reset")
    try:
        return np.asarray(value)
    except ValueError:  # ragged
        return np.asarray(None)


def check_pairs(u: Array | None, direct: Array | None) -> None:
    """Raise where 2·Re(C x) + D u would not be real."""
    if u is not None and u.dtype.kind == "c":
        raise ValueError(f"pairs=True gives 2·Re(C x) of real signals, got u of dtype {u.dtype}; run u.real and u.imag")
    if direct is not None and direct.dtype.kind == "c":
        raise ValueError(f"with pairs=True the output is real, and D must be, got dtype {direct.dtype}")


def _common_batch(arrays: Any) -> tuple[int, ...]:
    """Batch axes that all have in common; each comes with its name and the number of its own axes."""
    shapes = {name: a.shape[: a.ndim - own] for name, a, own in arrays if a is not None}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} has {shape}" for name, shape in shapes.items())
        raise ValueError(f"the batch axes do not broadcast: {listed}") from None


def _check_steps(delta: Array, bias: Array | None, softened: bool) -> None:
    """Steps are finite, and 0 or more; a hold is a step of 0."""
    if not delta.size:
        return
    lowest = delta.min(axis=tuple(range(delta.ndim - 1)))
    if not (np.isfinite(lowest).all() and np.isfinite(delta.max())):
        refuse_nonfinite(delta, "delta")
    if bias is not None:
        lowest = lowest + bias
    if not softened and lowest.min() < 0:
        channel = int(lowest.argmin())
        raise ValueError(
            f"delta must be 0 or more, it is a step of time, got {float(lowest[channel]):.6g} in channel {channel}; "
            "raw steps of a network need delta_softplus=True"
        )


def _refuse_poles(rule: Rule, a: Array, delta: Array, bias: Array | None, softened: bool) -> None:
    """A rational rule has no α where wΔA = 1."""
    weight = 0.5 if isinstance(rule, Bilinear) else getattr(rule, "w", 0.0)
    if isinstance(rule, ExponentialTrapezoidal) or not weight:
        return
    for i in np.flatnonzero((a.real > 0).any(axis=0)):  # of decaying poles none is there
        raw = delta if bias is None else delta + bias
        step = np.logaddexp(0, raw) if softened else raw
        at = np.abs(1 - weight * step * a[:, i]) <= 4 * np.finfo(step.dtype).eps
        if at.any():
            place = tuple(int(k) for k in np.argwhere(at)[0])
            raise ValueError(
                f"{rule!r} has no step to a pole at 1/(wΔ) = {1 / weight / float(step[place]):.6g}, which "
                f"A[{place[-1]}, {i}] is at delta[{', '.join(map(str, place))}]; change the step or the method"
            )


def _warn_of_growth(a: Array) -> None:
    grows = a.real > 0
    if grows.any():
        channel, state = (int(i) for i in np.argwhere(grows)[0])
        warnings.warn(
            f"A has {int(grows.sum())} poles of {a.size} with a real part above 0, the first is "
            f"A[{channel}, {state}] = {a[channel, state]:.6g}: its state grows",
            RuntimeWarning,
            stacklevel=4,
        )
