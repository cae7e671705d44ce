"""Strategies: what they promise, corner by corner, and what a failing example shrinks to."""

import inspect
import itertools
import random
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import statespace as ss
from statespace.simulation.grids import as_grid
from statespace.testing import strategies
from statespace.testing.strategies import (
    bases,
    chunkings,
    discretizations,
    irregular_grids,
    selective_inputs,
    signals,
    stable_poles,
    systems,
    time_steps,
)

LAG = ss.from_zpk([], [-1.0], 1.0)
STIFF = ss.from_zpk([], [-1e-3, -1.0, -1e6], 1.0)
RING = ss.from_zpk([], [-0.1 + 50j, -0.1 - 50j, -1.0], 1.0)
BATCH = ss.ContinuousSystem(ss.Diagonal([[-1.0, 0.0], [-8.0, -1.0]]), np.ones((2, 1)), np.ones((1, 2)))
INTEGRATOR = ss.from_zpk([], [0.0], 1.0)
SYSTEMS = [None, LAG, STIFF, RING, BATCH, INTEGRATOR]
EPS = np.finfo(float).eps


def first(strategy, condition=lambda _: True, phases=(Phase.generate, Phase.shrink)):
    """The simplest example of a condition, the same on every run."""
    how = settings(max_examples=4000, database=None, phases=phases)
    return find(strategy, condition, random=random.Random(0), settings=how)


def meets(strategy, condition):
    """Whether a condition is met at all: NoSuchExample where it is not."""
    first(strategy, condition, [Phase.generate])
    return True


# --------------------------------------------------------------- poles

TIMES = ["continuous", "discrete"]
DISCRETE = {"time": "discrete"}


@pytest.mark.parametrize(
    ("asked", "simplest"),
    [
        ({}, [-1.0]),
        (DISCRETE, [0.5]),
        ({"dtype": complex}, [-1.0]),
        ({"n": 3}, [-1.0, -1.0, -1.0]),
        ({"n": 2, "damping": (0, 0.5)}, [-0.5 + 0.75**0.5 * 1j, -0.5 - 0.75**0.5 * 1j]),
        ({"n": 1, "damping": (0, 0.5), "dtype": complex}, [-0.5 + 0.75**0.5 * 1j]),
        ({"margin": 2.0}, [-2.0]),
        ({"margin": 0.7, **DISCRETE}, [0.3]),
    ],
)
def test_the_simplest_poles(asked, simplest):
    np.testing.assert_allclose(first(stable_poles(**asked)), simplest, rtol=4 * EPS)


def logarithm(poles, time):
    """λ of every pole that has one."""
    return np.log(poles[poles != 0]) if time == "discrete" else poles


@given(st.data(), st.sampled_from(TIMES), st.sampled_from([float, complex]), st.sampled_from([0.0, 1e-6, 0.1, 0.9]))
def test_poles_keep_the_limits(data, time, dtype, margin):
    low, high = data.draw(st.sampled_from([(0.0, 1.0), (0.7, 1.0), (0.8, 0.95), (0.0, 0.8), (0.75, 0.75), (1.0, 1.0)]))
    n = data.draw(st.sampled_from([None, 2, 4]))
    poles = data.draw(stable_poles(n, time=time, dtype=dtype, margin=margin, damping=(low, high)))
    assert poles.dtype == complex
    assert len(poles) == n if n else 1 <= len(poles) <= 6
    if time == "discrete":
        assert np.all(np.abs(poles) <= (1 - margin) * (1 + 4 * EPS))
    else:
        assert np.all(poles.real <= -margin * (1 - 4 * EPS))
    moving = logarithm(poles, time)
    moving = moving[moving != 0]
    # A logarithm is known to eps beside 1, and the slowest are 1e-6.
    damping = -moving.real / np.abs(moving)
    assert np.all((damping >= low - 1e-9) & (damping <= high + 1e-9))
    if dtype is float:
        upper = poles[poles.imag > 0]
        where = np.flatnonzero(poles.imag > 0)
        np.testing.assert_array_equal(poles[where + 1], upper.conj())
        assert np.count_nonzero(poles.imag) == 2 * len(upper)


@given(st.data(), st.sampled_from([1.0, 10.0, 1e6]), st.sampled_from([float, complex]))
def test_speeds_differ_by_the_stiffness_at_most(data, stiffness, dtype):
    speed = np.abs(data.draw(stable_poles(stiffness=stiffness, dtype=dtype)))
    speed = speed[speed > 0]
    assert speed.max(initial=1.0) <= stiffness * speed.min(initial=1.0) * (1 + 2.0**-18)


def apart(poles):
    """Smallest distance of two poles, relative to the larger of them."""
    pairs = itertools.combinations(poles, 2)
    return min((abs(a - b) / max(abs(a), abs(b)) for a, b in pairs if a != b), default=np.inf)


