"""An electrocardiogram with hum and drift: two analog filters, made digital, run forward and backward.

    python examples/filter_ecg.py [picture.png]

The record is PyWavelets' `pywt.data.ecg()`, 1,024 samples. Its rate and its unit are not documented: 360 samples per
second are assumed, and with them its own faint hum lies at 60 Hz. A strong hum and a slow drift are added openly,
so that the result can be compared with the record before. Needs PyWavelets, and Matplotlib for the picture.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pywt
from scipy.signal import butter

import statespace as ss

HERE = Path(__file__).resolve().parent
RATE = 360.0  # samples per second, assumed
HUM = 2 * np.pi * 60.0  # rad/s
WIDTH = 2 * np.pi * 4.0  # of the analog notch, between its two points of −3 dB, in rad/s; 3.3 Hz remain in digital
CUTOFF = 2 * np.pi * 0.5  # of the high-pass, in rad/s: half of the heart's own rate
PAD = int(2 * RATE)  # samples at each end: two seconds, in which the high-pass comes to rest
WAYS = ("as it came", "causal", "zero phase")
GREY, BLUE, ORANGE, GREEN = "0.62", "#0072B2", "#D55E00", "#009E73"


class Row(NamedTuple):
    """One line of the table. Output minus record is what is left of the added plus what was taken from the record."""

    way: str
    snr: float  # dB, the record against all that changed in it
    left: float  # rms of what is left of hum and drift, in units of the record
    taken: float  # rms of what the filters took from the record itself
    snr_added: float  # dB, the record as it comes out against what is left of hum and drift
    st_error: float  # units of the record, how much too high the ST segment is, mean of the beats
    late: list[int]  # samples that each R wave came late


# --------------------------------------------------------------- the record


def record() -> tuple[Any, Any]:
    """Time in seconds, and the record without its mean, which no high-pass can know."""
    ecg = pywt.data.ecg().astype(float)
    return np.arange(len(ecg)) / RATE, ecg - ecg.mean()


def added(t: Any) -> Any:
    """Hum of 50 units, and 100 units of drift at 12 breaths a minute."""
    return 50 * np.sin(HUM * t + 1.0) + 100 * np.cos(2 * np.pi * 0.2 * t)


def r_waves(y: Any) -> list[int]:
    """Index of each R wave: the largest sample of the 0.9 s around it."""
    return [int(k + np.argmax(y[k : k + 320])) for k in (30, 360, 690)]


def st_level(y: Any) -> float:
    """ST segment, 55 to 110 ms after the R wave, against the level before the beat; the mean of the three beats."""
    beats = [np.mean(y[k + 20 : k + 40]) - np.mean(y[k - 25 : k - 12]) for k in r_waves(record()[1])]
    return float(np.mean(beats))


# --------------------------------------------------------------- the filters


def notch() -> ss.ContinuousSystem:
    """Zeros at the hum, and poles beside them: (s² + ω²)/(s² + b s + ω²)."""
    poles = np.roots([1.0, WIDTH, HUM**2])
    return ss.from_zpk([1j * HUM, -1j * HUM], poles, 1.0)


def highpass() -> ss.ContinuousSystem:
    """Butterworth of order 2: run both ways −3 dB at 0.62 Hz, and −6 dB at its cutoff."""
    return ss.from_zpk(*butter(2, CUTOFF, "highpass", analog=True, output="zpk"))


def cleaner() -> ss.DiscreteSystem:
    """Both, each made digital with its own prewarping: exact at the hum, exact at the cutoff."""
    digital_notch = ss.discretize(notch(), fs=RATE, method=ss.Bilinear(prewarp=HUM))
    return ss.series(digital_notch, ss.discretize(highpass(), fs=RATE, method=ss.Bilinear(prewarp=CUTOFF)))


def run(way: str, x: Any) -> Any:
    """The three ways are linear, so that what they do to record, hum and drift can be told apart.

    Forward and backward the signal is mirrored at its ends. Turned about its end points, which is the default, it
    would be displaced there by twice the hum of that moment.
    """
    if way == "zero phase":
        return ss.filtfilt(cleaner(), x, padtype="even", padlen=PAD)
    return ss.filter(cleaner(), x, state="steady")[0] if way == "causal" else x


def table() -> list[Row]:
    """What each way leaves, takes and moves."""
    t, clean = record()
    rows = []
    for way in WAYS:
        y, kept, left = run(way, clean + added(t)), run(way, clean), run(way, added(t))
        late = np.subtract(r_waves(y), r_waves(clean)).tolist()
        snr, snr_added, st = ratio(clean, y - clean), ratio(kept, left), st_level(kept) - st_level(clean)
        rows.append(Row(way, snr, rms(left), rms(kept - clean), snr_added, st, late))
    return rows


def rms(x: Any) -> float:
    """Root of the mean square, without the mean."""
    return float(np.std(x))


def ratio(signal: Any, noise: Any) -> float:
    """Signal to noise in dB, means removed."""
    return 20 * float(np.log10(rms(signal) / rms(noise)))


def gain(system: ss.ContinuousSystem | ss.DiscreteSystem, hz: Any) -> Any:
    """Gain in dB of a run forward and backward, |H|²."""
    h = np.abs(ss.frequency_response(system, 2 * np.pi * np.atleast_1d(hz)).H)
    return 40 * np.log10(np.maximum(h, 1e-10))  # a zero is drawn at −400 dB


# --------------------------------------------------------------- what is said


def report() -> str:
    """The table, and what its columns mean."""
    t, clean = record()
    lines = [
        f"{len(t)} samples, {t[-1]:.2f} s at {RATE:.0f} samples per second (assumed), rms {rms(clean):.1f} units.",
        "Added: a hum of 50 units at 60 Hz and a drift of 100 units at 0.2 Hz.",
        "",
        "                   SNR    left of what    taken from      SNR if only what      ST segment    R waves late,",
        "                           was added      the record      was added counts      too high      in samples",
    ]
    for row in table():
        numbers = f"{row.snr:8.1f} dB{row.left:11.1f}{row.taken:16.1f}{row.snr_added:19.1f} dB{row.st_error:16.1f}"
        lines.append(f"{row.way:<12}{numbers}       {', '.join(map(str, row.late))}")
    return "\n".join(lines) + MEANING


MEANING = """

