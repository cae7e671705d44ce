"""Cascades and delay lines on the device; see cascade.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, library_of
from statespace.gpu.affine import parts_of, real_name, systems_on_device
from statespace.gpu.loader import kernel, launch
from statespace.gpu.signals import as_places, numbers, placed

_THREADS = 128


def cascade_steps(q: Array, which: Array, u: Any, x: Any, y: Any, states: Any) -> None:
    """Run sections q (systems, sections, 8) = a11 a12 a21 a22 b c1 c2 d over u (..., L), its leading axes the rows.

    q and which (rows,) are of the host. On the device x (rows, sections, 2) is updated, y (..., L) and the last states
    (rows, S, sections, 2) are filled; u and y have any strides.
    """
    xp, (rows, sections, _), length = library_of(u), x.shape, u.shape[-1]
    place = placed(u[..., None], y[..., None])
    run = kernel("cascade.cu", "cascade_steps", _defines(u, x))
    table = xp.asarray(np.ascontiguousarray(q, x.dtype))
    own = xp.ascontiguousarray(x.reshape(rows, 2 * sections).T)  # rows last
    counts = (np.int64(rows), np.int64(length), np.int64(states.shape[1]), np.int32(sections))
    signals = (numbers(place.signals[0]), own, numbers(place.signals[1]), states)
    arguments = (table, systems_on_device(which, q, u), *signals, *counts, *as_places(place))
    launch(run, (-(-rows // _THREADS), 1, 1), _THREADS, arguments)
    x[...] = own.T.reshape(rows, sections, 2)


def delay_steps(taps: Array, which: Array, padded: Any, y: Any) -> None:
    """y_k = Σ_j taps[j] u_{k−j}; padded (rows, n + L) begins with the state, oldest input first.

    taps (systems, n + 1) and which (rows,) are of the host; padded, in double, and y (rows, L) are C-contiguous.
    """
    rows, length = y.shape
    run = kernel("cascade.cu", "delay_steps", _defines(y, padded))
    table = library_of(y).asarray(np.ascontiguousarray(taps, padded.dtype))
    counts = (np.int64(rows), np.int64(length), np.int32(taps.shape[1] - 1))
    arguments = (table, systems_on_device(which, taps, y), padded, numbers(y), *counts)
    launch(run, (-(-rows * length // _THREADS), 1, 1), _THREADS, arguments)


def _defines(signal: Any, state: Any) -> tuple[tuple[str, str | int], ...]:
    return ("SIGNAL", real_name(signal.dtype)), ("PARTS", parts_of(state.dtype))
