"""Distillation: a convolution kernel of 98,304 samples becomes a recurrence of 24 states, less noisy than the kernel.

    python examples/distill_a_kernel.py [picture.png]

What a free steel bar answers to a hammer, heard by a microphone: twelve bending modes from the theory of Euler and
Bernoulli, the way of the sound, and the noise of the microphone. The measurement is synthesized, from physics and with
a fixed seed, so that the truth is known; `realize` gets the noisy record alone. The same is asked for in models that
learn long convolutions (Hyena, H3) and want to generate step by step: there h is a learned filter, and the question is
the same, at how many states which error. Needs Matplotlib for the picture.
"""

from __future__ import annotations

import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import fft
from scipy.optimize import brentq
from scipy.signal import oaconvolve

import statespace as ss

HERE = Path(__file__).resolve().parent
RATE = 48_000.0  # samples per second
SAMPLES = 98_304  # 2.05 s
LENGTH, DIAMETER = 0.6, 0.010  # of the bar, m
YOUNG, DENSITY = 210e9, 7850.0  # of steel, Pa and kg/m³
LOSS = 3e-4  # loss factor of the steel; the foam that the bar lies on takes 1.5/s of every mode
FOAM = 1.5
MODES = 12
HIT, EAR = 0.93, 0.31  # where it is hit and where the microphone hangs, in lengths of the bar
CONTACT = 2e-4  # s, a half sine: how long hammer and bar touch
WAY = 42  # samples of delay, 0.30 m of air
NOISE = 1e-3  # rms, −60 dB of the peak
ORDERS = (4, 12, 20, 24, 30)
BLOCK = 64  # samples, of a stream
GREY, BLUE, ORANGE, GREEN = "0.62", "#0072B2", "#D55E00", "#009E73"


class Row(NamedTuple):
    """One line of the table: rms errors over the rms of the record, and of the truth."""

    order: int
    to_record: float
    to_truth: float


class Cost(NamedTuple):
    """One way to run the kernel: products a sample, and microseconds a sample as measured."""

    way: str
    products: str
    time: float
    waits: int  # samples until the first output


# --------------------------------------------------------------- the bar


def bar() -> tuple[Any, Any, Any]:
    """Frequency (rad/s), decay (1/s) and amplitude of each bending mode, as heard."""
    k = np.arange(1, MODES + 1)
    # A free bar: cos β · cosh β = 1, one root near each (k + ½) π.
    beta = np.array([brentq(lambda b: np.cos(b) - 1 / np.cosh(b), x - 0.5, x + 0.5) for x in (k + 0.5) * np.pi])
    omega = (beta / LENGTH) ** 2 * np.sqrt(YOUNG / DENSITY) * DIAMETER / 4
    decay = FOAM + LOSS * omega / 2
    hammer = np.abs(np.cos(omega * CONTACT / 2) / (1 - (omega * CONTACT / np.pi) ** 2))  # spectrum of a half sine
    return omega, decay, omega * hammer * deflection(beta, HIT) * deflection(beta, EAR)  # of the acceleration


def deflection(beta: Any, x: float) -> Any:
    """Shape of a mode at x, cos βx + cosh βx − σ (sin βx + sinh βx), without the difference of large numbers."""
    rest = (np.cos(beta) - np.sin(beta) - np.exp(-beta)) / (np.sinh(beta) - np.sin(beta))  # 1 − σ
    hyperbolic = np.exp(-beta * x) + rest * np.sinh(beta * x)
    return np.cos(beta * x) - (1 - rest) * np.sin(beta * x) + hyperbolic


@cache
def truth() -> Any:
    """The kernel without noise: nothing until the sound arrives, then the modes; its peak is 1."""
    t = np.arange(SAMPLES - WAY - 1) / RATE
    heard = sum(a * np.exp(-d * t) * np.sin(w * t + 0.1) for w, d, a in zip(*bar(), strict=True))
    return np.concatenate([np.zeros(WAY + 1), heard / np.abs(heard).max()])


@cache
def measured() -> Any:
    """What is measured. Its first sample would be the feedthrough D: nothing passes at once."""
    noisy = truth() + NOISE * np.random.default_rng(1).normal(size=SAMPLES)
    noisy[0] = 0.0
    return noisy


# --------------------------------------------------------------- the recurrence