POLES = {
    "an integrator": lambda p: np.any(p == 0),
    "two integrators": lambda p: np.count_nonzero(p == 0) == 2,
    "a double pole": lambda p: np.any(p) and len(set(p[p != 0])) < np.count_nonzero(p),
    "a double pair": lambda p: len(p) == 4 and p[0] == p[2] and p[0].imag > 0,
    "together to 1e-15": lambda p: apart(p) < 1e-14,
    "together to 1e-6": lambda p: 1e-7 < apart(p) < 1e-5,
    "stiff": lambda p: np.abs(p).max() > 3e4 * np.abs(p).min() > 0,
    "undamped": lambda p: np.any((p.real == 0) & (p.imag > 0)),
    "hardly damped": lambda p: np.any((p.real < 0) & (p.imag > 1e5 * -p.real)),
    "well damped": lambda p: np.any((p.imag > 0) & (p.imag < -0.5 * p.real)),
    "six": lambda p: len(p) == 6,
}
DISCRETE_POLES = {
    "an integrator": lambda p: np.any(p == 1),
    "one that forgets at once": lambda p: np.any(p == 0),
    "two that forget at once": lambda p: np.count_nonzero(p == 0) == 2,
    "one that alternates": lambda p: np.any((p.imag == 0) & (p.real < 0)),
    "slow": lambda p: np.any((p.imag == 0) & (np.abs(1 - p - 1e-6) < 1e-9)),
    "slow and turning": lambda p: np.any((p.imag > 0) & (np.abs(p) < 1) & (np.abs(p) > 1 - 2e-6)),
    "a double pole": lambda p: np.any(p) and len(set(p[p != 0])) < np.count_nonzero(p),
    "together to 1e-15": lambda p: apart(p) < 1e-14,
    "undamped": lambda p: np.any((np.abs(np.abs(p) - 1) < 1e-14) & (p.imag > 0)),
    "next to Nyquist": lambda p: np.any((np.angle(p) > 2.9) & (p.imag > 0)),
    "fast": lambda p: np.any((np.abs(p) < 1e-6) & (p != 0)),
}


@pytest.mark.parametrize("corner", POLES)
def test_poles_reach(corner):
    assert meets(stable_poles(), POLES[corner])


@pytest.mark.parametrize("corner", DISCRETE_POLES)
def test_discrete_poles_reach(corner):
    assert meets(stable_poles(time="discrete"), DISCRETE_POLES[corner])


def test_complex_poles_turn_both_ways():
    for kind in TIMES:
        assert meets(stable_poles(1, time=kind, dtype=complex), lambda p: p[0].imag < -0.1)
        assert meets(stable_poles(1, time=kind, dtype=complex), lambda p: p[0].imag > 0.1)


# --------------------------------------------------------------- coordinates


@given(st.data(), st.integers(0, 6))
def test_coordinates_are_well_conditioned(data, n):
    turn, back = data.draw(bases(n))
    assert turn.shape == back.shape == (n, n)
    # Products of n rotations, each rounded, between powers of two of 1/4 to 4.
    np.testing.assert_allclose(turn @ back, np.eye(n), atol=16 * max(n, 1) * EPS)
    assert n == 0 or np.linalg.cond(turn) <= 16 * (1 + 1e-13)


def test_coordinates_reach():
    for n in (0, 1, 4):
        np.testing.assert_array_equal(first(bases(n)), [np.eye(n)] * 2)
    assert meets(bases(3), lambda pair: np.count_nonzero(np.abs(pair[0]) > 0.05) == 8)
    assert meets(bases(2), lambda pair: np.linalg.cond(pair[0]) > 15)
    assert meets(bases(1), lambda pair: pair[0] == 4)


# --------------------------------------------------------------- systems

STRUCTURES = {"dense": ss.Dense, "cascade": ss.Cascade, "diagonal": ss.Diagonal, "pairs": ss.Diagonal}
LAGS = {
    "dense": "[[{0}]], [[1.0]], [[1.0]], [[0.0]]",
    "diagonal": "Diagonal([{0}]), [[1.0]], [[1.0]], [[0.0]]",
    "cascade": "Cascade([({0}+0j)], [None], [{1}])",
}
COMPLEX_LAGS = {
    "dense": "[[({0}+0j)]], [[(1+0j)]], [[(1+0j)]], [[0j]]",
    "diagonal": "Diagonal([({0}+0j)]), [[(1+0j)]], [[(1+0j)]], [[0j]]",
    "low_rank": "DiagonalPlusLowRank([({0}+0j)], [[(1+0j)]], [[({2}+0j)]]), [[(1+0j)]], [[(1+0j)]], [[0j]]",
}


def test_the_simplest_system_is_a_lag():
    for structure in (None, *LAGS):
        text = LAGS[structure or "dense"].format("-1", "1.0").replace("[-1]", "[-1.0]")
        assert repr(first(systems(structure=structure))) == f"ContinuousSystem({text})"
        text = LAGS[structure or "dense"].format("0.5", "0.5")
        assert repr(first(systems("discrete", structure=structure))) == f"DiscreteSystem({text}, dt=1.0)"
    for structure in (None, *COMPLEX_LAGS):
        text = COMPLEX_LAGS[structure or "dense"]
        found = first(systems(dtype=complex, structure=structure))
        assert repr(found) == f"ContinuousSystem({text.format('-1', '', '1')})"
        found = first(systems("discrete", dtype=complex, structure=structure))
        assert repr(found) == f"DiscreteSystem({text.format('0.5', '', '0.5')}, dt=1.0)"


