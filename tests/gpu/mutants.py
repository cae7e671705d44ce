"""Break the kernels in one place after another, and look whether the emulated suite, or a thread sanitizer, sees it.

    python tests/gpu/mutants.py            all of them, some minutes; the exit status is 0 when all die
    python tests/gpu/mutants.py barrier    those whose name holds one of the words

A mutant is a text of a kernel with one thing wrong: a barrier removed (every one in turn), a wait that ends too early,
a tail that is too long, taps exchanged, blocks of time that start from another's state, sums whose order is left open.
It is run on fibres with copies that come at once and at the last moment, threads first and last; a mutant that still
gives the right numbers there is run on threads of the host under -fsanitize=thread. Processes share the work. "nothing" is
the kernels as they are, which have to live.
"""

import contextlib
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import card
import host_build
import judges
import pretend
import pytest

from statespace.gpu import loader

FILES = HERE.parent.parent / "gpu"


class Mutant(NamedTuple):
    name: str
    file: str  # that is changed
    old: str
    new: str
    number: int  # of the occurrence
    judge: str  # name of the function in judges.py that runs the kernels


def barriers():
    """Every barrier of every kernel, removed in turn."""
    for path in sorted(FILES / name for name in judges.OF):
        text = path.read_text(encoding="utf-8")
        for number, found in enumerate(re.finditer(r"\bbarrier\(\);", text)):
            line = text.count("\n", 0, found.start()) + 1
            yield Mutant(f"barrier {path.name}:{line}", path.name, "barrier();", "", number, judges.OF[path.name])


def changed(name, file, old, new, judge=None, number=0):
    return Mutant(f"{file} {name}", file, old, new, number, judge or judges.OF[file])


def table():
    """What else can be wrong."""
    scan, back, ends, shared = "selective.cu", "selective_adjoint.cu", "adjoint_ends.cu", "selective.cuh"
    return [
        changed("waits for the copy before", scan, "wait_copies<0>();", "wait_copies<1>();"),
        changed("never waits", scan, "wait_copies<0>();", ""),
        changed("copies to the tile at work", scan, "stage_of(turn ^ 1)", "stage_of(turn)"),
        changed("a tile that is always whole", scan, "begin + TILE < at.end ? TILE : at.end - begin", "TILE"),
        changed("the next tile too short", scan, "next + TILE < at.end ? TILE : at.end - next", "1"),
        changed("one sample more", scan, "t + j >= samples", "t + j > samples"),
        changed("keeps v over a reset", scan, "lane.x[s] = lane.v[s] =", "lane.x[s] ="),
        changed("no v before a block of time", scan, "at.begin > 0 && lane.present", "false"),
        changed("the last state of every block", scan, "if (!ENDS && at.chunk + 1 < at.chunks) return;", ""),
        changed("marks a tile late", scan, "mark_of(scan, at, lane, begin / SPAN)", "mark_of(scan, at, lane, (begin ? begin - 1 : 0) / SPAN)", judges.OF[back]),
        changed("y of another lane", scan, "first_left<GROUP, TPC>(part)", "first_left<GROUP, TPC>(part ^ 1)"),
        changed("D behind the gate", scan, "value = times(gate(to_real(stage.z[i])), value);", "value = times(logistic(to_real(stage.z[i])), value);"),
        changed("a channel too many", shared, "at.count = width - block * CHANNELS < CHANNELS ? width - block * CHANNELS : CHANNELS;", "at.count = CHANNELS;", judges.OF[scan]),
        changed("groups exchanged", shared, "at.group = blockIdx.x / blocks % scan.groups;", "at.group = 0;", judges.OF[scan]),
        changed("rows share all", shared, "scan.common & U ? shared : own", "shared", judges.OF[scan]),
        changed("a state too many", shared, "left < OWN ? left : OWN", "OWN", judges.OF[scan]),
        changed("the bias left out", shared, "scan.bias && channel < at.count ? scan.bias[at.first + channel] : 0", "0", judges.OF[scan]),
        changed("taps exchanged (foh)", "discretize.cuh", "return Factors<Number>{e, phi2(z, held), ramp(z, e)};", "return Factors<Number>{e, ramp(z, e), phi2(z, held)};", "held"),
        changed("taps exchanged (gbt)", "discretize.cuh", "times(w, q), times(1 - w, q)};", "times(1 - w, q), times(w, q)};", "rational"),
        changed("current tap for previous (zoh)", "discretize.cuh", "if (RULE == ZOH) return Factors<Number>{e, zero, held};", "if (RULE == ZOH) return Factors<Number>{e, held, zero};", "zoh"),
        changed("slopes exchanged (foh)", "discretize.cuh", "hump(z, held, second), slope, square(z, e, slope)}", "square(z, e, slope), slope, hump(z, held, second)}", "held"),
        changed("a sum over half of the lanes", "tiles.cuh", "for (int mask = LANES / 2; mask > 0; mask /= 2)", "for (int mask = LANES / 2; mask > 1; mask /= 2)", judges.OF[scan]),
        changed("the wrong half is given", "tiles.cuh", "const Number kept = upper ? values[(i + left) % COUNT] : values[i];", "const Number kept = upper ? values[i] : values[(i + left) % COUNT];", judges.OF[scan]),
        changed("rows are copied one short", "tiles.cuh", "for (int i = threadIdx.x; i < rows * width;", "for (int i = threadIdx.x; i < rows * width - 1;", judges.OF[scan]),
        changed("what copies never reach is not cleared", "tiles.cuh", "((int *)memory)[i] = 0;", ";", judges.OF[back]),
        changed("waits for the copy before", back, "wait_copies<0>();", "wait_copies<1>();"),
        changed("an unordered reduction", back, "put(tiles.level, ((which * WARPS + warp) * SUB", "put(tiles.level, ((which * WARPS) * SUB"),
        changed("warps that all add to one sum", back, "total += tiles.level[(which * WARPS + warp) * LEVEL_SUB + at_sub];", "total += WARPS * tiles.level[(which * WARPS) * LEVEL_SUB + at_sub], warp = WARPS;"),
        changed("channels summed by half", back, "sum_over_lanes<SUB, CHANNELS_OF_WARP, TPC>(rows, lane);", "sum_over_lanes<SUB, CHANNELS_OF_WARP, TPC>(rows, 0);"),
        changed("goes on over a reset", back, "if (!PLAIN && (steps.edges >> j & 1)) back.x = constant(0, Number());", ""),
        changed("a sub-tile from the start of the tile", back, "if (k == 0 || k == i) start[s]", "if (k == 0) start[s]"),
        changed("no sample before the tile", back, "const int before = begin > 0 ? 1 : 0;", "const int before = 0;", "held"),
        changed("C of the wrong sample", back, "level_of(tiles.c, first + j, s)), grad, back.x)", "level_of(tiles.c, first, s)), grad, back.x)"),
        changed("of the gate without its slope", back, "slope = open * (1 + z * (1 - open))", "slope = open"),
        changed("the first state of every block", back, "if (at.chunk == 0) {", "if (true) {"),
        changed("a block starts from the next one's state", "block_starts.cu", "put(starts, at, x);", "put(starts, at, get(ends, at, Number()));"),
        changed("over a reset", "block_starts.cu", "(cut && cut[row * blocks + j]) ||", "", "over_resets"),
        changed("half of the lanes", "diagonal.cu", "mask < lanes; mask *= 2", "2 * mask < lanes; mask *= 2"),
        changed("one step late", "affine.cu", "now = fused(decays[k], now, drives[k]);", "now = fused(decays[k], now, drives[k ? k - 1 : 0]);"),
        changed("states exchanged", "cascade.cu", "x2 = fused(a21, x1, times(a22, x2)), x1 = after", "x1 = after, x2 = fused(a21, x1, times(a22, x2))"),
        changed("a product too short", ends, "    power[s] = times(alpha, power[s]);", ""),
        changed("the gate left out", ends, "return times(gate(to_real(scan.z[at.z + lane.channel - at.first + k * at.step])), g);", "return g;"),
    ]  # fmt: skip


