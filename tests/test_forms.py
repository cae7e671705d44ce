"""One system, every form: recurrent, chunked and convolution give the same outputs and the same final state."""

import re

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import digital_systems, random_matrices, relative
from statespace.simulation import choice
from statespace.simulation.forms import block_length, error_bound

EPS = np.finfo(float).eps
OTHERS = ("chunked", "convolution")
SYSTEMS = digital_systems()


def noise(system, length, seed=0, batch=()):
    return np.random.default_rng(seed).normal(size=(*batch, length, system.n_inputs))


def worst(y, wanted):
    """Largest difference of each system, relative to its own largest output."""
    size = np.abs(wanted).max(axis=(-2, -1), keepdims=True)
    return (np.abs(y - wanted) / np.where(size > 0, size, 1.0)).max(axis=(-2, -1), initial=0.0)


def rotation():
    c, s = 0.99999 * np.cos(0.3), 0.99999 * np.sin(0.3)
    return ss.DiscreteSystem([[c, -s], [s, c]], [[1.0], [0.3]], [[0.5, 1.0]], dt=1.0)


def s4d_layer(batch=()):
    rng = np.random.default_rng(3)
    model = ss.hippo.s4d_lin(64, rng.normal(size=(*batch, 1, 32)) + 1j * rng.normal(size=(*batch, 1, 32)))
    return ss.discretize(model, np.exp(rng.uniform(-7, -2.3, batch)) if batch else 0.01)


def demanding():
    """What the numbers in docs/recurrence_and_convolution.md are about."""
    stiff = ss.ContinuousSystem([[-3000.0, 1.0], [0.0, -1.0]], [[1.0], [1.0]], [[1.0, 1.0]])
    jordan = ss.ContinuousSystem(np.eye(3, k=1) - 0.5 * np.eye(3), [[0.0], [0.0], [1.0]], [[1.0, 0.0, 0.0]])
    legs = ss.hippo.legs(64, np.ones((1, 64)))
    low_rank = ss.hippo.legs_dplr(64)
    return {
        "rotation": rotation(),
        "stiff": ss.discretize(stiff, 0.01),
        "jordan": ss.discretize(jordan, 0.1),
        "band-pass": ss.from_zpk(*signal.butter(8, [0.2, 0.202], "bandpass", output="zpk"), dt=1.0),
        "legs": ss.discretize(legs, 0.01, "bilinear"),
        "legs dplr": ss.discretize(low_rank, 0.01, "s4_bilinear")[:1, :],
        "s4d": s4d_layer(),
        "mimo": ss.discretize(ss.ContinuousSystem(*random_matrices(7, 6, 3, 4)), 0.05, "foh"),
        "batch": s4d_layer((256,)),
    }


DEMANDING = demanding()


@pytest.mark.parametrize("length", [1, 2, 3, 5, 1000, 65_536])
@pytest.mark.parametrize("name", DEMANDING)
def test_forms_agree(name, length):
    """Within 8·eps·κ·min(L, 1/(1 − ρ)) of max|y|, the error model of `error_bound`, and the final states too."""
    system = DEMANDING[name]
    length = min(length, 4096) if name == "batch" else length  # 256 times as many samples
    u, allowed = noise(system, length), error_bound(system, length)
    one = ss.simulate(system, u, form="recurrent")
    for form in OTHERS:
        other = ss.simulate(system, u, form=form)
        assert other.y.shape == one.y.shape
        assert np.all(worst(other.y, one.y) <= allowed), form
        # A state is rounded at every step that it remembers; κ = 1, since a state is seen as it is.
        memory = min(length, 1 / max(1 - np.abs(system.poles).max(), 1 / length))
        assert relative(other.final_state, one.final_state) <= 8 * EPS * max(memory, 8), form


@pytest.mark.parametrize("name", [name for name in DEMANDING if name not in ("batch", "legs dplr")])
def test_forms_agree_over_a_million_samples(name):
    system, length = DEMANDING[name], 1_000_003
    u = noise(system, length)
    one = ss.simulate(system, u, form="recurrent")
    for form in OTHERS:
        other = ss.simulate(system, u, form=form)
        assert np.all(worst(other.y, one.y) <= error_bound(system, length)), form
        # What was measured is far below the model, which has room for the worst alignment of all roundings.
        assert np.all(worst(other.y, one.y) <= 2e-12), form


