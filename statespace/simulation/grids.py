"""Time grids: what is uniform, what is not, and what does not increase."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array, as_numbers, as_step, library_of, on_device, shorten

# Seconds in the units that datetime64 stamps can be converted to.
_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0,
    "day": 86400.0, "d": 86400.0, "week": 604800.0, "year": 365.25 * 86400.0,
}  # fmt: skip


class Grid(NamedTuple):
    """Stamps, and either one step (uniform) or a step for each interval."""

    t: Array  # stamps as given, (L,) or (..., L)
    dt: Array | None  # step of a uniform grid, () or (...)
    steps: Array | None  # (L − 1,) intervals of an irregular one
    slack: Array  # (L − 1,) how well each interval is known: the rounding of its two stamps


def intervals(grid: Grid, part: slice) -> tuple[Array, Array]:
    """Steps between the stamps of a part of an irregular grid, and how well they are known."""
    assert grid.steps is not None
    inner = slice(part.start, max(part.stop - 1, part.start))
    return grid.steps[inner], grid.slack[inner]


def as_grid(t: Any, dt: Any, fs: Any, length: int, unit: str, xp: Any = np) -> Grid:
    """Read exactly one of t, dt and fs for a signal of ``length`` samples, which lives in the library ``xp``."""
    if t is None:
        if dt is None and fs is None:
            raise ValueError("a continuous system needs a time grid: give t= (stamps), dt= (step) or fs= (rate)")
        step = as_step(dt, fs, what="simulate")
        return Grid(uniform_stamps(step, length, xp), step, None, np.zeros(0))
    if dt is not None or fs is not None:
        raise ValueError("simulate takes exactly one of t=, dt= and fs=, got t and " + ("dt" if fs is None else "fs"))
    stamps, steps, slack = as_stamps(t, unit)
    if len(stamps) != length:
        raise ValueError(f"t must have one stamp for each sample: u has {length} samples, t has {len(stamps)}")
    return _uniform_or_not(stamps, steps, slack)


def uniform_stamps(step: Array, length: int, xp: Any = np) -> Array:
    """k·Δ, (..., L), where the signal lives."""
    stamps: Array = xp.arange(length, dtype=np.float64)
    if step.ndim:
        return xp.asarray(step)[..., None] * stamps
    stamps *= step if xp is np else float(step)
    return stamps


def stamps_like(t: Array, y: Array) -> Array:
    """Stamps where the output lives; dates stay on the host, devices have none."""
    if type(y) is np.ndarray or not on_device(y) or on_device(t) or t.dtype.kind == "M":
        return t
    return library_of(y).asarray(t)


def irregular(stamps: Array, unit: str) -> Grid:
    """Return the grid of stamps that were checked before."""
    return _uniform_or_not(*as_stamps(stamps, unit))


def as_stamps(t: Any, unit: str) -> tuple[Array, Array, Array]:
    """Stamps as given, their intervals in ``unit``, and how well the intervals are known."""
    dates = isinstance(t, np.ndarray) and t.dtype.kind == "M"
    stamps = t if dates else as_numbers(t, "t")
    if stamps.ndim != 1:
        raise ValueError(f"t must be one row of stamps, (L,), got t.shape={stamps.shape}")
    if dates:
        return _datetime_stamps(stamps, unit)
    if stamps.dtype.kind == "c":
        raise TypeError(f"t must be real, got dtype {stamps.dtype}")
    if not np.isfinite(stamps).all():
        raise ValueError(f"t must be finite, got {int((~np.isfinite(stamps)).sum())} NaN or infinite stamps")
    wide = stamps.astype(np.float64)
    steps = np.diff(wide)
    _refuse_standstill(stamps, steps)
    size = np.abs(wide)
    slack = 4 * float(np.finfo(stamps.dtype).eps) * np.maximum(size[1:], size[:-1])
    return stamps, steps, slack


def _datetime_stamps(stamps: Array, unit: str) -> tuple[Array, Array, Array]:
    if unit not in _SECONDS:
        raise ValueError(
            f"datetime64 stamps need a system whose time_unit is one of {', '.join(_SECONDS)}; got {unit!r}"
        )
    if np.isnat(stamps).any():
        raise ValueError(f"t holds {int(np.isnat(stamps).sum())} NaT; drop those samples")
    if np.datetime_data(stamps.dtype)[0] in ("Y", "M"):
        stamps = stamps.astype("datetime64[D]")  # years and months have no fixed length
    ticks = np.diff(stamps).astype(np.int64)
    seconds = np.ones(1, stamps.dtype.str.replace("M", "m")) / np.timedelta64(1, "s")
    tick = float(seconds[0]) / _SECONDS[unit]
    _refuse_standstill(stamps, ticks)
    return stamps, ticks * tick, np.full(len(ticks), 1e-3 * tick)


def _refuse_standstill(stamps: Array, steps: Array) -> None:
    if np.any(steps <= 0):
        k = int(np.argmax(steps <= 0))
        raise ValueError(
            f"t must increase, got t[{k + 1}] = {stamps[k + 1]} after t[{k}] = {stamps[k]}; "
            "sort the record and remove repeated stamps"
        )


def _uniform_or_not(stamps: Array, steps: Array, slack: Array) -> Grid:
    """One step fits every stamp within the rounding of the stamps, or a step for each interval."""
    if len(steps):
        elapsed = np.concatenate([[0.0], np.cumsum(steps)])
        step = elapsed[-1] / len(steps)
        if np.max(np.abs(elapsed - step * np.arange(len(stamps)))) <= max(slack.max(), 1e-14 * elapsed[-1]):
            return Grid(stamps, np.asarray(step), None, slack)
    return Grid(stamps, None, steps, slack)


def distinct_steps(steps: Array, slack: Array, most: int = 64) -> tuple[Array, Array] | None:
    """The few different intervals of a grid and the index of each, or None when there are many.

    Intervals that agree within the rounding of their stamps are one, the mean by 1/slack²: the first second after 0 is
    known to 1e-16, whatever later ones are known to.
    """
    order = np.argsort(steps, kind="stable")
    ranked = steps[order]
    known = np.maximum(slack[order], 2e-16 * ranked)
    group = np.concatenate([[0], np.cumsum(np.diff(ranked) > known[1:] + known[:-1])])
    count = int(group[-1]) + 1
    if count > most:
        return None
    first = np.searchsorted(group, np.arange(count))
    weight = (np.minimum.reduceat(known, first)[group] / known) ** 2
    above = np.add.reduceat(weight * (ranked - ranked[first][group]), first) / np.add.reduceat(weight, first)
    few = ranked[first] + above
    if np.any(np.abs(ranked - few[group]) > known):  # a continuum, only dense
        return None
    index = np.empty(len(steps), np.int64)
    index[order] = group
    return few, index


def check_discrete_stamps(t: Any, system: Any, length: int) -> Array:
    """Stamps given for a discrete system must have its own step."""
    grid = as_grid(t, None, None, length, system.time_unit)
    if np.ndim(system.dt):
        raise ValueError(f"t cannot be given for a batch of steps, dt.shape={np.shape(system.dt)}; leave it out")
    ok = length < 2
    if grid.dt is not None and length >= 2:
        slack = max(1e-9 * system.dt, float(grid.slack.max()) / (length - 1))  # Unix stamps are rounded by 2e-7
        ok = abs(float(grid.dt) - system.dt) <= slack
    if not ok:
        got = f"dt={float(grid.dt):.12g}" if grid.dt is not None else f"irregular intervals {shorten(grid.steps)}"
        raise ValueError(
            f"t must have the step of the discrete system, dt={system.dt:.12g}, got {got}; "
            "run the continuous system on this grid, or rediscretize"
        )
    return grid.t
