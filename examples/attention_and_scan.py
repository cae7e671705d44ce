"""Attention and the scan: twice the sequence costs one four times as much, the other twice. Measured.

    python examples/attention_and_scan.py [picture.png]

Both mix the samples of a sequence by a lower triangular matrix. Softmax attention makes it, L × L weights; a selective
scan (Mamba's S6) never does: it carries a state from sample to sample, and `sequence_matrix` shows the matrix that this
amounts to. Both have 64 channels in float32: one causal head, plainly in NumPy, up to 8,192 samples, where the weights
alone take 268 MB; and 16 states a channel, up to 65,536. They are checked before they are timed.

Time is the median of several runs, on as many threads as either takes by itself; with OPENBLAS_NUM_THREADS=1 and
STATESPACE_THREADS=1 in the environment it is one each. Memory is the peak of what one run allocates through NumPy: its
output and what it works with, not its inputs, which grow as the sequence for both. Takes half a minute, and twenty
seconds more where the scan is compiled first; the picture needs Matplotlib.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import statespace as ss

HERE = Path(__file__).resolve().parent
CHANNELS, STATES = 64, 16
SHORTEST, LONGEST_ATTENTION, LONGEST_SCAN = 256, 8192, 65_536
FITTED = 4  # of the longest sequences, by which growth is judged
PATIENCE = 0.8  # seconds of runs of one length, but at least five runs
ORANGE, BLUE, GREY = "#D55E00", "#0072B2", "0.35"
MS, MB = 1e-3, 1e6
UNITS = {"seconds": MS, "memory": MB}
EPS = float(np.finfo(np.float32).eps)


class Row(NamedTuple):
    """What one length costs."""

    length: int
    seconds: float
    memory: int  # bytes


# --------------------------------------------------------------- the two ways


def attention(q: Any, k: Any, v: Any) -> Any:
    """One causal head, (L, d): softmax(q kᵀ/√d) v. Weights are made once and worked on in place."""
    weights = q @ k.T
    weights /= np.float32(np.sqrt(q.shape[-1]))
    sample = np.arange(len(q))
    np.copyto(weights, -np.inf, where=sample > sample[:, None])  # the future
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ v


def queries(length: int) -> tuple[Any, ...]:
    """q, k and v of a head."""
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(length, CHANNELS)).astype(np.float32) for _ in range(3))


def scan(*arrays: Any) -> Any:
    """Mamba's recurrence: x ← e^{ΔA} x + Δ B u, y = C x."""
    return ss.selective_scan(*arrays)


def steps(length: int) -> tuple[Any, ...]:
    """u, Δ, A, B and C of a scan; steps and poles as in a trained Mamba: Δ about 0.02, A = −1 … −n."""
    rng = np.random.default_rng(0)
    u, wide = rng.normal(size=(2, length, CHANNELS)).astype(np.float32)
    b, c = rng.normal(size=(2, length, STATES)).astype(np.float32)
    return u, np.exp(wide - 4), np.tile(-np.arange(1, STATES + 1, dtype=np.float32), (CHANNELS, 1)), b, c


# --------------------------------------------------------------- checked


def scan_error(length: int = SHORTEST) -> float:
    """Scan minus matrix times signal, in float32 roundings of Σ|M||u|, the size of what is summed up."""
    u, *arrays = steps(length)
    matrix = ss.sequence_matrix(*arrays).astype(float)
    want = np.einsum("cij,jc->ic", matrix, u)
    size = np.einsum("cij,jc->ic", np.abs(matrix), np.abs(u))
    return float(np.max(np.abs(scan(u, *arrays) - want) / size)) / EPS


def attention_error(length: int = SHORTEST) -> float:
    """Attention minus its formula row by row in double, in float32 roundings of the largest value."""
    q, k, v = (x.astype(float) for x in queries(length))
    rows = []
    for i in range(length):
        weights = np.exp(k[: i + 1] @ q[i] / np.sqrt(CHANNELS))
        rows.append(weights @ v[: i + 1] / weights.sum())
    return float(np.abs(attention(*queries(length)) - rows).max() / np.abs(v).max()) / EPS


def check() -> str:
    """Raise where one is wrong by more than a rounding for each sample, which is what such sums may be."""
    of_scan, of_attention = scan_error(), attention_error()
    assert max(of_scan, of_attention) < SHORTEST, (of_scan, of_attention)
    return (
        f"Checked at {SHORTEST} samples: the scan is sequence_matrix times its signal to {of_scan:.0f} roundings of "
        f"float32,\nattention its formula to {of_attention:.0f}.\n"
    )


# --------------------------------------------------------------- measured


def lengths(longest: int) -> list[int]:
    """Powers of two."""
    return [2**k for k in range(SHORTEST.bit_length() - 1, longest.bit_length())]


def measure(run: Callable[..., Any], arguments: Callable[[int], tuple[Any, ...]], longest: int) -> list[Row]:
    """Every length in turn. The first run of all compiles, and is not counted."""
    run(*arguments(SHORTEST))
    rows = []
    for length in lengths(longest):
        once = partial(run, *arguments(length))
        memory = peak(once)
        rows.append(Row(length, seconds(once), memory))
    return rows