@pytest.mark.parametrize("name", DEMANDING)
def test_float32_signals(name):
    """Against the run in double: the state is double, so only the output is rounded."""
    system = DEMANDING[name]
    u = noise(system, 4096).astype(np.float32)
    exact = ss.simulate(system, u.astype(float), form="recurrent").y
    for form in ("recurrent", *OTHERS):
        y = ss.simulate(system, u, form=form).y
        assert y.dtype == (np.complex64 if system.is_complex else np.float32)
        assert np.all(worst(y.astype(exact.dtype), exact) < 1e-6), form


# --------------------------------------------------------------- every structure; drawn ones are in tests/test_laws.py


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 200])
@pytest.mark.parametrize("name", SYSTEMS)
def test_forms_agree_from_batches_of_states(name, length):
    """States and signals with batch axes of their own; integrators too, whose answers grow."""
    system = SYSTEMS[name]
    ones = (1,) * len(system.batch_shape)
    u = noise(system, length, batch=(2, *ones))
    for x0 in (np.zeros((3, 1, *ones, system.state_size)), np.ones((3, 1, *ones, system.state_size))):
        one = ss.simulate(system, u, x0=x0, form="recurrent")
        for form in OTHERS:
            other = ss.simulate(system, u, x0=x0, form=form)
            assert other.y.shape == one.y.shape
            assert relative(other.y, one.y) < 1e-13  # 200 roundings of an integrator: 4e-14
            assert relative(other.final_state, one.final_state) < 1e-13


# --------------------------------------------------------------- continuous systems, gaps, infinity


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("hold", ["zoh", "foh"])
def test_a_continuous_system_runs_in_every_form(hold, form):
    """The map of the starting state and the physical final state are the same."""
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    u = np.random.default_rng(0).normal(size=500)
    one = ss.simulate(spring, u, dt=0.05, x0=[1.0, -2.0], hold=hold, form="recurrent")
    other = ss.simulate(spring, u, dt=0.05, x0=[1.0, -2.0], hold=hold, form=form)
    assert relative(other.y, one.y) < 500 * EPS
    assert relative(other.final_state, one.final_state) < 500 * EPS
    short = ss.simulate(spring, u[:1], dt=0.05, x0=[1.0, -2.0], hold=hold, form=form)
    assert relative(short.final_state, [1.0, -2.0]) < 4 * EPS


@pytest.mark.parametrize("form", OTHERS)
def test_gaps_are_reset_in_every_form(form):
    system = SYSTEMS["spring"]
    u = np.random.default_rng(0).normal(size=300)
    u[[40, 41, 222]] = np.nan
    one, other = (ss.simulate(system, u, gaps="reset", form=f) for f in ("recurrent", form))
    assert np.array_equal(np.isnan(one.y), np.isnan(other.y))
    assert relative(np.nan_to_num(other.y), np.nan_to_num(one.y)) < 300 * EPS


def test_infinity_never_goes_backwards_in_the_chunked_form():
    """0·∞ is NaN: the block with the first infinity runs by the recurrence."""
    u = np.ones(300)
    u[200] = np.inf
    one, other = (ss.simulate(SYSTEMS["spring"], u, form=f).y for f in ("recurrent", "chunked"))
    assert np.isfinite(other[:200]).all()
    assert relative(other[:200], one[:200]) < 300 * EPS
    assert np.array_equal(np.isnan(one), np.isnan(other))


