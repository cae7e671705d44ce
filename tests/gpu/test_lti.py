"""LTI systems on CuPy arrays: simulate, filter, Stream, kernel and convolve give the numbers of the CPU, there."""

import re
from contextlib import nullcontext
from itertools import pairwise

import card
import numpy as np
import pytest

import statespace as ss
from gallery import digital_systems, relative, systems
from statespace.kernels import convolution
from statespace.simulation.forms import error_bound

SYSTEMS = digital_systems()
SINGLE_CHANNEL = [name for name, system in SYSTEMS.items() if system.is_siso and not system.batch_shape]
FORMS = ("auto", "recurrent", "chunked", "convolution")
KINDS = (np.float64, np.float32, np.complex128, np.complex64)


def refused(kind, text):
    return pytest.raises(kind, match=re.escape(text))


def noise(shape, kind=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=shape)
    return (u + 1j * rng.normal(size=shape) if np.dtype(kind).kind == "c" else u).astype(kind)


def of_kind(system):
    """Types of signals that a system takes."""
    return [kind for kind in KINDS if not (system.stores_pairs and np.dtype(kind).kind == "c")]


def allowed(system, length, kind):
    """What two forms may differ by, and the rounding of outputs, to which two of them may add up."""
    return np.max(error_bound(system, max(length, 1))) + 4 * np.finfo(kind).eps


def assert_same(got, wanted, tolerance):
    """Compare an array on the device with one on the host; types and shapes too."""
    assert type(got).__module__.startswith("cupy")
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    wide = np.result_type(wanted.dtype, np.float64)
    assert relative(got.get().astype(wide), wanted.astype(wide)) <= tolerance


# --------------------------------------------------------------- simulate


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_in_every_form(cupy, name, form):
    """Odd lengths, from a state, in every precision."""
    system = SYSTEMS[name]
    for kind in of_kind(system):
        length = 1501 if kind == np.float64 else 301
        u, x0 = noise((length, system.n_inputs), kind), noise(system.state_size, seed=1)
        wanted = ss.simulate(system, u, x0=x0)
        got = ss.simulate(system, cupy.asarray(u), x0=cupy.asarray(x0), form=form)
        assert_same(got.y, wanted.y, allowed(system, length, kind))
        assert_same(got.final_state, wanted.final_state, 1e-12)
        assert got.x is None
        assert_same(got.t, wanted.t, 0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_states_and_short_signals(cupy, name):
    """Samples 0, 1 and 17, with the states before each and in double after the last."""
    system = SYSTEMS[name]
    for kind in of_kind(system)[:2]:
        for length in (0, 1, 17):
            u = noise((length, system.n_inputs), kind)
            wanted = ss.simulate(system, u, states=True)
            got = ss.simulate(system, cupy.asarray(u), states=True)
            assert_same(got.y, wanted.y, allowed(system, length, kind))
            assert_same(got.x, wanted.x, 1e-13)
            assert_same(got.final_state, wanted.final_state, 1e-13)
            for form in ("chunked", "convolution"):
                assert_same(ss.simulate(system, cupy.asarray(u), form=form).y, wanted.y, allowed(system, length, kind))


@pytest.mark.parametrize(
    "name", ["batch", "batch of steps", "pairs", "diagonal", "dense", "sections", "taps", "low rank"]
)
def test_batches(cupy, name):
    """Many rows of one system, and a batch of systems against a batch of signals and of states."""
    system = SYSTEMS[name]
    u = noise((2, *(1,) * len(system.batch_shape), 33, system.n_inputs))
    x0 = noise((3, 1, *(1,) * len(system.batch_shape), system.state_size), seed=1)
    wanted = ss.simulate(system, u, x0=x0)
    assert wanted.y.shape[:2] == (3, 2)
    for form in FORMS:
        got = ss.simulate(system, cupy.asarray(u), x0=cupy.asarray(x0), form=form)
        assert_same(got.y, wanted.y, allowed(system, 33, float))
        assert_same(got.final_state, wanted.final_state, 1e-13)


@pytest.mark.parametrize("hold", ["zoh", "foh"])
@pytest.mark.parametrize("name", systems())
def test_continuous_systems(cupy, name, hold):
    """Physical states at both ends, on a uniform grid given by its step or its stamps."""
    system = systems()[name]
    u, x0 = noise((101, system.n_inputs)), noise(system.state_size, seed=1)
    for grid in ({"dt": 0.1}, {"t": 0.1 * np.arange(101)}):
        for states in (False, True):
            wanted = ss.simulate(system, u, x0=x0, hold=hold, states=states, **grid)
            got = ss.simulate(system, cupy.asarray(u), x0=cupy.asarray(x0), hold=hold, states=states, **grid)
            assert_same(got.y, wanted.y, 1e-12)
            assert_same(got.t, wanted.t, 0)
            assert_same(got.final_state, wanted.final_state, 1e-12)
            assert (got.x is None) == (wanted.x is None)
            if states:
                assert_same(got.x, wanted.x, 1e-12)


def test_one_channel_and_a_batch_of_steps(cupy):
    """(L,) in, (L,) out; stamps of a batch of steps have its axes; dates stay on the host."""
    u = noise(40)
    wanted, got = (ss.simulate(SYSTEMS["lowpass"], v) for v in (u, cupy.asarray(u)))
    assert_same(got.y, wanted.y, 1e-14)
    u = noise((40, 2))
    wanted, got = (ss.simulate(systems()["pairs"], v, dt=[0.1, 0.2]) for v in (u, cupy.asarray(u)))
    assert_same(got.y, wanted.y, 1e-14)
    assert_same(got.t, wanted.t, 0)
    stamps = np.datetime64("2026-01-01") + np.arange(40).astype("timedelta64[s]")
    got = ss.simulate(ss.from_zpk([], [-1.0], 1.0), cupy.asarray(u[:, 0]), t=stamps)
    assert np.array_equal(got.t, stamps)


def test_empty_batches_and_systems_without_states(cupy):
    for name in ("dense", "pairs", "sections", "taps", "low rank"):
        system = SYSTEMS[name]
        for form in FORMS:
            y = ss.simulate(system, cupy.zeros((0, 50, system.n_inputs)), form=form).y
            assert y.shape == (0, 50, system.n_outputs)
    gain = ss.DiscreteSystem(ss.Diagonal(np.zeros(0)), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]], dt=1.0)
    assert_same(ss.simulate(gain, cupy.ones(5)).y, 2 * np.ones(5), 0)


