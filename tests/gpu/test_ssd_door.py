"""ssd and ssd_trapezoidal on arrays of CuPy: the numbers of the CPU, many chunks at once, and nothing waits."""

import re

import numpy as np
import pytest
from card import no_copies
from test_ssd import KINDS, KINDS3, draw

import statespace as ss
from statespace import ssd, ssd_trapezoidal, ssd_trapezoidal_vjp, ssd_vjp
from statespace.selective import many_chunks

ALL = KINDS | KINDS3
CHUNKS = (1, 5, 8, 64)  # of 20 samples: one by one, whole chunks, whole chunks and some more, all at once


def up(cupy, value):
    """Arguments or gradients on the device."""
    if isinstance(value, dict):
        return {name: up(cupy, part) for name, part in value.items()}
    if isinstance(value, tuple):
        return type(value)(*(up(cupy, part) for part in value)) if hasattr(value, "_fields") else value
    return cupy.asarray(value) if isinstance(value, np.ndarray) else value


def parts(value):
    """All arrays of an answer, in one order."""
    if isinstance(value, tuple):
        return [array for part in value for array in parts(part)]
    return [value]


def assert_same(got, wanted, bar):
    """On the device, of the same types and shapes, and equal relative to the largest entry."""
    got, wanted = parts(got), parts(wanted)
    assert len(got) == len(wanted)
    for mine, its in zip(got, wanted, strict=True):
        if its is None:
            assert mine is None
            continue
        assert type(mine).__module__.startswith("cupy")
        assert (mine.shape, mine.dtype) == (its.shape, its.dtype)
        scale = np.abs(its[np.isfinite(its)]).max(initial=1e-3)
        np.testing.assert_allclose(mine.get(), its, rtol=0, atol=bar * scale)


def functions(case):
    return (ssd_trapezoidal, ssd_trapezoidal_vjp) if "weight" in case else (ssd, ssd_vjp)


def gradients_of(rng, y, state):
    """Gradients of an answer, drawn."""
    back = rng.normal(size=y.shape)
    drawn = [rng.normal(size=part.shape) for part in parts(state)]
    return back, type(state)(*drawn) if isinstance(state, tuple) else drawn[0]


# --------------------------------------------------------------- the answer, and its gradients


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("kind", ALL)
def test_the_answer_is_that_of_the_cpu(cupy, kind, chunk):
    """Sums over other orders of the same numbers: a few roundings for each of 20 samples."""
    case = draw(np.random.default_rng(len(kind)), **ALL[kind])
    run, _ = functions(case)
    there = up(cupy, case)
    with no_copies():
        got = run(**there, chunk=chunk, return_state=True)
    assert_same(got, run(**case, chunk=chunk, return_state=True), 1e-13)
    assert_same(run(**there, chunk=chunk), run(**case, chunk=chunk), 1e-13)


@pytest.mark.parametrize("chunk", [5, 64])
@pytest.mark.parametrize("kind", ALL)
def test_gradients_are_those_of_the_cpu(cupy, kind, chunk):
    rng = np.random.default_rng(len(kind))
    case = draw(rng, **ALL[kind])
    _, vjp = functions(case)
    (y, state), pullback = vjp(**case, chunk=chunk, return_state=True)
    back = gradients_of(rng, y, state)
    there, back_there = up(cupy, case), [up(cupy, part) for part in back]
    with no_copies():
        (got, _), pullback_there = vjp(**there, chunk=chunk, return_state=True)
        found, alone = pullback_there(*back_there), pullback_there(back_there[0])
        again = pullback_there(*back_there)
    assert_same(got, y, 1e-13)
    assert_same(found, pullback(*back), 1e-12)
    assert_same(alone, pullback(back[0]), 1e-12)
    for one, other in zip(parts(found), parts(again), strict=True):
        assert one is None or (one == other).all().item()  # the same bits


@pytest.mark.parametrize("kind", ["two batches", "one group", "batches"])
def test_single_precision(cupy, kind):
    """Products in single, states in double; 1e-5 is 100 roundings of the largest."""
    rng = np.random.default_rng(3)
    case = draw(rng, length=70, dtype=np.float32, **ALL[kind])
    _, vjp = functions(case)
    (y, state), pullback = vjp(**case, return_state=True)
    (got, last), pullback_there = vjp(**up(cupy, case), return_state=True)
    assert_same((got, last), (y, state), 1e-5)
    back = rng.normal(size=y.shape).astype(np.float32)
    assert_same(pullback_there(cupy.asarray(back)), pullback(back), 1e-5)


