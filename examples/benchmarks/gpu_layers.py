"""An S4D layer for benchmarks/gpu.py: 256 systems of 32 pairs of poles, run by their recurrence and by convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gpu_card
import numpy as np
from gpu_scans import Check, Shape, worst

import statespace as ss

UNITS = 64  # of the single precision of signals, over the largest output


def layer(channels: int, pairs: int) -> Any:
    """Each channel has its own step and its own read-out."""
    rng = np.random.default_rng(0)
    read_out = rng.normal(size=(channels, 1, pairs)) + 1j * rng.normal(size=(channels, 1, pairs))
    steps = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), channels))
    return ss.discretize(ss.hippo.s4d_lin(2 * pairs, read_out), steps)


def runs(cupy: Any, system: Any, length: int) -> dict[str, Callable[[Any], Any]]:
    """Both ways over u (batch, L, channels); the kernel is made before."""
    like = cupy.zeros(0, np.float32)
    kernel = ss.kernel(system, length, like=like)
    return {"filter": lambda u: ss.filter(system, u, axis=1), "convolve": lambda u: ss.convolve(u, kernel, axis=1)}


def inputs(cupy: Any, shape: Shape, seed: int) -> Any:
    return gpu_card.noise(cupy, shape[:3], 7919 + seed)


def check(cupy: Any, system: Any, u: Any, y: Any, name: str) -> Check:
    """Hold the first sequence against the CPU engine in double."""
    wanted = ss.filter(system, cupy.asnumpy(u[0]).astype(np.float64), axis=0)
    return worst({name: (cupy.asnumpy(y[0]), wanted)}, UNITS * float(np.finfo(np.float32).eps))