def test_the_simplest_of_the_others():
    (pole,) = first(systems(structure="pairs")).A.diagonal
    assert pole == pytest.approx(-0.9 + 0.19**0.5 * 1j)  # a real pair is what a diagonal is for
    assert repr(first(systems("discrete", structure="delay"))).startswith("DiscreteSystem(DelayLine(length=1), [[1.0]]")
    assert repr(first(systems(max_states=0))) == "ContinuousSystem([], [], [[]], [[1.0]])"
    assert repr(first(systems("discrete", batch=(2,)))) == (
        "DiscreteSystem([[[0.5]], [[0.5]]], [[[1.0]], [[1.0]]], [[[1.0]], [[1.0]]], [[[0.0]], [[0.0]]], dt=1.0)"
    )
    assert first(systems(time_scale=(10, 1e4))).poles == -10
    assert first(systems(margin=1e3)).poles == -1e3
    assert first(systems("discrete", dt=0.1)).dt == 0.1


def test_a_failing_system_shrinks_to_what_matters():
    two = first(systems(), lambda s: s.n_inputs == 2)
    assert repr(two) == "ContinuousSystem([[-1.0]], [[1.0, 1.0]], [[1.0]], [[0.0, 0.0]])"
    assert first(systems(), lambda s: np.abs(s.poles.imag).max(initial=0) > 0).n_states == 2
    assert first(systems(), lambda s: s.n_states > 2).n_states == 3


@st.composite
def asked(draw):
    """Arguments of `systems` that may contradict each other."""
    options = {
        "time": st.sampled_from(TIMES),
        "structure": st.sampled_from([None, "delay", "low_rank", ("dense", "pairs"), *STRUCTURES]),
        "min_states": st.integers(0, 3), "max_states": st.integers(0, 5),
        "inputs": st.sampled_from([1, 2, (1, 2)]), "outputs": st.sampled_from([1, 3, (1, 2)]),
        "batch": st.sampled_from([(), (2,), (2, 1)]), "margin": st.sampled_from([0.0, 1e-9, 0.01, 0.5]),
        "damping": st.sampled_from([(0.0, 1.0), (0.0, 0.5), (0.95, 1.0), (1.0, 1.0), (0.0, 0.0), (0.3, 0.3)]),
        "stiffness": st.sampled_from([1.0, 30.0, 1e6]), "time_scale": st.sampled_from([(1.0, 1.0), (1e-4, 1e4)]),
        "dtype": st.sampled_from([float, complex]),
    }  # fmt: skip
    chosen = draw(st.sets(st.sampled_from(sorted(options))))
    return {name: draw(options[name]) for name in sorted(chosen)}


@settings(max_examples=200)
@given(st.data(), asked())
def test_systems_are_what_was_asked_for_or_refused_at_once(data, options):
    try:
        strategy = systems(**options)
    except ValueError:
        return
    system = data.draw(strategy)
    n, structure = system.n_states, options.get("structure")
    assert isinstance(system, ss.DiscreteSystem if options.get("time") == "discrete" else ss.ContinuousSystem)
    assert options.get("min_states", 0) <= n <= options.get("max_states", 6)
    for count, name in ((system.n_inputs, "inputs"), (system.n_outputs, "outputs")):
        wanted = options.get(name, (1, 2))
        assert count in np.atleast_1d(wanted)
    assert system.batch_shape == options.get("batch", ())
    if n and isinstance(structure, str):
        kinds = STRUCTURES | {"delay": ss.DelayLine, "low_rank": ss.DiagonalPlusLowRank}
        assert type(system.A) is kinds[structure]
        assert system.stores_pairs == (structure == "pairs")
    matrices = [system.B, system.C, system.D, np.asarray(system.A)]
    assert all(np.isfinite(m).all() for m in matrices)
    assert options.get("dtype") is complex or not any(map(np.iscomplexobj, tuple(system)))
    margin = options.get("margin", 0.0)
    if margin:
        assert np.all(system.is_stable)
    # Of a defective matrix that is given without its poles, they are computed to the root of eps.
    loose = 1e-6 * np.abs(np.asarray(system.A)).max(initial=0.0)
    largest = np.abs(system.poles) - 1 if options.get("time") == "discrete" else system.poles.real
    assert np.all(largest <= -margin + loose)


TWO = {"structure": "dense", "min_states": 2, "max_states": 2, "inputs": 1, "outputs": 1}  # where corners are rare


def is_defective(system):
    """A Jordan block: fewer eigenvectors than a double eigenvalue needs."""
    a = system.A.matrix
    return a[0, 0] == a[1, 1] and a[1, 0] == 0 and a[0, 1] != 0


def is_turned(system):
    """A double pole that A times T hides."""
    a, poles = np.asarray(system.A), system.poles
    return system.A.known_poles is not None and len(set(poles)) == 1 and (np.abs(a) > 0.01 * np.abs(poles)).all()


