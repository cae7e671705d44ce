"""selective_scan and selective_step: systems whose step, input and output change from sample to sample."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_signal, on_device
from statespace.discretization.names import Method
from statespace.discretization.rules import Impulse
from statespace.selective.arguments import Inputs, SelectiveState, as_inputs, check_flag, two_taps
from statespace.selective.plan import Lanes, as_kinds, as_lanes, as_model, as_parts, as_plan, from_parts, rule_number
from statespace.selective.system import SelectiveSystem, arguments_of, as_layer_input

SPAN = 128  # samples of a tile, at most
_WORTH_A_THREAD = 100_000  # numbers of a state, half a nanosecond each or more: waking a thread takes some 50 µs


def tile_of(span: int, length: int) -> int:
    """Samples of a tile: not more than there are, in full vectors."""
    return min(span, -(-max(length, 1) // 16) * 16)


class Scan(NamedTuple):
    """What a run leaves: y (..., L, d), the state after it, and what every tile started from; on a GPU no lanes."""

    y: Array
    state: Array | SelectiveState
    marks: Any
    lanes: Lanes | None


def run(inputs: Inputs, span: int = SPAN, keep: bool = False) -> Scan:
    """Run a checked scan; ``keep`` the states that tiles start from, of ``span`` samples where it is not on a GPU."""
    if on_device(inputs.u):
        return _run_on_gpu(inputs, keep)
    length, d = inputs.sizes[:2]
    span = tile_of(span, length)
    real = np.zeros(0, inputs.u.dtype).real.dtype
    lanes = as_lanes(inputs, 64 // real.itemsize)
    y = np.empty((*inputs.batch, length, d), inputs.output_type)
    x, v = start(inputs, lanes)
    units = len(x)
    marks = np.empty((units, -(-length // span) if keep else 0, x.shape[1] + v.shape[1]), real)
    if y.size:
        work(inputs, lanes, y, x, v, marks, span)
    return Scan(y, _final(inputs, lanes, x, v), marks, lanes)


def _run_on_gpu(inputs: Inputs, keep: bool) -> Scan:
    from statespace.gpu import selective_scan as scan_on_gpu

    y, x, v, marks = scan_on_gpu(inputs, *rule_number(inputs.rule), keep=keep)
    return Scan(y, SelectiveState(x, v) if two_taps(inputs.rule) else x, marks, None)


def work(inputs: Inputs, lanes: Lanes, y: Array, x: Array, v: Array, marks: Array, span: int) -> None:
    """Fill y and marks, and leave the last state in x and v."""
    from statespace.cpu import share
    from statespace.cpu.selective import selective_lanes

    kinds, plan, model = as_kinds(inputs, lanes), as_plan(inputs, lanes, y), as_model(inputs, lanes)
    single = np.zeros(0, inputs.u.dtype).real.dtype.type(0)
    length, n = inputs.sizes[0], inputs.sizes[2] // lanes.beside

    def task(first: int, last: int) -> None:
        selective_lanes(first, last, kinds, plan, model, n, length, span, x, v, marks, single)

    each = length * n * lanes.channels.shape[1]
    share(task, len(x), least=-(-_WORTH_A_THREAD // max(each, 1)))


def start(inputs: Inputs, lanes: Lanes) -> tuple[Array, Array]:
    """The state before the first sample, (units, numbers of vectors); v is empty for `Impulse`."""
    x = state_table(inputs, lanes, inputs.x0)
    return x, x[:, :0].copy() if isinstance(inputs.rule, Impulse) else state_table(inputs, lanes, inputs.v0)


def state_table(inputs: Inputs, lanes: Lanes, state: Array | None) -> Array:
    """States (..., d, n) as (units, numbers of vectors); zero where there are none."""
    _, d, n, _ = inputs.sizes
    rows = int(np.prod(inputs.batch, dtype=np.int64))
    state = np.zeros((d, n), inputs.state_type) if state is None else state
    every = np.broadcast_to(state, (*inputs.batch, d, n)).reshape(rows, d, n)
    parts = as_parts(every, lanes, inputs.is_complex)
    return parts.reshape(rows * len(lanes.valid), parts.shape[-1])


def _final(inputs: Inputs, lanes: Lanes, x: Array, v: Array) -> Array | SelectiveState:
    _, d, n, _ = inputs.sizes
    rows = int(np.prod(inputs.batch, dtype=np.int64))

    def state(table: Array) -> Array:
        every = from_parts(table.reshape(rows, len(lanes.valid), table.shape[-1]), lanes, d, n, inputs.is_complex)
        return every.reshape(*inputs.batch, d, n)

    return SelectiveState(state(x), state(v)) if two_taps(inputs.rule) else state(x)


def selective_scan(
    u: Any, delta: Any, A: Any = None, B: Any = None, C: Any = None, D: Any = None, *, groups: int | None = None,
    pairs: bool = False, z: Any = None, delta_bias: Any = None, delta_softplus: bool = False, x0: Any = None,
    reset: Any = None, method: Method | str = "mamba", return_state: bool = False,
) -> Any:  # fmt: skip
    """Run a system whose step, input and output change from sample to sample, channel by channel.

    Every channel c is a system of n states with poles A[c], driven by u[:, c] and discretized anew at each sample, with
    α, β and γ of ``method`` at z = Δ_k A:

        x_k = α x_{k−1} + β v_{k−1} + γ v_k        v_k = B_k u_k        y_k = C_k x_k + D u_k

    Parameters
    ----------
    u : array_like, (..., L, d)
        Signal, time before channels; float32, float64, or complex.
    delta : array_like, (..., L, d), or SelectiveSystem
        Steps of time Δ, real, 0 or more; a step of 0 holds the state. Or the system that makes Δ, B and C of u: then
        only z, x0, reset and return_state are given beside it.
    A : array_like, (d, n)
        Poles of every channel, real or complex.
    B, C : array_like, (..., L or 1, n), or (..., L or 1, g, n) with groups
        Input and output vectors, shared by the channels, or by those of a group. A time axis of 1: constant.
    D : array_like, (d,), optional
        Feedthrough.
    groups : int, optional
        B and C have an axis of g groups; channel c takes that of number c // (d/g).
    pairs : bool
        A holds one of each conjugate pair: y = 2·Re(C x) + D u, real, as on Mamba's complex path.
    z : array_like, (..., L, d), optional
        A gate: y is multiplied by z/(1 + e^−z).
    delta_bias : array_like, (d,), optional
        Added to delta.
    delta_softplus : bool
        The step is log(1 + e^x) of delta with its bias, exactly: without the threshold at 20 of other libraries, which
        moves it by 1e-10 there.
    x0 : array_like, (..., d, n), optional
        State before the first sample; for a method with two taps the pair (x, v) with v = B u of the last sample.
    reset : array_like of bool, (..., L), optional
        True where a sequence begins, from zero: many sequences packed into one signal.
    method : str or method object
        "mamba" (impulse), "s4_zoh", "zoh", "bilinear", "foh", "exp_trapezoidal" or any other but `MatchedPoles`.
    return_state : bool
        Return (y, state), with the state after the last sample: what x0 takes to go on.

    Returns
    -------
    ndarray, (..., L, d)
        In the precision of u; complex where anything is and there are no pairs. The batch axes of all arrays broadcast.
        An array of CuPy where u is one.

    Raises
    ------
    TypeError
        An array of another library, of another kind (a complex delta, a reset that is not bool), or a state that is no
        pair where the method has two taps; arrays that do not all live in one place, on the host or on one GPU.
    ValueError
        Shapes that do not match (also where time and channels are exchanged), groups that do not divide the channels, a
        negative or non-finite step, a method without a step that varies, pairs of a complex signal.

    Warns
    -----
    RuntimeWarning
        A pole with a real part above 0: its state grows.

    See Also
    --------
    selective_step : one sample at a time.
    selective_scan_vjp : with gradients.

    Notes
    -----
    float32 signals have float32 states, right to 4·eps·min(L, 1/(1 − |α|)): that is 1e-2 where a state remembers 20,000
    steps. Give float64 for long memories.

    "s4_zoh" has the B̄ that is exact for an input held over the step; Mamba's ΔB is larger by a/(1 − e^−a), a = −ΔA:
    by 5 % at 0.1 and 58 % at 1. Sequential in time: any split, with the state handed on, gives the same bits; of a
    SelectiveSystem to rounding, as its projections are matrix products, which add in an order of their own. NaN in u
    goes forward only, until a reset.

    On a GPU everything follows u: all arrays are CuPy's, and so are the answer and the state (the parameters of a
    SelectiveSystem are uploaded). Nothing waits for the device: checks of values are left out there, so that NaN and
    negative steps go through, and poles that grow, or that a rational method has no step to, are not reported. float16
    stays float16 there, with states and sums in float32.

    References
    ----------
    A. Gu, T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, sections 3.2 and 3.3;
    A. Gu, K. Goel, C. Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", 2022, section 2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> u, one = np.ones((4, 1)), np.ones((1, 1))
    >>> delta = np.array([[1.0], [0.0], [1.0], [9.0]])  # listen, hold, listen, forget
    >>> ss.selective_scan(u, delta, [[-1.0]], one, one)[:, 0].round(4)
    array([1.    , 1.    , 1.3679, 9.0002])
    """
    check_flag(return_state, "return_state")
    how: dict[str, Any] = {
        "groups": groups, "pairs": pairs, "delta_bias": delta_bias, "delta_softplus": delta_softplus, "method": method,
    }  # fmt: skip
    if isinstance(delta, SelectiveSystem):
        u = as_layer_input(delta, u)
        (delta, A, B, C, D), how = arguments_of(delta, u, {"A": A, "B": B, "C": C, "D": D, **how})
    scan = run(as_inputs(u, delta, A, B, C, D, z=z, x0=x0, reset=reset, **how))
    return (scan.y, scan.state) if return_state else scan.y


def selective_step(
    state: Any, u: Any, delta: Any, A: Any = None, B: Any = None, C: Any = None, D: Any = None, *,
    groups: int | None = None, pairs: bool = False, z: Any = None, delta_bias: Any = None, delta_softplus: bool = False,
    method: Method | str = "mamba",
) -> tuple[Any, Any]:  # fmt: skip
    """Advance a selective scan by one sample.

    Parameters
    ----------
    state : array_like, (..., d, n), or None
        State before the sample, None for zero; a pair (x, v) for a method with two taps.
    u, delta, z : array_like, (..., d)
        Signal, step of time and gate of this sample; or a SelectiveSystem in the place of delta, for all that follows.
    A, D, delta_bias : array_like
        As `selective_scan` takes them.
    B, C : array_like, (..., n), or (..., g, n) with groups
        Input and output vectors of this sample.
    groups, pairs, delta_softplus, method
        As `selective_scan` takes them.

    Returns
    -------
    y : ndarray, (..., d)
    state : ndarray, (..., d, n), or the pair
        After the sample; the given one is not changed.

    Raises
    ------
    TypeError, ValueError
        As `selective_scan`.

    References
    ----------
    A. Gu, T. Dao, "Mamba", 2023, section 3.3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> one, state = np.ones(1), None
    >>> for _ in range(3):
    ...     y, state = ss.selective_step(state, one, one, [[-1.0]], one, one)
    >>> y.round(4), state.shape
    (array([1.5032]), (1, 1))
    """
    how: dict[str, Any] = {
        "groups": groups, "pairs": pairs, "delta_bias": delta_bias, "delta_softplus": delta_softplus, "method": method,
    }  # fmt: skip
    u, z = _one_sample(u, "u", 1), None if z is None else _one_sample(z, "z", 1)
    if isinstance(delta, SelectiveSystem):
        u = as_layer_input(delta, u)
        (delta, A, B, C, D), how = arguments_of(delta, u, {"A": A, "B": B, "C": C, "D": D, **how})
    else:
        delta, core = _one_sample(delta, "delta", 1), 1 if groups is None else 2
        B, C = _one_sample(B, "B", core), _one_sample(C, "C", core)
    scan = run(as_inputs(u, delta, A, B, C, D, z=z, x0=state, **how))
    return scan.y[..., 0, :], scan.state


def _one_sample(value: Any, name: str, core: int) -> Array:
    """An array with a time axis of 1 before its last axes."""
    array = as_signal(value, name, half=True)
    if array.ndim < core:
        shape = "(..., g, n)" if core == 2 else "(..., d)" if name in ("u", "delta", "z") else "(..., n)"
        raise ValueError(f"{name} of one sample must have shape {shape}, got {name}.shape={array.shape}")
    return array[(..., None, *(slice(None),) * core)]
