"""The door of the selective scan on arrays of CuPy: what goes to the engine, and what becomes of its answers.

The engine here is that of the CPU, behind the names of the one on a GPU: its numbers have to come through. The kernels
have tests of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from card import no_copies

import statespace as ss
import statespace.gpu
from statespace.selective import gradients
from statespace.selective.plan import rule_number
from statespace.selective.scan import run

METHODS = {
    "mamba": "mamba", "s4_zoh": "s4_zoh", "zoh": "zoh", "bilinear": "bilinear", "foh": "foh",
    "exp_trapezoidal": "exp_trapezoidal", "s4_bilinear": "s4_bilinear", "gbt": ss.GeneralizedBilinear(0.8),
}  # fmt: skip
PAIRED = ("zoh", "bilinear", "foh", "exp_trapezoidal", "gbt")
# complex: A with B and C, and u with D; then pairs
KINDS = {
    "real": (False, False, False), "complex A": (True, False, False), "pairs": (True, False, True),
    "complex u": (False, True, False), "all complex": (True, True, False),
}  # fmt: skip
LAYER = ss.SelectiveSystem.initial(6, 3, seed=1)
FIXED = ss.SelectiveSystem.initial(6, 3, selective=("C",), method="bilinear", seed=2)


def drawn(rng, shape, is_complex=False):
    """Normal numbers."""
    return rng.normal(size=shape) + (1j * rng.normal(size=shape) if is_complex else 0)


def case(seed, length, d, n, groups=1, kind="real", dtype=np.float64):
    """u, delta, A, B, C, D; B and C with groups."""
    rng, (of_a, of_u, pairs) = np.random.default_rng(seed), KINDS[kind]
    arrays = (
        drawn(rng, (length, d), of_u), np.exp(rng.normal(size=(length, d)) - 2),
        -np.exp(rng.normal(size=(d, n))) + (5j * rng.normal(size=(d, n)) if of_a else 0),
        drawn(rng, (length, groups, n), of_a), drawn(rng, (length, groups, n), of_a), drawn(rng, d, of_u and not pairs),
    )  # fmt: skip
    return [array.astype(np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype) for array in arrays]


def up(cupy, value):
    """Arguments on the device."""
    if isinstance(value, tuple):
        return tuple(up(cupy, part) for part in value)
    if isinstance(value, dict):
        return {name: up(cupy, part) for name, part in value.items()}
    return cupy.asarray(value) if isinstance(value, np.ndarray) else value


def down(value):
    """Arguments on the host, float16 as float32, which the CPU engine takes."""
    if not type(value).__module__.startswith("cupy"):
        return value
    return value.get().astype(np.float32) if value.dtype == np.float16 else value.get()


class StandIn:
    """The engine of the CPU behind the names of `statespace.gpu`; it looks at what it is given."""

    def __init__(self, cupy):
        self.cupy = cupy

    def selective_scan(self, inputs, rule, weight, *, keep=False):
        assert (rule, weight) == rule_number(inputs.rule)
        check_inputs(self.cupy, inputs)
        host = inputs._replace(**{name: down(value) for name, value in inputs._asdict().items() if name != "rule"})
        ran = run(host, 128, keep)
        x, v = ran.state if isinstance(ran.state, tuple) else (ran.state, None)
        assert x.dtype == inputs.state_type
        y, x, v = (None if part is None else self.cupy.asarray(part) for part in (ran.y, x, v))
        return y.astype(inputs.output_type), x, v, (host, ran) if keep else None

    def selective_adjoint(self, inputs, rule, weight, marks, grad_y, back_x, back_v):
        assert (rule, weight) == rule_number(inputs.rule)
        assert (grad_y.shape, grad_y.dtype) == ((*inputs.batch, *inputs.u.shape[-2:]), inputs.output_type)
        assert back_x is None or (back_x.dtype, back_x.shape[-2:]) == (inputs.state_type, inputs.A.shape)
        host, ran = marks
        adjoint = gradients._adjoint(host, ran, 128)
        grad = down(grad_y).astype(host.output_type, copy=False)
        return up_fields(self.cupy, adjoint(grad, (down(back_x), down(back_v))))


def up_fields(cupy, found):
    return found._replace(**{name: up(cupy, value) for name, value in found._asdict().items()})


def check_inputs(cupy, inputs):
    """Everything on the device, in the types that `Inputs` promises."""
    half, wide = inputs.u.dtype == np.float16, np.result_type(inputs.u.dtype, np.float32)
    for name in ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "x0", "v0", "reset"):
        array = getattr(inputs, name)
        assert array is None or isinstance(array, cupy.ndarray), name
        if array is not None and name != "reset":
            own = half and (name in ("u", "delta", "z") or (name in "BC" and not inputs.is_complex))
            assert array.real.dtype == (np.float16 if own else np.zeros(0, wide).real.dtype), name


@pytest.fixture
def engine(cupy, monkeypatch):
    """The stand-in in its place."""
    made = StandIn(cupy)
    for name in ("selective_scan", "selective_adjoint"):
        monkeypatch.setattr(statespace.gpu, name, getattr(made, name), raising=False)
    return made


def parts(value):
    if isinstance(value, tuple):
        return [array for part in value for array in parts(part)]
    return [value]


def assert_same(got, wanted):
    """On the device, of the same types and shapes, and equal but for the order of sums over what was broadcast."""
    got, wanted = parts(got), parts(wanted)
    assert len(got) == len(wanted)
    for mine, its in zip(got, wanted, strict=True):
        if its is None:
            assert mine is None
            continue
        assert type(mine).__module__.startswith("cupy")
        assert (mine.shape, mine.dtype) == (its.shape, its.dtype)
        bar = 8 * np.finfo(its.dtype).eps * np.abs(its).max(initial=0)
        np.testing.assert_allclose(mine.get(), its, rtol=0, atol=bar)


def arguments(method, kind, length=20, groups=2, dtype=np.float64):
    """All that a scan takes: three batches that broadcast, a gate, a bias, resets, a state."""
    of_a, of_u, pairs = KINDS[kind]
    rng, d, n = np.random.default_rng(length), 6, 3
    u, delta, a, b, c, direct = case(1, length, d, n, groups, kind, dtype)
    x0, v0 = drawn(rng, (3, 1, d, n), of_a or of_u), drawn(rng, (d, n), of_a or of_u)
    arrays = (np.stack([u, 2 * u]), delta, a, b, c[:1] if length else c)
    how = {
        "z": rng.normal(size=(2, length, d)), "delta_bias": rng.uniform(0, 1, d), "delta_softplus": True,
        "x0": (x0, v0) if method in PAIRED else x0, "reset": rng.random((3, 1, length)) < 0.1, "pairs": pairs,
        "groups": groups, "D": direct, "method": METHODS[method],
    }  # fmt: skip
    return arrays, how


# --------------------------------------------------------------- all options


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_every_option_goes_through(cupy, engine, method, kind):
    arrays, how = arguments(method, kind)
    (y, state), pullback = ss.selective_scan_vjp(*arrays, **how, return_state=True)
    on_gpu = up(cupy, arrays), up(cupy, how)
    (got, last), pullback_there = ss.selective_scan_vjp(*on_gpu[0], **on_gpu[1], return_state=True)
    assert type(last) is type(state) or not isinstance(state, tuple)
    assert_same((got, last), (y, state))
    assert_same(ss.selective_scan(*on_gpu[0], **on_gpu[1]), y)
    back = 0.5 * y, (tuple(0.1 * part for part in state) if isinstance(state, tuple) else 0.1 * state)
    assert_same(pullback_there(*up(cupy, back)), pullback(*back))
    assert_same(pullback_there(up(cupy, back[0])), pullback(back[0]))


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_signals_and_few_options(cupy, engine, length, dtype):
    u, delta, a, b, c, _ = case(3, length, 4, 2, dtype=dtype)
    arrays = (u, delta, a, b[:, 0], c[:, 0])
    (y, state), pullback = ss.selective_scan_vjp(*arrays, return_state=True)
    (got, last), pullback_there = ss.selective_scan_vjp(*up(cupy, arrays), return_state=True)
    assert_same((got, last), (y, state))
    assert_same(pullback_there(cupy.asarray(y), last), pullback(y, state))


def test_precision_follows_u(cupy, engine):
    u, delta, a, b, c, d = case(3, 9, 4, 2)
    wanted = ss.selective_scan(u.astype(np.float32), delta, a, b[:, 0], c[:, 0], d)
    assert_same(ss.selective_scan(*up(cupy, (u.astype(np.float32), delta, a, b[:, 0], c[:, 0], d))), wanted)
    counted = np.arange(36).reshape(9, 4)
    wanted = ss.selective_scan(counted, delta, a, b[:, 0], c[:, 0])
    assert_same(ss.selective_scan(*up(cupy, (counted, delta, a, b[:, 0], c[:, 0]))), wanted)


@pytest.mark.parametrize("kind", ["real", "pairs", "complex A"])
@pytest.mark.parametrize("given", [np.float16, np.float32])
def test_float16_signals_have_float32_states(cupy, engine, kind, given):
    """Of whatever type the other arrays come; what is answered is the float32 answer, rounded."""
    arrays, how = arguments("zoh", kind, dtype=np.float32)
    arrays = [array.astype(given) if array.dtype.kind == "f" else array for array in arrays]
    arrays[0] = arrays[0].astype(np.float16)
    there, how_there = up(cupy, tuple(arrays)), up(cupy, how)
    (y, state), pullback = ss.selective_scan_vjp(*there, **how_there, return_state=True)
    found = pullback(y)
    of_states = np.float32 if kind == "real" else np.complex64
    assert y.dtype == (np.complex64 if kind == "complex A" else np.float16)
    assert [part.dtype for part in state] == [of_states] * 2
    assert [found.u.dtype, found.delta.dtype, found.z.dtype] == [np.float16] * 3
    assert [found.A.dtype, found.x0.x.dtype, found.delta_bias.dtype] == [of_states, of_states, np.float32]
    rounded = [
        array.astype(np.float16) if array.dtype.kind == "f" and i != 2 else array for i, array in enumerate(arrays)
    ]
    gate = how["z"].astype(np.float16).astype(np.float32)
    wide = [array.astype(np.float32) if array.dtype == np.float16 else array for array in rounded]
    wanted = ss.selective_scan(*wide, **how | {"z": gate})
    np.testing.assert_array_equal(y.get(), wanted.astype(y.dtype))


def test_the_cpu_takes_float16_as_double():
    u, delta, a, b, c, _ = case(3, 9, 4, 2)
    assert ss.selective_scan(u.astype(np.float16), delta, a, b[:, 0], c[:, 0]).dtype == np.float64


# --------------------------------------------------------------- systems


@pytest.mark.parametrize("layer", [LAYER, FIXED], ids=["selective", "fixed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_system_runs_where_its_signal_lives(cupy, engine, layer, dtype):
    rng = np.random.default_rng(0)
    u, z = rng.normal(size=(2, 30, 6)).astype(dtype), rng.normal(size=(30, 6))
    (y, state), pullback = ss.selective_scan_vjp(u, layer, z=z, return_state=True)
    there = cupy.asarray(u), cupy.asarray(z)
    (got, last), pullback_there = ss.selective_scan_vjp(there[0], layer, z=there[1], return_state=True)
    assert_same((got, last), (y, state))
    assert_same(pullback_there(cupy.asarray(y), last), pullback(y, state))
    assert_same(ss.sequence_matrix(layer, there[0][0]), ss.sequence_matrix(layer, u[0]))


@pytest.mark.parametrize("layer", [LAYER, FIXED], ids=["selective", "fixed"])
def test_simulate_stream_and_step(cupy, engine, layer):
    u = np.random.default_rng(1).normal(size=(2, 12, 6))
    there, wanted = cupy.asarray(u), ss.simulate(layer, u)
    response = ss.simulate(layer, there)
    assert_same((response.t, response.y, response.final_state), (wanted.t, wanted.y, wanted.final_state))
    stream, beside = ss.Stream(layer), ss.Stream(layer)
    for part in (slice(0, 5), slice(5, 5), slice(5, 12)):
        assert_same(stream.push(there[:, part]), beside.push(u[:, part]))
    assert_same(stream.state, beside.state)
    state, state_there = None, None
    for k in range(3):
        y, state = ss.selective_step(state, u[:, k], layer)
        got, state_there = ss.selective_step(state_there, there[:, k], layer)
        assert_same((got, state_there), (y, state))
    assert_same(ss.simulate(layer, there, x0=state_there).y, ss.simulate(layer, u, x0=state).y)
    with pytest.raises(ValueError, match=r"^u must be finite, got 1 NaN"):
        ss.simulate(layer, cupy.where(cupy.asarray(np.arange(6) == 2), np.nan, there[0, :1]))


def test_a_half_precision_layer_is_projected_in_single(cupy, engine):
    u = np.random.default_rng(1).normal(size=(12, 6)).astype(np.float16)
    y, pullback = ss.selective_scan_vjp(cupy.asarray(u), LAYER)
    assert y.dtype == np.float16
    assert ss.Stream(LAYER).push(cupy.asarray(u)).shape == y.shape
    wanted = ss.selective_scan(u.astype(np.float32), LAYER)
    np.testing.assert_allclose(y.get(), wanted, rtol=0, atol=2e-2 * np.abs(wanted).max())  # 20 roundings of 1e-3
    found = pullback(y)
    assert (found.u.dtype, found.delta_up.shape) == (np.float16, LAYER.delta_up.shape)


def test_steps_with_groups(cupy, engine):
    u, delta, a, b, c, d = case(3, 4, 4, 2, groups=2)
    z, state, state_there = u[::-1], None, None
    for k in range(4):
        arrays, how = (u[k], delta[k], a, b[k], c[k], d), {"groups": 2, "z": z[k], "method": "foh"}
        y, state = ss.selective_step(state, *arrays, **how)
        got, state_there = ss.selective_step(state_there, *up(cupy, arrays), **up(cupy, how))
        assert_same((got, state_there), (y, state))
    assert isinstance(state_there, ss.SelectiveState)


# --------------------------------------------------------------- nothing waits


@pytest.fixture
def silent(cupy, monkeypatch):
    """An engine that answers with zeros."""

    def scan(inputs, rule, weight, *, keep=False):
        check_inputs(cupy, inputs)
        states = [cupy.zeros((*inputs.batch, *inputs.A.shape), inputs.state_type) for _ in range(2)]
        return cupy.zeros((*inputs.batch, *inputs.u.shape[-2:]), inputs.output_type), *states, None

    monkeypatch.setattr(statespace.gpu, "selective_scan", scan, raising=False)


def test_values_are_not_asked_for(cupy, silent):
    """Negative steps, NaN, poles that grow and poles of a rational method go through: an answer would have to wait."""
    arrays, how = arguments("bilinear", "real")
    u, delta, a, b, c = arrays
    u[0, 0], delta[3], a[:] = np.nan, -1.0, 2.0
    how |= {"delta_softplus": False, "delta_bias": np.full(6, np.inf)}
    there, how_there = up(cupy, (u, delta, a, b, c)), up(cupy, how)
    with no_copies():
        ss.selective_scan(*there, **how_there)


def test_a_system_only_uploads_its_parameters(cupy, silent):
    u = cupy.asarray(np.full((2, 12, 6), np.nan))
    with no_copies(uploads=True):
        y, state = ss.selective_scan(u, LAYER, return_state=True)
        ss.Stream(LAYER, state=state).push(u)
        ss.selective_step(state, u[:, 0], LAYER)
    assert isinstance(y, cupy.ndarray)


# --------------------------------------------------------------- one place


HOST = ("delta", "A", "B", "C", "D", "z", "delta_bias", "x0", "reset")


@pytest.mark.parametrize("name", HOST)
def test_arrays_live_in_one_place(cupy, silent, name):
    (u, delta, a, b, c), how = arguments("mamba", "real")
    given = {"u": u, "delta": delta, "A": a, "B": b, "C": c, **how}
    there = up(cupy, given)
    for run_it in (ss.selective_scan, ss.selective_scan_vjp):
        text = rf"^{name} lives on the host and u on a GPU; write cupy\.asarray\({name}\)$"
        with pytest.raises(TypeError, match=text):
            run_it(**there | {name: given[name]})
        with pytest.raises(TypeError, match=text):
            run_it(**there | {name: given[name].tolist()})
        with pytest.raises(TypeError, match=rf"^{name} lives on a GPU and u on the host; write cupy\.asarray\(u\), or"):
            run_it(**given | {name: there[name]})


def test_states_and_gradients_live_where_u_does(cupy, engine):
    arrays, how = arguments("zoh", "real")
    there, how_there = up(cupy, arrays), up(cupy, how)
    with pytest.raises(TypeError, match=r"^x0\[1\] lives on the host and u on a GPU; write cupy\.asarray\(x0\[1\]\)$"):
        ss.selective_scan(*there, **how_there | {"x0": (how_there["x0"][0], how["x0"][1])})
    (y, state), pullback = ss.selective_scan_vjp(*there, **how_there, return_state=True)
    with pytest.raises(TypeError, match=r"^grad_y lives on the host and u on a GPU; write cupy\.asarray\(grad_y\)$"):
        pullback(y.get())
    with pytest.raises(TypeError, match=r"^grad_state\[0\] lives on the host and u on a GPU; write cupy\.asarray"):
        pullback(y, (state[0].get(), state[1]))
    with pytest.raises(TypeError, match=r"^x0 lives on the host and u on a GPU"):
        ss.selective_step(np.zeros((6, 3)), there[0][0, 0], LAYER)
    stream = ss.Stream(LAYER)
    stream.push(np.ones((3, 6)))
    with pytest.raises(TypeError, match=r"^x0 lives on the host and u on a GPU; write cupy\.asarray\(x0\)$"):
        stream.push(cupy.ones((3, 6)))
    assert isinstance(stream.state, np.ndarray)


def test_shapes_and_types_are_checked_as_on_the_host(cupy, silent):
    (u, delta, a, b, c), how = arguments("mamba", "real")
    there = up(cupy, {"u": u, "delta": delta, "A": a, "B": b, "C": c, **how})
    with pytest.raises(ValueError, match=r"^delta must have shape \(\.\.\., 20, 6\)"):
        ss.selective_scan(**there | {"delta": there["delta"][:3]})
    with pytest.raises(TypeError, match=r"^delta must be real"):
        ss.selective_scan(**there | {"delta": 1j * there["delta"]})
    with pytest.raises(TypeError, match=r"^reset must be bool, True where a sequence starts"):
        ss.selective_scan(**there | {"reset": cupy.zeros(20)})
    with pytest.raises(ValueError, match=r"^x0 must have shape \(\.\.\., 6, 3\)"):
        ss.selective_scan(**there | {"x0": cupy.zeros((6, 2))})
    with pytest.raises(ValueError, match=r"^the batch axes do not broadcast: u has \(2,\)"):
        ss.selective_scan(**there | {"z": cupy.zeros((7, 20, 6))})


def test_systems_live_on_the_host(cupy):
    """A layer is made of NumPy arrays, and what has no signal to follow is done there."""
    with pytest.raises(
        TypeError, match=r"^A is a cupy ndarray, which is not understood here .*write cupy\.asnumpy\(A\)"
    ):
        ss.SelectiveSystem(A=cupy.ones((3, 2)), delta_bias=np.ones(3), B=np.ones(2), C=np.ones(2))
    with pytest.raises(TypeError, match=r"^u_t is a cupy ndarray, .*write cupy\.asnumpy\(u_t\)"):
        ss.frozen(LAYER, cupy.ones(6))


def test_numba_is_not_imported_for_a_gpu():
    """A run on the device needs no compiler of the host's."""
    code = """
        import sys, pretend
        sys.modules.update(pretend.modules())
        import numpy, statespace as ss, statespace.gpu, cupy
        from statespace.selective.plan import rule_number
        one = cupy.ones((1, 1))

        def scan(inputs, rule, weight, *, keep):
            return cupy.zeros((1, 1)), cupy.zeros((1, 1)), None, None

        statespace.gpu.selective_scan = scan
        ss.selective_scan(one, one, one, one, one)
        ss.selective_scan(cupy.ones((4, 6)), ss.SelectiveSystem.initial(6, 3))
        ss.ssd(cupy.ones((4, 1, 1)), cupy.ones((4, 1)), -cupy.ones(1), one[None], one[None])
        assert "numba" not in sys.modules
    """
    here = Path(__file__).parent
    lines = "\n".join(line.removeprefix("        ") for line in code.splitlines())
    path = os.pathsep.join([str(here), str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        [sys.executable, "-c", lines],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