def is_diagonal(system):
    return isinstance(system.A, ss.Diagonal) and not system.stores_pairs


SYSTEMS_OF = {
    "poles that are known": lambda s: isinstance(s.A, ss.Dense) and s.A.known_poles is not None,
    "no states": lambda s: s.n_states == 0,
    "six states": lambda s: s.n_states == 6,
    "an integrator": lambda s: np.any(s.poles == 0),
    "slow": lambda s: 0 < np.abs(s.poles).max(initial=0) < 1e-5,
    "fast": lambda s: np.abs(s.poles).max(initial=0) > 1e6,
    "undamped": lambda s: np.any((s.poles.real == 0) & (s.poles.imag > 0)),
    "an input that misses a mode": lambda s: is_diagonal(s) and (s.B == 0).all(axis=1).any() and s.B.any(),
    "an output that misses a mode": lambda s: is_diagonal(s) and (s.C == 0).all(axis=0).any() and s.C.any(),
    "nothing at all": lambda s: s.n_states == 1 and not (s.C @ s.B).any() and not s.D.any(),
    "feedthrough": lambda s: s.n_states == 1 and s.D.all(),
    "more outputs than inputs": lambda s: s.n_outputs > s.n_inputs,
    "zeros in the right half plane": lambda s: (
        isinstance(s.A, ss.Cascade) and np.any(np.isfinite(s.A.zeros) & (s.A.zeros.real > 0))
    ),
    "as many zeros as poles": lambda s: isinstance(s.A, ss.Cascade) and s.D.all() and s.n_states == 3,
    "real pairs": lambda s: s.stores_pairs and s.n_states == 4,
}


@pytest.mark.parametrize("corner", SYSTEMS_OF)
def test_systems_reach(corner):
    assert meets(systems(), SYSTEMS_OF[corner])


@pytest.mark.parametrize("structure", ["dense", "cascade", "diagonal", "pairs", "delay", "low_rank"])
def test_every_structure_is_drawn(structure):
    kind = (STRUCTURES | {"delay": ss.DelayLine, "low_rank": ss.DiagonalPlusLowRank})[structure]

    def fits(system):
        return type(system.A) is kind and system.n_states > 1 and system.stores_pairs == (structure == "pairs")

    if structure == "low_rank":
        assert meets(systems("discrete", dtype=complex), lambda s: fits(s) and s.A.P.shape[-1] == 2)
    else:
        assert meets(systems("discrete"), fits)
        assert meets(systems("discrete", batch=(2,)), lambda s: fits(s) and s.batch_shape == (2,))


SYSTEMS_OF_TWO = {
    "a Jordan block": ({}, is_defective),
    "a Jordan block of two integrators": ({}, lambda s: is_defective(s) and not s.poles.any()),
    "a Jordan block in other coordinates": ({}, is_turned),
    "a Jordan block at 0": ({"time": "discrete"}, lambda s: is_defective(s) and not s.poles.any()),
    "a Jordan block at 1": ({"time": "discrete"}, lambda s: is_defective(s) and np.all(s.poles == 1)),
    "stiff": ({"max_states": 4}, lambda s: np.abs(s.poles).max() > 1e4 * np.abs(s.poles).min() > 0),
}


@pytest.mark.parametrize("corner", SYSTEMS_OF_TWO)
def test_systems_of_two_states_reach(corner):
    options, condition = SYSTEMS_OF_TWO[corner]
    assert meets(systems(**TWO | options), condition)


DISCRETE_SYSTEMS = {
    "slow": lambda s: np.any(np.abs(s.poles - (1 - 1e-6)) < 1e-9),
    "alternating": lambda s: np.any((s.poles.imag == 0) & (s.poles.real < -0.1)),
    "hours": lambda s: s.dt == 3600,
    "sound": lambda s: s.dt == 1 / 44100,
}


@pytest.mark.parametrize("corner", DISCRETE_SYSTEMS)
def test_discrete_systems_reach(corner):
    assert meets(systems("discrete"), DISCRETE_SYSTEMS[corner])


def test_members_of_a_batch_differ():
    assert meets(systems(batch=(2,)), lambda s: s.n_states == 2 and len(set(s.poles.ravel())) == 4)
    assert meets(systems(batch=(2,)), lambda s: s.n_states == 1 and s.B[0, 0, 0] != s.B[1, 0, 0])


@given(systems(stiffness=1.0, time_scale=(1e2, 1e3), damping=(0.0, 1.0), structure=("dense", "diagonal", "cascade")))
def test_speeds_are_in_the_time_scale(system):
    speed = np.abs(system.poles)
    # A defective matrix has its poles to the root of eps.
    decade = np.log10(speed[speed > 1e-3])
    assert np.all(np.abs(decade - np.round(decade)) < 1e-5)
    assert set(np.round(decade)) <= {2.0, 3.0}


# --------------------------------------------------------------- signals


