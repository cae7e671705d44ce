"""Laws for code that is not this library's: a hand-written biquad, SciPy's cont2discrete, python-control's c2d.

    python -m pytest examples/test_your_own_filter.py

Each test is one law on systems, steps and signals that Hypothesis draws, some hundred of them, corners included. The
ranges are those in which the code is right; beside each stands what is found beyond it. Needs pytest and the extra
`testing`; python-control's part is skipped where python-control is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import statespace as ss
from statespace.testing import strategies

# The same cases every time, as a test suite wants them; without derandomize=True every run looks further.
settings.register_profile("laws", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("laws")


# --------------------------------------------------------------- a filter of your own


def biquad(section: Any, u: Any, state: Any = None) -> tuple[Any, Any]:
    """Transposed direct form II: a block of samples, from a state or from rest."""
    b0, b1, b2, _, a1, a2 = section
    s1, s2 = (0.0, 0.0) if state is None else state
    y = np.zeros(len(u))
    for k, x in enumerate(u):
        y[k] = b0 * x + s1
        s1, s2 = b1 * x - a1 * y[k] + s2, b2 * x - a2 * y[k]
    return y, (s1, s2)


def written_as_a_system(section: Any) -> ss.DiscreteSystem:
    """The same recurrence, s1 and s2 being its state: with `system=`, what rounding may do to it is known."""
    b0, b1, b2, _, a1, a2 = section
    return ss.DiscreteSystem([[-a1, 1], [-a2, 0]], [[b1 - a1 * b0], [b2 - a2 * b0]], [[1, 0]], [[b0]], dt=1.0)


# (b0, b1, b2, 1, a1, a2). The poles stay 0.02 from the unit circle: nearer to it, a1 and a2 no longer say where they
# are, and `to_sos` warns of it. slack=10, since b1·x − a1·y may cancel where a zero is beside a pole.
filters = strategies.systems("discrete", structure="cascade", min_states=2, max_states=2, margin=0.02)
sections = filters.map(lambda system: ss.to_sos(system)[0])


@given(sections, strategies.signals(50), strategies.signals(50), st.integers(0, 20))
def test_the_biquad_is_linear_and_time_invariant(section: Any, u: Any, v: Any, delay: int) -> None:
    ss.testing.assert_linear(lambda u: biquad(section, u)[0], u, v, system=written_as_a_system(section), slack=10)
    ss.testing.assert_time_invariant(lambda u: biquad(section, u)[0], u, delay, exact=True)


@given(sections, strategies.signals(50), strategies.chunkings(50))
def test_the_biquad_goes_on_where_it_stopped(section: Any, u: Any, chunks: Any) -> None:
    """The same bits, however a signal is cut; a block that forgets s2 is found here."""
    ss.testing.assert_streaming_agrees(lambda block, state: biquad(section, block, state), u, chunks, exact=True)


@given(sections, strategies.signals(200))
def test_the_biquad_is_its_transfer_function(section: Any, u: Any) -> None:
    own, wanted = written_as_a_system(section), ss.from_sos(section[None], dt=1.0)
    ss.testing.assert_equivalent(lambda u: biquad(section, u)[0], wanted, u, system=own, slack=10)


# --------------------------------------------------------------- a discretization that is not yours

# Speeds within a factor of 30, damping from 0.2. With speeds a million apart SciPy's zoh and foh are beyond this bound,
# measured by up to 30,000 times; through zpk, from order 8 on, by more than a million times (docs/testing.md).
plants = strategies.systems(structure="dense", min_states=1, stiffness=30.0, margin=1e-3, damping=(0.2, 1.0))
scipy_names = {"zoh": "zoh", "foh": "foh", "bilinear": "bilinear", "backward_euler": "backward_diff"}


def hold_to_ours(discretization: Callable[..., Any], name: str, system: ss.ContinuousSystem, dt: float) -> None:
    """The same kernel, to what the matrices of a dense system can be known to: eps times ‖ΔA‖."""
    theirs = ss.testing.from_matrices(discretization)(system, dt)
    angle = float(np.linalg.norm(np.asarray(system.A))) * dt
    ss.testing.assert_equivalent(theirs, ss.discretize(system, dt, name), angle=angle, slack=10)


@pytest.mark.parametrize("name", scipy_names)
@given(plants, st.data())
def test_scipy_discretizes_alike(name: str, system: ss.ContinuousSystem, data: Any) -> None:
    def scipy(A: Any, B: Any, C: Any, D: Any, dt: float) -> Any:
        return signal.cont2discrete((A, B, C, D), dt, scipy_names[name])

    hold_to_ours(scipy, name, system, data.draw(strategies.time_steps(system)))


@pytest.mark.parametrize(("name", "order"), [("zoh", 1), ("foh", 2), ("bilinear", 2), ("backward_euler", 1)])
def test_scipy_converges_as_fast_as_it_should(name: str, order: int) -> None:
    scipy = ss.testing.from_matrices(lambda A, B, C, D, dt: signal.cont2discrete((A, B, C, D), dt, scipy_names[name]))
    ss.testing.assert_discretization_order(scipy, order)


@pytest.mark.parametrize("name", ["zoh", "foh", "bilinear"])
@given(plants, st.data())
def test_python_control_discretizes_alike(name: str, system: ss.ContinuousSystem, data: Any) -> None:
    control = pytest.importorskip("control", reason="python-control is not installed")

    def theirs(A: Any, B: Any, C: Any, D: Any, dt: float) -> Any:
        return control.c2d(control.ss(A, B, C, D), dt, name)  # a system of theirs is read as well

    hold_to_ours(theirs, name, system, data.draw(strategies.time_steps(system)))