@cache
def found() -> tuple[ss.Realization, str]:
    """The system of the order that the rule finds by itself, and what it says about that."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ss.AccuracyWarning)
        result = ss.realize(measured(), fs=RATE, delay=WAY)
    return result, "\n".join(str(w.message) for w in said)


def kernel_of(result: ss.Realization) -> Any:
    """Its samples, with the delay."""
    return np.concatenate([np.zeros(WAY), ss.kernel(result.core, SAMPLES - WAY)[:, 0, 0]])


@cache
def table() -> list[Row]:
    """Order against error."""
    rows = []
    for order in ORDERS:
        h = kernel_of(ss.realize(measured(), order, fs=RATE, delay=WAY))
        rows.append(Row(order, rms(h - measured()) / rms(measured()), rms(h - truth()) / rms(truth())))
    return rows


def rms(x: Any) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(x))))


def worst_mode() -> tuple[float, float]:
    """How far the poles are off the modes: in Hz, and as a part of the decay."""
    omega, decay, _ = bar()
    s = np.log(found()[0].core.poles) * RATE
    s = s[s.imag > 0][np.argsort(s.imag[s.imag > 0])]
    return float(np.abs(s.imag - omega).max() / (2 * np.pi)), float(np.abs(-s.real / decay - 1).max())


# --------------------------------------------------------------- what it costs


class Partitioned:
    """How a long FIR filter runs on a stream: y = Σ of the spectra of past blocks times those of blocks of h."""

    def __init__(self, h: Any) -> None:
        parts = fft.rfft(h.reshape(-1, BLOCK), 2 * BLOCK)
        self.turned = np.concatenate([parts[::-1], parts[::-1]])  # any rotation of them is one piece
        self.past, self.last, self.at = np.zeros_like(parts), np.zeros(BLOCK), 0

    def push(self, x: Any) -> Any:
        """The next block of the output."""
        count = len(self.past)
        self.past[self.at] = fft.rfft(np.concatenate([self.last, x]))
        start = count - 1 - self.at  # the newest block meets the first part
        sums = np.einsum("kf,kf->f", self.turned[start : start + count], self.past)
        self.last, self.at = x, (self.at + 1) % count
        return fft.irfft(sums)[BLOCK:]


def late(y: Any) -> Any:
    """The delay shifts the output: nothing is gained by running its states."""
    return np.concatenate([np.zeros(WAY), y[: len(y) - WAY]])


@cache
def costs() -> list[Cost]:
    """Both kernels on four seconds of noise, as one block and as a stream."""
    x = np.random.default_rng(2).normal(size=4 * int(RATE))
    model, h = ss.modal(found()[0].core), measured()
    fast, fir = ss.Stream(model), Partitioned(h)
    pairs, parts = model.state_size, SAMPLES // BLOCK
    whole, pieces = len(x), x.reshape(-1, BLOCK)
    ss.filter(model, x[:BLOCK])  # compiles, if that has not been done
    rows = [
        ("recurrence, one block", f"{8 * pairs}", lambda: late(ss.filter(model, x)), whole, 1),
        ("convolution, one block", "by FFT", lambda: oaconvolve(x, h)[:whole], whole, SAMPLES),
        ("recurrence, stream", f"{8 * pairs}", lambda: [fast.push(block) for block in pieces], whole, 1),
        ("convolution, stream", f"{4 * parts * (BLOCK + 1) // BLOCK:,} and FFTs",
         lambda: [fir.push(block) for block in pieces[:500]], 500 * BLOCK, BLOCK),
    ]  # fmt: skip
    direct = Cost("convolution, direct", f"{SAMPLES:,}", float("nan"), 1)
    return [*(Cost(way, n, seconds(run) / count * 1e6, waits) for way, n, run, count, waits in rows), direct]


def seconds(run: Callable[[], Any]) -> float:
    """The best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


# --------------------------------------------------------------- what is said


def report() -> str:
    """The tables, and what they mean."""
    result, said = found()
    hz, decay = worst_mode()
    own = kernel_of(result)
    noise = rms(measured() - truth())
    lines = [
        f"{SAMPLES:,} samples, {SAMPLES / RATE:.2f} s at {RATE:,.0f} per second; noise {noise:.1e} rms, which is "
        f"{noise / rms(truth()):.1e} of the rms of the truth.",
        "",
        "order    rms error, on the record    on the truth",
    ]
    lines += [f"{row.order:5d}{row.to_record:24.5f}{row.to_truth:18.5f}" for row in table()]
    lines += [
        "",
        f"By itself: order {result.order}, a delay of {result.delay} samples; "
        f"{rms(own - truth()) / rms(truth()):.5f} on the truth.",
        textwrap.fill(f"It says: {said}", 118),
        f"Its poles are the {MODES} modes, to {hz:.3f} Hz, and to {100 * decay:.1f} % of their decay.",
        "",
        "                           products a sample       µs a sample    waits, samples",
    ]
    for row in costs():
        took = "" if np.isnan(row.time) else f"{row.time:.3f}"
        lines.append(f"{row.way:<25}{row.products:>19}{took:>18}{row.waits:>18,}")
    return "\n".join(lines) + MEANING


