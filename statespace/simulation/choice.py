"""Which form a run takes, and what it would cost: one rule, in one place.

Cost is time in ns on one thread, counted in products and measured once (2.6 GHz; the ratios are what counts).
In complex arithmetic a product of matrices takes five times as long, a transform twice.

    recurrent      samples · rows · step                                  step = fixed + each · products
                   cascades: eight rows at once, samples · rows · lane
    chunked        0.05 ms + samples · rows · (lane + 0.3 + 0.02 n m in blocks of time)                      over lanes
                   0.6 ms + systems · M (n + m) · step                                                      by products
                   + samples · rows · (16 + 0.08 · (M p m + n (p + m) + 2 n²/M))
    convolution    0.6 ms + systems · samples · m (step + 15 p)                          the kernel, once a system
                   + samples · rows · (12 + 15 (p + m) + 0.1 · n (m + 2 n/M))            transforms, final state

``form="auto"`` takes the recurrence, unless chunks cost less than half of it and the system is stable; M is short
enough that powers of A stay bounded over a block. It never convolves by itself: an FFT knows an output to rounding of
the largest, the recurrence each to its own, blocks of time to 1e-21 of what came before, which counts where a signal
dies away. The number of threads does not enter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from statespace.arrays import Array, check_choice, on_device
from statespace.scan import Run, as_lanes, broadcast_batch, in_single, run
from statespace.simulation.forms import (
    best_block_length,
    block_length,
    blocks_that_run,
    lane_blocks,
    lane_cost,
    product_cost,
    run_form,
)
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank
from statespace.systems import DiscreteSystem

FORMS = ("auto", "recurrent", "chunked", "convolution")
_SETUP = 6e5  # ns of the calls that a form of matrix products makes
_SHORT = 10_000  # samples below which there is nothing to choose
_CALLS = 5e4  # and of those around lanes


@dataclass(frozen=True)
class Explanation:
    """What `explain` says. Its repr is meant to be read.

    Attributes
    ----------
    form : str
        "recurrent", "chunked" or "convolution".
    why : str
        The reason in words.
    costs : dict of str to float
        Estimated seconds of each form that can be had.
    block : int or None
        Samples of a block where the form is chunked; None where channels are taken eight at a time and time is not
        cut.
    state, output : dtype
        Precision of coefficients and state inside, and of the output. The state is double but for chunks of a float32
        signal through one cascade whose poles lie within 0.99 and whose states round quietly.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> mean = ss.DiscreteSystem([[0.5]], [[0.5]], [[1.0]], dt=1.0)
    >>> ss.explain(mean, np.ones(100)).form
    'recurrent'
    """

    form: str
    why: str
    costs: dict[str, float]
    block: int | None
    state: Any
    output: Any

    def __repr__(self) -> str:
        listed = ", ".join(f"{name} {_readable(seconds)}" for name, seconds in self.costs.items())
        block = f" in blocks of {self.block} samples" if self.block else ""
        return f"<{self.form}{block}: {self.why}\n estimated: {listed}\n state {self.state}, output {self.output}>"


def _readable(seconds: float) -> str:
    scale, unit = next((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "µs")) if seconds >= s)
    return f"{seconds / (scale or 1e-6):.3g} {unit}"


def choose(
    system: DiscreteSystem, length: int, rows: int, form: str, single: bool = False
) -> tuple[str, str, dict[str, float]]:
    """Form to take, why, and the estimated seconds of each, for ``rows`` signals of ``length`` samples.

    ``single`` is whether chunks are run in single precision, see `in_single`.
    """
    check_choice(form, FORMS, "form")
    estimates = costs(system, length, rows, single=single)
    if form != "auto":
        return form, "as asked", estimates
    if 2 * estimates["chunked"] > estimates["recurrent"]:
        return "recurrent", "chunks do not cost less than half of it", estimates
    if not np.all(system.is_stable):
        return "recurrent", "chunks would cost less, but the system is not stable", estimates
    if blocks_that_run(system, rows, length, single):
        return "chunked", f"it costs {estimates['chunked'] / estimates['recurrent']:.2g} of the recurrence", estimates
    estimates = costs(system, length, rows, block_length(system))
    if 2 * estimates["chunked"] > estimates["recurrent"]:
        return "recurrent", "chunks would cost less, but powers of A grow within a block", estimates
    return "chunked", f"it costs {estimates['chunked'] / estimates['recurrent']:.2g} of the recurrence", estimates


def run_once(system: DiscreteSystem, u: Array, x0: Array | None = None, *, overwrite: bool = False) -> Run:
    """Run u (..., L, m) in the form that costs least, when nothing is to go on from it bit for bit.

    ``overwrite`` lets y take the place of u.
    """
    batch = broadcast_batch(system, u, np.zeros(system.state_size) if x0 is None else x0)
    rows, length = math.prod(batch), u.shape[-2]
    if rows * length < _SHORT:
        return run(system, u, x0, overwrite=overwrite)
    return run_form(form_for(system, u, rows, "auto"), system, u, x0, overwrite=overwrite)


def form_for(system: DiscreteSystem, u: Array, rows: int, form: str) -> str:
    """Form to take for a signal (..., L, m) that lives where it lives, of so many rows with those of the system."""
    length = u.shape[-2]
    if type(u) is not np.ndarray and on_device(u):
        from statespace.simulation.device import chosen_on_device

        return chosen_on_device(system, length, rows, form)
    return chosen(system, length, rows, form, in_single(system, u.dtype))


@lru_cache(maxsize=128)
def chosen(system: DiscreteSystem, length: int, rows: int, form: str, single: bool) -> str:
    """Form to take; the last few answers are kept."""
    return choose(system, length, rows, form, single)[0]


def costs(
    system: DiscreteSystem, length: int, rows: int, block: int | None = None, *, single: bool = False
) -> dict[str, float]:
    """Estimated seconds of each form, chunks over lanes where there are any, or in products of ``block`` samples."""
    n, m, p = system.n_states, system.n_inputs, system.n_outputs
    systems, M = math.prod(system.batch_shape), block or best_block_length(system)
    step, blocks = _step(system), None if block else lane_blocks(system, rows, length, single)
    unit_runs = 0.0 if isinstance(system.A, Diagonal) else systems * M * (n + m) * step
    product, transform = (0.5, 30) if system.is_complex else (0.1, 15)
    per_row = 12 + transform * (p + m) + product * n * (m + 2 * n / M)
    one_by_one = length * rows * step
    if rows >= 8 and isinstance(system.A, Cascade) and (lanes := as_lanes(system)):
        one_by_one = length * rows * lanes.cost
    if blocks is None:
        chunks = _SETUP + unit_runs + length * rows * product_cost(system, M)
    else:
        chunks = _CALLS + length * rows * lane_cost(system, blocks, single)
    time = {
        "recurrent": one_by_one,
        "chunked": chunks,
        "convolution": _SETUP + length * (systems * m * (step + transform * p) + rows * per_row),
    }
    return {name: 1e-9 * value for name, value in time.items()}


def _step(system: DiscreteSystem) -> float:
    """One step of the recurrence in ns."""
    n, m, p = system.n_states, system.n_inputs, system.n_outputs
    if isinstance(system.A, Cascade):
        return 2 + 0.65 * n
    if isinstance(system.A, DelayLine):
        return 1 + 0.5 * n
    if isinstance(system.A, Diagonal):
        return 10 + (0.25 if system.A.pairs else 0.33) * n * (m + p)
    if isinstance(system.A, DiagonalPlusLowRank):
        return 60 + 1.4 * n * (m + p + 2 * system.A.P.shape[-1])
    products = (n + m) * (n + p)
    return 10 + 1.0 * products if system.is_complex else 8 + 0.065 * products