@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, 65, 129])
@pytest.mark.parametrize("s", [None, 1])
def test_lengths(cupy, length, s):
    """None, one, and chunks with and without a rest."""
    rng = np.random.default_rng(length)
    case = draw(rng, length=length, s=s, start=True, resets=0.05)
    _, vjp = functions(case)
    (y, state), pullback = vjp(**case, return_state=True)
    (got, last), pullback_there = vjp(**up(cupy, case), return_state=True)
    assert_same((got, last), (y, state), 1e-13)
    back = gradients_of(rng, y, state)
    assert_same(pullback_there(*(up(cupy, part) for part in back)), pullback(*back), 1e-12)


@pytest.mark.parametrize("sizes", [{"bx": (0,)}, {"p": 0}, {"n": 0}])
def test_nothing_in_it(cupy, sizes):
    case = draw(np.random.default_rng(0), resets=0.1, **sizes)
    (y, state), pullback = ssd_vjp(**case, return_state=True)
    (got, last), pullback_there = ssd_vjp(**up(cupy, case), return_state=True)
    assert_same((got, last), (y, state), 1e-13)
    assert_same(pullback_there(cupy.asarray(y), last), pullback(y, state), 1e-12)


def test_memory_is_bounded_by_stretches_of_time(cupy, monkeypatch):
    """Decay matrices of a stretch alone are there at once; how long they are changes nothing but rounding."""
    rng = np.random.default_rng(0)
    case = draw(rng, length=47, bx=(2,), start=True, resets=0.1)
    wanted, pullback = ssd_vjp(**case, chunk=4)
    there = up(cupy, case)
    for entries in (1, 300, 1000):
        monkeypatch.setattr(many_chunks, "_ENTRIES", entries)
        got, pullback_there = ssd_vjp(**there, chunk=4)
        assert_same(got, wanted, 1e-13)
        assert_same(pullback_there(cupy.asarray(wanted)), pullback(wanted), 1e-12)


def test_a_split_in_time_hands_the_state_on(cupy):
    rng = np.random.default_rng(1)
    for s in (None, 2):
        case = draw(rng, length=30, s=s)
        run, _ = functions(case)
        there = up(cupy, case)
        own = {"x", "delta", "B", "C", "weight", "angles"}
        first = {name: value[:13] if name in own else value for name, value in there.items()}
        second = {name: value[13:] if name in own else value for name, value in there.items()}
        y0, state = run(**first, return_state=True)
        y1 = run(**second, x0=state)
        assert_same(cupy.concatenate([y0, y1]), run(**case), 1e-12)


# --------------------------------------------------------------- NaN and infinity


@pytest.mark.parametrize("chunk", [1, 8, 64])
@pytest.mark.parametrize(
    ("name", "value"), [("x", np.nan), ("x", np.inf), ("B", np.nan), ("B", -np.inf), ("C", np.nan)]
)
def test_nan_goes_forward_in_time_only(cupy, name, value, chunk):
    """As on the CPU, where an infinity may stay one; and nothing waits to find out."""
    case = draw(np.random.default_rng(2), length=40, bx=(2,))
    case["reset"] = np.arange(40) == 25
    clean = up(cupy, case)
    case[name][(0,) * (case[name].ndim == 4) + (11,)][0, 1] = value
    there = up(cupy, case)
    with no_copies():
        y = ssd(**there, chunk=chunk)
    y, unharmed = y.get(), ssd(**clean, chunk=chunk).get()
    wanted = ssd(**case, chunk=chunk)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(wanted))
    np.testing.assert_array_equal(y[np.isfinite(y)], unharmed[np.isfinite(y)])
    assert np.isnan(y[0, 11]).any()
    assert np.isfinite(y[0, 25:]).all()


