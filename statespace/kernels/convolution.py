"""convolve: a signal through a kernel, by FFT, in blocks where the signal is long.

y_k = Σ_j h_j u_{k−j}        Y(ζ) = H(ζ) U(ζ)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_numbers, as_signal, library_of, on_device, refuse_nonfinite, shorten
from statespace.scan import require_one_place

_NUMBERS = 2**20  # samples of all rows that are transformed together, 8 to 16 MB: memory stays bounded
_SMALLEST = 4096  # samples of a block; shorter transforms cost more in calls than in sums
_ON_DEVICE = 2**24, 2**20  # both on a GPU, which wants more to do at a time


class Layout(NamedTuple):
    """A signal as rows (..., L, m), its kernel as (..., L, p, m), and how the answer goes back."""

    u: Array
    h: Array
    axis: int | None  # the axis of time of a channelwise signal, moved to −2
    flat: bool  # one row in, one row out


def convolve(u: Any, h: Any, *, axis: int | None = None) -> Array:
    """Send a signal through a kernel, causally: y_k = Σ_j h_j u_{k−j}, as many samples out as in.

    Parameters
    ----------
    u : array_like
        Signal, (..., L, m), or (L,) for one input; with ``axis`` of any shape.
    h : array_like
        Kernel, (..., K, p, m) as `kernel` gives it, or (K,) for one channel. Shorter or longer than the signal;
        samples beyond its end count as zero.
    axis : int, optional
        Axis of time of u, every other axis a channel that goes through a kernel of one input and one output, as in
        `filter`: a batch of kernels aligns with the other axes of u, 256 of them with (batch, L, 256).

    Returns
    -------
    ndarray
        (..., L, p), or (L,) for a signal (L,) and one output; with ``axis`` in the shape of u. As precise as u, and
        real where u and h are. Computed in double.

    Raises
    ------
    TypeError
        A selective or continuous system is given instead of a kernel, an array is not understood, or one of u and h
        lives on a GPU and the other does not.
    ValueError
        u or h hold NaN or infinity (an FFT would spread them over the whole record, backwards too), the kernel has
        no samples, its shape could mean two things, or channels do not fit.

    Notes
    -----
    A kernel that is shorter than the signal goes over it in blocks (overlap and add), so that beside the answer only
    a few blocks are in memory. The error is eps·log₂(K) of ‖h‖·‖u‖, relative to the largest output and not to each
    one: where the answer dies away, what is left is rounding.

    Two CuPy arrays are convolved on their device, in larger blocks. Whether they are finite is looked at first, which
    waits for the device.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 8.7.3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> half = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=1.0)
    >>> ss.convolve(np.ones(4), ss.kernel(half, 4)).round(12)
    array([0.  , 1.  , 1.5 , 1.75])
    """
    parts = _laid_out(u, h, axis)
    y = fft_convolved(parts.u, parts.h)
    if parts.axis is not None:
        return library_of(y).moveaxis(y[..., 0], -1, parts.axis)
    return y[..., 0] if parts.flat and y.ndim == 2 and y.shape[-1] == 1 else y


# --------------------------------------------------------------- at the door


def _laid_out(u: Any, h: Any, axis: Any) -> Layout:
    if (on_device(u) or on_device(h)) and not hasattr(h, "time_unit"):
        require_one_place(u, "u", {"h": h})
    signal, samples = as_signal(u, "u"), _as_kernel(h)
    refuse_nonfinite(signal, "u")
    if signal.ndim == 0:
        raise ValueError(f"u must be a signal, (..., L, m) or (L,), got the number {shorten(u)}")
    p, m = samples.shape[-2:]
    if axis is not None:
        return _channelwise(signal, samples, axis)
    rows = signal[:, None] if signal.ndim == 1 else signal
    if rows.shape[-1] != m:
        wide = "; to send every channel through one kernel, say which axis is time: axis=" if m == p == 1 else ""
        raise ValueError(
            f"u has {rows.shape[-1]} channels on its last axis, the kernel has {m} inputs; u.shape={signal.shape}, "
            f"h.shape={_shape(h)}{wide}"
        )
    _check_batch(rows.shape[:-2], samples.shape[:-3], signal, samples)
    return Layout(rows, samples, None, signal.ndim == 1)


def _channelwise(signal: Array, samples: Array, axis: Any) -> Layout:
    if samples.shape[-2:] != (1, 1):
        raise ValueError(
            f"axis= sends every channel through a kernel of one input and one output, this one is (K, p, m) = "
            f"{samples.shape[-3:]}; leave axis out and put time on axis −2, or pick one, h[..., :, i, j]"
        )
    if not isinstance(axis, (int, np.integer)) or not -signal.ndim <= axis < signal.ndim:
        raise ValueError(
            f"axis must be an axis of u, an integer from {-signal.ndim} to {signal.ndim - 1}, got {axis!r}"
        )
    rows = library_of(signal).moveaxis(signal, axis, -1)[..., None]
    _check_batch(rows.shape[:-2], samples.shape[:-3], signal, samples)
    return Layout(rows, samples, int(axis) % signal.ndim, False)


def _check_batch(u: tuple[int, ...], h: tuple[int, ...], signal: Array, samples: Array) -> None:
    try:
        np.broadcast_shapes(u, h)
    except ValueError:
        raise ValueError(
            f"the batch axes do not broadcast: u has {u}, the kernel has {h}; u.shape={signal.shape}, "
            f"h.shape={samples.shape}"
        ) from None


def _shape(h: Any) -> tuple[int, ...]:
    """Shape of what was given."""
    return tuple(h.shape) if on_device(h) else np.shape(h)


def _as_kernel(h: Any) -> Array:
    """A kernel as (..., K, p, m)."""
    if hasattr(h, "time_unit"):
        raise TypeError(
            f"convolve takes a kernel, got a {type(h).__name__}; write statespace.kernel(system, length) for a "
            "discrete system, or run it: statespace.simulate(system, u, form='convolution')"
        )
    samples = as_signal(h, "h") if on_device(h) else as_numbers(h, "h")
    if samples.ndim == 2 or samples.ndim == 0:
        raise ValueError(
            f"h must be a kernel, (..., K, p, m) or (K,) for one channel, got h.shape={samples.shape}; "
            "write h[:, None, None] for one channel, h[:, :, None] for outputs of one input, (time, output), "
            "h[..., None, None] for a batch of kernels, (channel, time)"
        )
    samples = samples[:, None, None] if samples.ndim == 1 else samples
    if samples.shape[-3] < 1:
        raise ValueError(f"a kernel has at least one sample, h_0 = D, got h.shape={_shape(h)}")
    refuse_nonfinite(samples, "h")
    return samples


# --------------------------------------------------------------- transforms


def fft_convolved(u: Array, h: Array) -> Array:
    """Rows u (..., L, m) through h (..., K, p, m), finite and broadcasting; (..., L, p)."""
    batch = np.broadcast_shapes(u.shape[:-2], h.shape[:-3])
    length, (p, m) = u.shape[-2], h.shape[-2:]
    is_complex = "c" in (u.dtype.kind, h.dtype.kind)
    xp = library_of(u)
    y: Array = xp.zeros((*batch, length, p), np.result_type(u.dtype, np.complex64 if is_complex else np.float32))
    if not y.size or m == 0:
        return y
    u, h = _within_range(u, h[..., :length, :, :])
    most, smallest = (_NUMBERS, _SMALLEST) if xp is np else _ON_DEVICE
    size = _transform_size(length, h.shape[-3], smallest)
    ours = h.reshape(*(1,) * (len(batch) + 3 - h.ndim), *h.shape)
    theirs = u.reshape(*(1,) * (len(batch) + 2 - u.ndim), *u.shape)
    for part in _parts(batch, size * max(p, m), most):
        _add_blocks(theirs[_own(part, theirs)], ours[_own(part, ours)], y[part], size, real=not is_complex)
    return y


def _within_range(u: Array, h: Array) -> tuple[Array, Array]:
    """Both with half of what they are large or small by, a power of two: transforms neither over- nor underflow."""
    a, b = (int(np.frexp(_peak(x))[1]) for x in (u, h))
    if max(abs(a), abs(b)) < 256:
        return u, h
    shift = (b - a) // 2
    return u.astype(np.result_type(u, np.float64)) * 2.0**shift, h * 2.0**-shift


def _peak(x: Array) -> float:
    """Largest real or imaginary part, without another array as large."""
    parts = (x.real, x.imag) if x.dtype.kind == "c" else (x,)
    return max(float(max(part.max(), -part.min())) for part in parts)


def _transform_size(length: int, taps: int, smallest: int) -> int:
    """One transform for all where that is little, else some eight times the kernel for each block."""
    from scipy.fft import next_fast_len

    whole = length + taps - 1
    return int(next_fast_len(min(whole, max(smallest, 8 * taps)), real=True))


def _parts(batch: tuple[int, ...], numbers: int, most: int) -> list[tuple[slice, ...]]:
    """Cut the first batch axis so that a part holds about ``most`` samples; deeper where one row of it holds more."""
    if not batch:
        return [()]
    inner = int(np.prod(batch[1:]))
    if inner * numbers > most and len(batch) > 1:
        return [(slice(i, i + 1), *deeper) for i in range(batch[0]) for deeper in _parts(batch[1:], numbers, most)]
    step = max(1, most // max(1, inner * numbers))
    return [(slice(i, i + step),) for i in range(0, batch[0], step)]


def _own(part: tuple[slice, ...], array: Array) -> tuple[slice, ...]:
    """The same part of an array that may have length 1 where the batch is longer."""
    return tuple(slice(None) if array.shape[axis] == 1 else cut for axis, cut in enumerate(part))


def _summed_over_inputs(spectrum: Array, block: Array) -> Array:
    """Y = H U at each frequency, (..., k, p) from (..., k, p, m) and (..., k, m)."""
    if block.shape[-1] == 1:
        return spectrum[..., 0] * block
    if not on_device(block):
        return np.einsum("...kpm,...km->...kp", spectrum, block)
    product = spectrum[..., 0] * block[..., :1]
    for j in range(1, block.shape[-1]):
        product = product + spectrum[..., j] * block[..., j : j + 1]
    return product


def _transforms(u: Array) -> Any:
    """The module of transforms, SciPy's or on a device CuPy's."""
    if on_device(u):
        return library_of(u).fft
    from scipy import fft

    return fft


def _add_blocks(u: Array, h: Array, y: Array, size: int, *, real: bool) -> None:
    """Overlap and add: every block of the signal through the kernel, the tails added to what follows."""
    fft = _transforms(u)
    forward, backward = (fft.rfft, fft.irfft) if real else (fft.fft, fft.ifft)
    spectrum = forward(h.astype(np.result_type(h, np.float64), copy=False), size, axis=-3)
    hop = size - h.shape[-3] + 1
    length = u.shape[-2]
    tail: Any = None  # what a block leaves for the next ones, in double
    for start in range(0, length, hop):
        block = u[..., start : start + hop, :]
        block = forward(block.astype(np.result_type(block, np.float64), copy=False), size, axis=-2)
        z = backward(_summed_over_inputs(spectrum, block), size, axis=-2)
        if tail is not None:
            z[..., : tail.shape[-2], :] += tail
        y[..., start : start + hop, :] = z[..., : min(hop, length - start), :]
        tail = z[..., hop:, :]
