"""Laws of running: exact on any grid, the same bits for any split, the same numbers for batch and loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from gallery import METHODS, exact, kernel, random_matrices, relative, systems
from statespace.scan import reference

SYSTEMS = systems()
SINGLE = [name for name in SYSTEMS if name != "batch"]


def signal_for(system, length, seed=0, batch=()):
    return np.random.default_rng(seed).normal(size=(*batch, length, system.n_inputs))


def slopes(u, t, hold):
    du = np.diff(u, axis=0) / np.diff(t)[:, None] if hold == "foh" else np.zeros_like(u[1:])
    return np.concatenate([du, du[-1:]])


# --------------------------------------------------------------- exact on every grid

GRIDS = {
    "uniform": np.arange(40) * 0.1,
    "two steps": np.cumsum(np.where(np.arange(40) % 3, 0.1, 0.35)),
    "all different": np.cumsum(np.random.default_rng(3).uniform(0.01, 0.5, 90)),
    "from 1e-9 to 1e2": np.cumsum(10.0 ** np.random.default_rng(4).uniform(-9, 2, 90)),
    "unix time": 1.7e9 + np.arange(40) * 0.002,
}


@pytest.mark.parametrize("hold", ["zoh", "foh"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SINGLE)
def test_every_interval_is_exact(name, grid, hold):
    """Against one augmented matrix exponential per interval, from a given physical state."""
    system, t = SYSTEMS[name], GRIDS[grid]
    u = signal_for(system, len(t))
    real = np.asarray(system.A)
    x_dense = np.random.default_rng(1).normal(size=system.n_states)
    x0 = x_dense
    if isinstance(system.A, ss.Diagonal) and system.A.pairs:
        x0 = x_dense[0::2] + 1j * x_dense[1::2]  # the dense state is (Re, Im) of each stored one
    y = ss.simulate(system, u, t=t, x0=x0, hold=hold).y
    # 4e-7 of a 2 ms step is what a Unix stamp in float64 resolves; the grid is taken as uniform.
    stamps = np.arange(40) * (t[-1] - t[0]) / 39 if grid == "unix time" else t
    wanted = exact(system, u, slopes(u, stamps, hold), stamps, x_dense)
    # eps·‖ΔA‖ for the longest interval, on both sides, times the growth of 90 steps.
    bound = 2e-14 * (1 + np.abs(real).sum(initial=0.0) * np.diff(t).max())
    assert relative(y, wanted) < bound


@pytest.mark.parametrize("hold", ["zoh", "foh"])
def test_stiff_and_fast_on_an_uneven_grid(hold):
    """λ from −1e-1 to −1e6 and a rotation of 1e3, in a rotated basis."""
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    a = np.diag([-0.1, -1.0, -1e3, -1e6, -0.5, -0.5])
    a[4:, 4:] += [[0, 1e3], [-1e3, 0]]
    system = ss.ContinuousSystem(q @ a @ q.T, rng.normal(size=(6, 1)), rng.normal(size=(1, 6)))
    t = np.cumsum(10.0 ** rng.uniform(-6, 0, 200))
    u = rng.normal(size=(200, 1))
    wanted = exact(ss.ContinuousSystem(a, q.T @ system.B, system.C @ q), u, slopes(u, t, hold), t, np.zeros(6))
    # Rounding the rotated A alone moves its slowest mode by eps·‖A‖, over the 10 units that it remembers.
    assert relative(ss.simulate(system, u, t=t, hold=hold).y, wanted) < np.finfo(float).eps * 1e6 * 10


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("hold", ["zoh", "foh"])
def test_uneven_and_even_paths_agree(name, hold):
    """The same stamps given as a table of one step and as dyadic steps (a grid nudged out of uniformity)."""
    system = SYSTEMS[name]
    u = signal_for(system, 200, batch=system.batch_shape)
    even = ss.simulate(system, u, dt=0.05, hold=hold, states=True)
    jitter = 1e-12 * np.random.default_rng(0).normal(size=200)
    uneven = ss.simulate(system, u, t=0.05 * np.arange(200) + jitter, hold=hold, states=True)
    # A jump of u that comes 1e-12 late moves the output by about 1e-12·√200, times what integrators make of it.
    assert relative(uneven.y, even.y) < 2e-9
    assert relative(uneven.x, even.x) < 2e-9
    assert relative(uneven.final_state, even.final_state) < 2e-9


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("hold", ["zoh", "foh"])
@pytest.mark.parametrize("grid", ["even", "few", "many"])
def test_a_continuation_repeats_the_last_stamp(name, hold, grid):
    """final_state of a continuous run is x at the last stamp: starting there again changes nothing."""
    system = SYSTEMS[name]
    steps = {"even": np.full(59, 0.1), "few": np.where(np.arange(59) % 2, 0.1, 0.2)}
    t = np.concatenate([[0.0], np.cumsum(steps.get(grid, np.random.default_rng(0).uniform(0.05, 0.2, 59)))])
    u = signal_for(system, 60, batch=system.batch_shape)
    whole = ss.simulate(system, u, t=t, hold=hold, states=True)
    head = ss.simulate(system, u[..., :25, :], t=t[:25], hold=hold)
    tail = ss.simulate(system, u[..., 24:, :], t=t[24:], hold=hold, x0=head.final_state)
    joined = np.concatenate([head.y, tail.y[..., 1:, :]], axis=-2)
    assert relative(joined, whole.y) < 1e-13
    assert relative(tail.final_state, whole.final_state) < 1e-13
    assert relative(whole.x[..., -1, :], whole.final_state) < 1e-15


def test_long_irregular_record_runs_in_blocks():
    """More stamps than one block of 16,384: the carry between blocks is the state itself."""
    system = SYSTEMS["dense"]
    t = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 40_000))
    u = signal_for(system, 40_000)
    whole = ss.simulate(system, u, t=t, hold="foh", states=True)
    part = ss.simulate(system, u[16_000:17_000], t=t[16_000:17_000], hold="foh", x0=whole.x[16_000])
    assert relative(part.y, whole.y[16_000:17_000]) < 1e-13


# --------------------------------------------------------------- discrete engines


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", SINGLE)
def test_engine_is_the_reference_loop(name, method):
    """Every structure's compiled loop against five lines of NumPy on the dense realization."""
    system = ss.discretize(SYSTEMS[name], 0.2, method)
    u = signal_for(system, 70)
    got = ss.simulate(system, u)
    wanted = reference(system, u, np.zeros(np.asarray(system.A).shape[-1]))
    assert relative(got.y.reshape(wanted.shape), wanted) < 1e-13


