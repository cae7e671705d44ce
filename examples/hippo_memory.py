"""What a state remembers: an electrocardiogram read back from the states of two systems that never stored it.

    python examples/hippo_memory.py [picture.png]

A linear system x' = A x + B u takes one sample after the other and keeps n numbers. With HiPPO's matrices these are at
every moment the coefficients of the past in Legendre polynomials: LegS of all of it, from the first sample on, LegT of
a window that slides along. The record is PyWavelets' `pywt.data.ecg()`; its rate, which is not documented, is assumed.
Needs PyWavelets, and Matplotlib for the picture.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pywt
from numpy.polynomial.legendre import legvander

import statespace as ss

HERE = Path(__file__).resolve().parent
RATE = 360.0  # samples per second, assumed
STATES = 96  # in the picture
WINDOW = 0.5  # seconds that LegT remembers
EVERY = 6  # samples between two moments at which errors are measured
SIZES = (24, 48, 96)
GREY, BLUE, ORANGE = "0.5", "#0072B2", "#D55E00"


class Row(NamedTuple):
    """One line of the table: rms of what is read back minus the record, in percent of the rms of the record."""

    states: int
    legs: float  # the whole record, from the last state of LegS
    legs_best: float  # by the best polynomial of as many coefficients
    legt: float  # the last window, mean of squares over all moments, from the states of LegT
    legt_best: float


# --------------------------------------------------------------- the record


@cache
def record() -> tuple[Any, Any]:
    """Time in seconds at which each sample begins, and the record without its mean; each sample lasts to the next."""
    ecg = pywt.data.ecg().astype(float)
    return np.arange(len(ecg)) / RATE, ecg - ecg.mean()


def middles(first: float, last: float) -> Any:
    """Times in the middle of the samples between two times."""
    return (np.arange(round(first * RATE), round(last * RATE)) + 0.5) / RATE


def held(s: Any) -> Any:
    """The record at times s."""
    return record()[1][(s * RATE).astype(int)]


# --------------------------------------------------------------- the two memories


@cache
def legs_states(n: int) -> Any:
    """States of LegS at the times of the samples 1, 2, …, each from the samples before.

    LegS is x' = (A x + B u)/t. In the time log t that is an ordinary linear system, and the stamps are log t: uneven,
    and run exactly. Before the first of them u was constant, a steady state.
    """
    t, u = record()
    memory = ss.hippo.legs(n)
    return ss.simulate(memory, u[1:], t=np.log(t[1:]), x0=ss.steady_state(memory, u[0])).y


@cache
def legt_states(n: int) -> Any:
    """States of LegT at the times of all samples. Its own window is 2 long: time runs 2/WINDOW as fast."""
    return ss.simulate(ss.hippo.legt(n), record()[1], dt=2 / WINDOW / RATE).y


def read_back(x: Any, age: Any) -> Any:
    """The signal from a state: Σ x_n √(2n+1) P_n(1 − 2·age), age from 0 (now) to 1 (where the memory ends)."""
    n = len(x)
    return legvander(1 - 2 * age, n - 1) @ (np.sqrt(2 * np.arange(n) + 1) * x)


def from_legs(k: int, n: int = STATES) -> tuple[Any, Any]:
    """Times from 0 to that of sample k, and the record there, as the state of LegS at k has it."""
    s = middles(0, k / RATE)
    return s, read_back(legs_states(n)[k - 1], 1 - s * RATE / k)


def from_legt(k: int, n: int = STATES) -> tuple[Any, Any]:
    """Times of the last window before sample k, and the record there, as the state of LegT at k has it."""
    s = middles(k / RATE - WINDOW, k / RATE)
    return s, read_back(legt_states(n)[k], (k / RATE - s) / WINDOW)


# --------------------------------------------------------------- errors


def moments() -> Any:
    """Samples at which errors are measured: from the first full window on."""
    return np.arange(round(WINDOW * RATE), len(record()[1]), EVERY)


def legs_errors(n: int) -> Any:
    """Rms of what LegS has of the whole past, at each moment, in percent of the record's rms."""
    x = legs_states(n)
    return np.array([percent(read_back(x[k - 1], 1 - (np.arange(k) + 0.5) / k), record()[1][:k]) for k in moments()])


def legt_errors(n: int) -> Any:
    """The same of LegT and its last window."""
    x, size = legt_states(n), round(WINDOW * RATE)
    age = 1 - (np.arange(size) + 0.5) / size
    return np.array([percent(read_back(x[k], age), record()[1][k - size : k]) for k in moments()])


def best(n: int, u: Any) -> float:
    """Percent that the best polynomial of n coefficients misses of a piece of the record."""
    basis = legvander((2 * np.arange(len(u)) + 1) / len(u) - 1, n - 1)
    return percent(basis @ np.linalg.lstsq(basis, u)[0], u)


def percent(seen: Any, u: Any) -> float:
    return 100 * float(np.sqrt(np.mean((seen - u) ** 2)) / record()[1].std())


@cache
def table() -> list[Row]:
    """Of each number of states: what is lost."""
    _, u = record()
    size = round(WINDOW * RATE)
    rows = []
    for n in SIZES:
        windows = np.array([best(n, u[k - size : k]) for k in moments()[::5]])
        last = percent(from_legs(len(u) - 1, n)[1], u[:-1])
        rows.append(Row(n, last, best(n, u[:-1]), mean(legt_errors(n)), mean(windows)))
    return rows


