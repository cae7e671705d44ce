"""How fast is the CPU engine? Against scipy.signal and python-control, in one process, results checked first.

    python examples/benchmarks/cpu.py                 a table, some minutes (python-control: pip install control)
    python examples/benchmarks/cpu.py --json          the same as JSON
    python examples/benchmarks/cpu.py --quick         small signals, to see that it runs

Each peer gets the layout it likes best and runs in turn with this library; medians of times and of ratios are printed.
GB/s is input and output once each, "limit" what copying the signal by as many threads would take.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin for a while after a product, in whoever's time

import numpy as np
from scipy import signal

import statespace as ss

ROUNDS = 9


class Row(NamedTuple):
    """One comparison: ns a sample (a step, a call) of both, their ratio and what was wanted."""

    name: str
    peer: str
    theirs: float
    ours: float
    ratio: float
    wanted: float  # ratio at least; at most where it begins with "≤"
    error: float
    rate: float  # GB/s of input and output
    limit: float  # ns


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternate(peer: Callable[[], Any], ours: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Medians of both, and of the ratios of neighbours."""
    pairs = [(seconds(peer), seconds(ours)) for _ in range(rounds)]
    theirs, us = (median(column) for column in zip(*pairs, strict=True))
    return theirs, us, median(a / b for a, b in pairs)


