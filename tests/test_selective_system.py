"""SelectiveSystem: its scan by every door, its gradients, the moments that are frozen, and its matrix."""

import itertools
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import statespace as ss
from statespace.testing import assert_gradient

PARTS = ("delta", "B", "C")
CHOICES = [c for k in range(4) for c in itertools.combinations(PARTS, k)]
RNG = np.random.default_rng(0)
U = RNG.normal(size=(2, 60, 5))


def layer(selective=PARTS, method="mamba", seed=3, **more):
    return ss.SelectiveSystem.initial(5, 3, rank=2, selective=selective, method=method, seed=seed, **more)


def by_hand(system, u):
    """Delta after its softplus, B and C, with a time axis of L."""
    low = 0 if system.delta_down is None else u @ system.delta_down.T @ system.delta_up.T
    b = np.broadcast_to(system.B, (*u.shape[:-1], 3)) if system.B is not None else u @ system.B_projection.T
    c = np.broadcast_to(system.C, (*u.shape[:-1], 3)) if system.C is not None else u @ system.C_projection.T
    return np.broadcast_to(np.logaddexp(0, low + system.delta_bias), u.shape), b, c


@pytest.mark.parametrize("selective", CHOICES)
@pytest.mark.parametrize("method", ["mamba", "zoh"])
def test_every_door_runs_the_layer(selective, method):
    """simulate, selective_scan, Stream and steps, against a scan of what is projected by hand."""
    system = layer(selective, method)
    assert system.selective == set(selective)
    delta, b, c = by_hand(system, U)
    want = ss.selective_scan(U, delta, system.A, b, c, system.D, method=method)
    response = ss.simulate(system, U)
    np.testing.assert_allclose(response.y, want, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(response.t, np.arange(60))
    np.testing.assert_array_equal(ss.selective_scan(U, system), response.y)
    stream, state, steps = ss.Stream(system), None, []
    blocks = [stream.push(U[:, i:j]) for i, j in ((0, 1), (1, 1), (1, 40), (40, 60))]
    for k in range(60):
        y, state = ss.selective_step(state, U[:, k], system)
        steps.append(y)
    # projections are matrix products, whose rounding depends on how many rows they have
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), want, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.stack(steps, axis=1), want, rtol=0, atol=1e-14)
    for one, two in ((stream.state, response.final_state), (state, response.final_state)):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-14)


def test_a_stream_of_a_layer_goes_on_where_it_stands():
    system = layer(method="foh")
    stream = ss.Stream(system)
    stream.push(U[:, :30])
    other = ss.Stream(system, state=stream.state)
    np.testing.assert_array_equal(other.push(U[:, 30:]), stream.push(U[:, 30:]))
    assert not stream.state.x.flags.writeable
    with pytest.raises(ValueError, match="batch axes or channels of the first"):
        stream.push(U[0])


@pytest.mark.parametrize("selective", CHOICES)
def test_gradients_reach_every_parameter(selective):
    system = layer(selective)
    names = ("A", "delta_bias", "B", "C", "B_projection", "C_projection", "delta_up", "delta_down", "D")
    given = [name for name in names if getattr(system, name) is not None]

    def build(values):
        return ss.SelectiveSystem(**dict(zip(given, values, strict=True)))

    def function(u, *values):
        return ss.selective_scan(u, build(values))

    def vjp(u, *values):
        y, pullback = ss.selective_scan_vjp(u, build(values))

        def pull(w):
            gradients = pullback(w)
            assert all(getattr(gradients, name) is None for name in names if name not in given)
            return (gradients.u, *(getattr(gradients, name) for name in given))

        return y, pull

    assert_gradient(function, vjp, U, *(getattr(system, name) for name in given))


def test_complex_projections():
    """S4D's poles in pairs, with complex B and C of a real signal."""
    rng = np.random.default_rng(1)
    a = -0.5 + 1j * np.pi * np.arange(3) + np.zeros((5, 1))
    draw = rng.normal(size=(2, 3, 5)) + 1j * rng.normal(size=(2, 3, 5))

    def build(b, c):
        return ss.SelectiveSystem(A=a, delta_bias=np.full(5, -2.0), B_projection=b, C_projection=c, pairs=True)

    assert_gradient(
        lambda u, b, c: ss.selective_scan(u, build(b, c)),
        lambda u, b, c: (
            (r := ss.selective_scan_vjp(u, build(b, c)))[0],
            lambda w: ((g := r[1](w)).u, g.B_projection, g.C_projection),
        ),
        U, *draw,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["mamba", "zoh", "bilinear", "s4_zoh"])
def test_a_frozen_layer_is_the_layer_of_a_constant_step(method):
    """With nothing selective a layer is a batch of linear time-invariant systems."""
    system = layer((), method)
    moment = ss.frozen(system, np.zeros(5))
    assert moment.batch_shape == (5,)
    np.testing.assert_allclose(moment.dt, np.logaddexp(0, system.delta_bias))
    want = ss.filter(moment, U[0], axis=0)
    np.testing.assert_allclose(ss.simulate(system, U[0]).y, want, rtol=0, atol=1e-13)