def mean(errors: Any) -> float:
    return float(np.sqrt(np.mean(errors**2)))


# --------------------------------------------------------------- what is said


def report() -> str:
    """The table, and what its columns mean."""
    t, u = record()
    lines = [
        f"{len(u)} samples of an ECG, {t[-1]:.2f} s at {RATE:.0f} samples per second (assumed), rms {u.std():.1f}",
        "",
        f"              LegS, all {t[-1]:.2f} s                LegT, the last {WINDOW:g} s",
        "states     read back   best possible       read back   best possible",
    ]
    for row in table():
        numbers = f"{row.legs:12.1f} %{row.legs_best:14.1f} %{row.legt:14.2f} %{row.legt_best:14.2f} %"
        lines.append(f"{row.states:>6}{numbers}")
    return "\n".join(lines) + MEANING


MEANING = """

Error, rms in percent of the record's own. Best possible: a polynomial with as many coefficients, fitted to the samples.
LegS is the best there is, but of an ever longer past; LegT guesses what leaves its window, which costs it something.
"""


# --------------------------------------------------------------- the picture


def picture(path: Path) -> None:
    """Save what LegS and LegT have of the record, at several moments, and how wrong they are over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9.5), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["early"] * 2, ["late"] * 2, ["legt"] * 2, ["error", "states"]], height_ratios=[1, 1, 1, 1.25]
    )
    figure.suptitle(f"An electrocardiogram, read back from the {STATES} numbers of a state", fontsize=15)
    draws = (draw_early, draw_late, draw_legt, draw_errors, draw_states)
    for ax, draw in zip(axes.values(), draws, strict=True):
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
        draw(ax)
    figure.savefig(path, dpi=100)


def draw_early(ax: Any) -> None:
    draw_legs(ax, 400, f"LegS, after {400 / RATE:.1f} s: the whole past in {STATES} numbers")


def draw_late(ax: Any) -> None:
    draw_legs(ax, 1023, f"LegS, after {1023 / RATE:.1f} s: as many numbers for a longer past, so its details fade")


def draw_legs(ax: Any, k: int, title: str) -> None:
    """The record, and what the state at sample k has of it."""
    t, u = record()
    ax.plot(t, u, color=GREY, linewidth=1.1, label="the record")
    ax.plot(*from_legs(k), color=BLUE, linewidth=1.6, label="read back from LegS")
    ax.axvline(k / RATE, color=BLUE, linewidth=1, linestyle=":")
    ax.text(k / RATE - 0.015, 190, "now", color=BLUE, fontsize=9.5, ha="right")
    ax.set_title(title, loc="left", fontsize=11.5)
    name_axes(ax)


def draw_legt(ax: Any) -> None:
    """Four windows, each from the state at its end."""
    t, u = record()
    ax.plot(t, u, color=GREY, linewidth=1.1, label="the record")
    for i, k in enumerate((230, 480, 730, 980)):
        ax.plot(*from_legt(k), color=ORANGE, linewidth=1.6, label="_" if i else "read back from LegT")
        ax.axvspan(k / RATE - WINDOW, k / RATE, color=ORANGE, alpha=0.08, linewidth=0)
        ax.axvline(k / RATE, color=ORANGE, linewidth=1, linestyle=":")
    ax.set_title(f"LegT at four moments: {STATES} numbers for the last {WINDOW:g} s, and nothing older", loc="left",
                 fontsize=11.5)  # fmt: skip
    name_axes(ax)


def name_axes(ax: Any) -> None:
    ax.set(xlabel="time (s)", ylabel="ECG (units)", xlim=(0, 2.85), ylim=(-90, 430))
    ax.legend(frameon=False, loc="upper right", ncols=2)


def draw_errors(ax: Any) -> None:
    """Over time: LegS has ever more to remember, LegT always as much."""
    t = moments() / RATE
    ax.semilogy(t, legs_errors(STATES), color=BLUE, linewidth=1.6, label="LegS, all the past")
    ax.semilogy(t, legt_errors(STATES), color=ORANGE, linewidth=1.6, label=f"LegT, the last {WINDOW:g} s")
    ax.set_title(f"Error over time, {STATES} numbers each", loc="left", fontsize=11.5)
    ax.set(xlabel="time (s)", ylabel="rms error (% of the record's rms)", xlim=(0.5, 2.85), ylim=(1, 100))
    ax.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="upper left", ncols=2)


def draw_states(ax: Any) -> None:
    """The numbers themselves: every heartbeat enters at the low degrees and moves on to the high ones."""
    x, t, degrees = legs_states(STATES), record()[0][1:], np.arange(STATES // 2)
    image = ax.pcolormesh(t[::5], degrees, x[::5, degrees].T, cmap="RdBu_r", vmin=-20, vmax=20)
    ax.figure.colorbar(image, ax=ax, label="coefficient (units)", extend="both")
    ax.grid(visible=False)
    ax.set_title("The state of LegS, its lower half", loc="left", fontsize=11.5)
    ax.set(xlabel="time (s)", ylabel="degree of the polynomial", xlim=(0, 2.85))


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "hippo_memory.png"
    print(report())
    if find_spec("matplotlib") is None:
        print("no picture: Matplotlib is not installed")
        return
    picture(target)
    print(f"picture: {target}")


if __name__ == "__main__":
    main()