def test_the_simplest_signal_is_an_impulse():
    np.testing.assert_array_equal(first(signals()), [1.0])
    np.testing.assert_array_equal(first(signals(4)), [1, 0, 0, 0])
    u = first(signals(3, 2, dtype="complex64", batch=(2,)))
    assert u.dtype == np.complex64
    np.testing.assert_array_equal(u, np.broadcast_to([[1, 1], [0, 0], [0, 0]], (2, 3, 2)))


DTYPES = [float, complex, np.float32, np.float64, np.complex64, np.complex128, "float32", np.dtype("complex64")]


@given(st.data(), st.sampled_from(DTYPES), st.integers(0, 40), st.sampled_from([None, 0, 1, 3, 20]))
def test_signals_have_the_shape_and_the_type_asked_for(data, dtype, length, channels):
    batch = data.draw(st.sampled_from([(), (0,), (2,), (2, 1)]))
    u = data.draw(signals(length, channels, dtype=dtype, batch=batch))
    assert u.shape == (*batch, length, *(() if channels is None else (channels,)))
    assert u.dtype == np.dtype(dtype)
    assert np.isfinite(u).all()
    assert u.flags.writeable
    assert u.flags.c_contiguous


@given(signals())
def test_signals_of_no_given_length_have_one_to_64_samples(u):
    assert u.ndim == 1
    assert 1 <= len(u) <= 64


N = np.arange(20)
CORNERS = {
    "step": lambda u: np.ptp(u) == 0 and u[0] == 1,
    "alternating": lambda u: np.array_equal(u, (-1.0) ** N),
    "silence": lambda u: not u.any(),
    "ramp": lambda u: np.array_equal(u, N),
    "last sample alone": lambda u: np.flatnonzero(u).tolist() == [19],
    "before a border": lambda u: np.flatnonzero(u).tolist() == [15],
    "at a border": lambda u: np.flatnonzero(u).tolist() == [16],
    "two spikes": lambda u: np.count_nonzero(u) == 2,
    "tone": lambda u: np.unique(u).size > 10 and np.allclose(u[2:] + u[:-2], u[1:-1] * (u[2] + u[0]) / u[1], atol=1e-9),
    "all different": lambda u: np.unique(u).size == 20,
    "tiny": lambda u: 0 < np.abs(u).max() <= 1e-5,
    "huge": lambda u: np.abs(u).max() >= 1e5,
    "huge beside tiny": lambda u: u.any() and np.abs(u).max() > 1e6 * np.abs(u[np.abs(u) > 0]).min(),
    "broadband": lambda u: (
        (spectrum := np.abs(np.fft.rfft(u))).min() > 0.2 * spectrum.max() and np.ptp(np.abs(u)) > 0.5
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_signals_reach(corner):
    assert meets(signals(20), CORNERS[corner])


def test_short_signals_hold_small_integers():
    assert meets(signals(6), lambda u: u.tolist() == np.round(u).tolist() and len(set(np.abs(u))) == 4)


def test_channels_and_batches_differ():
    assert meets(signals(8, 2), lambda u: u[0, 0] and not u[:, 1].any())  # one is silent
    assert meets(signals(8, 2), lambda u: u[:, 0].any() and np.array_equal(u[:, 1], -u[:, 0]))
    assert meets(signals(8, 2), lambda u: u[0, 0] and np.array_equal(u[3:, 1], u[:-3, 0]) and not u[:3, 1].any())
    assert meets(signals(8, 2), lambda u: np.linalg.matrix_rank(u) == 2)
    assert meets(signals(8, batch=(2,)), lambda u: np.linalg.matrix_rank(u) == 2)
    assert meets(signals(8, 10), lambda u: u[0, 0] and not np.array_equal(u[:, 0], u[:, 8]))  # beyond the drawn ones


def test_complex_signals_are_real_imaginary_and_neither():
    assert meets(signals(4, dtype=complex), lambda u: u.any() and not u.imag.any())
    assert meets(signals(4, dtype=complex), lambda u: u.any() and not u.real.any())
    assert meets(signals(4, dtype=complex), lambda u: abs(np.linalg.det([u.real[:2], u.imag[:2]])) > 0.1)


def test_a_failing_signal_shrinks_to_what_matters():
    assert first(signals(), lambda u: len(u) > 5 and u[5] != 0).tolist() == [1.0] * 6
    u = first(signals(8, 3), lambda u: u[4, 2] != 0)
    assert set(u.flat) == {0.0, 1.0}


def test_long_signals_are_cheap():
    started, drawn = time.perf_counter(), []

    @settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(signals(2000))
    def draw(u):
        drawn.append(len(u))

    draw()
    assert set(drawn) == {2000}
    assert (time.perf_counter() - started) / len(drawn) < 0.02  # 1.5 ms where nothing else runs


# --------------------------------------------------------------- blocks


@given(st.data(), st.integers(0, 300))
def test_blocks_sum_to_the_length(data, length):
    blocks = data.draw(chunkings(length))
    assert blocks
    assert sum(blocks) == length
    assert all(type(n) is int and n >= 0 for n in blocks)


@pytest.mark.parametrize("length", [0, 1, 7, np.int64(64)])
def test_the_simplest_cut_is_none(length):
    assert first(chunkings(length)) == (int(length),)


BLOCKS = {
    "empty first": lambda b: b[0] == 0,
    "empty last": lambda b: b[-1] == 0,
    "empty inside": lambda b: 0 in b[1:-1],
    "empty in a row": lambda b: any(x == y == 0 for x, y in itertools.pairwise(b)),
    "single samples": lambda b: b == (1,) * 21,
    "powers of two": lambda b: b == (8, 8, 5),
    "odd and a remainder": lambda b: b == (6, 6, 6, 3),
    "doubling": lambda b: b == (1, 2, 4, 8, 6),
    "any": lambda b: b == (3, 18),
    "one sample at the end": lambda b: b == (20, 1),
}


@pytest.mark.parametrize("corner", BLOCKS)
def test_cuts_reach(corner):
    assert meets(chunkings(21), BLOCKS[corner])


def test_an_empty_signal_comes_in_empty_blocks():
    assert meets(chunkings(0), lambda b: len(b) == 3)


def test_a_failing_cut_shrinks_to_two_blocks():
    assert first(chunkings(9), lambda b: len(b) > 1) == (0, 9)
    assert first(chunkings(9), lambda b: len([n for n in b if n]) > 1) == (1, 8)


# --------------------------------------------------------------- steps of time


@pytest.mark.parametrize(
    ("system", "simplest"),
    [(None, 1.0), (LAG, 1.0), (INTEGRATOR, 1.0), (STIFF, 1e-6), (BATCH, 0.125), (RING, np.hypot(50, 0.1) ** -1)],
)
@pytest.mark.parametrize("more", [{}, {"aliased": True}, {"trivial": True}])
def test_the_simplest_step_is_the_time_constant_of_the_fastest_pole(system, simplest, more):
    assert first(time_steps(system, **more)) == pytest.approx(simplest, rel=1e-12)


@pytest.mark.parametrize("system", SYSTEMS)
@given(data=st.data(), trivial=st.booleans())
def test_steps_turn_no_oscillation_beyond_nyquist(data, system, trivial):
    step = data.draw(time_steps(system, trivial=trivial))
    assert type(step) is float
    assert 0 < step < np.inf
    if system is not None:
        assert step * np.abs(system.poles.imag).max() <= 0.9 * np.pi * (1 + EPS)


@pytest.mark.parametrize("rate", [1e-3, 1.0, 1e6])
def test_every_pole_sets_the_pace(rate):
    assert first(time_steps(STIFF), lambda dt: 0.9 < dt * rate < 1.1)
    assert first(time_steps(STIFF), lambda dt: 0.03 < dt * rate < 0.04)


@given(time_steps(LAG))
def test_angles_go_from_1_down_to_1_over_32(step):
    assert 1 / 32 <= step <= 1


def test_steps_alias_and_do_nothing_on_demand():
    assert meets(time_steps(RING), lambda dt: dt * 50 == pytest.approx(0.9 * np.pi))  # next to Nyquist
    assert meets(time_steps(RING, aliased=True), lambda dt: dt * 50 > 60)
    assert meets(time_steps(LAG, trivial=True), lambda dt: dt < 1e-6)
    assert meets(time_steps(LAG, trivial=True), lambda dt: dt == 1e6)


def test_computed_poles_at_0_set_no_pace():
    chain = ss.ContinuousSystem([[1e-17, 0.0], [0.0, -2.0]], np.ones((2, 1)), np.ones((1, 2)))
    assert first(time_steps(chain)) == 0.5
    assert first(time_steps(ss.ContinuousSystem(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0))))) == 1.0


