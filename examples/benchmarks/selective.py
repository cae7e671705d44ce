"""How fast is the selective scan? Against a tight loop over time in PyTorch, or NumPy; results are checked first.

    python examples/benchmarks/selective.py           a table, a minute (PyTorch is used where it is installed)
    python examples/benchmarks/selective.py --json    the same as JSON
    python examples/benchmarks/selective.py --quick   small signals, to see that it runs

Times are ns per channel, state and step, medians; the peer runs in turn with this library, on as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import statespace as ss

ROUNDS = 5
METHODS = ("mamba", "s4_zoh", "zoh", "bilinear", "foh", "exp_trapezoidal")


class Row(NamedTuple):
    """One comparison: ns per channel, state and step of both, the ratio and what was wanted."""

    name: str
    peer: str
    theirs: float
    ours: float
    ratio: float
    wanted: str
    error: float


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternate(peer: Callable[[], Any], ours: Callable[[], Any]) -> tuple[float, float, float]:
    """Medians of both, and of the ratios of neighbours."""
    pairs = [(seconds(peer), seconds(ours)) for _ in range(ROUNDS)]
    theirs, us = (median(column) for column in zip(*pairs, strict=True))
    return theirs, us, median(a / b for a, b in pairs)


def inputs(batch: int, length: int, d: int, n: int) -> tuple[Any, ...]:
    """Steps and poles as in a trained Mamba: Δ about 0.02, A = −1 … −n."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(batch, length, d)).astype("f")
    delta = np.exp(rng.normal(size=(batch, length, d)) - 4).astype("f")
    a = -np.tile(np.arange(1, n + 1), (d, 1)).astype("f")
    b, c = (rng.normal(size=(batch, length, n)).astype("f") for _ in range(2))
    return u, delta, a, b, c


# --------------------------------------------------------------- the peers: x ← e^{ΔA} x + Δ u B, sample by sample


def torch_loop(args: tuple[Any, ...]) -> tuple[str, Callable[[], Any]]:
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    u, delta, a, b, c = (torch.from_numpy(x) for x in args)
    drive = delta * u

    def run() -> Any:
        with torch.inference_mode():
            x, y = torch.zeros((u.shape[0], *a.shape)), torch.empty_like(u)
            for k in range(u.shape[1]):
                x.mul_(torch.exp(delta[:, k, :, None] * a)).addcmul_(drive[:, k, :, None], b[:, k, None])
                torch.matmul(x, c[:, k, :, None], out=y[:, k, :, None])
        return y.numpy()

    return "PyTorch", run


def numpy_loop(args: tuple[Any, ...]) -> tuple[str, Callable[[], Any]]:
    u, delta, a, b, c = args
    drive = delta * u

    def run() -> Any:
        x, y = np.zeros((u.shape[0], *a.shape), "f"), np.empty_like(u)
        for k in range(u.shape[1]):
            x *= np.exp(delta[:, k, :, None] * a)
            x += drive[:, k, :, None] * b[:, k, None]
            y[:, k] = (x @ c[:, k, :, None])[..., 0]
        return y

    return "NumPy", run


def peer_of(args: tuple[Any, ...]) -> tuple[str, Callable[[], Any]]:
    try:
        return torch_loop(args)
    except ImportError:
        return numpy_loop(args)


# --------------------------------------------------------------- rows


def scan_row(sizes: tuple[int, int, int, int], wanted: str) -> Row:
    args = inputs(*sizes)
    name, peer = peer_of(args)
    got, want = ss.selective_scan(*args), peer()
    error = float(np.abs(got - want).max() / np.abs(want).max())
    assert error < 1e-4, error  # the peer's own rounding; ours has a test
    theirs, ours, ratio = alternate(peer, lambda: ss.selective_scan(*args))
    each = 1e9 / float(np.prod(sizes))
    return Row(f"{sizes}", name, theirs * each, ours * each, ratio, wanted, error)


def long_row(sizes: tuple[int, int, int, int]) -> Row:
    args = inputs(*sizes)
    ours = median(seconds(lambda: ss.selective_scan(*args)) for _ in range(ROUNDS))
    each = 1e9 / float(np.prod(sizes))
    return Row(f"{sizes}: {ours:.2f} s", "", 0.0, ours * each, 0.0, "1 s", 0.0)


def pullback_row(sizes: tuple[int, int, int, int]) -> Row:
    args = inputs(*sizes)
    y, pullback = ss.selective_scan_vjp(*args)
    pullback(y)
    theirs, ours, ratio = alternate(lambda: pullback(y), lambda: ss.selective_scan(*args))
    each = 1e9 / float(np.prod(sizes))
    return Row(f"{sizes}: pullback / forward", "pullback", theirs * each, ours * each, ratio, "≤ 4", 0.0)


def method_row(method: str, sizes: tuple[int, int, int, int]) -> Row:
    args = inputs(*sizes)
    ss.selective_scan(*args, method=method)
    theirs, ours, ratio = alternate(
        lambda: ss.selective_scan(*args, method=method), lambda: ss.selective_scan(*args)
    )  # fmt: skip
    each = 1e9 / float(np.prod(sizes))
    return Row(f"{method} / mamba", method, theirs * each, ours * each, ratio, "", 0.0)


def rows(quick: bool) -> list[Row]:
    wide, batched, long = (1, 2048, 1536, 16), (8, 4096, 64, 16), (1, 1_048_576, 16, 16)
    if quick:
        wide, batched, long = (1, 64, 48, 16), (2, 64, 16, 16), (1, 1024, 16, 16)
    table = [scan_row(wide, "20"), scan_row(batched, "20"), long_row(long), pullback_row(wide)]
    return table + [method_row(method, wide) for method in METHODS[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="small signals")
    options = parser.parse_args()
    table = rows(options.quick)
    if options.json:
        print(json.dumps([row._asdict() for row in table], indent=1))
        return
    print(f"{'(batch, L, d, n), float32':<38}{'peer':>16}{'theirs':>9}{'ours':>8}{'ratio':>8}{'wanted':>8}{'error':>9}")
    for row in table:
        theirs = f"{row.theirs:9.2f}" if row.peer else f"{'':>9}"
        ratio = f"{row.ratio:8.2f}" if row.peer else f"{'':>8}"
        print(f"{row.name:<38}{row.peer:>16}{theirs}{row.ours:8.3f}{ratio}{row.wanted:>8}{row.error:9.0e}")


if __name__ == "__main__":
    main()