@pytest.mark.parametrize(("length", "part"), [(400, "blocks"), (4000, "memory")])
def test_a_spoilt_form_is_noticed(monkeypatch, length, part):
    """The laws above see an A^M that is off by one part in 10¹⁰, in matrix products and over lanes."""
    from statespace.simulation import forms

    system, u = DEMANDING["rotation"], noise(DEMANDING["rotation"], length)
    assert (forms.lane_blocks(system, 1, length) is None) == (part == "blocks")
    sound = getattr(forms, part)
    monkeypatch.setattr(forms, part, lambda *how: sound(*how)._replace(power=sound(*how).power * (1 + 1e-10)))
    spoilt = ss.simulate(system, u, form="chunked").y
    monkeypatch.undo()
    assert worst(spoilt, ss.simulate(system, u, form="recurrent").y) > error_bound(system, length)


# --------------------------------------------------------------- which form, and why


def large(n=64):
    return ss.discretize(ss.ContinuousSystem(*random_matrices(1, n, 1, 1)), 0.01)


def test_auto_is_recurrent_for_what_is_small():
    """Nothing short or of few states pays for matrix products."""
    for name, system in SYSTEMS.items():
        said = ss.explain(system, noise(system, 100))
        assert said.form == "recurrent", name
        assert said.why == "chunks do not cost less than half of it"
        assert said.block is None


def test_auto_takes_what_costs_less_than_half():
    said = ss.explain(large(), np.ones(100_000, np.float32))
    assert (said.form, said.block) == ("chunked", block_length(large()))
    assert said.costs["chunked"] == min(said.costs.values()) < said.costs["recurrent"] / 2
    assert re.fullmatch(r"it costs 0\.\d+ of the recurrence", said.why)
    assert (said.state, said.output) == (np.float64, np.float32)
    u = noise(large(), 20_000)
    auto, chunked, recurrent = (ss.simulate(large(), u, form=form).y for form in ("auto", "chunked", "recurrent"))
    assert np.array_equal(auto, chunked)
    assert not np.array_equal(auto, recurrent)


def test_auto_keeps_to_the_recurrence_where_chunks_would_lose_digits():
    a, b, c, d = large()
    unstable = ss.DiscreteSystem(a * 1.2 / np.abs(np.linalg.eigvals(a)).max(), b, c, d, dt=1.0)
    said = ss.explain(unstable, np.ones(100_000))
    assert (said.form, said.why) == ("recurrent", "chunks would cost less, but the system is not stable")
    transient = ss.DiscreteSystem(ss.Dense(0.5 * np.eye(64) + 5 * np.eye(64, k=1), np.full(64, 0.5)), b, c, d, dt=1.0)
    said = ss.explain(transient, np.ones(100_000))
    assert (said.form, said.why) == ("recurrent", "chunks would cost less, but powers of A grow within a block")


def companion(order, width, n):
    """A band-pass as a companion matrix of n states, a delay in series: its powers grow to 1e5 before they decay."""
    b, a = signal.butter(order, [0.3, 0.3 + width], "bandpass")
    matrix = np.eye(n, k=-1)
    matrix[0, : len(a) - 1] = -a[1:]
    c = np.zeros((1, n))
    c[0, : len(b) - 1] = b[1:] - b[0] * a[1:]
    return ss.DiscreteSystem(matrix, np.eye(n, 1), c, [[b[0]]], dt=1.0)


@pytest.mark.parametrize(("order", "width"), [(3, 0.02), (4, 0.05), (6, 0.1), (8, 0.2)])
def test_growing_powers_shorten_the_blocks(order, width):
    """In blocks of 256, by the count of products, outputs and final states lost up to five digits."""
    system = companion(order, width, 256)
    u, allowed = noise(system, 2000), error_bound(system, 2000)
    exact, state = in_long_double(system, u)
    for form in ("auto", "recurrent", *OTHERS):
        other = ss.simulate(system, u, form=form)
        # In double the sum of twelve products is off by up to 4.3 times the error model, which counts one rounding.
        assert worst(other.y, exact) <= 5 * allowed, form
        assert relative(other.final_state, state) <= 5 * allowed, form


def in_long_double(system, u):
    """Output and final state of a companion matrix, whose step is a shift and one sum."""
    a, _, c, d = (np.asarray(m).astype(np.longdouble) for m in system)
    x, y = np.zeros(len(a), np.longdouble), []
    for now in u:
        y.append(c @ x + d @ now)
        x = np.concatenate([[a[0] @ x + now[0]], x[:-1]])
    return np.array(y), x


