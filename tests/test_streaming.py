"""Stream: any blocks give the bits of one run, the state is small, explicit and safe. How much history matters."""

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from gallery import digital_systems

SYSTEMS = digital_systems()
SINGLE = [name for name, system in SYSTEMS.items() if system.is_siso and system.n_states]
CUTS = st.lists(st.integers(0, 50), max_size=6)


def edges_of(cuts, length=50):
    edges = [0, *sorted(cuts), length]
    return list(pairwise(edges))


# --------------------------------------------------------------- the same bits


@given(st.sampled_from(sorted(SYSTEMS)), CUTS, st.sampled_from([(), (3,)]), st.booleans())
def test_any_blocks_are_one_run(name, cuts, batch, single):
    """MIMO, every structure, empty blocks included, float32 and float64, with batch axes of the signal."""
    system = SYSTEMS[name]
    batch = (*batch, *(1,) * len(system.batch_shape)) if batch else ()
    u = np.random.default_rng(0).normal(size=(*batch, 50, system.n_inputs))
    u = u.astype(np.float32) if single else u
    stream = ss.Stream(system)
    y = np.concatenate([stream.push(u[..., a:b, :]) for a, b in edges_of(cuts)], axis=-2)
    whole = ss.simulate(system, u, form="recurrent")
    assert np.array_equal(y, whole.y)
    assert y.dtype == whole.y.dtype
    assert np.array_equal(stream.state, whole.final_state)


@given(st.sampled_from(SINGLE), CUTS, st.sampled_from([0, 1, -1]), st.sampled_from(["zero", "steady", None]))
def test_any_blocks_of_channels_are_one_filter_call(name, cuts, axis, state):
    system = SYSTEMS[name]
    state = "zero" if np.any(np.abs(system.poles - 1) < 1e-9) and state == "steady" else state
    x = np.moveaxis(np.random.default_rng(0).normal(size=(50, 2, 3)), 0, axis)
    stream = ss.Stream(system, axis=axis, state=state)
    pieces = [np.take(x, range(a, b), axis=axis) for a, b in edges_of(cuts)]
    y = np.concatenate([stream.push(piece) for piece in pieces], axis=axis)
    whole, final = ss.filter(system, x, axis=axis, state="zero" if state is None else state)
    assert np.array_equal(y, whole)
    assert np.array_equal(stream.state, final)


def test_a_layer_streams_its_channels():
    """256 systems with their own steps over (batch, L, 256)."""
    layer = ss.discretize(ss.hippo.s4d_lin(8), np.geomspace(1e-3, 1e-1, 256))
    u = np.random.default_rng(0).normal(size=(2, 40, 256)).astype(np.float32)
    stream = ss.Stream(layer, axis=1)
    y = np.concatenate(list(stream.run([u[:, :7], u[:, 7:8], u[:, 8:8], u[:, 8:]])), axis=1)
    assert np.array_equal(y, ss.filter(layer, u, axis=1))
    assert stream.state.shape == (2, 256, 4)


def test_one_sample_at_a_time():
    system = SYSTEMS["sections"]
    u = np.random.default_rng(0).normal(size=60)
    stream = ss.Stream(system)
    assert np.array_equal([stream.push([v])[0] for v in u], ss.simulate(system, u, form="recurrent").y)


def test_run_answers_as_blocks_come():
    """It is lazy: nothing is pulled from a source before it is asked for."""
    asked = []

    def source():
        for k in range(3):
            asked.append(k)
            yield np.ones(2)

    answers = ss.Stream(SYSTEMS["sections"]).run(source())
    assert asked == []
    next(answers)
    assert asked == [0]
    assert len(list(answers)) == 2


# --------------------------------------------------------------- the state