@pytest.mark.parametrize("method", ["zoh", "foh", "bilinear"])
@pytest.mark.parametrize("name", SYSTEMS)
@given(cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_split_gives_the_same_bits(name, method, cuts):
    """One sequential loop: cutting a signal anywhere and carrying the state changes no bit."""
    system = ss.discretize(SYSTEMS[name], 0.2, method)
    u = signal_for(system, 60, batch=system.batch_shape)
    whole = ss.simulate(system, u)
    state, parts = None, []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 60], strict=True):
        piece = ss.simulate(system, u[..., start:stop, :], x0=state)
        state = piece.final_state
        parts.append(piece.y)
    assert np.array_equal(np.concatenate(parts, axis=-2), whole.y)
    assert np.array_equal(state, whole.final_state)


@pytest.mark.parametrize("name", SYSTEMS)
def test_states_are_the_states_before_each_sample(name):
    """x[k] in the response starts the rest of the run, and C x + D u is the output."""
    system = ss.discretize(SYSTEMS[name], 0.2, "foh")
    u = signal_for(system, 30, batch=system.batch_shape)
    whole = ss.simulate(system, u, states=True)
    rest = ss.simulate(system, u[..., 10:, :], x0=whole.x[..., 10, :])
    assert np.array_equal(rest.y, whole.y[..., 10:, :])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", SINGLE)
def test_precision_follows_the_signal(name, dtype):
    """float32 in, float32 out, the state double in between: one rounding of the output."""
    system = ss.discretize(SYSTEMS[name], 0.2, "zoh")
    u = (signal_for(system, 50) * (1 + 1j if np.issubdtype(dtype, np.complexfloating) else 1)).astype(dtype)
    if name == "pairs" and np.iscomplexobj(u):
        with pytest.raises(ValueError, match=r"run u\.real and u\.imag"):
            ss.simulate(system, u)
        return
    y = ss.simulate(system, u).y
    wide = ss.simulate(system, u.astype(np.result_type(dtype, np.float64))).y
    assert y.dtype == np.result_type(dtype, np.complex64 if system.is_complex else np.float32)
    assert relative(y, wide) <= np.finfo(dtype).eps


