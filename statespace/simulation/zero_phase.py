"""filtfilt: forward and backward over time, so that the phase is zero and the gain |H|²."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from statespace.arrays import Array, as_signal, check_choice, on_device, refuse_nonfinite, shorten
from statespace.scan import broadcast_batch
from statespace.simulation.channels import check_channelwise, misaligned, time_axis, time_back, time_last
from statespace.simulation.choice import run_once
from statespace.simulation.filtering import steady_state
from statespace.structure import Cascade
from statespace.systems import DiscreteSystem

_PADS = ("odd", "even", "constant")
_METHODS = ("pad", "gust")


def filtfilt(
    system: DiscreteSystem,
    x: Any,
    *,
    axis: int | None = None,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
    irlen: int | None = None,
) -> Array:
    """Run a single-input single-output system forward and then backward along one axis of an array.

    The phases of the two runs cancel and the gains multiply: |H(ω)|², nothing is delayed. A complex system
    runs backward with its coefficients conjugated, which makes this true for it as well.

    Parameters
    ----------
    system : DiscreteSystem
        One input, one output. A batch of systems aligns with the other axes of x, as in `filter`.
    x : array_like
        Signal of any shape, finite.
    axis : int
        Axis of time; may be left out for a 1-D signal only.
    padtype : {"odd", "even", "constant"} or None
        How x is continued at both ends before it is run: turned about its end point, mirrored, held, or
        not at all.
    padlen : int, optional
        Samples to continue it by at each end; 3·(n_states + 1) when omitted. A pole at z = 0 that meets a
        zero there is no state in this count.
    method : {"pad", "gust"}
        "pad": both runs start from the steady state of their first sample. "gust": from the two states
        for which forward-backward and backward-forward agree best, in the sense of least squares; nothing is
        padded.
    irlen : int, optional
        For "gust", a length after which the impulse response may be neglected: only that many samples at
        each end are then compared, which is quicker where 2·irlen is less than the length.

    Returns
    -------
    ndarray
        As x; axes of a batch of systems that x has not come first of those beside time. float32 stays float32
        and is double inside.

    Raises
    ------
    TypeError
        The system is continuous, or x lives on a GPU.
    ValueError
        The system is not single-input single-output, or integrates a constant and has no steady state to
        start from; axis is missing or shapes do not fit; x holds NaN or infinity or is not longer than
        padlen; or the options conflict.

    References
    ----------
    F. Gustafsson, "Determining the initial states in forward-backward filtering", IEEE Trans. Signal
    Process. 44 (1996), sections II and IV.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> smooth = ss.from_ba([0.5], [1.0, -0.5], dt=1.0)
    >>> tone = np.sin(2 * np.pi * np.arange(200) / 20)
    >>> gain = abs(ss.frequency_response(smooth, [2 * np.pi / 20]).H[0]) ** 2
    >>> bool(abs(ss.filtfilt(smooth, tone) - gain * tone)[50:150].max() < 1e-12)
    True
    """
    check_channelwise(system, "filtfilt")
    if on_device(x):
        raise TypeError("filtfilt runs on the host and x lives on a GPU; write filtfilt(system, cupy.asnumpy(x), …)")
    signal = _finite(as_signal(x, "x"))
    axis = time_axis(axis, signal)
    check_choice(method, _METHODS, "method")
    lanes = time_last(signal, axis).astype(np.result_type(signal, np.float64), copy=False)
    try:
        broadcast_batch(system, lanes[..., None], np.zeros(system.state_size))
    except ValueError as error:
        raise misaligned("filtfilt", error, signal, axis) from None
    if method == "gust":
        _refuse_padding(padtype, padlen)
        y = _gustafsson(system, lanes, _length_of_response(system, irlen, lanes.shape[-1]))
    else:
        y = _padded(system, lanes, padtype, _padlen(system, lanes.shape[-1], padtype, padlen, irlen))
    kind = np.result_type(signal, np.complex64) if y.dtype.kind == "c" else signal.dtype
    backward = y.strides[-1] < 0  # a view of what ran last; users get an array
    return time_back(y, axis).astype(kind, copy=backward or y.dtype != kind)


def _run(system: DiscreteSystem, x: Array, start: Array | None = None) -> Array:
    """Run forward over x (..., L)."""
    return run_once(system, x[..., None], start).y[..., 0]


def _turned(system: DiscreteSystem, x: Array) -> Array:
    """Time reversed, and conjugated for a complex system, whose coefficients two such turns around a run conjugate."""
    return x[..., ::-1].conj() if system.is_complex else x[..., ::-1]


# --------------------------------------------------------------- padding


def _padded(system: DiscreteSystem, x: Array, padtype: str | None, edge: int) -> Array:
    """Forward and backward from steady states, over x continued by ``edge`` samples at both ends."""
    before, after = _edges(x, padtype, edge)
    y, tail = _through(system, before, x, after)
    y, _ = _through(system, _turned(system, tail), _turned(system, y), x[..., :0], overwrite=True)
    return _turned(system, y)


def _through(
    system: DiscreteSystem, before: Array, x: Array, after: Array, *, overwrite: bool = False
) -> tuple[Array, Array]:
    """Run over three pieces, put together nowhere, from the steady state of the first sample; y of the last two."""
    first = (before if before.shape[-1] else x)[..., :1]
    state = run_once(system, before[..., None], _start(system, first)).final
    middle = run_once(system, x[..., None], state, overwrite=overwrite)
    return middle.y[..., 0], run_once(system, after[..., None], middle.final).y[..., 0]


def _start(system: DiscreteSystem, first: Array) -> Array:
    try:
        return steady_state(system, first)
    except ValueError as error:
        raise ValueError(
            f"filtfilt starts from a steady state, padded or not, but {error}; method='gust' needs none"
        ) from None


def _edges(x: Array, padtype: str | None, edge: int) -> tuple[Array, Array]:
    """What comes before and after x (..., L), L > edge."""
    first, last = x[..., :1], x[..., -1:]
    before, after = x[..., edge:0:-1], x[..., -2 : -edge - 2 : -1]  # what comes next, in the mirror
    if padtype == "odd":
        return 2 * first - before, 2 * last - after
    if padtype == "constant":
        return np.broadcast_to(first, before.shape), np.broadcast_to(last, after.shape)
    return before, after


def _padlen(system: DiscreteSystem, length: int, padtype: Any, padlen: Any, irlen: Any) -> int:
    """Check the options of method="pad" and say how many samples are added at each end."""
    if irlen is not None:
        raise ValueError(f"irlen={shorten(irlen)} belongs to method='gust'; write method='gust', or leave it out")
    if padtype is not None:
        check_choice(padtype, _PADS, "padtype")
    if padlen is None:
        edge = 0 if padtype is None else 3 * (system.n_states - _cancelling_delays(system) + 1)
    else:
        edge = _count(padlen, "padlen", 0)
        if padtype is None and edge:
            raise ValueError(f"padtype=None pads nothing, got padlen={edge}; leave padlen out")
    if length <= edge:
        raise ValueError(
            f"x must be longer than padlen={edge}, got {length} samples along the axis of time; "
            "give a smaller padlen=, or method='gust', which pads nothing"
        )
    return edge


def _cancelling_delays(system: DiscreteSystem) -> int:
    """Poles at z = 0 that meet a zero there, in another section: powers of z⁻¹ have one coefficient less for each."""
    if not isinstance(system.A, Cascade):
        return 0
    pairs = np.minimum((system.A.known_poles == 0).sum(-1), (system.A.zeros == 0).sum(-1))
    return int(pairs.min())


def _count(value: Any, name: str, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a number of samples, an integer from {least} on, got {shorten(value)}")
    return int(value)


def _finite(signal: Array) -> Array:
    try:
        refuse_nonfinite(signal, "x")
    except ValueError as error:
        raise ValueError(f"{error}; filtfilt would spread it both ways, fill the gap first: numpy.interp") from None
    return signal


# --------------------------------------------------------------- Gustafsson's starting states


def _gustafsson(system: DiscreteSystem, x: Array, m: int) -> Array:
    """Forward and backward from the states w_f and w_b that make the order of the two runs matter least.

    With F a run from zero, O the unforced responses to unit states and T a turn of time (and conjugation)

        forward first    T F T (F x + O w_f) + T O w_b
        backward first   F (T F T x + T O w_b) + O w_f

    which differ by T F T F x − F T F T x + (T S − O) w_f + (T O − S) w_b, where S = F T O. Of a long signal only
    the first m samples know w_f and only the last m know w_b.
    """
    turned = partial(_turned, system)
    y = turned(_run(system, turned(_run(system, x))))
    difference = y - _run(system, turned(_run(system, turned(x))))
    free = _unforced(system, m)
    answer = _run(system, turned(free))
    heads, tails = (turned(answer), free), (turned(free), answer)
    if m == x.shape[-1]:
        w = _least_squares(np.concatenate([heads[0] - heads[1], tails[0] - tails[1]]), difference)
        return y - _combined(np.concatenate([heads[0], tails[0]]), w)
    for (added, taken), part in ((heads, slice(m)), (tails, slice(-m, None))):
        y[..., part] -= _combined(added, _least_squares(added - taken, difference[..., part]))
    return y


def _unforced(system: DiscreteSystem, length: int) -> Array:
    """Outputs (n, ..., length) without input from a basis of the n states, each of unit size.

    Where conjugate pairs are stored once, 1 and j are two directions of a stored state.
    """
    states = np.eye(system.state_size)
    if system.stores_pairs:
        states = np.concatenate([states, 1j * states])
    states = states.reshape(len(states), *(1,) * len(system.batch_shape), system.state_size)
    y = _run(system, np.zeros(length), states)
    size = np.sqrt((np.abs(y) ** 2).sum(-1, keepdims=True))
    return y / np.where(size > 0, size, 1.0)


def _least_squares(columns: Array, wanted: Array) -> Array:
    """The w (..., n) of least norm for which columns (n, ..., m) combine to wanted (..., m) as well as they can."""
    u, sigma, vh = np.linalg.svd(np.moveaxis(columns, 0, -1), full_matrices=False)
    cut = sigma.max(axis=-1, initial=0.0, keepdims=True) * max(columns.shape[0], columns.shape[-1])
    cut *= np.finfo(np.float64).eps
    inverse = np.where(sigma > cut, 1.0 / np.where(sigma > cut, sigma, 1.0), 0.0)
    seen = u.conj().swapaxes(-1, -2) @ wanted[..., None]
    return (vh.conj().swapaxes(-1, -2) @ (inverse[..., None] * seen))[..., 0]


def _combined(columns: Array, w: Array) -> Array:
    return (np.moveaxis(columns, 0, -1) @ w[..., None])[..., 0]


def _length_of_response(system: DiscreteSystem, irlen: Any, length: int) -> int:
    """How many samples at each end are compared: all of them unless two responses fit into the signal.

    The response of every pole has fallen to 1e-60 at the latest: to nothing, even as a multiple pole. Beyond lie
    numbers of 1e-308, which are a hundred times slower.
    """
    radius = float(np.abs(system.poles).max(initial=0.0))
    if irlen is not None:
        m = _count(irlen, "irlen", 1)
    elif radius < 1:
        m = system.n_states + 1 + int(np.log(1e-60) / np.log(max(radius, 1e-3)))
    else:
        m = length
    return m if 2 * m < length else length


def _refuse_padding(padtype: Any, padlen: Any) -> None:
    if padtype != "odd" or padlen is not None:
        got = f"padlen={shorten(padlen)}" if padlen is not None else f"padtype={shorten(padtype)}"
        raise ValueError(f"method='gust' pads nothing, got {got}; leave it out, or take method='pad'")
