"""Which form a run takes, and what it would cost: one rule, in one place.

Cost is time in ns, counted in products and measured once (2 cores with AVX2 at 2.45 GHz; the ratios are what counts).
In complex arithmetic a product of matrices takes five times as long, a transform twice.

    recurrent      samples · rows · (fixed + each · products of one step)           fixed, each by structure
    chunked        0.6 ms + samples · rows · (4 + 0.1 · (M p m + n (p + m) + 2 n²/M))
    convolution    0.6 ms + samples · (m · recurrent of one system + 15 p m) · systems     the kernel, once a system
                   + samples · rows · (12 + 15 (p + m) + 0.1 · n (m + 2 n/M))              transforms, final state

``form="auto"`` takes the recurrence, unless another form costs less than half of it and the system is stable, with
powers that stay bounded over a block: then the cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array, check_choice
from statespace.kernels.lifting import blocks
from statespace.simulation.forms import block_length
from statespace.structure import Cascade, DelayLine, Diagonal, DiagonalPlusLowRank
from statespace.structure.matrices import balanced, norm1
from statespace.systems import DiscreteSystem

FORMS = ("auto", "recurrent", "chunked", "convolution")
_SETUP = 6e5  # ns of the calls that a form of matrix products makes
_BOUNDED = 100.0  # ‖A^M‖ after balancing; more would cost two digits


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
        Samples of a block where the form is chunked.
    state, output : dtype
        Precision of coefficients and state, which is double always, and of the output.

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


def choose(system: DiscreteSystem, length: int, rows: int, form: str) -> tuple[str, str, dict[str, float]]:
    """Form to take, why, and the estimated seconds of each, for ``rows`` signals of ``length`` samples."""
    check_choice(form, FORMS, "form")
    estimates = costs(system, length, rows)
    if form != "auto":
        return form, "as asked", estimates
    best = min(estimates, key=lambda name: estimates[name])
    if best == "recurrent" or 2 * estimates[best] > estimates["recurrent"]:
        return "recurrent", "no other form costs less than half of it", estimates
    gain = f"it costs {estimates[best] / estimates['recurrent']:.2g} of the recurrence"
    if not np.all(system.is_stable):
        return "recurrent", f"{best} would cost less, but the system is not stable", estimates
    if best == "chunked" and not _powers_stay_bounded(system):
        return "recurrent", "chunked would cost less, but powers of A grow within a block", estimates
    return best, gain, estimates


def costs(system: DiscreteSystem, length: int, rows: int) -> dict[str, float]:
    """Estimated seconds of each form."""
    n, m, p = system.n_states, system.n_inputs, system.n_outputs
    systems, M = int(np.prod(system.batch_shape)), block_length(system)
    step = _step(system)
    product, transform = (0.5, 30) if system.is_complex else (0.1, 15)
    chunk = 4 + product * (M * p * m + n * (p + m) + 2 * n * n / M)
    per_row = 12 + transform * (p + m) + product * n * (m + 2 * n / M)
    time = {
        "recurrent": length * rows * step,
        "chunked": _SETUP + length * rows * chunk,
        "convolution": _SETUP + length * (systems * m * (step + transform * p) + rows * per_row),
    }
    return {name: 1e-9 * value for name, value in time.items()}


def _step(system: DiscreteSystem) -> float:
    """One step of the recurrence in ns."""
    n, m, p = system.n_states, system.n_inputs, system.n_outputs
    if isinstance(system.A, Cascade):
        return 3 + 0.75 * n
    if isinstance(system.A, DelayLine):
        return 1 + 0.5 * n
    if isinstance(system.A, Diagonal):
        return 6 + 0.25 * n * (m + p) if system.A.pairs else 60 + 1.4 * n * (m + p)
    if isinstance(system.A, DiagonalPlusLowRank):
        return 60 + 1.4 * n * (m + p + 2 * system.A.P.shape[-1])
    products = (n + m) * (n + p)
    return 10 + 1.0 * products if system.is_complex else 6 + 0.085 * products


def _powers_stay_bounded(system: DiscreteSystem) -> bool:
    """Whether ‖A^M‖ is moderate in the units that suit the states best."""
    if isinstance(system.A, Diagonal):
        return True
    power: Array = blocks(system, block_length(system)).power
    return bool(np.isfinite(power).all() and np.all(norm1(balanced(power)[0]) <= _BOUNDED))