def difference(got: Any, wanted: Any) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def copying(x: Any) -> float:
    """Seconds to copy a signal by the threads that a run would use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pieces = list(
        zip(np.array_split(x.reshape(-1), count), np.array_split(np.ones_like(x).reshape(-1), count), strict=True)
    )

    def copy() -> None:
        threads = [threading.Thread(target=np.copyto, args=(target, source)) for source, target in pieces]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return median(seconds(copy) for _ in range(ROUNDS))


def compare(
    name: str, peer: str, theirs: Any, ours: Any, x: Any, wanted: float, bound: float, rounds: int = ROUNDS
) -> Row:
    """Check, then time, a run over the numbers of x."""
    error = difference(ours(), theirs())
    assert error < bound, (name, error)
    slow, fast, ratio = alternate(theirs, ours, rounds)
    each = 1e9 / x.size
    return Row(name, peer, slow * each, fast * each, ratio, wanted, error, 2e-9 * x.nbytes / fast, copying(x) * each)


# --------------------------------------------------------------- filters


def band(order: int) -> Any:
    return signal.butter(order // 2, [0.1, 0.2], "bandpass", output="sos")


def one_channel(length: int) -> Iterator[Row]:
    """Second-order sections, double and single; and a filter that comes by foh as one block-triangular matrix."""
    x = np.random.default_rng(0).normal(size=length)
    for kind, wanted in ((np.float64, {8: 5, 16: 6}), (np.float32, {8: 8, 16: 8})):
        y = x.astype(kind)
        for order in (8, 16):
            system, sos = ss.from_sos(band(order), dt=1.0), band(order).astype(kind)
            name = f"order {order}, 1 channel, {np.dtype(kind)}"
            yield compare(
                name, "sosfilt", lambda s=sos, y=y: signal.sosfilt(s, y), lambda s=system, y=y: ss.filter(s, y), y,
                wanted[order], 1e-12 if kind is np.float64 else 1e-3,
            )  # fmt: skip
    for order, wanted_ratio in ((8, 2), (16, 1)):
        analog = signal.butter(order // 2, [0.3, 0.6], "bandpass", analog=True, output="zpk")
        digital = ss.discretize(ss.from_zpk(*analog), 1.0, "foh")
        sos = ss.to_sos(digital)
        yield compare(
            f"order {order}, zpk by foh, 1 channel", "sosfilt", lambda s=sos: signal.sosfilt(s, x),
            lambda d=digital: ss.filter(d, x), x, wanted_ratio, 1e-9,
        )  # fmt: skip


def many_channels(length: int) -> Iterator[Row]:
    x = np.random.default_rng(0).normal(size=(64, length))
    sos, system = band(8), ss.from_sos(band(8), dt=1.0)
    for axis, y in ((-1, x), (0, np.ascontiguousarray(x.T))):
        yield compare(
            f"order 8, 64 channels, axis {axis}", "sosfilt", lambda y=y, a=axis: signal.sosfilt(sos, y, axis=a),
            lambda y=y, a=axis: ss.filter(system, y, axis=a), y, 7, 1e-12, 5,
        )  # fmt: skip
        yield compare(
            f"filtfilt, 64 channels, axis {axis}", "sosfiltfilt",
            lambda y=y, a=axis: signal.sosfiltfilt(sos, y, axis=a),
            lambda y=y, a=axis: ss.filtfilt(system, y, axis=a), y, 5, 1e-10, 3,
        )  # fmt: skip


def short(calls: int) -> Iterator[Row]:
    """Microseconds of calls count here: ns a sample are those of the call."""
    sos, system = band(8), ss.from_sos(band(8), dt=1.0)
    x = np.random.default_rng(0).normal(size=1000)
    yield compare(
        "1,000 samples",
        "sosfilt",
        lambda: signal.sosfilt(sos, x),
        lambda: ss.filter(system, x),
        x,
        1 / 1.5,
        1e-12,
        calls,
    )
    block, stream, zi = x[:64], ss.Stream(system), np.zeros((4, 2))
    slow, fast, ratio = alternate(lambda: signal.sosfilt(sos, block, zi=zi), lambda: stream.push(block), calls)
    yield Row(
        "Stream, blocks of 64",
        "sosfilt, zi",
        slow * 1e9 / 64,
        fast * 1e9 / 64,
        ratio,
        1 / 1.5,
        0.0,
        1.024e-6 / fast,
        0.0,
    )


# --------------------------------------------------------------- dense systems


def dense(n: int, m: int) -> tuple[Any, ...]:
    """Time constants from 1 to 0.1 in a rotated basis, n states, m inputs and outputs."""
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    a = -np.diag(np.geomspace(1.0, 10.0, n)) + np.diag(np.full(n - 1, 0.5), 1)
    return q @ a @ q.T, rng.normal(size=(n, m)), rng.normal(size=(m, n)), rng.normal(size=(m, m))


def mimo(n: int, m: int, length: int, peer_length: int, wanted: float) -> Iterator[Row]:
    """The peers run fewer steps: theirs cost the same whatever their number."""
    matrices, dt = dense(n, m), 0.01
    continuous = ss.ContinuousSystem(*matrices)
    digital = ss.discretize(continuous, dt)
    u = np.random.default_rng(1).normal(size=(length, m))
    few, t = u[:peer_length], dt * np.arange(peer_length)
    plain = (*tuple(digital), dt)
    peers = {
        "dlsim": (lambda: signal.dlsim(plain, few)[1], lambda v: ss.simulate(digital, v).y),
        "lsim": (lambda: signal.lsim(matrices, few, t)[1], lambda v: ss.simulate(continuous, v, dt=dt, hold="foh").y),
        "lsim, zoh": (
            lambda: signal.lsim(matrices, few, t, interp=False)[1], lambda v: ss.simulate(continuous, v, dt=dt).y
        ),
    }  # fmt: skip
    try:
        import control

        own = control.ss(*plain[:4], dt)
        peers["forced_response"] = (lambda: control.forced_response(own, t, few.T).outputs.T, peers["dlsim"][1])
    except ImportError:
        pass
    for name, (theirs, ours) in peers.items():
        error = difference(ours(few), theirs())
        assert error < 1e-10, (name, error)
        slow, fast, _ = alternate(theirs, lambda ours=ours: ours(u), 5)
        slow, fast = 1e9 * slow / peer_length, 1e9 * fast / length
        limit = 1e9 * copying(u) / length
        yield Row(f"{n} states, {m}×{m}", name, slow, fast, slow / fast, wanted, error, 16 * m / fast, limit)


def irregular(length: int) -> Iterator[Row]:
    """No peer: 1.2 µs a step are wanted."""
    system = ss.ContinuousSystem(*dense(8, 2))
    rng = np.random.default_rng(2)
    u, t = rng.normal(size=(length, 2)), np.cumsum(rng.uniform(0.005, 0.1, length))
    few = slice(0, 500)
    exact = ss.simulate(ss.modal(system), u[few], t=t[few]).y
    error = difference(ss.simulate(system, u[few], t=t[few]).y, exact)
    assert error < 1e-12, error
    fast = 1e9 * median(seconds(lambda: ss.simulate(system, u, t=t)) for _ in range(3)) / length
    yield Row("8 states, all intervals different", "1.2 µs", 1200.0, fast, 1200.0 / fast, 1, error, 32 / fast, 0.0)


# --------------------------------------------------------------- how it grows


def growth(lengths: list[int]) -> Iterator[Row]:
    """Twice the length at most 2.1 times the time; two threads at least 1.6 times one."""
    system = ss.from_sos(band(8), dt=1.0)
    x = np.random.default_rng(0).normal(size=max(lengths))
    times = {}
    for length in lengths:
        y = x[:length]
        found: dict[str, list[float]] = {"1": [], "2": []}
        for _ in range(3):  # memory that the machine gives out for the first time is slow
            ss.filter(system, y)
        for _ in range(7 if length < 2**24 else 3):
            for threads, spent in found.items():
                os.environ["STATESPACE_THREADS"] = threads
                spent.append(seconds(lambda y=y: ss.filter(system, y)))
        one, two = (1e9 * median(found[k]) / length for k in "12")
        times[length] = two
        yield Row(f"2^{length.bit_length() - 1} samples", "one thread", one, two, one / two, 1.6, 0.0, 16 / two, 0.0)
        if length // 2 in times:
            before = times[length // 2]
            yield Row("", "half the length", before, two, before / two, 1 / 1.05, 0.0, 16 / two, 0.0)
    del os.environ["STATESPACE_THREADS"]


FIRST = """
import time
import numpy as np, statespace as ss
system, x = ss.from_sos(np.array([[0.1, 0.2, 0.1, 1, -0.5, 0.25]]), dt=1.0), np.ones(100_000)
start = time.perf_counter()
ss.filter(system, x)
print(time.perf_counter() - start)
"""


def first_call() -> Iterator[Row]:
    """Nothing compiled, and with the cache on disk: in ns as everything here."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "NUMBA_CACHE_DIR": folder}
        spent = [
            float(subprocess.run([sys.executable, "-c", FIRST], env=env, capture_output=True, check=True).stdout)
            for _ in range(6)
        ]
    for name, found, allowed in (("cold", spent[0], 5.0), ("from the cache", median(spent[1:]), 0.6)):
        yield Row(f"first call, {name}", f"{allowed} s", 1e9 * allowed, 1e9 * found, allowed / found, 1, 0.0, 0.0, 0.0)