def test_frozen_follows_the_sample():
    system = layer()
    samples = U[:, 7]
    moment = ss.frozen(system, samples)
    delta, b, c = by_hand(system, samples)
    np.testing.assert_allclose(moment.dt, delta)
    np.testing.assert_allclose(moment.poles, np.exp(delta[..., None] * system.A))
    kernel = ss.kernel(moment, 3)[..., 0, 0]  # impulse-invariant: h_0 = Δ C·B + D
    np.testing.assert_allclose(kernel[..., 0], delta * (b * c).sum(-1)[..., None] + system.D, rtol=1e-12)
    assert ss.frequency_response(moment).H.shape[:2] == (2, 5)


@pytest.mark.parametrize("method", ["mamba", "foh"])
def test_the_sequence_matrix_is_the_scan(method):
    system = layer(method=method)
    matrix = ss.sequence_matrix(system, U)
    assert matrix.shape == (2, 5, 60, 60)
    y = np.einsum("bcts,bsc->btc", matrix, U)
    np.testing.assert_allclose(y, ss.selective_scan(U, system), rtol=0, atol=1e-13)
    assert not np.triu(matrix, 1).any()


def test_the_sequence_matrix_of_arrays():
    delta, a = np.exp(RNG.normal(size=(20, 4))), -np.ones((4, 2)) + 1j
    b, c = RNG.normal(size=(2, 20, 2, 2))
    reset = np.arange(20) == 11
    u = RNG.normal(size=(20, 4))
    how = {"groups": 2, "pairs": True, "reset": reset}
    matrix = ss.sequence_matrix(delta, a, b, c, **how)
    np.testing.assert_allclose(
        np.einsum("cts,sc->tc", matrix, u), ss.selective_scan(u, delta, a, b, c, **how), atol=1e-13
    )
    assert not matrix[:, 11:, :11].any()
    single = ss.sequence_matrix(delta.astype("f"), a.real, b, c, groups=2)
    assert single.dtype == np.float32


def test_initial_layers_are_those_of_the_paper():
    system = ss.SelectiveSystem.initial(256, 16, seed=1)
    assert system.rank == 16
    np.testing.assert_array_equal(system.A[7], -np.arange(1.0, 17))
    np.testing.assert_array_equal(system.D, np.ones(256))
    steps = np.logaddexp(0, system.delta_bias)
    assert 1e-3 <= steps.min() < 1.2e-3
    assert 0.08 < steps.max() <= 0.1
    assert np.abs(system.delta_up).max() <= 16**-0.5
    assert np.abs(system.B_projection).max() <= 256**-0.5


def test_a_layer_is_frozen_data():
    system = layer()
    with pytest.raises(AttributeError):
        system.A = 1
    assert not system.A.flags.writeable
    again = pickle.loads(pickle.dumps(system))
    np.testing.assert_array_equal(ss.simulate(again, U).y, ss.simulate(system, U).y)
    assert repr(layer(())) == "<SelectiveSystem of 5 channels, 3 states each, selective in nothing>"
    assert "5 channels" in repr(system)


def test_single_precision_stays_single():
    y, pullback = ss.selective_scan_vjp(U.astype("f"), layer())
    assert y.dtype == np.float32
    assert pullback(y).u.dtype == np.float32
    np.testing.assert_allclose(y, ss.simulate(layer(), U).y, rtol=0, atol=1e-5)


def test_explain_says_that_there_is_one_way():
    """And what the scan answers in: the types are those of its state and y."""
    direct = replace(layer(), D=np.ones(5) * 1j)
    turning, mixed = replace(layer(), A=np.full((5, 3), -1 + 2j), pairs=True), replace(layer(()), B=np.ones(3) * 1j)
    for system in (layer(), turning, mixed, direct):
        for u in (U, U.astype("f")):
            said = ss.explain(system, u)
            y, state = ss.selective_scan(u, system, return_state=True)
            assert (said.form, said.state, said.output) == ("recurrent", state.dtype, y.dtype)
            assert said.why == "its coefficients change from sample to sample, so there is no kernel"


def test_after_warmup_a_layer_compiles_nothing():
    code = """
import numpy as np, statespace as ss
from statespace.cpu.selective import selective_lanes
layer, u = ss.SelectiveSystem.initial(20, 3), np.ones((300, 20), np.float32)
ss.warmup(layer, like=u)
count = len(selective_lanes.signatures)
ss.Stream(layer).push(u)
print(count, len(selective_lanes.signatures))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["1", "1"]


def test_pairs_are_real_also_in_a_layer():
    with pytest.raises(ValueError, match="with pairs=True the output is real, and D must be, got dtype complex128"):
        replace(layer(), pairs=True, D=np.ones(5) * 1j)


def test_a_stream_from_zero_is_one_from_nothing():
    streams = [ss.Stream(layer(), state=state) for state in (None, "zero")]
    np.testing.assert_array_equal(*(stream.push(U[0]) for stream in streams))