# --------------------------------------------------------------- grids


def test_the_simplest_grid_counts_from_0():
    np.testing.assert_array_equal(first(irregular_grids()), [0.0])
    np.testing.assert_array_equal(first(irregular_grids(length=5)), np.arange(5.0))
    np.testing.assert_array_equal(first(irregular_grids(uniform=True)), [0.0, 1.0])
    np.testing.assert_array_equal(first(irregular_grids(STIFF, 3)), np.arange(3) * (1 / 1e6))


@pytest.mark.parametrize("system", SYSTEMS)
@given(data=st.data(), length=st.sampled_from([None, 0, 1, 2, 3, 200]))
def test_grids_increase(data, system, length):
    t = data.draw(irregular_grids(system, length))
    assert t.dtype == np.float64
    assert t.ndim == 1
    assert len(t) == length if length is not None else 1 <= len(t) <= 64
    assert np.isfinite(t).all()
    if len(t) > 1:
        assert np.all(np.diff(t) >= 0.999e6 * EPS * np.abs(t).max())


@pytest.mark.parametrize("system", SYSTEMS)
@given(data=st.data(), length=st.sampled_from([None, 2, 3, 17, 200, 3000]))
def test_uniform_grids_are_seen_as_uniform(data, system, length):
    t = data.draw(irregular_grids(system, length, uniform=True))
    assert len(t) == length if length is not None else 2 <= len(t) <= 64
    grid = as_grid(t, None, None, len(t), "s")
    assert grid.dt is not None
    step = (t[-1] - t[0]) / (len(t) - 1)
    assert np.abs(t - t[0] - step * np.arange(len(t))).max() <= 4 * EPS * np.abs(t).max()