def test_a_stream_goes_on_where_another_stands():
    """By its state alone, which is small, or pickled as a whole."""
    system = SYSTEMS["dense"]
    u = np.random.default_rng(0).normal(size=(50, system.n_inputs))
    first = ss.Stream(system)
    first.push(u[:20])
    assert first.state.shape == (system.state_size,)
    wanted = ss.simulate(system, u, form="recurrent").y[20:]
    copy = pickle.loads(pickle.dumps(first))
    assert np.array_equal(ss.Stream(system, state=pickle.loads(pickle.dumps(first.state))).push(u[20:]), wanted)
    assert np.array_equal(copy.push(u[20:]), wanted)
    assert np.array_equal(first.push(u[20:]), wanted)


def test_an_error_leaves_the_state_as_it_was():
    system = SYSTEMS["dense"]
    stream = ss.Stream(system)
    stream.push(np.ones((5, 2)))
    before = stream.state
    for wrong in (np.ones((5, 3)), np.ones((2, 5, 2)), "noise", np.ones(5)):
        with pytest.raises((ValueError, TypeError)):
            stream.push(wrong)
        assert stream.state is before
    assert np.array_equal(stream.push(np.ones((5, 2))), ss.simulate(system, np.ones((10, 2)), form="recurrent").y[5:])


def test_nobody_can_write_into_the_state():
    given_state = np.ones(2)
    stream = ss.Stream(SYSTEMS["spring"], state=given_state)
    given_state[:] = 7.0
    assert stream.state.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        stream.state[0] = 0.0
    stream.push(np.ones(3))
    with pytest.raises(ValueError, match="read-only"):
        stream.state[0] = 0.0


def test_a_steady_stream_waits_for_its_first_sample():
    smooth = ss.from_ba([0.5], [1.0, -0.5], dt=1.0)
    stream = ss.Stream(smooth, state="steady")
    assert stream.state == "steady"
    assert stream.push([]).shape == (0,)
    assert stream.state == "steady"
    assert stream.push([3.0, 3.0]).tolist() == [3.0, 3.0]


def test_nan_stays_from_its_sample_on():
    """In the channel that it is in, as in filter."""
    x = np.ones((20, 2))
    x[5, 1] = np.nan
    stream = ss.Stream(SYSTEMS["sections"], axis=0)
    y = np.concatenate([stream.push(x[:3]), stream.push(x[3:9]), stream.push(x[9:])])
    assert np.isfinite(y[:, 0]).all()
    assert np.isfinite(y[:5, 1]).all()
    assert np.isnan(y[5:, 1]).all()


def test_a_complex_block_makes_the_state_complex():
    stream = ss.Stream(SYSTEMS["spring"])
    u = np.concatenate([np.ones(5), 1j * np.ones(5)])
    y = np.concatenate([stream.push(u[:5].real), stream.push(u[5:])])
    assert np.allclose(y, ss.simulate(SYSTEMS["spring"], u).y, rtol=1e-15, atol=0)
    assert stream.state.dtype == complex


def test_a_stream_shows_itself():
    text = repr(ss.Stream(ss.from_ba([0.5], [1.0, -0.5], dt=1.0), axis=0))
    assert text.startswith("<Stream of DiscreteSystem(")
    assert text.endswith(", axis=0, state None>")


# --------------------------------------------------------------- warmup