def test_batches_broadcast_and_equal_loops():
    """A batch of systems × a batch of signals × a batch of states."""
    system = ss.discretize(ss.ContinuousSystem(*random_matrices(4, n=3, m=2, p=2, batch=(3,))), 0.1, "foh")
    u = signal_for(system, 20, batch=(5, 1))
    x0 = np.random.default_rng(2).normal(size=(5, 3, 3))
    y = ss.simulate(system, u, x0=x0).y
    assert y.shape == (5, 3, 20, 2)
    for i, j in np.ndindex(5, 3):
        a, b, c, d = (m[j] for m in system)
        one = ss.simulate(ss.DiscreteSystem(a, b, c, d, dt=0.1), u[i, 0], x0=x0[i, j])
        assert relative(y[i, j], one.y) < 1e-15
    steps = ss.discretize(SYSTEMS["spring"], np.array([0.1, 0.2]), "zoh")
    response = ss.simulate(steps, np.ones(7))
    assert response.t.shape == (2, 7)
    assert response.y.shape == (2, 7, 1)


@pytest.mark.parametrize("length", [0, 1, 2])
@pytest.mark.parametrize("name", SYSTEMS)
def test_very_short_signals(name, length):
    system = SYSTEMS[name]
    u = signal_for(system, length, batch=system.batch_shape)
    for response in (
        ss.simulate(system, u, dt=0.1, states=True),
        ss.simulate(system, u, t=np.arange(length) ** 2.0, states=True),
        ss.simulate(ss.discretize(system, 0.1), u, states=True),
    ):
        assert response.y.shape == (*system.batch_shape, length, system.n_outputs)
        assert response.x.shape == (*system.batch_shape, length, system.state_size)
        assert response.final_state.shape == (*system.batch_shape, system.state_size)
        assert response.t.shape[-1] == length


def test_read_only_and_strided_signals():
    """Any layout of u is read, none is written."""
    system = ss.discretize(SYSTEMS["dense"], 0.1)
    u = signal_for(system, 40)
    wanted = ss.simulate(system, u).y
    frozen = u.copy()
    frozen.setflags(write=False)
    assert np.array_equal(ss.simulate(system, frozen).y, wanted)
    assert np.array_equal(ss.simulate(system, np.asfortranarray(u)).y, wanted)
    assert np.array_equal(ss.simulate(system, np.repeat(u, 2, axis=0)[::2]).y, wanted)
    assert np.array_equal(ss.simulate(system, u.tolist()).y, wanted)
    ints = np.arange(80).reshape(40, 2)
    assert np.array_equal(ss.simulate(system, ints).y, ss.simulate(system, ints.astype(float)).y)


# --------------------------------------------------------------- gaps


@pytest.fixture
def gappy():
    u = np.sin(np.arange(50) / 5)
    u[[0, 7, 8, 30]] = np.nan
    return u


def test_dropped_gaps_are_longer_intervals(gappy):
    system, t = SYSTEMS["spring"], 0.1 * np.arange(50)
    kept = ~np.isnan(gappy)
    got = ss.simulate(system, gappy, t=t, hold="foh", gaps="drop")
    wanted = ss.simulate(system, gappy[kept], t=t[kept], hold="foh")
    assert np.array_equal(got.t, t[kept])
    assert np.array_equal(got.y, wanted.y)
    assert np.array_equal(ss.simulate(system, gappy, dt=0.1, hold="foh", gaps="drop").y, wanted.y)


@pytest.mark.parametrize("grid", [{"dt": 0.1}, {"t": np.cumsum(np.linspace(0.1, 0.2, 50))}, {}])
def test_reset_starts_again_from_zero(gappy, grid):
    system = SYSTEMS["spring"] if grid else ss.discretize(SYSTEMS["spring"], 0.1)
    got = ss.simulate(system, gappy, gaps="reset", states=True, **grid)
    assert np.array_equal(np.isnan(got.y), np.isnan(gappy))
    if "t" in grid:
        grid = {"t": grid["t"][9:30]}
    alone = ss.simulate(system, gappy[9:30], **grid)
    assert relative(got.y[9:30], alone.y) < 1e-13
    assert np.isnan(got.x[7]).all()