# --------------------------------------------------------------- strides and axes


@pytest.mark.parametrize("name", SINGLE_CHANNEL)
def test_filter_along_each_axis(cupy, name):
    """Every axis of an array as time, and arrays that do not lie in order."""
    system, x = SYSTEMS[name], noise((3, 40, 2))
    for axis in range(3):
        assert_same(ss.filter(system, cupy.asarray(x), axis=axis), ss.filter(system, x, axis=axis), 1e-13)
    views = (lambda a: a[:, ::-2], lambda a: a.swapaxes(0, 2), lambda a: a[1:2, 3:, 1:], lambda a: a[..., None][:, 5:])
    for view in views:
        assert_same(ss.filter(system, view(cupy.asarray(x)), axis=1), ss.filter(system, view(x), axis=1), 1e-13)
    z = noise((4, 30), complex)
    assert_same(ss.filter(system, cupy.asarray(z).imag, axis=1), ss.filter(system, z.imag, axis=1), 1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_lie_as_inputs_do(cupy, kind):
    """Channels side by side stay so, and are neither copied nor turned on the way."""
    x = cupy.asarray(noise((50, 6), kind))
    for name in ("diagonal", "sections"):
        y = ss.filter(SYSTEMS[name], x, axis=0, state="zero")[0]
        assert y.flags.c_contiguous
        assert y.dtype == kind


def test_a_batch_of_systems_over_channels(cupy):
    """An S4D layer: eight systems of conjugate pairs over (batch, L, 8)."""
    rng = np.random.default_rng(3)
    model = ss.hippo.s4d_lin(16, rng.normal(size=(8, 1, 8)) + 1j * rng.normal(size=(8, 1, 8)))
    layer = ss.discretize(model, np.geomspace(0.001, 0.1, 8))
    for kind in (np.float32, np.float64):
        x = noise((2, 1100, 8), kind)
        wanted = ss.filter(layer, x, axis=1)
        assert_same(ss.filter(layer, cupy.asarray(x), axis=1), wanted, 1e-11 + 4 * np.finfo(kind).eps)


@pytest.mark.parametrize("start", ["zero", "steady", "given"])
def test_filter_with_a_state(cupy, start):
    for name in SINGLE_CHANNEL:
        if start == "steady" and name in ("diagonal", "integrators"):
            continue  # they integrate
        system, x = SYSTEMS[name], noise((20, 3))
        state = noise((3, system.state_size), seed=1) if start == "given" else start
        y, after = ss.filter(system, x, axis=0, state=state)
        on_device = cupy.asarray(state) if start == "given" else start
        got, left = ss.filter(system, cupy.asarray(x), axis=0, state=on_device)
        assert_same(got, y, 1e-13)
        assert_same(left, after, 1e-13)


# --------------------------------------------------------------- streams


@pytest.mark.parametrize("name", SYSTEMS)
def test_any_split_gives_the_same_bits(cupy, name):
    """Blocks of 0, 1, 7 and more samples, put together, are one recurrent run; a pair of types."""
    system = SYSTEMS[name]
    for kind in of_kind(system)[:2]:
        u = cupy.asarray(noise((60, system.n_inputs), kind))
        whole = ss.simulate(system, u, form="recurrent")
        stream = ss.Stream(system)
        edges = [0, 0, 1, 8, 8, 25, 60]
        parts = [stream.push(u[a:b]) for a, b in pairwise(edges)]
        assert np.array_equal(np.concatenate([part.get() for part in parts], axis=-2), whole.y.get())
        assert np.array_equal(stream.state.get(), whole.final_state.get())


def test_streams_over_channels(cupy):
    x, system = cupy.asarray(noise((4, 30, 5))), SYSTEMS["odd sections"]
    stream = ss.Stream(system, axis=1, state="steady")
    assert stream.push(x[:, :0]).shape == (4, 0, 5)
    parts = [stream.push(x[:, a:b]).get() for a, b in ((0, 11), (11, 12), (12, 30))]
    wanted, state = ss.filter(system, x, axis=1, state="steady")
    assert np.array_equal(np.concatenate(parts, axis=1), wanted.get())
    assert np.array_equal(stream.state.get(), state.get())
    assert "state (4, 5, 3)" in repr(stream)


def test_streams_go_on_from_a_state(cupy):
    system, u = SYSTEMS["spring"], cupy.asarray(noise(30))
    first = ss.Stream(system)
    first.push(u[:10])
    second = ss.Stream(system, state=first.state)
    assert np.array_equal(second.push(u[10:]).get(), first.push(u[10:]).get())
    with refused(TypeError, "state lives on a GPU and u on the host; write cupy.asarray(u), or cupy.asnumpy(state)"):
        first.push(np.ones(3))
    with refused(TypeError, "state lives on the host and u on a GPU; write"):
        ss.Stream(system, state=np.zeros(2)).push(u)


# --------------------------------------------------------------- gaps and infinity


def test_gaps(cupy):
    system, u = SYSTEMS["sections"], noise((60, 1))
    u[[0, 20, 21, 40]] = np.nan
    wanted, got = (ss.simulate(system, v, gaps="reset") for v in (u, cupy.asarray(u)))
    assert np.array_equal(np.isnan(got.y.get()), np.isnan(wanted.y))
    assert_same(cupy.asarray(np.nan_to_num(got.y.get())), np.nan_to_num(wanted.y), 1e-13)
    assert_same(got.final_state, wanted.final_state, 1e-13)
    with refused(ValueError, "u holds NaN at 4 of 60 stamps, the first at index 0; gaps='reset'"):
        ss.simulate(system, cupy.asarray(u))
    with refused(ValueError, "gaps='drop' needs a continuous system"):
        ss.simulate(system, cupy.asarray(u), gaps="drop")
    u = noise((20, 1))
    u[:3] = np.nan  # what is left is uniform
    wanted, got = (ss.simulate(systems()["spring"], v, dt=0.1, gaps="drop") for v in (u, cupy.asarray(u)))
    assert_same(got.y, wanted.y, 1e-13)
    assert_same(got.t, wanted.t, 0)
    u[10] = np.nan
    with refused(ValueError, "on an uneven grid a system changes from sample to sample"):
        ss.simulate(systems()["spring"], cupy.asarray(u), dt=0.1, gaps="drop")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", SINGLE_CHANNEL)
def test_nan_goes_forward_only(cupy, name, bad):
    """From its sample on and in its channel, in every form that takes it."""
    system, x = SYSTEMS[name], noise((3, 2100))
    x[1, 1500] = bad
    for run in (lambda v: ss.filter(system, v, axis=1), lambda v: ss.filter(system, v, axis=1, state="zero")[0]):
        got, wanted = run(cupy.asarray(x)).get(), run(np.nan_to_num(x, nan=0.0, posinf=0.0))
        assert relative(got[[0, 2]], wanted[[0, 2]]) < 1e-12
        assert relative(got[1, :1500], wanted[1, :1500]) < 1e-12
        assert not np.isfinite(got[1, 1500]) or np.all(system.D == 0)
        if name != "taps":
            assert not np.isfinite(got[1, 1503:]).any()


# --------------------------------------------------------------- kernel and convolve


@pytest.mark.parametrize("name", SYSTEMS)
def test_kernel_like(cupy, name):
    system = SYSTEMS[name]
    for kind in (np.float32, np.float64):
        wanted = ss.kernel(system, 77, like=np.zeros(0, kind))
        assert_same(ss.kernel(system, 77, like=cupy.zeros(0, kind)), wanted, np.finfo(kind).eps)
    assert ss.kernel(system, 1, like=cupy.zeros(0)).shape == (*system.batch_shape, 1, *system.D.shape[-2:])


def test_kernel_of_many_modes(cupy, monkeypatch):
    """Systems in groups, as for the host; an overflow is found on the device."""
    layer = ss.discretize(ss.hippo.s4d_lin(32, np.ones((5, 1, 16))), np.geomspace(0.001, 0.1, 5))
    monkeypatch.setattr("statespace.kernels.vandermonde._GROUP", 2**11)
    assert_same(ss.kernel(layer, 1000, like=cupy.zeros(0)), ss.kernel(layer, 1000), 1e-15)
    growing = ss.DiscreteSystem(ss.Diagonal([2.0]), [[1.0]], [[1.0]], dt=1.0)
    with refused(ValueError, "the kernel overflows at sample 1025 of 2000"):
        ss.kernel(growing, 2000, like=cupy.zeros(0))


@pytest.mark.parametrize("kind", KINDS)
def test_convolve(cupy, monkeypatch, kind):
    """One channel, many, a batch, along an axis; whole and in blocks and parts."""
    cases = [
        (noise(50, kind), noise(20, seed=1), None),
        (noise((50, 2), kind), noise((9, 3, 2), seed=1), None),
        (noise((4, 50, 2), kind), noise((4, 70, 1, 2), kind, seed=1), None),
        (noise((4, 500, 3), kind), noise((3, 20, 1, 1), seed=1), 1),
        (noise((0, 50, 2), kind), noise((9, 3, 2), seed=1), None),
    ]
    for limits in ((2**24, 2**20), (2**8, 2**6)):
        monkeypatch.setattr(convolution, "_ON_DEVICE", limits)
        for u, h, axis in cases:
            got = ss.convolve(cupy.asarray(u), cupy.asarray(h), axis=axis)
            assert_same(got, ss.convolve(u, h, axis=axis), 1e-14 + np.finfo(kind).eps)


def test_what_convolve_refuses(cupy):
    u, h = np.ones(5), np.ones(3)
    with refused(TypeError, "h lives on the host and u on a GPU; write cupy.asarray(h)"):
        ss.convolve(cupy.asarray(u), h)
    with refused(TypeError, "h lives on a GPU and u on the host; write cupy.asarray(u), or"):
        ss.convolve(u, cupy.asarray(h))
    with refused(ValueError, "u must be finite, got 1 NaN or infinite of 5 values, the first is u[2]"):
        ss.convolve(cupy.asarray(np.where(np.arange(5) == 2, np.nan, u)), cupy.asarray(h))
    with refused(ValueError, "a kernel has at least one sample"):
        ss.convolve(cupy.asarray(u), cupy.asarray(h[:0]))
    with refused(ValueError, "h.shape=(3, 1, 2)"):
        ss.convolve(cupy.asarray(u), cupy.ones((3, 1, 2)))
    with refused(TypeError, "convolve takes a kernel, got a DiscreteSystem"):
        ss.convolve(cupy.asarray(u), SYSTEMS["spring"])


# --------------------------------------------------------------- what is refused, and what is said


def test_two_places(cupy):
    """Nothing is copied silently, in either direction."""
    system, u, x0 = SYSTEMS["spring"], np.ones((5, 1)), np.zeros(2)
    with refused(TypeError, "x0 lives on the host and u on a GPU; write cupy"):
        ss.simulate(system, cupy.asarray(u), x0=x0)
    with refused(TypeError, "x0 lives on a GPU and u on the host; write cupy.asarray(u), or"):
        ss.simulate(system, u, x0=cupy.asarray(x0))
    with refused(TypeError, "state lives on the host and u on a GPU; write"):
        ss.filter(system, cupy.asarray(u), axis=0, state=x0)
    with refused(TypeError, "state lives on a GPU and u on the host"):
        ss.filter(system, u, axis=0, state=cupy.asarray(x0))
    with refused(ValueError, "x0 must have shape (..., 2), one number for each state, got x0.shape=(3,)"):
        ss.simulate(system, cupy.asarray(u), x0=cupy.zeros(3))
    with refused(TypeError, "t is a cupy ndarray"):
        ss.simulate(systems()["spring"], cupy.asarray(u), t=cupy.arange(5.0))


def test_what_runs_on_the_cpu_only(cupy):
    u = cupy.ones((5, 1))
    with refused(ValueError, "which runs on the host; write cupy.asnumpy(u), or give a uniform grid, dt="):
        ss.simulate(systems()["spring"], u, t=[0.0, 1.0, 2.0, 3.0, 5.0])
    with refused(ValueError, "on an uneven grid"):
        ss.explain(systems()["spring"], u, t=[0.0, 1.0, 2.0, 3.0, 5.0])
    with refused(TypeError, "write filtfilt(system, cupy.asnumpy(x), …)"):
        ss.filtfilt(SYSTEMS["spring"], u, axis=0)
    wide = ss.DiscreteSystem([[0.5]], np.ones((1, 6200)), [[1.0]], dt=1.0)
    with refused(ValueError, "do not fit the 49152 bytes of a block of threads on the GPU; run it on"):
        ss.simulate(wide, cupy.ones((5, 6200)), form="recurrent")
    with refused(ValueError, "form='convolution' needs a finite u"):
        ss.simulate(SYSTEMS["spring"], cupy.full((5, 1), np.inf), form="convolution")
    with refused(ValueError, "stored as conjugate pairs runs on real signals"):
        ss.simulate(SYSTEMS["pairs"], cupy.ones((5, 2), complex))


def test_explain(cupy):
    """The form that is taken, why, and the samples of its blocks."""

    def said(name, shape, form="auto"):
        e = ss.explain(SYSTEMS[name], cupy.zeros(shape, np.float32), form=form)
        assert (e.costs, e.output) == ({}, np.float32)
        return e.form, e.block, e.why

    at_once = "blocks of time run at once on the device"
    assert said("spring", (5000, 1)) == ("chunked", 32, at_once)
    assert said("spring", (200, 1)) == ("recurrent", None, "rows fill the device, or the signal is short")
    assert said("pairs", (5000, 2)) == ("chunked", 256, at_once)
    assert said("pairs", (9000, 5000, 2)) == ("recurrent", None, "rows fill the device, or the signal is short")
    assert said("sections", (9000, 5000, 1)) == ("recurrent", None, "rows fill the device, or the signal is short")
    assert said("spring", (9000, 5000, 1))[0] == "chunked"
    assert said("integrators", (5000, 1))[2] == "blocks of time would be quicker, but the system is not stable"
    assert said("taps", (5000, 1), "chunked") == ("chunked", None, "as asked, on the device")
    assert said("spring", (5000, 1), "convolution") == ("convolution", None, "as asked, on the device")
    companion = ss.DiscreteSystem([[2.9, -2.8, 0.9], [1, 0, 0], [0, 1, 0]], [[1.0], [0], [0]], [[100.0, 0, 0]], dt=1.0)
    u = noise((500, 1))
    assert ss.explain(companion, cupy.asarray(u)).form in ("recurrent", "chunked")
    assert_same(ss.simulate(companion, cupy.asarray(u)).y, ss.simulate(companion, u).y, 1e-9)


def test_steady_state(cupy):
    for name in ("spring", "pairs", "sections", "complex", "low rank", "taps"):
        system = SYSTEMS[name]
        u0 = noise((3, system.n_inputs))
        assert_same(ss.steady_state(system, cupy.asarray(u0)), ss.steady_state(system, u0), 1e-12)


def test_nothing_goes_to_the_host(cupy):
    """The hot paths only upload what they need of a system, and wait for nothing."""
    for name in SINGLE_CHANNEL:
        system, x = SYSTEMS[name], cupy.asarray(noise((30, 3)))
        state = ss.filter(system, x, axis=0, state="zero")[1]
        stream = ss.Stream(system, axis=0)
        with waits_for_nothing(cupy):
            ss.filter(system, x, axis=0)
            ss.filter(system, x, axis=0, state=state)
            stream.push(x)
            ss.warmup(system, like=x)
    x = cupy.asarray(noise((2, 2000, 3)))
    with waits_for_nothing(cupy):
        ss.filter(SYSTEMS["diagonal"], x, axis=1)


def waits_for_nothing(cupy):
    """On the pretended device: fail where something is copied to the host."""
    return card.no_copies(uploads=True) if cupy.cuda.Device is card.Device else nullcontext()
