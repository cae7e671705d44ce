"""When is which form faster? And kernels, convolutions and realizations beside what one would write.

    python examples/benchmarks/forms.py [picture.png]

Dense systems of 2 to 128 states run over one long signal and over 64 shorter ones, as recurrence, in chunks and as
convolution (its kernel included); results are checked before they are timed, forms run in turn, medians are printed.
The picture needs Matplotlib.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from scipy import signal

import statespace as ss

FORMS = ("recurrent", "chunked", "convolution")
COLOURS = {"recurrent": "#0072B2", "chunked": "#D55E00", "convolution": "#009E73"}
STATES = (2, 4, 8, 16, 32, 64, 128)
CASES = {"one signal of 65,536 samples": (1, 65_536), "64 signals of 4,096 samples": (64, 4_096)}
ROUNDS = 5


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, NumPy {np.__version__}"


def dense(n: int) -> ss.DiscreteSystem:
    """A stable dense system of n states, one input and one output."""
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, n)) / np.sqrt(n)
    a = a - (np.linalg.eigvals(a).real.max() + 0.1) * np.eye(n)
    return ss.discretize(ss.ContinuousSystem(a, rng.normal(size=(n, 1)), rng.normal(size=(1, n))), 0.1)


def crossover(rows: int, length: int) -> dict[str, list[float]]:
    """Nanoseconds a sample of each form, for each number of states."""
    found: dict[str, list[float]] = {form: [] for form in FORMS}
    for n in STATES:
        system, u = dense(n), np.random.default_rng(0).normal(size=(rows, length, 1))
        wanted = ss.simulate(system, u, form="recurrent").y
        for form in FORMS:
            error = np.abs(ss.simulate(system, u, form=form).y - wanted).max() / np.abs(wanted).max()
            assert error < 1e-12, (form, n, error)
        runs = [[seconds(lambda f=form: ss.simulate(system, u, form=f)) for form in FORMS] for _ in range(ROUNDS)]  # type: ignore[misc] # noqa: B023
        for form, times in zip(FORMS, zip(*runs, strict=True), strict=True):
            found[form].append(1e9 * median(times) / (rows * length))
        chosen = ss.explain(system, u).form
        print(f"  n = {n:3d}  " + "  ".join(f"{f} {found[f][-1]:7.1f} ns" for f in FORMS) + f"  auto: {chosen}")
    return found


def draw(results: dict[str, dict[str, list[float]]], path: str) -> None:
    """Time per sample against the number of states, one panel for each case."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(10, 4), sharey=True, layout="constrained")
    for ax, (name, found) in zip(axes, results.items(), strict=True):
        for form, times in found.items():
            ax.loglog(STATES, times, "o-", color=COLOURS[form], label=form)
        ax.set_xticks(STATES, [str(n) for n in STATES])
        ax.minorticks_off()
        ax.set_title(name, loc="left", fontsize=11)
        ax.set_xlabel("states of a dense system")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("time per sample in ns")
    axes[0].legend(frameon=False)
    figure.supxlabel(f"medians of {ROUNDS} runs on {machine()}", fontsize=8, color="0.4", x=0.99, ha="right")
    figure.savefig(path, dpi=150)
    print(f"picture: {path}")


# --------------------------------------------------------------- kernels and convolutions


def s4d_kernels() -> None:
    """256 systems of 64 states, 16,384 samples: against the line in NumPy, 16 systems at a time for its memory."""
    rng, systems, length = np.random.default_rng(0), 256, 16_384
    c = rng.normal(size=(systems, 1, 32)) + 1j * rng.normal(size=(systems, 1, 32))
    layer = ss.discretize(ss.hippo.s4d_lin(64, c), np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), systems)))
    poles, weights = layer.A.diagonal, layer.C[:, 0] * layer.B[..., 0]

    def line(k: int) -> Any:
        part = slice(k, k + 16)
        powers = np.exp(np.log(poles[part])[..., None] * np.arange(length - 1))
        return 2 * np.einsum("hn,hnl->hl", weights[part], powers).real

    ours = ss.kernel(layer, length)[:, 1:, 0, 0]
    error = np.abs(ours[:16] - line(0)).max() / np.abs(ours[:16]).max()
    assert error < 1e-11, error
    pairs = [
        (seconds(lambda: [line(k) for k in range(0, systems, 16)]), seconds(lambda: ss.kernel(layer, length)))
        for _ in range(3)
    ]
    theirs, us = (median(column) for column in zip(*pairs, strict=True))
    print(f"S4D kernels   NumPy {theirs:.2f} s   ours {us:.3f} s   ratio {theirs / us:.0f}   difference {error:.0e}")


def convolutions() -> None:
    """One million samples through a short kernel and through one as long."""
    rng, u = np.random.default_rng(0), np.random.default_rng(1).normal(size=1_000_003)
    for taps, name, peer in ((2_000, "oaconvolve", signal.oaconvolve), (len(u), "fftconvolve", signal.fftconvolve)):
        h = rng.normal(size=taps)
        wanted = peer(u, h)[: len(u)]
        error = np.abs(ss.convolve(u, h) - wanted).max() / np.abs(wanted).max()
        assert error < 1e-13, error
        pairs = [(seconds(lambda: peer(u, h)), seconds(lambda: ss.convolve(u, h))) for _ in range(ROUNDS)]  # noqa: B023
        theirs, us = (1e3 * median(column) for column in zip(*pairs, strict=True))
        print(f"convolve with {taps:7d} taps   {name} {theirs:.0f} ms   ours {us:.0f} ms   ratio {theirs / us:.2f}")


def realization() -> None:
    """100,000 samples of twenty lightly damped resonances, and back to their 40 states."""
    rng = np.random.default_rng(0)
    poles = rng.uniform(0.9998, 0.99995, 20) * np.exp(1j * rng.uniform(0.05, 3.0, 20))
    system = ss.DiscreteSystem(ss.Diagonal(poles, pairs=True), np.ones((20, 1)), np.ones((1, 20)) + 0.5j, dt=1.0)
    h = ss.kernel(system, 100_000)
    found = ss.realize(h, 40, dt=1.0)
    assert found.error < 1e-9, found
    spent = median(seconds(lambda: ss.realize(h, 40, dt=1.0)) for _ in range(3))
    print(f"realize, 100,000 samples to order 40   {spent:.1f} s (limit 10 s)   difference {found.error:.0e}")


def main() -> None:
    print(machine())
    results = {}
    for name, (rows, length) in CASES.items():
        print(name)
        results[name] = crossover(rows, length)
    s4d_kernels()
    convolutions()
    realization()
    if len(sys.argv) > 1:
        draw(results, sys.argv[1])


if __name__ == "__main__":
    main()