def test_nan_goes_forward_only_and_stays_in_its_channel(gappy):
    system = ss.discretize(SYSTEMS["lowpass"], 0.1, "bilinear")
    x = np.stack([np.nan_to_num(gappy), gappy[::-1]], axis=1)
    y = ss.filter(system, x, axis=0)
    first = int(np.argmax(np.isnan(x[:, 1])))
    assert np.isfinite(y[:, 0]).all()
    assert np.isfinite(y[:first, 1]).all()
    assert np.isnan(y[first:, 1]).all()


# --------------------------------------------------------------- time stamps


def test_datetime_stamps_use_the_unit_of_the_system():
    days = np.datetime64("2020-02-27") + np.array([0, 1, 2, 5, 6])
    u = np.arange(5.0)
    for unit, factor in (("day", 1.0), ("week", 1 / 7), ("h", 24.0), ("s", 86400.0)):
        system = ss.ContinuousSystem([[-0.3]], [[1.0]], [[1.0]], time_unit=unit)
        got = ss.simulate(system, u, t=days)
        wanted = ss.simulate(system, u, t=factor * np.array([0.0, 1, 2, 5, 6]))
        assert relative(got.y, wanted.y) < 1e-14
        assert got.t.dtype.kind == "M"
    fine = days.astype("datetime64[ns]")
    assert relative(ss.simulate(system, u, t=fine).y, got.y) < 1e-14


def test_jitter_of_the_stamps_is_one_step():
    """2 ms steps at Unix times: 1e-4 of a step of jitter is the rounding of the stamps, one step."""
    t = 1.7e9 + 0.002 * np.arange(1000)
    assert np.unique(np.diff(t)).size > 1
    response = ss.simulate(SYSTEMS["spring"], np.ones(1000), t=t)
    assert isinstance(response.system, ss.DiscreteSystem)
    with_gap = np.delete(t, [100, 500])
    irregular = ss.simulate(SYSTEMS["spring"], np.ones(998), t=with_gap)
    assert isinstance(irregular.system, ss.ContinuousSystem)


def test_discrete_stamps_are_checked_and_kept():
    system = ss.discretize(SYSTEMS["spring"], 0.1)
    t = 5.0 + 0.1 * np.arange(20)
    assert np.array_equal(ss.simulate(system, np.ones(20), t=t).t, t)


# --------------------------------------------------------------- filter


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("kind", ["cascade", "diagonal", "dense", "fir"])
def test_filter_is_simulate_along_any_axis(kind, axis):
    system = {
        "cascade": ss.discretize(SYSTEMS["lowpass"], 0.2, "bilinear"),
        "dense": ss.discretize(SYSTEMS["lowpass"], 0.2, "foh"),
        "diagonal": ss.discretize(SYSTEMS["diagonal"], 0.2, "zoh"),
        "fir": ss.from_ba([1.0, -2.0, 3.0, 0.5], [1.0], dt=0.2),
    }[kind]
    x = np.random.default_rng(0).normal(size=(6, 7, 8))
    y, state = ss.filter(system, x, axis=axis, state="zero")
    wanted = np.apply_along_axis(lambda lane: ss.simulate(system, lane).y, axis, x)
    assert np.array_equal(y, wanted)
    assert state.shape == (*np.delete(x.shape, axis), system.state_size)
    half = x.shape[axis] // 2
    head, mid = ss.filter(system, np.take(x, range(half), axis), axis=axis, state="zero")
    tail, end = ss.filter(system, np.take(x, range(half, x.shape[axis]), axis), axis=axis, state=mid)
    assert np.array_equal(np.concatenate([head, tail], axis), y)
    assert np.array_equal(end, state)