def seen(t):
    return as_grid(t, None, None, len(t), "s")


def steps(t):
    return np.diff(t) / np.diff(t).min()


GRIDS = {
    "uniform": lambda t: seen(t).dt is not None,
    "two steps": lambda t: np.unique(np.round(steps(t), 6)).size == 2,
    "a gap": lambda t: np.sort(steps(t))[-2] < 1.01 and steps(t).max() > 3,
    "a long gap": lambda t: np.sort(steps(t))[-2] < 1.01 and steps(t).max() > 900,
    "all different": lambda t: np.unique(np.round(steps(t), 6)).size == 11,
    "nearly uniform": lambda t: seen(t).dt is None and steps(t).max() < 1 + 1e-8,
    "over decades": lambda t: steps(t).max() > 1e5,
    "few digits": lambda t: 1 < steps(t).max() < 1.5 and np.unique(np.round(steps(t), 6)).size == 2,
    "Unix time": lambda t: t[0] == 1.7e9,
    "below Unix time": lambda t: 1e5 < t[0] < 1.6e9 and np.diff(t).min() < 2e6 * EPS * t[-1],
    "through 0": lambda t: t[0] < 0 < t[-1],
    "from one step": lambda t: t[0] == t[1] - t[0],
}


@pytest.mark.parametrize("corner", GRIDS)
def test_grids_reach(corner):
    assert meets(irregular_grids(LAG, 12), GRIDS[corner])


def test_uniform_grids_are_written_in_several_ways():
    def not_counted(t):
        return t[0] == 0 and not np.array_equal(t, np.arange(len(t)) * t[1])

    def falls_short(t):  # the length that floor makes of the last stamp
        return int(np.floor(t[-1] / t[1])) + 1 != len(t)

    assert meets(irregular_grids(RING, 40, uniform=True), not_counted)
    assert meets(irregular_grids(RING, 40, uniform=True), lambda t: t[0] == 0 and falls_short(t))
    assert meets(irregular_grids(RING, uniform=True), lambda t: np.ptp(np.diff(t)) > 1e-9 * (t[1] - t[0]))  # jitter


def test_a_running_sum_that_leaves_the_line_is_replaced():
    assert meets(irregular_grids(LAG, 20000, uniform=True), lambda t: seen(t).dt is not None and t[0] == t[1] - t[0])


def test_a_single_stamp_is_a_grid():
    assert meets(irregular_grids(), lambda t: t.shape == (1,))
    assert first(irregular_grids(length=0)).shape == (0,)


# --------------------------------------------------------------- methods


def test_the_simplest_method_is_the_zero_order_hold():
    for strategy in (discretizations(), discretizations(0.1, keeps_stability=True, siso=True)):
        assert first(strategy) == ss.ZeroOrderHold()


METHODS = [
    ss.ZeroOrderHold("current"), ss.FirstOrderHold(), ss.Impulse(), ss.ExponentialTrapezoidal(), ss.Bilinear(),
    ss.ExponentialTrapezoidal(0.0), ss.ExponentialTrapezoidal(1.0), ss.GeneralizedBilinear(0.5), ss.BackwardEuler(),
    ss.GeneralizedBilinear(1.0), ss.Bilinear(tap="current"),
]  # fmt: skip
UNSTABLE = [ss.ForwardEuler(), ss.GeneralizedBilinear(0.0)]


@pytest.mark.parametrize("method", [*METHODS, *UNSTABLE], ids=str)
def test_methods_reach(method):
    assert meets(discretizations(), lambda m: m == method)
    assert method in UNSTABLE or meets(discretizations(keeps_stability=True), lambda m: m == method)


def test_methods_have_drawn_weights():
    for kind in (ss.GeneralizedBilinear, ss.ExponentialTrapezoidal):
        assert meets(discretizations(), lambda m, kind=kind: isinstance(m, kind) and 0.1 < m.w < 0.4)


def test_every_method_of_the_library_is_drawn():
    kinds = {type(m) for m in ss.discretization.names.METHODS.values()} | {ss.GeneralizedBilinear}
    for kind in kinds:
        assert meets(discretizations(siso=True), lambda m, kind=kind: isinstance(m, kind))


@given(discretizations(keeps_stability=True, siso=True))
def test_stable_stays_stable(method):
    for pole in (-1e-3, -1.0, -1e3):
        assert ss.discretize(ss.from_zpk([], [pole], 1.0), 1.0, method).is_stable


@given(discretizations())
def test_nothing_is_prewarped_without_a_step_nor_matched_without_siso(method):
    assert not isinstance(method, ss.MatchedPoles)
    assert getattr(method, "prewarp", None) is None
    ss.discretize(ss.append(LAG, RING), 0.01, method)


