"""Laws that hold for every system, on drawn ones: poles, damping, time scales and bases are drawn, not raw floats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from gallery import METHODS, relative

SIZES = st.integers(1, 5)


@st.composite
def continuous(draw):
    """A stable system: real and complex poles from 1e-2 to 1e2, some of them equal, in a mild random basis."""
    n, m, p = draw(SIZES), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    rates = draw(st.lists(st.sampled_from([0.01, 0.1, 0.5, 1.0, 1.0, 3.0, 100.0]), min_size=n, max_size=n))
    a = -np.diag(rates)
    for i in range(n - 1):
        coupling = draw(st.sampled_from([0.0, 1.0, 5.0]))
        if coupling and draw(st.booleans()):
            a[i + 1, i + 1] = a[i, i]
            a[i, i + 1], a[i + 1, i] = coupling, -coupling
        else:
            a[i, i + 1] = coupling  # with equal rates a Jordan block
    entries = st.integers(-3, 3)
    b = np.array(draw(st.lists(entries, min_size=n * m, max_size=n * m)), float).reshape(n, m)
    c = np.array(draw(st.lists(entries, min_size=p * n, max_size=p * n)), float).reshape(p, n)
    d = np.array(draw(st.lists(entries, min_size=p * m, max_size=p * m)), float).reshape(p, m)
    return ss.ContinuousSystem(a, b, c, d)


def drawn_signal(system, length, seed):
    return np.random.default_rng(seed).normal(size=(length, system.n_inputs))


def scale_of(system, y, *states):
    """What rounding is measured against: the output, and what the states contribute to it."""
    inner = max(
        (np.abs(system.C).sum(axis=-1).max(initial=0.0) * np.abs(x).max(initial=0.0) for x in states), default=0
    )
    return max(np.abs(y).max(initial=0.0), inner, 1e-300)


STEPS = st.sampled_from([1e-3, 0.05, 0.3, 2.0])
SEEDS = st.integers(0, 5)


@given(continuous(), STEPS)
def test_semigroup(system, dt):
    """Two steps of Δ are one of 2Δ under a constant input (zoh)."""
    once, twice = ss.discretize(system, dt), ss.discretize(system, 2 * dt)
    a, b = np.asarray(once.A), once.B
    norm = 1 + np.abs(np.asarray(system.A)).sum() * dt
    # eps·‖ΔA‖ on both sides, with the squarings of the larger one.
    assert np.max(np.abs(a @ a - np.asarray(twice.A))) <= 1e-15 * norm * max(1, np.abs(a).max()) ** 2 * 4
    assert np.max(np.abs(a @ b + b - twice.B), initial=0) <= 1e-15 * norm * max(
        np.abs(b).max(initial=0), 1e-300
    ) * 8 * (1 + np.abs(a).max())


@given(continuous(), STEPS, st.sampled_from(sorted(METHODS)), SEEDS)
def test_linearity(system, dt, method, seed):
    """Superposition and scaling: y(2 u1 − 3 u2) = 2 y(u1) − 3 y(u2)."""
    method = METHODS[method]
    digital = ss.discretize(system, dt, method) if method not in ("euler",) else ss.discretize(system, 1e-3, method)
    u1, u2 = drawn_signal(system, 40, seed), drawn_signal(system, 40, seed + 100)
    runs = [ss.simulate(digital, u, states=True) for u in (u1, u2, 2 * u1 - 3 * u2)]
    scale = scale_of(digital, np.stack([r.y for r in runs]), *(r.x for r in runs))
    # 40 steps of rounding, each a few eps of the largest state.
    assert np.max(np.abs(2 * runs[0].y - 3 * runs[1].y - runs[2].y)) <= 40 * 8 * np.finfo(float).eps * scale


@given(continuous(), STEPS, SEEDS, st.integers(0, 10))
def test_time_invariance(system, dt, seed, delay):
    """A delayed input gives the same bits later."""
    digital = ss.discretize(system, dt, "foh")
    u = drawn_signal(system, 30, seed)
    late = np.concatenate([np.zeros((delay, system.n_inputs)), u])
    assert np.array_equal(ss.simulate(digital, late).y[delay:], ss.simulate(digital, u).y)


@given(continuous(), STEPS, st.sampled_from(sorted(METHODS)), SEEDS)
def test_similarity_invariance(system, dt, method, seed):
    """A rotation of the state changes nothing that can be seen from outside."""
    method = METHODS[method]
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(system.n_states,) * 2))[0]
    a, b, c, d = system
    turned = ss.ContinuousSystem(q @ a @ q.T, q @ b, c @ q.T, d)
    dt = 1e-3 if method == "euler" else dt
    one, other = (ss.impulse_response(ss.discretize(s, dt, method), 30).y for s in (system, turned))
    # Rotating A rounds it by eps·‖A‖, which 30 steps of dt remember; the input-state-output gain bounds the rest.
    moved = np.finfo(float).eps * (1 + np.linalg.norm(a) * dt * 30)
    gain = np.linalg.norm(b) * np.linalg.norm(c) * max(dt, 1.0) * (1 + np.linalg.norm(np.asarray(a))) + np.linalg.norm(
        d
    )
    assert np.max(np.abs(one - other)) <= 300 * moved * gain


@given(continuous(), STEPS, SEEDS)
def test_simulating_is_discretizing(system, dt, seed):
    """simulate of a continuous system is its discretization from the mapped state, for both holds."""
    u = drawn_signal(system, 30, seed)
    for hold in ("zoh", "foh"):
        digital = ss.discretize(system, dt, hold)
        start = ss.initial_state(system, dt, hold, None, u[0])
        assert np.array_equal(ss.simulate(system, u, dt=dt, hold=hold).y, ss.simulate(digital, u, x0=start).y)


@given(continuous(), SEEDS)
def test_series_is_one_after_the_other(system, seed):
    """Algebra and simulation agree: the series system under foh-free zoh holds the first output at the stamps."""
    digital = ss.discretize(system, 0.1)
    back = ss.DiscreteSystem([[0.5]], np.ones((1, system.n_outputs)), [[1.0]], dt=0.1)
    u = drawn_signal(system, 30, seed)
    both = ss.simulate(ss.series(digital, back), u, states=True)
    wanted = ss.simulate(back, ss.simulate(digital, u).y).y
    assert relative(both.y, wanted) <= 1e-12 or np.abs(both.y - wanted).max() <= 1e-14 * scale_of(back, both.y, both.x)