def seconds(run: Callable[[], Any]) -> float:
    """Median of five runs or more."""
    times: list[float] = []
    while len(times) < 5 or sum(times) < PATIENCE:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times)


def peak(run: Callable[[], Any]) -> int:
    """Bytes that are held at once while it runs, its output among them."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def exponent(rows: list[Row], cost: str) -> float:
    """Of the power law that fits the longest sequences."""
    length, size = np.log([[row.length, getattr(row, cost)] for row in rows[-FITTED:]]).T
    return float(np.polyfit(length, size, 1)[0])


def quadratic(rows: list[Row], cost: str) -> float:
    """Factor of L² in the quadratic that fits the longest sequences."""
    return float(np.exp(np.mean([np.log(getattr(row, cost) / row.length**2) for row in rows[-FITTED:]])))


# --------------------------------------------------------------- what is said


def report(attended: list[Row], scanned: list[Row]) -> str:
    """The table; what was not run has a ~."""
    lines = [
        "                 time (ms)                memory (MB)",
        "samples    attention       scan      attention       scan",
    ]
    measured = {row.length: row for row in attended}
    by_fit = {cost: quadratic(attended, cost) for cost in ("seconds", "memory")}
    for row in scanned:
        theirs = measured.get(row.length)
        if theirs:
            ms, mb = f"{theirs.seconds / MS:.1f}", f"{theirs.memory / MB:.1f}"
        else:
            ms, mb = (f"~{by_fit[cost] * row.length**2 / unit:,.0f}" for cost, unit in UNITS.items())
        lines.append(f"{row.length:>7,}{ms:>13}{row.seconds / MS:11.1f}{mb:>15}{row.memory / MB:11.2f}")
    grows = [f"L^{exponent(rows, cost):.2f}" for cost in UNITS for rows in (attended, scanned)]
    lines.append(f"grows as{grows[0]:>12}{grows[1]:>11}{grows[2]:>15}{grows[3]:>11}")
    return "\n".join(lines) + MEANING


MEANING = f"""

Grows as: the power law that fits the {FITTED} longest sequences that were run.
~: not run; the quadratic that fits attention's own {FITTED} longest.
"""


# --------------------------------------------------------------- the picture


def picture(path: Path, attended: list[Row], scanned: list[Row]) -> None:
    """Save time and memory over the length."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    figure.suptitle(f"Softmax attention and a selective scan of {CHANNELS} channels, on a CPU", fontsize=15)
    left, right = figure.subplots(1, 2)
    draw(left, attended, scanned, "seconds")
    draw(right, attended, scanned, "memory")
    left.set_title("Time of one run", loc="left", fontsize=11.5)
    left.set(ylabel="time (ms)")
    right.set_title("Memory beside the inputs", loc="left", fontsize=11.5)
    right.set(ylabel="peak memory (MB)")
    figure.savefig(path, dpi=100)


def draw(ax: Any, attended: list[Row], scanned: list[Row], cost: str) -> None:
    """One cost of both, and what attention's quadratic says of longer sequences."""
    for name, rows, colour in (("attention", attended, ORANGE), ("scan", scanned, BLUE)):
        x, y = [row.length for row in rows], [getattr(row, cost) / UNITS[cost] for row in rows]
        label = f"{name}, grows as $L^{{{exponent(rows, cost):.2f}}}$"
        ax.loglog(x, y, "o-", color=colour, markersize=5, linewidth=1.6, label=label)
    fitted = np.array([attended[-FITTED:][0].length, scanned[-1].length])
    by_fit = quadratic(attended, cost) * fitted**2
    ax.loglog(
        fitted,
        by_fit / UNITS[cost],
        "--",
        color=ORANGE,
        linewidth=1.3,
        label="attention, quadratic fit",
    )
    both = scanned[len(attended) - 1]
    draw_ratio(ax, both.length, getattr(both, cost) / UNITS[cost], getattr(attended[-1], cost) / UNITS[cost])
    draw_ratio(ax, scanned[-1].length, getattr(scanned[-1], cost) / UNITS[cost], by_fit[-1] / UNITS[cost])
    ticks = lengths(scanned[-1].length)[::2]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="samples L")
    ax.grid(color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left")


def draw_ratio(ax: Any, length: int, low: float, high: float) -> None:
    """How many times as much, to two digits, beside an arrow from one curve to the other."""
    times = float(f"{high / low:.2g}")
    ax.annotate("", (length, high), (length, low), arrowprops={"arrowstyle": "<->", "color": GREY, "linewidth": 0.9})
    ax.text(length * 0.9, np.sqrt(low * high), f"{times:,.0f} ×", ha="right", va="center", color=GREY)


def main(longest_attention: int = LONGEST_ATTENTION, longest_scan: int = LONGEST_SCAN) -> None:
    """Check, measure, say and draw."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "attention_and_scan.png"
    print(check())
    attended = measure(attention, queries, longest_attention)
    scanned = measure(scan, steps, longest_scan)
    print(report(attended, scanned))
    try:
        picture(target, attended, scanned)
    except ImportError:
        print("no picture: Matplotlib is not installed")
    else:
        print(f"picture: {target}")


if __name__ == "__main__":
    main()