def test_after_warmup_the_first_block_compiles_nothing():
    """In a new process, for every structure: numba compiles no signature after warmup."""
    code = """
import numpy as np, statespace as ss, time
import sys; sys.path.insert(0, "tests")
from gallery import digital_systems
from statespace import cpu
def compiled():
    return sum(len(f.signatures) for f in vars(cpu).values() if hasattr(f, "signatures"))
for name, system in digital_systems().items():
    for kind in (np.float32, np.float64):
        ss.warmup(system, like=np.zeros(0, kind))
        before = compiled()
        stream = ss.Stream(system)
        for _ in range(3):
            stream.push(np.ones((4, system.n_inputs), kind))
        assert compiled() == before, name
print(compiled())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 10


# --------------------------------------------------------------- how much history matters


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-12])
@pytest.mark.parametrize("name", [name for name in SYSTEMS if np.all(SYSTEMS[name].is_stable)])
def test_settling_is_where_the_kernel_may_be_cut(name, tol):
    """S is the smallest count whose tail is below tol of the sum, in every channel."""
    system = SYSTEMS[name]
    settled = ss.settling_samples(system, tol)
    size = np.abs(ss.kernel(system, 6000))
    total = size.sum(axis=-3)
    assert np.all(size[..., settled:, :, :].sum(axis=-3) <= tol * total * (1 + 1e-9))
    if settled:
        assert np.any(size[..., settled - 1 :, :, :].sum(axis=-3) > tol * total * (1 - 1e-9))


@given(st.floats(0.1, 0.999), st.floats(1e-9, 0.5))
def test_settling_of_one_pole_is_a_logarithm(pole, tol):
    """h_k = a^{k−1}: the tail from S on is a^{S−1} of the sum."""
    system = ss.DiscreteSystem([[pole]], [[1.0]], [[1.0]], dt=1.0)
    exact = 1 + np.log(tol) / np.log(pole)
    assert abs(ss.settling_samples(system, tol) - exact) <= 1.0 + 1e-6 * exact


def test_forgetting_what_is_older_changes_no_output_by_more():
    """What it promises: an output from the last S inputs alone is off by tol of Σ|h|·max|u|."""
    system, rng = SYSTEMS["sections"], np.random.default_rng(0)
    settled = ss.settling_samples(system, 1e-4)
    u = rng.uniform(-1, 1, size=3000)
    whole = ss.simulate(system, u).y[-1]
    recent = ss.simulate(system, u[-settled:]).y[-1]
    assert abs(whole - recent) <= 1e-4 * np.abs(ss.kernel(system, 3000)).sum()


def test_settling_sees_a_late_answer():
    """A tap after 5000 samples of silence, a weak slow mode beside a strong quick one, a comb with an echo."""
    late = ss.from_ba(np.eye(1, 5001, 5000)[0], [1.0], dt=1.0)
    assert ss.settling_samples(late) == 5001
    weak = ss.DiscreteSystem(ss.Diagonal([0.1, 0.9999]), np.ones((2, 1)), [[1.0, 1e-6]], dt=1.0)
    assert ss.settling_samples(weak, 1e-3) > 10_000
    loop = np.eye(100, k=-1)
    loop[0, -1] = 0.5  # y_k = u_k + 0.5 y_{k−100}
    comb = ss.DiscreteSystem(loop, np.eye(100)[:, :1], loop[:1], [[1.0]], dt=1.0)
    assert ss.settling_samples(comb, 0.01) == 6 * 100 + 1
    row = 0.99 * np.eye(60) + 0.01 * np.eye(60, k=-1)  # an echo through sixty poles in a row, beside the direct way
    echo = ss.DiscreteSystem(ss.Dense(row, np.full(60, 0.99)), 0.01 * np.eye(60, 1), np.eye(60)[-1:], [[1.0]], dt=1.0)
    assert ss.settling_samples(echo, 1e-2) > 6000
    assert ss.settling_samples(1e306 * weak, 1e-3) == ss.settling_samples(weak, 1e-3)
    assert ss.settling_samples(ss.from_zpk([], [], 3.0, dt=1.0)) == 1
    assert ss.settling_samples(0 * ss.from_zpk([], [0.5], 3.0, dt=1.0)) == 0


def test_settling_of_a_batch_is_its_slowest():
    both = ss.DiscreteSystem([[[0.5]], [[0.99]]], [[1.0]], [[1.0]], dt=1.0)
    slow = ss.DiscreteSystem([[0.99]], [[1.0]], [[1.0]], dt=1.0)
    assert ss.settling_samples(both) == ss.settling_samples(slow)