def test_explain_knows_continuous_systems_and_uneven_grids():
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    assert ss.explain(spring, np.ones(10), fs=10.0).form == "recurrent"
    uneven = ss.explain(spring, np.ones(3), t=[0.0, 1.0, 3.0])
    assert (uneven.form, uneven.costs) == ("recurrent", {})
    assert "the grid is uneven" in uneven.why
    assert ss.explain(spring, np.ones(10), dt=0.1, form="convolution").why == "as asked"


def test_an_explanation_reads_as_a_sentence():
    text = repr(ss.explain(large(), np.ones(100_000)))
    assert re.match(r"<chunked in blocks of 64 samples: it costs 0\.\d+ of the recurrence", text)
    assert re.search(r"recurrent \d\d\.\d ms", text)
    assert "ms" in text
    assert "state float64, output float64>" in text
    assert "0 µs" in repr(ss.explain(SYSTEMS["spring"], np.ones(0)))


def test_states_are_in_the_recurrence():
    """auto runs it where they are wanted, whatever the cost."""
    u = noise(large(), 20_000)
    run = ss.simulate(large(), u, states=True)
    assert np.array_equal(run.y, ss.simulate(large(), u, form="recurrent").y)


def test_auto_wants_twice_the_speed(monkeypatch):
    monkeypatch.setattr(choice, "costs", lambda *_, **__: {"recurrent": 3.0, "chunked": 1.6, "convolution": 4.0})
    assert ss.explain(SYSTEMS["spring"], np.ones(300)).form == "recurrent"
    monkeypatch.setattr(choice, "costs", lambda *_, **__: {"recurrent": 3.0, "chunked": 1.4, "convolution": 4.0})
    assert ss.explain(SYSTEMS["spring"], np.ones(300)).form == "chunked"


def test_costs_count_every_row_and_a_kernel_for_every_system(monkeypatch):
    """64 signals share a kernel, 64 systems have one each; the rows of a batch of steps count too."""
    system, batch = large(), ss.discretize(ss.ContinuousSystem(*random_matrices(1, 64, 1, 1)), np.full(64, 0.01))
    one, signals, systems = (choice.costs(s, 1000, rows) for s, rows in ((system, 1), (system, 64), (batch, 64)))
    assert signals["recurrent"] == systems["recurrent"] == pytest.approx(64 * one["recurrent"])
    assert signals["convolution"] < 0.3 * systems["convolution"]
    seen, sound = [], choice.costs
    monkeypatch.setattr(
        choice, "costs", lambda s, n, rows, *M, **how: seen.append(rows) or sound(s, n, rows, *M, **how)
    )
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    ss.simulate(spring, np.ones((3, 1, 50, 1)), dt=[0.1, 0.2])
    ss.explain(spring, np.ones((3, 1, 50, 1)), dt=[0.1, 0.2])
    assert seen == [6, 6]


def test_a_complex_state_of_zeros_makes_the_answer_complex():
    for form in ("recurrent", *OTHERS):
        y = ss.simulate(SYSTEMS["spring"], np.ones(100, np.float32), x0=np.zeros(2, complex), form=form).y
        assert y.dtype == np.complex64


def test_the_choice_is_one_rule(monkeypatch):
    """simulate runs what explain says, for discrete and continuous systems."""
    monkeypatch.setattr(choice, "costs", lambda *_, **__: {"recurrent": 3.0, "chunked": 1.0, "convolution": 0.5})
    choice.chosen.cache_clear()
    system, u = SYSTEMS["spring"], noise(SYSTEMS["spring"], 300)
    assert ss.explain(system, u).form == "chunked"
    assert np.array_equal(ss.simulate(system, u).y, ss.simulate(system, u, form="chunked").y)
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    assert ss.explain(spring, u, dt=0.1).form == "chunked"
    assert np.array_equal(ss.simulate(spring, u, dt=0.1).y, ss.simulate(spring, u, dt=0.1, form="chunked").y)
    choice.chosen.cache_clear()
