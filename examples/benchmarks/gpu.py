"""How fast is the GPU engine on this card, and what keeps it from being faster? Results are checked before times.

    python examples/benchmarks/gpu.py                                    everything, some minutes
    python examples/benchmarks/gpu.py --json                             one JSON object: card, versions, rows
    python examples/benchmarks/gpu.py --quick                            small signals, to see that it runs
    python examples/benchmarks/gpu.py --shapes 8,4096,1536,16 1,65536,16,64

Needs an NVIDIA card and the extra `gpu`; without one it says what is missing and ends with 1.

A row is one scan of (batch, L, channels, states), single precision, with gate, D and softplus, forward or its pullback.
First the result is held against the CPU engine in double: `error` is over the largest value, and an error above what
single precision may lose ends the run. Times are medians between two events of the card, the first run left out, each
on other inputs than the one before, so that no cache holds them, into memory filled with NaN. Then:

    ps      picoseconds per channel and step
    GB/s    of the bytes that must move: u, Δ, z, B, C in and y out; back the gradient of y in too, and those of all out
    copy    these as a part of what a copy within the card's memory moves, bytes read and written
    exp2    the time that n + 4 exponentials take (n + 5 back), 16 a clock on each multiprocessor, as a part of the time
    issue   the same of the instructions, counted by hand, four of a warp a clock: no entry where they were not counted
    ratio   how many times as long as this library, run in turn: medians of neighbours; for the pullback by this library
            how many times as long as its own forward
    wanted  what an H200-class card shall reach, and whether this one does

Peers in the same process: plain CuPy, where its memory fits (it holds all states of all samples), and mamba_ssm, where
it is importable, in the layout that it is made for. Then an S4D layer by its recurrence and by convolution (per channel
and step, of 64 states), and what a load of sixteen bytes from shared memory costs when lanes of a warp read the same.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import gpu_card
import gpu_layers
import gpu_scans
import numpy as np
from gpu_card import Card, Timer
from gpu_peers import Ours, peers
from gpu_scans import Shape

import statespace as ss
from statespace.gpu import require_device
from statespace.gpu.faults import dotted

ROUNDS = 21
SHAPES = [
    Shape(8, 4096, 1536, 16), Shape(64, 4096, 1536, 16), Shape(1, 1_048_576, 64, 16), Shape(64, 1024, 256, 16),
    Shape(1, 65_536, 16, 64),
]  # fmt: skip
SMALL = [Shape(2, 64, 48, 16), Shape(1, 1100, 3, 16)]
LAYER, SMALL_LAYER = Shape(16, 8192, 256, 64), Shape(2, 64, 4, 8)
MOST_SETS, OF_ROOM = 8, 0.7  # inputs of a row; how much of the memory that is left a peer may fill


UNITS = {"picoseconds": "ps", "milliseconds": "ms", "of_exp2": "exp2", "of_forward": "× forward"}


class Goal(NamedTuple):
    """What an H200-class card shall reach: a number of a row, at most or at least."""

    measure: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g} {UNITS[self.measure]}"


GOALS = {
    ("forward", SHAPES[0]): Goal("picoseconds", "≤", 7.2),
    ("forward", SHAPES[1]): Goal("of_exp2", "≥", 0.8),
    ("forward", SHAPES[2]): Goal("milliseconds", "≤", 1.0),
    **{("pullback", shape): Goal("of_forward", "≤", 3.5) for shape in SHAPES},
}


class Row(NamedTuple):
    """One of the scans by one of those who run it; fractions are 1 at a limit."""

    what: str
    shape: Shape
    by: str
    milliseconds: float
    picoseconds: float
    gigabytes: float  # a second
    of_copy: float
    of_exp2: float | None
    of_issue: float | None
    of_ours: float | None  # times this library
    of_forward: float | None
    error: float
    wanted: str = ""
    reached: bool | None = None


class Bench(NamedTuple):
    """What rows are measured with."""

    cupy: Any
    card: Card
    copy: float  # bytes a second
    rounds: int


# --------------------------------------------------------------- times


class Runner(NamedTuple):
    """Something to time: run(k) works on the k-th inputs, of so many, and returns what shall be overwritten."""

    name: str
    run: Callable[[int], Any]
    error: float


def poison(result: Any) -> None:
    """Nobody may be right by what was there before."""
    for array in result.values() if isinstance(result, dict) else [result]:
        array.fill(math.nan) if hasattr(array, "fill") else array.detach().fill_(math.nan)


def work(run: Callable[[int], Any], k: int, made: list[Any]) -> None:
    """Keep what a run makes."""
    made[:] = [run(k)]


def alternate(bench: Bench, runners: list[Runner]) -> dict[str, list[float]]:
    """Seconds of each, one after the other in every round; the first round is left out."""
    timers = {runner.name: Timer(bench.cupy, bench.card.hertz) for runner in runners}
    times: dict[str, list[float]] = {runner.name: [] for runner in runners}
    for k in range(bench.rounds + 1):
        for name, run, _ in runners:
            made: list[Any] = []
            times[name].append(timers[name](partial(work, run, k, made)))
            poison(made.pop())
    return {name: seconds[1:] for name, seconds in times.items()}


def sets_of(card: Card, shape: Shape) -> int:
    """Inputs that fill four times the L2, two at least."""
    return max(2, min(MOST_SETS, -(-4 * card.l2 // gpu_scans.bytes_moved(shape, "forward"))))


# --------------------------------------------------------------- rows


def checked(bench: Bench, shape: Shape, what: str, peer: Any, sets: list[dict[str, Any]]) -> Runner:
    """Check what a peer leaves where NaN was, and return what shall be timed."""
    cupy, taken = bench.cupy, [peer.taken(given) for given in sets]
    if what == "forward":
        poison(peer.forward(taken[0]))
        error = gpu_scans.check_forward(cupy, shape, sets[0], peer.told(peer.forward(taken[0]))).held().error
        return Runner(peer.name, lambda k: peer.forward(taken[k % len(taken)]), error)
    backs = [peer.pullback(given) for given in taken]
    grads = [peer.taken({"y": gpu_card.noise(cupy, shape[:3], 80 + k)})["y"] for k in range(len(sets))]
    poison(backs[0](grads[0]))
    grad = gpu_scans.gradient_of_part(cupy, shape)
    found = {name: peer.told(a) for name, a in backs[0](peer.taken({"y": grad})["y"]).items()}
    error = gpu_scans.check_pullback(cupy, shape, sets[0], grad, found).held().error
    return Runner(peer.name, lambda k: backs[k % len(backs)](grads[k % len(grads)]), error)


def runners_of(
    bench: Bench, shape: Shape, what: str, sets: list[dict[str, Any]], left_out: list[str]
) -> list[Runner]:  # fmt: skip
    """Everybody whose memory fits, on as many inputs as fit."""
    runners = []
    for peer in peers(bench.cupy):
        room = int(OF_ROOM * gpu_card.room(bench.cupy) / peer.bytes(shape, what))
        if room:
            runners.append(checked(bench, shape, what, peer, sets[:room]))
        else:
            left_out.append(f"{what} {shape} by {peer.name}: {peer.bytes(shape, what) / 1e9:.0f} GB do not fit")
    return runners


def limits(bench: Bench, shape: Shape, what: str, seconds: float) -> tuple[float, float | None]:
    """Parts of the time that exponentials and instructions need."""
    counted = gpu_scans.instructions(shape, what, bench.card.multiprocessors)
    exps = gpu_card.exp2_limit(bench.card, gpu_scans.exponentials(shape, what)) * shape.steps / seconds
    return exps, counted and gpu_card.issue_limit(bench.card, counted) * shape.steps / seconds


def row_of(bench: Bench, shape: Shape, what: str, runner: Runner, times: dict[str, list[float]]) -> Row:
    """One row, judged where there is a goal."""
    seconds, ours = median(times[runner.name]), times[Ours.name]
    moved, mine = gpu_scans.bytes_moved(shape, what), runner.name == Ours.name
    exps, slots = limits(bench, shape, what, seconds)
    row = Row(
        what, shape, runner.name, 1e3 * seconds, 1e12 * seconds / shape.steps, moved / seconds / 1e9,
        moved / seconds / bench.copy, exps, slots if mine else None,
        None if mine else median(b / a for a, b in zip(ours, times[runner.name], strict=True)),
        median(b / a for a, b in zip(times["forward"], ours, strict=True)) if mine and "forward" in times else None,
        runner.error,
    )  # fmt: skip
    return judged(row, GOALS.get((what, shape))) if mine else row


def judged(row: Row, goal: Goal | None) -> Row:
    """The row, with what was wanted of it."""
    if goal is None:
        return row
    got = getattr(row, goal.measure)
    return row._replace(wanted=str(goal), reached=got <= goal.limit if goal.sign == "≤" else got >= goal.limit)


def scan_rows(bench: Bench, shape: Shape, left_out: list[str]) -> list[Row]:
    """Forward and pullback of one shape, by everybody."""
    sets = [gpu_scans.inputs(bench.cupy, shape, seed) for seed in range(sets_of(bench.card, shape))]
    rows = []
    for what in ("forward", "pullback"):
        runners = runners_of(bench, shape, what, sets, left_out)
        beside = Runner("forward", lambda k: ss.selective_scan(**sets[k % len(sets)]), 0.0)  # of the pullback's ratio
        times = alternate(bench, [*runners, beside] if what == "pullback" else runners)
        rows += [row_of(bench, shape, what, runner, times) for runner in runners]
    return rows


def of_set(run: Callable[[Any], Any], sets: list[Any], k: int) -> Any:
    return run(sets[k % len(sets)])


def layer_rows(bench: Bench, shape: Shape) -> list[Row]:
    """An S4D layer by its recurrence and by convolution: 8 bytes a channel and step must move, without exponentials."""
    sets = [gpu_layers.inputs(bench.cupy, shape, seed) for seed in range(sets_of(bench.card, shape))]
    system = gpu_layers.layer(shape.channels, shape.states // 2)
    runs = gpu_layers.runs(bench.cupy, system, shape.length)
    runners = []
    for name, run in runs.items():
        found = gpu_layers.check(bench.cupy, system, sets[0], run(sets[0]), name)
        runners.append(Runner(name, partial(of_set, run, sets), found.held().error))
    times, rows = alternate(bench, runners), []
    for name, _, error in runners:
        seconds, first = median(times[name]), name == runners[0].name
        rate, ratio = 8 * shape.steps / seconds, [b / a for a, b in zip(times["filter"], times[name], strict=True)]
        each = 1e12 * seconds / shape.steps
        of_ours = None if first else median(ratio)
        rows.append(Row(name, shape, Ours.name, 1e3 * seconds, each, rate / 1e9, rate / bench.copy, None, None, of_ours,
                        None, error))  # fmt: skip
    return rows


# --------------------------------------------------------------- what is printed


def versions(cupy: Any) -> dict[str, str]:
    """Of everything that a time depends on."""
    found = {"statespace": ss.__version__, "cupy": cupy.__version__, "numpy": np.__version__}
    found["driver"] = dotted(cupy.cuda.runtime.driverGetVersion())
    found["nvrtc"] = "{}.{}".format(*cupy.cuda.nvrtc.getVersion())
    loaded = {name: sys.modules[name] for name in ("torch", "mamba_ssm") if name in sys.modules}
    return found | {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}


def measured(cupy: Any, shapes: list[Shape], layer: Shape, rounds: int) -> dict[str, Any]:
    """Everything that is printed, as JSON has it."""
    card, left_out = gpu_card.card_of(cupy), list[str]()
    timer = Timer(cupy, card.hertz)
    bench = Bench(cupy, card, gpu_card.copy_bandwidth(cupy, card, timer), rounds)
    rows = [row for shape in shapes for row in scan_rows(bench, shape, left_out)]
    rows += layer_rows(bench, layer)
    return {
        "card": card._asdict(), "clock_measured": gpu_card.clock_under_way(cupy, timer), "copy": bench.copy,
        "versions": versions(cupy), "rows": [row._asdict() for row in rows], "left_out": left_out,
        "loads": [load._asdict() for load in gpu_card.load_costs(cupy)],
    }  # fmt: skip


def per_cent(part: float | None) -> str:
    return "" if part is None else f"{100 * part:.0f} %"


def line_of(row: dict[str, Any]) -> str:
    ratio = row["of_ours"] or row["of_forward"]
    reached = {None: "", True: "  yes", False: "  no"}[row["reached"]]
    return (
        f"{Shape(*row['shape'])!s:<24}{row['what']:<10}{row['by']:<11}{row['milliseconds']:9.3f}{row['picoseconds']:9.2f}"
        f"{row['gigabytes']:8.0f}{per_cent(row['of_copy']):>7}{per_cent(row['of_exp2']):>7}{per_cent(row['of_issue']):>7}"
        f"{f'{ratio:.2f}' if ratio else '':>8}{row['error']:9.0e}  {row['wanted']}{reached}"
    )


def lines(found: dict[str, Any]) -> list[str]:
    """The tables."""
    card = found["card"]
    told = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return [
        f"{card['name']}: {card['multiprocessors']} multiprocessors, {card['hertz'] / 1e9:.2f} GHz at most, "
        f"{found['clock_measured'] / 1e9:.2f} GHz measured; a copy moves {found['copy'] / 1e9:.0f} GB/s",
        told,
        "",
        f"{'(batch, L, d, n)':<24}{'':<10}{'by':<11}{'ms':>9}{'ps':>9}{'GB/s':>8}{'copy':>7}{'exp2':>7}{'issue':>7}"
        f"{'ratio':>8}{'error':>9}  wanted of an H200",
        *map(line_of, found["rows"]),
        *(f"left out: {what}" for what in found["left_out"]),
        "",
        "sixteen bytes a lane from shared memory, clocks of a multiprocessor for a load of one warp:",
        *(f"{load['distinct']:>6} different{load['clocks']:8.2f}" for load in found["loads"]),
    ]


def shape_of(text: str) -> Shape:
    """Read "8,4096,1536,16"."""
    sizes = [int(size) for size in text.replace("_", "").split(",")]
    if len(sizes) != 4 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"a shape is batch,L,channels,states, four numbers from 1 on, got {text!r}")
    return Shape(*sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="small signals, few rounds")
    parser.add_argument("--shapes", type=shape_of, nargs="+", help="batch,L,channels,states", metavar="SHAPE")
    chosen = parser.parse_args()
    try:
        cupy = require_device()
    except (ImportError, RuntimeError) as error:
        sys.exit(f"this benchmark runs on an NVIDIA card: {error}")
    shapes = chosen.shapes or (SMALL if chosen.quick else SHAPES)
    found = measured(cupy, shapes, SMALL_LAYER if chosen.quick else LAYER, 3 if chosen.quick else ROUNDS)
    print(json.dumps(found, indent=1, ensure_ascii=False) if chosen.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