@given(st.data(), st.sampled_from([1e-6, 0.1, 1.0, 1e4]))
def test_prewarping_stays_below_nyquist(data, dt):
    method = data.draw(discretizations(dt, siso=True))
    if getattr(method, "prewarp", None):
        assert 0.049 < method.prewarp * dt / np.pi < 0.91
    ss.discretize(LAG, dt, method)


def test_prewarping_is_reached():
    for tap in ("previous", "current"):
        for low, high in ((0.0, 0.1), (0.85, 1.0)):

            def inside(m, tap=tap, low=low, high=high):
                return getattr(m, "prewarp", None) and m.tap == tap and low < m.prewarp * 0.2 / np.pi < high

            assert meets(discretizations([0.1, 0.2]), inside)  # of a batch the longest step counts


# --------------------------------------------------------------- selective inputs


def test_the_simplest_selective_input_is_an_impulse_into_a_lag():
    for more in ({}, {"constant": True}, {"dtype": complex}):
        x = first(selective_inputs(length=2, **more))
        rows = 1 if more.get("constant") else 2
        for value, wanted in zip(x, ([[1], [0]], [[1]] * 2, [[-1]], [[1]] * rows, [[1]] * rows, [0]), strict=True):
            np.testing.assert_array_equal(value, wanted)
    assert first(selective_inputs()).u.shape == (1, 1)


@given(
    st.data(), st.sampled_from([0, 1, 5]), st.sampled_from([None, 0, 4, 12]), st.sampled_from([None, 0, 3]),
    st.sampled_from([None, 1, 2, 4]), st.sampled_from([(), (2,), (0,), (2, 3)]), st.booleans(), st.sampled_from(DTYPES),
)  # fmt: skip
def test_selective_inputs_have_the_shapes_asked_for(data, length, channels, states, groups, batch, constant, dtype):
    kwargs = {"groups": groups, "batch": batch, "constant": constant, "dtype": dtype}
    x = data.draw(selective_inputs(length, channels, states, **kwargs))
    (d, n), rows = x.A.shape, 1 if constant else length
    assert d == channels if channels is not None else 1 <= d <= 4 * (groups or 1)
    assert n == states if states is not None else 1 <= n <= 4
    assert d % (groups or 1) == 0
    assert x.u.shape == x.delta.shape == (*batch, length, d)
    assert x.B.shape == x.C.shape == (*batch, rows, *(() if groups is None else (groups,)), n)
    assert x.D.shape == (d,)
    assert {v.dtype for v in (x.u, x.A, x.B, x.C, x.D)} == {np.dtype(dtype)}
    assert x.delta.dtype == np.zeros(0, dtype).real.dtype
    assert all(np.isfinite(v).all() and v.flags.writeable for v in x)
    assert np.all(x.delta >= 0)
    assert np.all(x.A.real <= 0)


@given(selective_inputs(6, 3, constant=True, batch=(2,)))
def test_constant_inputs_are_a_system_that_never_changes(x):
    assert np.all(x.delta > 0)
    assert np.array_equal(x.delta, np.broadcast_to(x.delta[:, :1], x.delta.shape))


def moved(x):
    return x.delta[..., None] * np.abs(x.A)


SELECTIVE = {
    "a hold": lambda x: (x.delta == 0).any() and (x.delta > 0).any(),
    "all held": lambda x: not x.delta.any(),
    "an integrator": lambda x: (x.A == 0).any() and (x.A < 0).any(),
    "stiff": lambda x: x.A.min() <= -1e6 and x.A.max() >= -1e-6,
    "as in Mamba": lambda x: np.array_equal(x.A, [[-1, -2, -3]] * 2),
    "forgets at once": lambda x: moved(x).max() > 50,
    "hardly moves": lambda x: x.delta.all() and x.A.all() and moved(x).max() < 1e-5,
    "steps change over time": lambda x: np.ptp(x.delta, axis=0).all(),
    "steps differ by channel": lambda x: np.ptp(x.delta, axis=1).all(),
    "B changes over time": lambda x: np.ptp(x.B, axis=0).all(),
    "C differs from B": lambda x: x.B.any() and x.C.any() and not np.array_equal(x.B, x.C),
    "feedthrough": lambda x: x.D.all() and x.D[0] != x.D[1],
}


@pytest.mark.parametrize("corner", SELECTIVE)
def test_selective_inputs_reach(corner):
    assert meets(selective_inputs(4, 2, 3), SELECTIVE[corner])


def test_complex_poles_ring_and_turn():
    x = selective_inputs(4, 2, 3, dtype=complex)
    assert meets(x, lambda x: np.any((x.A.real == 0) & (x.A.imag != 0)))  # a pure oscillation
    assert meets(x, lambda x: np.any((x.A.real < 0) & (np.abs(x.A.imag) > 100 * np.abs(x.A.real))))
    assert meets(x, lambda x: np.any(x.A.imag < 0))
    assert meets(x, lambda x: x.B.imag.any())


def test_strategies_are_plain_functions():
    for name in set(strategies.__all__) - {"SelectiveInputs"}:
        function = getattr(strategies, name)
        assert inspect.isfunction(function)
        assert isinstance(function(*([3] if name in ("bases", "chunkings") else [])), st.SearchStrategy)