# --------------------------------------------------------------- the table


def machine() -> str:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        model = next((v.strip() for k, v in lines.items() if k.strip() == "model name"), model)
        wide = [name for name in ("avx2", "avx512f") if name in lines.get("flags\t\t", "").split()]
        model += f" ({', '.join(wide)})" if wide else ""
    return f"{os.cpu_count()} cores, {model}, NumPy {np.__version__}"


def as_text(row: Row) -> str:
    limit = f"{row.ours / row.limit:5.1f}×" if row.limit else "     -"
    mark = " " if row.ratio >= row.wanted else "!"
    return (
        f"{row.name:34s} {row.peer:16s} {row.theirs:14.2f} {row.ours:14.2f} {row.ratio:8.2f} {mark} {row.wanted:6.2f} "
        f"{row.error:8.0e} {row.rate:6.1f} {limit}"
    )


def rows(quick: bool) -> Iterator[Row]:
    scale = 32 if quick else 1
    yield from one_channel(2**20 // scale)
    yield from many_channels(200_000 // scale)
    yield from short(20 if quick else 400)
    yield from mimo(8, 2, 100_000 // scale, 20_000 // scale, 500)
    yield from mimo(64, 8, 100_000 // scale, 10_000 // scale, 40)
    yield from irregular(100_000 // scale)
    yield from growth([2**k for k in ((14, 15) if quick else (20, 21, 22, 23, 24, 25, 26))])
    yield from first_call()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="The CPU engine beside its peers.")
    parser.add_argument("--json", action="store_true", help="print rows as JSON")
    parser.add_argument("--quick", action="store_true", help="small signals")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # the peers' deprecations
    gc.disable()  # as timeit does: what a peer leaves behind is not collected in our time
    if options.json:
        print(json.dumps({"machine": machine(), "rows": [row._asdict() for row in rows(options.quick)]}, indent=1))
        return
    print(machine())
    columns = ("", "peer", "peer ns", "ours ns", "ratio", "wanted", "error", "GB/s", "limit")
    print("{:34s} {:16s} {:>14s} {:>14s} {:>8s}   {:>6s} {:>8s} {:>6s} {:>6s}".format(*columns))
    for row in rows(options.quick):
        print(as_text(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