Left, taken: rms in units of the record; the output minus the record is their sum. What a high-pass takes is the own
slow wander of the record, and a little of its waves. ST segment: of the record with nothing added.
"""


# --------------------------------------------------------------- the picture


def picture(path: Path) -> None:
    """Save the record before and after, one beat, and the notch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["before"] * 2, ["after"] * 2, ["beat", "notch"]], height_ratios=[1, 1, 1.25]
    )
    figure.suptitle("An electrocardiogram, with hum and drift added and taken away again", fontsize=15)
    for ax, draw in zip(axes.values(), (draw_before, draw_after, draw_beat, draw_notch), strict=True):
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
        draw(ax)
    figure.savefig(path, dpi=100)


def draw_before(ax: Any) -> None:
    """What the filters get."""
    t, clean = record()
    ax.plot(t, clean + added(t), color=ORANGE, linewidth=0.7, label="with hum and drift")
    ax.plot(t, clean, color="black", linewidth=1.1, label="the record")
    ax.set_title(f"Before: SNR −{-table()[0].snr:.1f} dB", loc="left", fontsize=11.5)
    name_axes(ax)


def draw_after(ax: Any) -> None:
    """What they make of it, forward and backward."""
    t, clean = record()
    row = table()[2]
    ax.plot(t, clean, color="black", linewidth=1.1, label="the record")
    ax.plot(t, run("zero phase", clean + added(t)), color=BLUE, linewidth=1.1, label="notch and high-pass")
    said = f"After, zero phase: SNR {row.snr:.1f} dB; {row.snr_added:.1f} dB if only what was added counts"
    ax.set_title(said, loc="left", fontsize=11.5)
    ax.text(2.83, -75, "both ends: the notch needs a quarter of a second", fontsize=9, color="0.35", ha="right")
    ax.set_ylim(-90, 330)
    name_axes(ax)


def name_axes(ax: Any) -> None:
    ax.set(xlabel="time (s), at an assumed 360 samples per second", ylabel="ECG (units of the record)", xlim=(0, 2.85))
    ax.legend(frameon=False, loc="upper right", ncols=2)


def draw_beat(ax: Any) -> None:
    """One beat: the filters alone, on the record without anything added."""
    t, clean = record()
    ax.plot(t, clean, color="black", linewidth=1.1, label="the record")
    for way, colour in (("causal", ORANGE), ("zero phase", BLUE)):
        ax.plot(t, run(way, clean), color=colour, linewidth=1.4, label=way)
    off = -table()[1].st_error
    ax.annotate(
        f"ST segment {off:.0f} units too low", (1.53, -49), (1.62, -64), fontsize=9.5, color=ORANGE, va="center",
        arrowprops={"arrowstyle": "-", "color": ORANGE},
    )  # fmt: skip
    ax.text(1.462, 78, f"R wave: {clean[t > 1.2][:288].max():.0f}", fontsize=9, color="0.35", va="top")
    ax.set_title("One beat, nothing added, in the same filters", loc="left", fontsize=11.5)
    ax.set(xlabel="time (s)", ylabel="ECG (units of the record)", xlim=(1.2, 2.0), ylim=(-75, 80))
    ax.legend(frameon=False, loc="upper right")


def draw_notch(ax: Any) -> None:
    """What prewarping is for."""
    hz = np.sort(np.append(np.linspace(50, 70, 2001), 60.0))
    plain = ss.discretize(notch(), fs=RATE, method="bilinear")
    warped = ss.discretize(notch(), fs=RATE, method=ss.Bilinear(prewarp=HUM))
    ax.plot(hz, gain(notch(), hz), color="black", linewidth=2.5, label="analog")
    ax.plot(hz, gain(warped, hz), "--", color=BLUE, linewidth=1.6, label="bilinear, prewarped")
    ax.plot(hz, gain(plain, hz), color=ORANGE, linewidth=1.4, label="bilinear, plain")
    ax.axvline(60, color=GREY, linewidth=0.8, linestyle=":")
    ax.set_title("The notch run both ways: why to prewarp", loc="left", fontsize=11.5)
    ax.set(xlabel="frequency (Hz)", ylabel="gain (dB)", xlim=(50, 70), ylim=(-62, 4), xticks=range(50, 71, 5))
    ax.legend(frameon=False, loc="lower right")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "ecg.png"
    print(report())
    picture(target)
    print(f"picture: {target}")


if __name__ == "__main__":
    main()
