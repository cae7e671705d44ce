"""How fast is simulate? Against scipy.signal and python-control, in one process, results checked first.

    python examples/benchmarks/simulate.py            (python-control is optional: pip install control)

8 states, 2 inputs, 2 outputs: 100,000 steps of a discrete and of a continuous system, then irregular grids of
100,000 different intervals. Peers and this library run alternately; medians and ratios are printed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from scipy import signal

import statespace as ss

STEPS, PEER_STEPS, ROUNDS = 100_000, 20_000, 5


def model(stiffness: float = 1.0) -> tuple[Any, ...]:
    """Eight states with time constants from 1 down to 1/stiffness, in a rotated basis."""
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    a = -np.diag(np.geomspace(1.0, stiffness, 8)) + np.diag(np.full(7, 0.5), 1)
    return q @ a @ q.T, rng.normal(size=(8, 2)), rng.normal(size=(2, 8)), rng.normal(size=(2, 2))


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def control_response(discrete: bool, matrices: tuple[Any, ...], u: Any, t: Any) -> Callable[[], Any] | None:
    """forced_response of python-control, or None where it is not installed."""
    try:
        import control
    except ImportError:
        return None
    system = control.ss(*matrices, t[1]) if discrete else control.ss(*matrices)
    return lambda: control.forced_response(system, t, u.T).outputs.T


def compare(name: str, ours: Callable[[int], Any], peer: Callable[[], Any] | None) -> None:
    """Check on the peer's length, time both in turn, print nanoseconds per step and the ratio."""
    if peer is None:
        print(f"{name:38s} not installed")
        return
    wanted = peer()
    error = np.max(np.abs(ours(PEER_STEPS) - wanted)) / np.max(np.abs(wanted))
    assert error < 1e-9, (name, error)
    pairs = [(seconds(peer) / PEER_STEPS, seconds(lambda: ours(STEPS)) / STEPS) for _ in range(ROUNDS)]
    theirs, us = (1e9 * median(column) for column in zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    print(f"{name:38s} {theirs:8.0f} ns/step   ours {us:6.1f} ns/step   ratio {ratio:6.0f}   difference {error:.1e}")


def uniform() -> None:
    matrices, dt = model(10.0), 0.01
    u = np.random.default_rng(1).normal(size=(STEPS, 2))
    few, t = u[:PEER_STEPS], dt * np.arange(PEER_STEPS)
    continuous = ss.ContinuousSystem(*matrices)
    digital = ss.discretize(continuous, dt)
    plain = (*tuple(digital), dt)

    def discrete(n: int) -> Any:
        return ss.simulate(digital, u[:n]).y

    def held(n: int) -> Any:
        return ss.simulate(continuous, u[:n], dt=dt).y

    def joined(n: int) -> Any:
        return ss.simulate(continuous, u[:n], dt=dt, hold="foh").y

    compare("scipy.signal.dlsim", discrete, lambda: signal.dlsim(plain, few)[1])
    compare("control.forced_response, discrete", discrete, control_response(True, plain[:4], few, t))
    compare("scipy.signal.lsim, zoh", held, lambda: signal.lsim(matrices, few, t, interp=False)[1])
    compare("scipy.signal.lsim, foh", joined, lambda: signal.lsim(matrices, few, t)[1])
    compare("control.forced_response, foh", joined, control_response(False, matrices, few, t))


def irregular() -> None:
    rng = np.random.default_rng(2)
    u = rng.normal(size=(STEPS, 2))
    for name, stiffness, limit in (("non-stiff", 10.0, 1.0), ("stiff, 1e6", 1e6, 2.0)):
        system = ss.ContinuousSystem(*model(stiffness))
        t = np.cumsum(rng.uniform(0.005, 0.1, STEPS))
        for hold in ("zoh", "foh"):
            ss.simulate(system, u[:100], t=t[:100], hold=hold)
            spent = median(seconds(lambda: ss.simulate(system, u, t=t, hold=hold)) for _ in range(ROUNDS))  # noqa: B023
            print(f"irregular grid, {name:12s} {hold}   {spent:.3f} s for {STEPS} intervals (limit {limit} s)")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' deprecations
    uniform()
    irregular()
