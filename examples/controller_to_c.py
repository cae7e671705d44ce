"""A controller from the Laplace domain to C: designed, checked, made digital, checked again, compiled and compared.

    python examples/controller_to_c.py [picture.png]

A mass on a spring is to go where it is told. A PI controller and a lead filter do it; the phase margin is 55°.
The controller is then made digital for 25 samples per second, once by the prewarped bilinear rule and once by zoh,
and its loop is closed around the held plant. The better one becomes a C header beside the picture, `controller.h`,
and what a C program computes with it in float is compared with `ss.simulate`. Needs Matplotlib for the picture;
without a C compiler the last step is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

import statespace as ss

HERE = Path(__file__).resolve().parent
CROSSOVER = 8.0  # rad/s, where the gain of the open loop is to be 1
MARGIN = 55.0  # degrees
DT = 0.04  # seconds
TARGET = 0.1  # metres, the step that the mass is to make
SAMPLES = 126  # five seconds
ANALOG, BILINEAR, HELD = "analog", "bilinear, prewarped", "zoh"
METHODS: dict[str, Any] = {BILINEAR: ss.Bilinear(prewarp=CROSSOVER), HELD: "zoh"}
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]
COLOURS = {ANALOG: "black", BILINEAR: "#0072B2", HELD: "#D55E00"}
GREEN = "#009E73"

PROGRAM = """\
#include <stdio.h>
#include "controller.h"

int main(void)
{
    controller_state s;
    float u;
    controller_reset(&s);
    while (scanf("%f", &u) == 1) {
        printf("%.9g\\n", (double)controller_step(&s, u));
    }
    return 0;
}
"""


class Row(NamedTuple):
    """One line of the table: a closed loop."""

    way: str
    gain: float  # percent, of the controller at the crossover that was designed, against the analog one
    phase: float  # degrees, the same
    crossover: float  # rad/s
    margin: float  # degrees
    overshoot: float  # percent of the step
    slowest: float  # seconds, the time constant of the closed loop's slowest pole


class Comparison(NamedTuple):
    """The C program against `ss.simulate`, over the same samples, and what its integrator keeps."""

    error: Any  # what the controller was given: target minus position, in float
    force: Any  # what the C program answered
    difference: Any  # that minus ss.simulate
    kept: Any  # what it answered to a single 1 and 100,000 zeros


# --------------------------------------------------------------- the design


def plant() -> ss.ContinuousSystem:
    """A mass of 1 kg on a spring of 4 N/m with a little friction: force in, position out."""
    return ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])


def controller() -> ss.ContinuousSystem:
    """PI times lead: no error at rest, and the margin that is wanted at the crossover.

    The PI's zero is a quarter of the crossover. The lead's pole and zero lie a factor √r above and below it, where its
    phase is largest, asin((r − 1)/(r + 1)).
    """
    pi = ss.from_zpk([-CROSSOVER / 4], [0.0], 1.0)
    missing = np.sin(np.radians(MARGIN - 180.0) - np.angle(at(pi * plant(), CROSSOVER)))
    root = np.sqrt((1 + missing) / (1 - missing))
    lead = ss.from_zpk([-CROSSOVER / root], [-CROSSOVER * root], 1.0)
    shape = ss.series(pi, lead)
    return shape / abs(at(shape * plant(), CROSSOVER))


def digital(way: str) -> ss.DiscreteSystem:
    """The controller for a step of DT."""
    return ss.discretize(controller(), DT, METHODS[way])


def parts(way: str) -> tuple[Any, Any]:
    """Controller and plant; a computer sees the plant through its held output, and that is zoh."""
    return (controller(), plant()) if way == ANALOG else (digital(way), ss.discretize(plant(), DT))


def at(system: ss.ContinuousSystem | ss.DiscreteSystem, omega: float) -> complex:
    """H(jω), or H(e^{jωΔ})."""
    return complex(ss.frequency_response(system, [omega]).H[0])


# --------------------------------------------------------------- the check


def margin(loop: ss.ContinuousSystem | ss.DiscreteSystem) -> tuple[float, float]:
    """Where the gain of an open loop falls through 1, in rad/s, and how far its phase is above −180° there."""
    omega = np.geomspace(1.0, 50.0, 200)
    above = np.abs(ss.frequency_response(loop, omega).H) > 1
    k = int(np.flatnonzero(above)[-1])
    crossover = float(brentq(lambda w: np.log(abs(at(loop, w))), omega[k], omega[k + 1], xtol=1e-12))
    return crossover, 180.0 + float(np.degrees(np.angle(at(loop, crossover))))


def position(way: str) -> Any:
    """The mass at the samples when the closed loop is told to make the step, in metres."""
    closed = ss.feedback(ss.series(*parts(way)))
    return ss.simulate(closed, np.full(SAMPLES, TARGET), t=DT * np.arange(SAMPLES)).y


def force(way: str) -> Any:
    """What a digital controller sends to the plant meanwhile, in newtons."""
    return ss.simulate(ss.feedback(*parts(way)), np.full(SAMPLES, TARGET)).y


def between(way: str) -> tuple[Any, Any]:
    """The continuous plant under that force, held for a step at a time: ten points in each."""
    held = np.repeat(force(way)[:-1], 10)
    t, y = ss.simulate(plant(), np.append(held, held[-1]), dt=DT / 10, hold="zoh")
    return t, y


def analog() -> Any:
    """The continuous closed loop, finely."""
    return ss.simulate(ss.feedback(ss.series(*parts(ANALOG))), np.full(5001, TARGET), dt=0.001)


def table() -> list[Row]:
    """The analog loop, and what is left of it when it is closed by a computer."""
    rows = []
    for way in COLOURS:
        loop = ss.series(*parts(way))
        closed = ss.feedback(loop)
        if way == ANALOG:
            y, rates = analog().y, -closed.poles.real
        else:
            y, rates = between(way)[1], -np.log(np.abs(closed.poles)) / DT
        ratio = at(parts(way)[0], CROSSOVER) / at(controller(), CROSSOVER)
        changed = 100 * (abs(ratio) - 1), float(np.degrees(np.angle(ratio)))
        rows.append(Row(way, *changed, *margin(loop), 100 * float(y.max() / TARGET - 1), float(1 / rates.min())))
    return rows


# --------------------------------------------------------------- the C program


def compiler() -> str | None:
    """The system's C compiler, or None."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def build(header: str, folder: Path) -> Path:
    """Compile the header with a main program, every warning an error."""
    (folder / "controller.h").write_text(header, encoding="ascii")
    (folder / "main.c").write_text(PROGRAM, encoding="ascii")
    command = [str(compiler()), *STRICT, str(folder / "main.c"), "-o", str(folder / "run")]
    subprocess.run(command, check=True)
    return folder / "run"


