"""kernel: the unit-sample response that a convolution takes, of a system or as an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_numbers, as_step
from statespace.kernels import kernel as _kernel
from statespace.plot.axes import finish, grid_of_axes, name_channels
from statespace.plot.lines import draw_signal
from statespace.simulation import Response, impulse_response, settling_samples
from statespace.systems import ContinuousSystem, DiscreteSystem

_LEFT = 0.01  # of the sum of |h|: a kernel is drawn until no more is left
_SLOW = 1e-4  # 1 − ρ of what takes some 50,000 samples for that, or never gets there
_FEWEST = 16  # samples, so that a short kernel is seen to end
_COUNTED = "time (samples)"


def kernel(h: Any, *, dt: float | None = None, ax: Any = None, label: str | None = None) -> Any:
    """Draw a convolution kernel over time.

    Up to 100 samples are dots on stems, more are a line. A complex kernel is drawn as its real part and, dashed and
    with hollow dots, its imaginary part. To compare two, draw the second with ``ax=`` what the first returned.

    Parameters
    ----------
    h : DiscreteSystem or array_like
        A system, whose kernel is drawn until a hundredth of it is left, or as far as `impulse_response` goes where that
        takes more than some 50,000 samples; or the kernel itself, (..., L, p, m), or (L,) for one channel.
    dt : float, optional
        Step of the samples of an array; they are counted when omitted. A system has its own.
    ax : matplotlib Axes, or p·m of them, optional
        Where to draw; a new figure when omitted.
    label : str, optional
        Name in the legend.

    Returns
    -------
    Axes, or ndarray of Axes, (p, m)
        An axes for each output (row) and input (column), with a line for each member of a batch.

    Raises
    ------
    TypeError
        The first argument is a continuous system or a Response, or ``ax`` does not hold matplotlib axes.
    ValueError
        The array has another shape, dt is given for a system, ``ax`` holds another number of axes than are needed, or
        one that counts samples where this kernel has a time axis, or the other way round.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> ax = ss.plot.kernel(ss.discretize(lag, 0.2, "zoh"), label="zoh")
    >>> ax = ss.plot.kernel(ss.discretize(lag, 0.2, "foh"), label="foh", ax=ax)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (s)', 'kernel')
    """
    samples, t, xlabel = _timed_kernel(h, dt)
    p, m = samples.shape[-2:]
    axes, new = grid_of_axes(ax, (p, m), "ax")
    _check_time(axes, xlabel)
    for i, j in np.ndindex(p, m):
        draw_signal(axes[i, j], t, samples[..., i, j], [label], stems=True)
    name_channels(axes, 1, "kernel" if p == m == 1 else None)
    finish(axes, xlabel, new)
    if new and xlabel == _COUNTED:
        _count_whole(axes)
    return axes[0, 0] if axes.size == 1 else axes


# --------------------------------------------------------------- what is to be drawn


def _timed_kernel(h: Any, dt: Any) -> tuple[Array, Array, str]:
    """The kernel (..., L, p, m), its stamps (L,) or (..., L), and what the axis of time is called."""
    if isinstance(h, DiscreteSystem):
        if dt is not None:
            raise ValueError(f"a discrete system has its own dt={h.dt}; leave dt out")
        samples = _kernel(h, _length(h))
        return samples, np.multiply.outer(h.dt, np.arange(samples.shape[-3])), f"time ({h.time_unit})"
    samples = _as_kernel(h)
    count = np.arange(float(samples.shape[-3]))
    if dt is None:
        return samples, count, _COUNTED
    step = as_step(dt, what="kernel")
    if step.ndim:
        raise ValueError(f"dt must be one number for an array, got shape {step.shape}; draw h[0], h[1], … one by one")
    return samples, count * step, "time (in the unit of dt)"


def _length(system: DiscreteSystem) -> int:
    """Samples of the part that is worth seeing, and an eighth more."""
    if 1.0 - np.abs(system.poles).max(initial=0.0) < _SLOW:
        return int(impulse_response(system).t.shape[-1])
    settled = settling_samples(system, _LEFT)
    return max(settled + settled // 8, _FEWEST)


def _as_kernel(h: Any) -> Array:
    """An array as (..., L, p, m)."""
    if isinstance(h, (ContinuousSystem, Response)):
        way = "result" if isinstance(h, Response) else "statespace.impulse_response(system)"
        raise TypeError(
            f"kernel draws a DiscreteSystem or an array, got {type(h).__name__}; write plot.response({way})"
        )
    samples = as_numbers(h, "h")
    if samples.ndim == 1:
        return samples[:, None, None]
    if samples.ndim < 3:
        raise ValueError(
            f"h must be a kernel, (..., L, p, m) or (L,) for one channel, got h.shape={samples.shape}; "
            "write h[:, :, None] for outputs of one input, (time, output)"
        )
    return samples


def _check_time(axes: Array, xlabel: str) -> None:
    """Samples and seconds on one axis would look like a difference between two kernels."""
    there = axes[-1, 0].get_xlabel()
    if there.startswith("time (") and (there == _COUNTED) != (xlabel == _COUNTED):
        raise ValueError(f"ax has {there!r} and this kernel {xlabel!r}; give dt= with an array on an axis of time")


def _count_whole(axes: Array) -> None:
    """Ticks at whole samples."""
    from matplotlib.ticker import MaxNLocator

    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