MEANING = f"""

Error: rms of the difference over the rms of the record, or of the truth. Nothing below its noise can be fitted to the
record, and need not be. Stream: blocks of {BLOCK} samples. The products of the recurrence are those of its modal form,
8 for each pair of poles; its {WAY} samples of delay are a shift. Waits: for the first output.
"""


# --------------------------------------------------------------- the picture


def picture(path: Path) -> None:
    """Save singular values, errors, and the record with the model at its beginning and its end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic([["values", "errors"], ["begin", "end"]], height_ratios=[1.1, 1])
    figure.suptitle(f"A kernel of {SAMPLES:,} samples becomes a recurrence of {found()[0].order} states", fontsize=15)
    for ax, draw in zip(axes.values(), (draw_values, draw_errors, draw_begin, draw_end), strict=True):
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
        draw(ax)
    figure.savefig(path, dpi=100)


def floor() -> float:
    """Largest singular value that white noise of this rms gives to a Hankel matrix of this size."""
    n = (SAMPLES - WAY) / 2
    return rms(measured() - kernel_of(found()[0])) * float(np.sqrt(2 * n * np.log(n)))


def draw_values(ax: Any) -> None:
    """Why 24."""
    values = found()[0].singular_values
    k = np.arange(1, len(values) + 1)
    kept = k <= found()[0].order
    ax.axhline(floor(), color=ORANGE, linewidth=1.2, linestyle="--")
    ax.text(1, floor() * 1.15, "noise: s √(2 n log n)", color=ORANGE, fontsize=9.5, va="bottom")
    ax.semilogy(k[kept], values[kept], "o", color=BLUE, markersize=5, label="kept")
    ax.semilogy(k[~kept], values[~kept], "o", color=GREY, markersize=5, label="left out")
    ax.set_title("Singular values of the Hankel matrix", loc="left", fontsize=11.5)
    ax.set(xlabel="number k", ylabel="singular value (peak of h = 1)", xlim=(0, len(values) + 1))
    ax.legend(frameon=False, loc="upper right")


def draw_errors(ax: Any) -> None:
    """What each order is worth."""
    rows = table()
    orders = [row.order for row in rows]
    noise = rms(measured() - truth()) / rms(truth())
    ax.axhline(noise, color=GREY, linewidth=1.2, linestyle="--")
    ax.text(4, noise * 1.1, "noise of the record itself", color="0.35", fontsize=9.5, va="bottom")
    ax.semilogy(orders, [row.to_record for row in rows], "o-", color="black", linewidth=1.3, label="on the record")
    ax.semilogy(orders, [row.to_truth for row in rows], "o-", color=BLUE, linewidth=1.3, label="on the truth")
    ax.set_title("Error against order", loc="left", fontsize=11.5)
    ax.set(xlabel="order: fitted poles", ylabel="rms error, relative", xticks=orders)
    ax.legend(frameon=False, loc="upper right")


def draw_begin(ax: Any) -> None:
    """The sound arrives."""
    draw_piece(ax, 0, 200, width=2.8)
    ax.axvline(1e3 * (WAY + 1) / RATE, color=GREY, linewidth=0.8, linestyle=":")
    ax.text(0.05, 0.72, f"{WAY} samples\non its way", fontsize=9, color="0.35", va="top")
    ax.set_title("The beginning", loc="left", fontsize=11.5)
    ax.set(ylim=(-1.08, 1.08))


def draw_end(ax: Any) -> None:
    """Two seconds later the record is half noise, and the model is not."""
    start = SAMPLES - 960
    ax.plot(1e3 * np.arange(start, SAMPLES) / RATE, truth()[start:], color="black", linewidth=3.2, label="truth")
    draw_piece(ax, start, SAMPLES, width=0.7)
    ax.set_title("The end", loc="left", fontsize=11.5)
    ax.set(xticks=(2030, 2035, 2040, 2045), ylim=(-0.0055, 0.0055))


def draw_piece(ax: Any, start: int, stop: int, *, width: float) -> None:
    """Record, in a line of some width, and model between two samples."""
    t = 1e3 * np.arange(start, stop) / RATE
    ax.plot(t, measured()[start:stop], color=ORANGE, linewidth=width, zorder=2.5, label="record")
    ax.plot(
        t, kernel_of(found()[0])[start:stop], color=BLUE, linewidth=1.4, zorder=3, label=f"order {found()[0].order}"
    )
    ax.set(xlabel="time after the blow (ms)", ylabel="sound, its peak = 1", xlim=(t[0], t[-1]))
    ax.legend(frameon=False, loc="lower right", ncols=3, bbox_to_anchor=(1.01, 0.97))


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "bar.png"
    print(report())
    try:
        picture(target)
    except ImportError:
        print("no picture: Matplotlib is not installed")
    else:
        print(f"picture: {target}")


if __name__ == "__main__":
    main()