@pytest.mark.parametrize("name", ["delta", "A"])
def test_steps_that_are_not_finite_go_through(cupy, name):
    """The CPU refuses them; here they spoil their head from there on, until a reset."""
    case = draw(np.random.default_rng(2), length=40, by_time=True)
    case["reset"] = np.arange(40) == 25
    clean = ssd(**case)
    case[name][11, 1] = np.nan
    case[name][25, 2] = np.nan  # at the reset itself, which takes no decay
    y, state = ssd(**up(cupy, case), return_state=True)
    spoiled = np.zeros((40, 4), bool)
    spoiled[11:25, 1], spoiled[25:, 2] = True, name == "delta"
    np.testing.assert_array_equal(np.isnan(y.get()), np.broadcast_to(spoiled[..., None], y.shape))
    np.testing.assert_allclose(y.get()[~spoiled], clean[~spoiled], rtol=0, atol=1e-12)
    assert np.isnan(state.get()).any(axis=(1, 2)).tolist() == [False, False, name == "delta", False]


def test_a_state_that_is_not_finite_ends_at_a_reset(cupy):
    case = draw(np.random.default_rng(4), length=20, start=True)
    case["reset"] = np.arange(20) == 9
    case["x0"][1] = np.nan
    y = ssd(**up(cupy, case), chunk=4).get()
    np.testing.assert_array_equal(np.isnan(y).any(axis=-1), np.isnan(ssd(**case, chunk=4)).any(axis=-1))


def test_negative_steps_and_growth_are_not_asked_for(cupy):
    case = draw(np.random.default_rng(4), length=20)
    case["A"], case["delta"][3] = -case["A"], -0.1
    there = up(cupy, case)
    with no_copies():
        ssd(**there)


# --------------------------------------------------------------- one place


CASE = draw(np.random.default_rng(0), length=4, s=1, start=True, resets=0.5)


@pytest.mark.parametrize("name", [name for name in CASE if name not in ("x", "x0")])
def test_arrays_live_in_one_place(cupy, name):
    plain = {key: value for key, value in CASE.items() if key not in ("weight", "angles", "x0")}
    for run in (ssd, ssd_vjp) if name in plain else (ssd_trapezoidal, ssd_trapezoidal_vjp):
        case = plain if run in (ssd, ssd_vjp) else {**CASE, "x0": None}
        text = rf"^{name} lives on the host and x on a GPU; write cupy\.asarray\({name}\)$"
        with pytest.raises(TypeError, match=text):
            run(**up(cupy, case) | {name: case[name]})
        with pytest.raises(TypeError, match=text):
            run(**up(cupy, case) | {name: case[name].tolist()})
        with pytest.raises(TypeError, match=rf"^{name} lives on a GPU and x on the host; write cupy\.asarray\(x\), or"):
            run(**case | {name: cupy.asarray(case[name])})


def test_states_and_gradients_live_where_x_does(cupy):
    there = up(cupy, CASE)
    y, pullback = ssd_trapezoidal_vjp(**there)
    host = re.escape("lives on the host and x on a GPU; write cupy.asarray(")
    with pytest.raises(TypeError, match=rf"^x0\[0\] {host}x0\[0\]\)"):
        ssd_trapezoidal(**there | {"x0": CASE["x0"]})
    with pytest.raises(TypeError, match=rf"^grad_y {host}grad_y\)"):
        pullback(y.get())
    with pytest.raises(TypeError, match=rf"^grad_state\[1\] {host}grad_state\[1\]\)"):
        pullback(y, (None, CASE["x0"].key, None, None))
    _, pullback = ssd_vjp(*(CASE[name] for name in ("x", "delta", "A", "B", "C")))
    with pytest.raises(TypeError, match=r"^grad_y lives on a GPU and x on the host; write cupy\.asarray\(x\), or"):
        pullback(y)


def test_shapes_are_checked_as_on_the_host(cupy):
    there = up(cupy, draw(np.random.default_rng(0), length=4))
    with pytest.raises(ValueError, match=r"^delta must have shape \(\.\.\., L=4, h=4\)"):
        ssd(**there | {"delta": there["delta"][:3]})
    with pytest.raises(TypeError, match=r"^reset must be bool"):
        ssd(**there, reset=cupy.zeros(4))
    with pytest.raises(TypeError, match=r"^x must be real"):
        ssd(**there | {"x": 1j * there["x"]})
    assert isinstance(ss.ssd(**there), cupy.ndarray)