def mutated(mutant):
    """The source of loader.py with one thing changed, in whatever file holds it."""
    original = loader.source

    def source(file, folder=None):
        text = original(file, folder)
        begin = text.find(f'#line 1 "{mutant.file}"')
        if begin < 0:
            return text
        places = [found.start() for found in re.finditer(re.escape(mutant.old), text) if found.start() >= begin]
        if len(places) <= mutant.number:
            raise LookupError(
                f"{mutant.file} does not hold {mutant.old!r} so often any more: mend the table of mutants"
            )
        at = places[mutant.number]
        return text[:at] + mutant.new + text[at + len(mutant.old) :]

    return source


@contextlib.contextmanager
def broken(mutant):
    """Kernels of a mutant, and CuPy that is pretended."""
    with pytest.MonkeyPatch.context() as patch:
        cupy = pretend.install(patch)
        patch.setattr(loader, "source", mutated(mutant))
        for cache in (loader._entry, loader._module):
            cache.cache_clear()
        yield cupy
        for cache in (loader._entry, loader._module):
            cache.cache_clear()


def killer(mutant):
    """How a mutant dies, or None."""
    card.machine.reset()
    with broken(mutant) as cupy, card.recorded() as launches, card.launch_mode("all"):
        try:
            getattr(judges, mutant.judge)(cupy)
        except (AssertionError, RuntimeError) as error:
            if "did not compile" in str(error):
                raise
            return " ".join(str(error).split())[:70] or type(error).__name__
    return races(launches)


def races(launches):
    """What a thread sanitizer says of each kernel that was launched, or None."""
    seen = set()
    for launch in launches:
        if launch.code not in seen:
            seen.add(launch.code)
            clean, report = host_build.run_under_sanitizer(
                launch.code, launch.options, launch.name, launch.grid, launch.block, launch.shared, launch.arguments
            )
            if not clean:
                return f"thread sanitizer: {report.count('WARNING')} races"
    return None


UNBROKEN = Mutant("nothing", "device.cuh", "#ifndef SIGNAL", "#ifndef SIGNAL", 0, "")  # has to live


def judged(mutant):
    begin = time.perf_counter()
    return mutant.name, killer(mutant), time.perf_counter() - begin


def main(words):
    if host_build.compiler() is None:
        print("needs g++ 12 or newer")
        return 2
    begin, wrong = time.perf_counter(), []
    right = [
        UNBROKEN._replace(name=f"nothing, by {name}", judge=name)
        for name in ("scans", "pullbacks", "dense", "diagonal")
    ]
    chosen = [m for m in [*right, *barriers(), *table()] if not words or any(word in m.name for word in words)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for mutant, (name, how, took) in zip(chosen, pool.map(judged, chosen), strict=True):
            if (how is None) != (mutant in right):
                wrong.append(name)
            print(f"{name:<58} {how or 'lives':<72} {took:5.1f} s", flush=True)
    print(f"{len(chosen)} mutants of kernels, {len(wrong)} not as they should be, {time.perf_counter() - begin:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