def answers(program: Path, samples: Any) -> Any:
    """Send samples in, read what comes out; nine digits give a float back."""
    given = "\n".join(f"{x:.9g}" for x in samples)
    done = subprocess.run([program], input=given, capture_output=True, check=True, encoding="ascii")
    return np.array(done.stdout.split(), float)


def compare() -> Comparison | None:
    """C against Python over the error of the closed loop; None without a compiler."""
    if compiler() is None:
        return None
    error = (TARGET - position(BILINEAR)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        program = build(ss.to_c(digital(BILINEAR), "controller"), Path(folder))
        answer, kept = answers(program, error), answers(program, np.eye(1, 100_001)[0])
    python = ss.simulate(digital(BILINEAR), error.astype(float)).y  # the same samples, computed in double
    return Comparison(error, answer, answer - python, kept)


# --------------------------------------------------------------- what is said


def report() -> str:
    """The table, and what became of the controller in C."""
    z, p, k = ss.to_zpk(controller())
    zeros, poles = (", ".join(f"{x:.3g}" for x in sorted(roots.real, reverse=True)) for roots in (z, p))
    lines = [
        f"PI and lead: gain {k:.4g}, zeros at {zeros}, poles at {poles} rad/s.",
        "",
        "                       controller at 8 rad/s                    phase",
        "closed loop               gain       phase       crossover     margin     overshoot   slowest pole",
    ]
    for row in table():
        gain, phase = (round(x, 3) + 0.0 for x in (row.gain, row.phase))  # + 0.0: no −0.0
        numbers = f"{gain:9.1f} %{phase:10.1f}°{row.crossover:11.2f} rad/s{row.margin:9.1f}°"
        lines.append(f"{row.way:<20}{numbers}{row.overshoot:12.1f} %{row.slowest:12.2f} s")
    off = float(np.abs(between(BILINEAR)[1][::10] - position(BILINEAR)).max())
    return "\n".join([*lines, MEANING.format(DT / 2 * CROSSOVER * 180 / np.pi, off), said_of_c(compare())])


MEANING = """
Prewarped at the crossover, the bilinear controller is the analog one there. What it loses, {0:.1f}°, is the half step
by which a held force is late: design that much more. zoh gives another controller, with another crossover.
The mass under the held force, run in continuous time, is at the samples where the digital loop says, to {1:.0e} m.
"""


def said_of_c(run: Comparison | None) -> str:
    if run is None:
        return "There is no C compiler here (cc, gcc or clang): the header was not run."
    worst, largest = np.abs(run.difference).max(), np.abs(run.force).max()
    pole = float(digital(BILINEAR).poles.real.max())
    return (
        f"C in float against Python in double, {len(run.force)} samples of up to {largest:.2f} N: they differ by "
        f"{worst:.1e} N at most.\n"
        f"The integrator, a pole at {pole!r}, keeps {run.kept[1000]:.7f} N of a single 1; "
        f"after 100,000 samples {run.kept[-1]:.7f} N."
    )


# --------------------------------------------------------------- the picture


def picture(path: Path) -> None:
    """Save the open loops, the step responses, and C against Python."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.5), layout="constrained")
    left = ["magnitude"] * 3 + ["phase"] * 3
    right = ["step"] * 3 + ["force"] * 2 + ["difference"]
    axes: dict[str, Any] = figure.subplot_mosaic(list(map(list, zip(left, right, strict=True))))
    figure.suptitle("A mass on a spring: PI and lead, designed in the Laplace domain, running in C", fontsize=15)
    for ax in axes.values():
        ax.grid(color="0.92")
        ax.spines[["top", "right"]].set_visible(False)
    draw_loops(axes["magnitude"], axes["phase"])
    draw_step(axes["step"])
    draw_c(axes["force"], axes["difference"])
    figure.align_ylabels()
    figure.savefig(path, dpi=100)


def draw_loops(magnitude: Any, phase: Any) -> None:
    """The open loops, and where they cross over."""
    omega = np.geomspace(0.3, 0.9 * np.pi / DT, 600)
    for ax in (magnitude, phase):
        ax.set_prop_cycle(color=list(COLOURS.values()))
    rows = table()
    ss.plot.bode([ss.series(*parts(row.way)) for row in rows], omega=omega, axes=[magnitude, phase], label=[*COLOURS])
    for row in rows:
        said = f"{row.margin:.1f}° at {row.crossover:.2f} rad/s"
        magnitude.plot(row.crossover, 0.0, "o", color=COLOURS[row.way], markersize=5)
        phase.plot(row.crossover, row.margin - 180, "o", color=COLOURS[row.way], markersize=5, label=said)
    for ax, level in ((magnitude, 0.0), (phase, -180.0)):
        ax.axhline(level, color="0.45", linewidth=0.9, zorder=1)
        ax.set(xlim=(0.3, np.pi / DT), xticks=(0.3, 1, 3, 10, 30), xticklabels=("0.3", "1", "3", "10", "30"))
    magnitude.set_title("Open loops: gain", loc="left", fontsize=11.5)
    magnitude.set_ylim(-45, 35)
    magnitude.legend(frameon=False, loc="lower left")
    phase.set_title("Open loops: phase", loc="left", fontsize=11.5)
    phase.set(ylim=(-260, 20), yticks=range(-225, 1, 45))
    phase.legend(frameon=False, loc="lower left", title="phase margins", alignment="left")


def draw_step(ax: Any) -> None:
    """Where the mass goes: at the samples and between them."""
    t = DT * np.arange(SAMPLES)
    alone = ss.simulate(plant(), np.full(401, 4 * TARGET), dt=0.01)
    ax.plot(*alone, color="0.7", linewidth=1.2, label="spring alone, 0.4 N")
    ax.plot(*analog(), color=COLOURS[ANALOG], linewidth=1.6, label=ANALOG)
    for way in METHODS:
        ax.plot(*between(way), color=COLOURS[way], linewidth=1.2)
        ax.plot(t, position(way), ".", color=COLOURS[way], markersize=5, label=way)
    ax.set_title("Step of 0.1 m, at the samples and between them", loc="left", fontsize=11.5)
    ax.set(xlabel="time (s)", ylabel="position (m)", xlim=(0, 3), ylim=(0, 0.24))
    ax.legend(frameon=False, loc="upper right", ncols=2)


def draw_c(ax: Any, below: Any) -> None:
    """The force that the C program asks for, and how far it is from Python's."""
    run = compare()
    t = DT * np.arange(SAMPLES)
    ax.step(t, force(BILINEAR), where="post", color=COLOURS[BILINEAR], linewidth=1.4, label="Python, double")
    if run is not None:
        ax.plot(t, run.force, ".", color=GREEN, markersize=6, label="C, float")
        below.plot(t, 1e6 * run.difference, ".-", color=GREEN, markersize=4, linewidth=0.8)
    ax.set_title("The same controller in Python and in C", loc="left", fontsize=11.5)
    ax.set(ylabel="force (N)", xlim=(0, 3))
    ax.legend(frameon=False, loc="upper right")
    below.set(xlabel="time (s)", ylabel="C − Python\n(µN)", xlim=(0, 3))


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "controller.png"
    print(report())
    header = target.with_name("controller.h")
    header.write_text(ss.to_c(digital(BILINEAR), "controller"), encoding="ascii")
    picture(target)
    print(f"header: {header}\npicture: {target}")


if __name__ == "__main__":
    main()
