"""Selective scans for benchmarks/gpu.py: their inputs, what must move and be computed, and the check of each result.

A check is of what is timed: the full shape runs, and some channels of some sequences, over all of time, are held
against the CPU engine in double. They do not depend on others; nor do gradients, of a gradient that is 0 elsewhere.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gpu_card
import numpy as np

import statespace as ss
from statespace.gpu import layout

EPS = float(np.finfo(np.float32).eps)
UNITS, UNITS_BACK = 16, 64  # of eps, times the samples that a state lasts: what single precision may lose
SIGNALS, LEVELS, WEIGHTS, CHANNELS = ("u", "delta", "z"), ("B", "C"), ("A",), ("D", "delta_bias")

# Instructions per channel and step, of all lanes of a channel together, right to a tenth: read from the code for sm_90
# (NVRTC 13.0, nvdisasm), the basic blocks that a full tile without reset runs, times how often, over the steps of the
# tile. Of the 213 of four lanes 129 are the loop over samples with its sums over lanes (five for each state), softplus
# is 23, gate and D are 19, copies 24, and 15 what each tile begins and ends with. By kernel, states and lanes of a
# channel; what is not here was not counted, and its rows show none. Count again when a kernel changes.
INSTRUCTIONS = {
    ("forward", 16, 1): 186,
    ("forward", 16, 4): 213,
    ("forward", 16, 8): 283,
    ("forward, ends", 16, 8): 200,
    ("forward", 64, 8): 635,
    ("forward, ends", 64, 8): 523,
    ("pullback", 16, 4): 810,
}


class Shape(NamedTuple):
    """Of a scan: sequences, samples, channels, states of a channel."""

    batch: int
    length: int
    channels: int
    states: int

    @property
    def steps(self) -> int:
        """Steps of channels: what times are divided by."""
        return self.batch * self.length * self.channels

    def __str__(self) -> str:
        return f"({', '.join(f'{size:,}' if size >= 100_000 else str(size) for size in self)})"


def inputs(cupy: Any, shape: Shape, seed: int = 0) -> dict[str, Any]:
    """Arguments of `selective_scan` in single precision, as in a trained Mamba: Δ about 0.02, A = −1 … −n."""
    batch, length, d, n = shape
    sizes = {
        "u": (batch, length, d), "delta": (batch, length, d), "z": (batch, length, d), "B": (batch, length, n),
        "C": (batch, length, n), "D": (d,),
    }  # fmt: skip
    made = {name: gpu_card.noise(cupy, size, 97 * seed + i) for i, (name, size) in enumerate(sizes.items())}
    poles = -np.tile(np.arange(1, n + 1, dtype=np.float32), (d, 1))
    return {**made, "A": cupy.asarray(poles), "delta_bias": cupy.full(d, -4.0, np.float32), "delta_softplus": True}


# --------------------------------------------------------------- what must be done


def bytes_moved(shape: Shape, what: str) -> int:
    """Bytes that must move: u, Δ, z, B, C in and y out; back the gradient of y in too, and those of all out."""
    signals, levels = (4, 2) if what == "forward" else (7, 4)
    return 4 * (signals * shape.steps + levels * shape.batch * shape.length * shape.states)


def exponentials(shape: Shape, what: str) -> int:
    """Per channel and step: a decay for each state, two each for softplus and z/(1 + e^{−z}), back one for a slope."""
    return shape.states + (4 if what == "forward" else 5)


def laid_out(shape: Shape, what: str, multiprocessors: int) -> tuple[int, int]:
    """Lanes of a channel, and blocks that time is cut into, by the rules of the engine: real numbers of 4 bytes."""
    sizes = dict(zip(("rows", "length", "d", "n"), shape, strict=True))
    scene = layout.Scene(
        **sizes, groups=1, parts=1, heard=1, told=1, real=4, signal=4, simple=True, processors=multiprocessors
    )
    found = layout.forward_sizes(scene) if what == "forward" else layout.adjoint_sizes(scene)
    return found.tpc, layout.blocks_of_time(scene, found.tpc)[0]


def instructions(shape: Shape, what: str, multiprocessors: int) -> int | None:
    """Per channel and step, where they were counted; blocks of time take a pass before, for what each starts from."""
    lanes, blocks = laid_out(shape, what, multiprocessors)
    passes = [what, *([f"{what}, ends"] if blocks > 1 else [])]
    counted = [INSTRUCTIONS.get((name, shape.states, lanes)) for name in passes]
    return None if None in counted else sum(filter(None, counted))


# --------------------------------------------------------------- checks


class Part(NamedTuple):
    """Sequences and channels that are checked."""

    rows: list[int]
    channels: list[int]


class Check(NamedTuple):
    """The largest error over the largest value, and what single precision may lose; `of` is what was worst."""

    error: float
    allowed: float
    of: str

    def held(self) -> Check:
        """Return this where it holds, or stop: wrong answers are not timed."""
        if not self.error <= self.allowed:
            raise AssertionError(f"wrong {self.of}: error {self.error:.1e}, allowed {self.allowed:.1e}")
        return self


def part_of(shape: Shape) -> Part:
    """The first and the last of both, and some channels between."""
    d = shape.channels
    return Part(sorted({0, shape.batch - 1}), sorted({0, 1, d // 3, d // 2, d - 2, d - 1} & set(range(d))))


def cut(cupy: Any, name: str, array: Any, part: Part) -> np.ndarray[Any, Any]:
    """The part of an argument, of its gradient or of y, in double on the host."""
    if name in LEVELS:
        found = array[part.rows]
    elif name in WEIGHTS + CHANNELS:
        found = array[part.channels]
    else:
        found = cupy.stack([array[row][..., part.channels] for row in part.rows])
    return cupy.asnumpy(found).astype(np.float64)


def on_the_host(cupy: Any, given: dict[str, Any], part: Part) -> dict[str, Any]:
    return {name: cut(cupy, name, a, part) if name != "delta_softplus" else a for name, a in given.items()}


def samples_that_last(host: dict[str, Any]) -> float:
    """1/(1 − |α|) of the slowest state, but not more than there are: what rounding errors add up over."""
    step = float(np.median(np.log1p(np.exp(host["delta"] + host["delta_bias"]))))
    return min(host["u"].shape[1], 1 / -np.expm1(step * float(host["A"].max())))


def worst(pairs: dict[str, tuple[Any, Any]], allowed: float) -> Check:
    """Of what was found beside what was wanted, by name; NaN is as wrong as can be."""
    checks = []
    for name, (found, wanted) in pairs.items():
        size = float(np.abs(wanted).max(initial=0.0)) or 1.0
        error = float(np.abs(found - wanted).max(initial=0.0)) / size
        checks.append(Check(np.inf if np.isnan(error) else error, allowed, name))
    return max(checks, key=lambda check: check.error)


def check_forward(cupy: Any, shape: Shape, given: dict[str, Any], y: Any, layer: str = "y") -> Check:
    """Hold y (batch, L, d) against the CPU engine in double."""
    part = part_of(shape)
    host = on_the_host(cupy, given, part)
    allowed = UNITS * EPS * samples_that_last(host)
    return worst({layer: (cut(cupy, "y", y, part), ss.selective_scan(**host))}, allowed)


def gradient_of_part(cupy: Any, shape: Shape, seed: int = 90) -> Any:
    """A gradient of y that is 0 but for the part."""
    part, grad = part_of(shape), cupy.zeros(shape[:3], np.float32)
    some = gpu_card.noise(cupy, (len(part.rows), shape.length, len(part.channels)), seed)
    for i, row in enumerate(part.rows):
        for j, channel in enumerate(part.channels):
            grad[row, :, channel] = some[i, :, j]
    return grad


def check_pullback(cupy: Any, shape: Shape, given: dict[str, Any], grad: Any, found: dict[str, Any]) -> Check:
    """Hold gradients by name, of a `gradient_of_part`, against those of the CPU engine in double, and against 0."""
    part = part_of(shape)
    host = on_the_host(cupy, given, part)
    _, pullback = ss.selective_scan_vjp(**host)
    wanted = pullback(cut(cupy, "y", grad, part))
    pairs: dict[str, tuple[Any, Any]] = {}
    for name, gradient in found.items():
        pairs[f"gradient of {name}"] = (cut(cupy, name, gradient, part), getattr(wanted, name))
        pairs[f"gradient of {name} elsewhere"] = (elsewhere(cupy, name, gradient, part), np.zeros(1))
    return worst(pairs, UNITS_BACK * EPS * samples_that_last(host))


def elsewhere(cupy: Any, name: str, gradient: Any, part: Part) -> np.ndarray[Any, Any]:
    """How many numbers of a gradient are not 0 outside the part."""
    inside = cut(cupy, name, gradient, part)
    return np.array([float(cupy.count_nonzero(gradient)) - np.count_nonzero(inside)])