def test_a_layer_of_systems_is_one_call():
    """256 systems with their own steps over (batch, L, 256), as an S4D layer."""
    rng = np.random.default_rng(0)
    poles = -0.5 + 1j * np.pi * np.arange(4) * np.ones((256, 1))
    layer = ss.ContinuousSystem(
        ss.Diagonal(poles, pairs=True),
        np.ones((256, 4, 1)),
        rng.normal(size=(256, 1, 4)) + 1j * rng.normal(size=(256, 1, 4)),
    )
    digital = ss.discretize(layer, np.geomspace(1e-3, 1e-1, 256), "zoh")
    x = rng.normal(size=(2, 50, 256))
    y, _ = ss.filter(digital, x, axis=1, state="zero")
    assert y.shape == x.shape
    assert np.abs(ss.filter(digital, x, axis=1) - y).max() < 1e-13 * np.abs(y).max()
    one = ss.DiscreteSystem(
        ss.Diagonal(digital.A.diagonal[17], pairs=True), digital.B[17], digital.C[17], digital.D[17], dt=digital.dt[17]
    )
    assert np.array_equal(ss.filter(one, x[1, :, 17]), y[1, :, 17])


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("method", ["bilinear", "foh", None])
def test_steady_state_stands_still(name, method):
    """From the steady state a constant input gives a constant output, in continuous time too."""
    system = SYSTEMS[name]
    if name in ("integrators", "diagonal"):
        with pytest.raises(ValueError, match="integrates a constant input"):
            ss.steady_state(system, np.ones(system.n_inputs))
        return
    u = np.ones((40, system.n_inputs))
    grid = {"dt": 0.3, "hold": "foh"} if method is None else {}
    system = system if method is None else ss.discretize(system, 0.3, method)
    y = ss.simulate(system, u, x0=ss.steady_state(system, u[0]), **grid).y
    # eps times the condition of I − A, below 100 for these systems.
    assert relative(y, np.broadcast_to(y[:1], y.shape)) < 5e-14
    assert relative(y[0], system.dc_gain @ u[0]) < 5e-14


# --------------------------------------------------------------- standard responses


@pytest.mark.parametrize("name", SYSTEMS)
def test_impulse_response_is_the_kernel(name):
    system = ss.discretize(SYSTEMS[name], 0.2, "foh")
    got = ss.impulse_response(system, 30)
    wanted = kernel(system, 30)
    assert got.y.shape == ((30,) if system.is_siso else wanted.shape)
    assert relative(got.y.reshape(wanted.shape), wanted) < 1e-13


@pytest.mark.parametrize("name", SINGLE)
def test_continuous_responses_are_exact(name):
    """h(t) = C e^{At} B, and the step response is its integral plus D."""
    system = SYSTEMS[name]
    t = np.array([0.0, 0.3, 1.0, 1.1, 4.0])
    _, b, c, _ = system
    h = np.stack([c @ ss.discretize(ss.ContinuousSystem(*system), s).A.matrix @ b if s else c @ b for s in t])
    got = ss.impulse_response(system, t=t).y
    assert relative(got.reshape(h.shape), h) < 1e-13
    step = ss.step_response(system, t=t).y.reshape(h.shape)
    for j in range(system.n_inputs):
        u = np.zeros((5, system.n_inputs))
        u[:, j] = 1.0
        assert relative(step[:, :, j], ss.simulate(system, u, t=t).y) < 1e-14


@pytest.mark.parametrize("name", SYSTEMS)
def test_responses_choose_a_grid(name):
    for system in (SYSTEMS[name], ss.discretize(SYSTEMS[name], 0.1)):
        for response in (ss.impulse_response(system), ss.step_response(system)):
            assert np.isfinite(response.y).all()
            assert response.t.shape[-1] >= 30


# --------------------------------------------------------------- frequency


@pytest.mark.parametrize("name", SYSTEMS)
def test_frequency_response_is_the_transform_of_the_kernel(name):
    """Σ h_k e^{−jωkΔ} over a kernel that has died out."""
    system = ss.discretize(SYSTEMS[name], 0.5, "foh")
    if name in ("integrators", "diagonal"):
        system = ss.series(system, np.zeros((system.n_outputs, system.n_outputs)))
        assert not np.any(ss.frequency_response(system, [0.3]).H)
        return
    omega = np.array([-1.0, 0.0, 0.4, 3.0, 6.0])
    h = kernel(system, 700)
    wanted = np.einsum("fk,...kpm->...fpm", np.exp(-1j * np.outer(omega, 0.5 * np.arange(700))), h)
    got = ss.frequency_response(system, omega).H
    assert relative(got.reshape(wanted.shape), wanted) < 1e-12
    omega_default, response = ss.frequency_response(SYSTEMS[name])
    assert np.isfinite(response).all()
    assert len(omega_default) >= 500
