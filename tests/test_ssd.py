"""ssd and ssd_trapezoidal beside the plain loop over time, and their gradients beside difference quotients."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import TrapezoidalState, ssd, ssd_trapezoidal, ssd_trapezoidal_vjp, ssd_vjp
from statespace.testing import assert_gradient

# --------------------------------------------------------------- the oracle: one sample after the other


def turned(b, theta):
    """The pairs of b (..., h, n) turned by theta (..., h, s)."""
    s = theta.shape[-1]
    b = np.broadcast_to(b, (*np.broadcast_shapes(b.shape[:-1], theta.shape[:-1]), b.shape[-1])).copy()
    even, odd = b[..., 0 : 2 * s : 2].copy(), b[..., 1 : 2 * s : 2].copy()
    b[..., 0 : 2 * s : 2] = even * np.cos(theta) - odd * np.sin(theta)
    b[..., 1 : 2 * s : 2] = even * np.sin(theta) + odd * np.cos(theta)
    return b


def loop(x, delta, A, B, C, D=None, *, weight=None, angles=None, x0=None, reset=None, dtype=np.float64, **_):
    """Mamba-3's equation as it is written, with weight 1 Mamba-2's: (y, state)."""
    (length, h, p), (g, n) = x.shape[-3:], B.shape[-2:]
    weight = np.ones((length, h)) if weight is None else weight
    angles = np.zeros((length, h, 0)) if angles is None else angles
    x0 = x0 if isinstance(x0, tuple) else (x0,)
    shapes = [a.shape[:-3] for a in (x, B, C, angles)] + [a.shape[:-2] for a in (delta, weight)]
    shapes += [] if reset is None else [reset.shape[:-1]]
    shapes += [] if A.ndim < 2 else [A.shape[:-2]]
    shapes += [np.shape(v)[: -3 if i == 0 else -2] for i, v in enumerate(x0) if v is not None]
    batch = np.broadcast_shapes(*shapes)
    x, delta, A, B, C, weight, angles = (np.asarray(a, dtype) for a in (x, delta, A, B, C, weight, angles))
    b, c = (np.broadcast_to(a, (*a.shape[:-3], length, g, n)).repeat(h // g, axis=-2) for a in (B, C))
    d = 0 if D is None else np.asarray(D, dtype).reshape(h, -1)
    A = np.broadcast_to(A, (*A.shape[:-2], length, h))
    wanted = ((h, p, n), (h, n), (h, p), (h, angles.shape[-1]))
    state = [np.zeros(batch + k, dtype) for k in wanted]
    state = [zero if v is None else zero + v for zero, v in zip(state, (*x0, None, None, None)[:4], strict=True)]
    y = np.empty((*batch, length, h, p), dtype)
    for t in range(length):
        if reset is not None:
            state = [
                np.where(reset[..., t].reshape(*reset.shape[:-1], *(1,) * (v.ndim - len(batch))), 0, v) for v in state
            ]
        S, k, v, theta = state
        theta = theta + angles[..., t, :, :]
        key, query = turned(b[..., t, :, :], theta), turned(c[..., t, :, :], theta)
        step, tau, value = delta[..., t, :], weight[..., t, :], x[..., t, :, :]
        alpha = np.exp(step * A[..., t, :])
        # S = α S + (1 − τ)Δ α x_{t−1} k_{t−1}ᵀ + τΔ x_t k_tᵀ
        S = alpha[..., None, None] * S + (tau * step)[..., None, None] * value[..., None] * key[..., None, :]
        if np.any(tau != 1):
            S = S + ((1 - tau) * step * alpha)[..., None, None] * v[..., None] * k[..., None, :]
        y[..., t, :, :] = (S @ query[..., None])[..., 0] + d * value
        state = [S, key, value, theta]
    return y, TrapezoidalState(*(np.broadcast_to(v, batch + k) for v, k in zip(state, wanted, strict=True)))


# --------------------------------------------------------------- cases


def draw(rng, length=20, h=4, p=3, g=2, n=4, *, s=None, bx=(), bb=(), constant=False, by_time=False, d=1, start=False,
         resets=0.0, rate=(0.0, 3.0), step=(0.01, 0.3), dtype=float):  # fmt: skip
    """Arguments of ssd as a dict; with ``s`` those of ssd_trapezoidal."""
    normal = rng.normal
    case = {
        "x": normal(size=(*bx, length, h, p)), "delta": rng.uniform(*step, (*bx, length, h)),
        "A": -rng.uniform(*rate, (length, h) if by_time else h),
        "B": normal(size=(*bb, 1 if constant else length, g, n)), "C": normal(size=(*bb, length, g, n)),
        "D": (None, normal(size=h), normal(size=(h, p)))[d],
    }  # fmt: skip
    if s is not None:
        case |= {"weight": rng.uniform(0, 1, (*bx, length, h)), "angles": rng.uniform(-4, 4, (length, h, s))}
    if start:
        shapes = ((h, p, n), (h, n), (h, p), (h, s or 0))
        x0 = TrapezoidalState(*(normal(size=(*bb, *k)) for k in shapes))
        case["x0"] = x0.state if s is None else x0
    case = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in case.items()}
    if resets:
        case["reset"] = rng.random((*bx, length)) < resets
        if bx:  # some of the batch begin with one
            case["reset"][..., :1] = np.arange(int(np.prod(bx))).reshape(*bx, 1) == 0
    return case


def run(case, **more):
    function = ssd_trapezoidal if "weight" in case else ssd
    y, state = function(**case | more, return_state=True)
    return y, state if "weight" in case else TrapezoidalState(state, *(np.zeros(0),) * 3)


def assert_same(answer, wanted, bar=1e-13):
    """Y and every part of the state, relative to the largest entry; angles as points of the circle."""
    (y, state), (wanted_y, wanted_state) = answer, wanted
    close(y, wanted_y, bar)
    for got, want in zip(state[:3], wanted_state[:3], strict=True):
        if got.shape != (0,):
            close(got, want, bar)
    if state.angle.shape != (0,):
        assert np.abs(state.angle).max(initial=0.0) <= np.pi
        close(np.exp(1j * state.angle), np.exp(1j * np.asarray(wanted_state.angle, float)), bar)


def close(got, want, bar):
    assert got.shape == want.shape
    scale = np.abs(want).max(initial=1e-3)
    np.testing.assert_allclose(
        got, np.asarray(want, complex if got.dtype.kind == "c" else float), rtol=0, atol=bar * scale
    )


KINDS = {
    "plain": {},
    "one group": {"g": 1, "d": 0},
    "a group a head": {"h": 3, "g": 3, "d": 2},
    "A in time": {"by_time": True, "start": True},
    "B constant": {"constant": True, "start": True},
    "batch": {"bx": (2,), "start": True},
    "two batches": {"bx": (2, 1), "bb": (3,), "start": True, "resets": 0.1},
    "resets": {"bx": (2,), "start": True, "resets": 0.1},
    "one of each": {"h": 1, "p": 1, "g": 1, "n": 1},
    "no decay": {"rate": (0.0, 0.0), "start": True},
    "stiff": {"rate": (1e4, 1e4), "step": (0.5, 1.0), "start": True},
    "slow": {"rate": (1e-6, 1e-3)},
}
KINDS3 = {
    "no angles": {"s": 0, "d": 0},
    "all turn": {"s": 2, "start": True},
    "some turn": {"s": 1, "g": 1, "bx": (2,), "d": 2, "start": True},
    "odd n": {"s": 2, "n": 5, "constant": True, "by_time": True},
    "batches": {"s": 1, "bx": (2, 1), "bb": (3,), "start": True, "resets": 0.1},
    "resets": {"s": 2, "bx": (2,), "start": True, "resets": 0.2},
    "stiff": {"s": 1, "rate": (1e4, 1e4), "step": (0.5, 1.0), "start": True},
    "no decay": {"s": 2, "rate": (0.0, 0.0)},
}
ALL = [pytest.param(kind, id=f"ssd: {name}") for name, kind in KINDS.items()]
ALL += [pytest.param(kind, id=f"trapezoidal: {name}") for name, kind in KINDS3.items()]


@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("kind", ALL)
def test_the_chunks_are_the_loop(kind, length):
    case = draw(np.random.default_rng(length), length, **kind)
    wanted = loop(**case)
    for chunk in (1, 7, 64, 1000):
        assert_same(run(case, chunk=chunk), wanted)


@given(st.integers(0, 2**32), st.data())
def test_any_split_is_the_whole(seed, data):
    """Empty pieces and pieces of one sample among them, the state handed on."""
    rng = np.random.default_rng(seed)
    kind = data.draw(st.sampled_from([*KINDS.values(), *KINDS3.values()]))
    length = data.draw(st.integers(0, 40))
    case = draw(rng, length, **kind)
    chunk = data.draw(st.integers(1, 50))
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=6)))
    whole, pieces, state = run(case, chunk=chunk), [], case.get("x0")
    for a, b in zip([0, *cuts], [*cuts, length], strict=True):
        y, state = run(during(case, slice(a, b)) | {"x0": state}, chunk=data.draw(st.integers(1, 50)))
        pieces.append(y)
        state = state if "weight" in case else state.state
    state = state if "weight" in case else TrapezoidalState(state, *(np.zeros(0),) * 3)
    assert_same((np.concatenate(pieces, axis=-3), state), whole)


def during(case, part):
    """The samples of a part of everything that has time, without x0."""

    def samples(name, value):
        if name in ("x", "C", "angles") or (name == "B" and value.shape[-3] != 1):
            return value[..., part, :, :]
        if name in ("delta", "weight") or (name == "A" and value.ndim > 1):
            return value[..., part, :]
        return value[..., part] if name == "reset" else value

    return {name: samples(name, value) for name, value in case.items() if name != "x0"}


@pytest.mark.parametrize("name", KINDS)
def test_with_weight_1_and_no_angles_mamba_3_is_mamba_2(name):
    case = draw(np.random.default_rng(3), 130, **KINDS[name])
    y = ssd(**case)
    x0 = case.pop("x0", None)
    if x0 is not None:
        h, p, n = x0.shape[-3:]
        x0 = TrapezoidalState(x0, np.ones((h, n)), np.ones((h, p)), np.zeros((h, 0)))
    again = ssd_trapezoidal(**case, x0=x0, weight=np.ones(case["delta"].shape))
    close(again, y, 1e-14)


def test_packed_sequences_do_not_hear_each_other():
    rng = np.random.default_rng(4)
    for s in (None, 2):
        case = draw(rng, 150, s=s, bx=(2,))
        starts = [0, 1, 70, 128, 149]
        packed = run(case | {"reset": np.isin(np.arange(150), starts)})[0]
        for a, b in zip(starts, [*starts[1:], 150], strict=True):
            close(packed[..., a:b, :, :], run(during(case, slice(a, b)))[0], 1e-13)


def test_any_layout_is_read():
    case = draw(np.random.default_rng(5), 70, bx=(2,))
    other = {k: np.asfortranarray(v) for k, v in case.items()}
    for v in other.values():
        v.setflags(write=False)
    close(ssd(**other), ssd(**case), 1e-14)


def test_by_hand():
    """x = 1 at t = 0: ½ of it at once, at t = 1 ½ + ½ decayed by ½ and turned by 90 degrees, away from C."""
    x, one = np.array([1.0, 0, 0]).reshape(3, 1, 1), np.array([[[1.0, 0.0]]])
    more = {"weight": np.full((3, 1), 0.5), "angles": np.full((3, 1, 1), np.pi / 2)}
    y = ssd_trapezoidal(x, np.ones((3, 1)), [-np.log(2)], one, one, [3.0], **more)
    np.testing.assert_allclose(y.ravel(), [3.5, 0.0, -0.25], atol=1e-15)


# --------------------------------------------------------------- accuracy


@pytest.mark.parametrize("s", [None, 1])
@pytest.mark.parametrize("decay", [1e-7, 1e-4, 1e-2])
def test_long_signals_keep_their_digits(decay, s):
    """50,000 samples with |α| = 1 − decay beside extended precision.

    At worst 4 eps a sample, for as long as it is remembered. Signs are random, so of that count the square root; the
    state in double keeps single precision at the rounding of its sums over a chunk.
    """
    length = 50_000
    case = draw(
        np.random.default_rng(6), length, 1, 2, 1, 3, s=s, d=0, rate=(1.0, 1.0), step=(decay, decay), dtype="f4"
    )
    wanted = loop(**case, dtype=np.longdouble)
    assert_same(run(case), wanted, 1e-6)
    doubles = {name: value if value is None else value.astype(float) for name, value in case.items()}
    assert_same(run(doubles), wanted, max(4 * 2.0**-52 * min(length, 1 / decay) ** 0.5, 1e-13))


def test_a_segment_is_summed_and_not_subtracted():
    """Behind ΔA of −1e6 in all, running sums would have lost ten digits of the next decays."""
    case = draw(np.random.default_rng(7), 2000, h=2, g=1, rate=(1.0, 1.0))
    case["delta"][:1000], case["delta"][1000:] = 1e3, 1e-3
    close(ssd(**case, chunk=2000)[1000:], loop(**case, dtype=np.longdouble)[0][1000:], 1e-13)


def test_a_million_radians_keep_their_digits():
    """2π is no double: taken off 95,000 times it leaves 5e-11."""
    length = 200_000
    one, pair = np.ones((1, 1, 1)), np.ones((1, 1, 2))
    steps = {"delta": np.zeros((length, 1)), "weight": np.ones((length, 1)), "angles": np.full((length, 1, 1), 3.0)}
    _, state = ssd_trapezoidal(one.repeat(length, 0), A=[0.0], B=pair, C=pair, **steps, return_state=True)
    wanted = np.exp(1j * np.float64(np.longdouble(3 * length) % (4 * np.arccos(np.longdouble(0)))))
    assert abs(np.exp(1j * state.angle.item()) - wanted) < 2e-12


def test_decays_out_of_range_are_0_and_not_nan():
    case = draw(np.random.default_rng(8), 100, h=2, start=True)
    for huge in (1e5, 1e200, 1e308):
        case["delta"][50], case["A"] = huge, np.array([-1e5, -1.0])
        case["B"][50] = 0.0  # so that only the decay is huge
        y = ssd(**case)
        assert np.isfinite(y).all()
        close(y[51:], ssd(**during(case, slice(51, None))), 1e-13)
        assert not np.any(ssd(**case | {"x": np.zeros_like(case["x"])})[50:])


def test_a_growing_state_grows_and_says_so():
    case = draw(np.random.default_rng(9), 300, h=2, g=1, d=0) | {"A": np.array([0.1, -0.2])}
    with pytest.warns(RuntimeWarning, match=r"^A is positive in 1 of 2 entries: .*grows") as caught:
        y = ssd(**case)
    assert Path(caught[0].filename) == Path(__file__)
    close(y, loop(**case)[0], 1e-13)
    case["delta"][100], reset = 1e308, np.arange(300) == 150
    with pytest.warns(RuntimeWarning, match="grows"):
        packed = ssd(**case | {"A": np.array([10.0, -1.0])}, reset=reset, chunk=300)
    assert np.isfinite(packed[150:]).all()
    for function, more in ((ssd_vjp, {}), (ssd_trapezoidal, {"weight": np.ones((300, 2))}),
                           (ssd_trapezoidal_vjp, {"weight": np.ones((300, 2))})):  # fmt: skip
        with pytest.warns(RuntimeWarning, match="grows") as caught:
            function(**case, **more)
        assert Path(caught[0].filename) == Path(__file__)


@pytest.mark.parametrize("kind", ALL)
def test_single_precision(kind):
    case = draw(np.random.default_rng(10), 200, **kind, dtype=np.float32)
    y, state = run(case)
    assert y.dtype == np.float32
    assert all(v.dtype == np.float64 for v in state)
    assert_same((y, state), loop(**case), 2e-6)  # sums over 4 states and 64 samples of a chunk
    doubles = {
        k: v.astype(float) if isinstance(v, np.ndarray) and k not in ("x", "reset") else v for k, v in case.items()
    }
    assert run(doubles)[0].dtype == np.float32
    assert run(case | {"x": case["x"].astype(float)})[0].dtype == np.float64


# --------------------------------------------------------------- NaN


@pytest.mark.parametrize("s", [None, 2])
@pytest.mark.parametrize("name", ["x", "B", "C"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_goes_forward_in_time_only(name, bad, s):
    for where in (0, 30, 63, 64, 129):
        case = draw(np.random.default_rng(11), 130, s=s, bx=(2,), resets=0.0)
        clean = run(case)[0]
        if name == "x":
            case["x"][1, where, 2, 1] = bad
        else:
            case[name] = np.stack([case[name]] * 2)
            case[name][1, where, 1, 2] = bad
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the loop's
            wanted = loop(**case)[0]
        for chunk in (1, 64, 100):
            y = run(case, chunk=chunk)[0]
            np.testing.assert_array_equal(np.isfinite(y), np.isfinite(wanted))
            close(y[:, :where], clean[:, :where], 1e-13)
            close(y[0], clean[0], 1e-13)


def test_what_overflows_does_not_go_backwards():
    """C·B of a sample and a later one may be infinite: 0 times that is NaN."""
    case = draw(np.random.default_rng(23), 100, h=2, g=1)
    clean = ssd(**case)
    case["C"][40], case["B"][50] = 1e200, 1e200
    wanted = loop(**case)[0]
    for chunk in (1, 64, 100):
        y = ssd(**case, chunk=chunk)
        close(y[:40], clean[:40], 1e-13)
        close(y[40], wanted[40], 1e-13)


@pytest.mark.parametrize("name", ["x", "B", "x0"])
@pytest.mark.parametrize("s", [None, 2])
def test_nan_does_not_cross_a_reset(name, s):
    case = draw(np.random.default_rng(12), 100, s=s, start=True)
    clean = run(case | {"reset": np.arange(100) == 40})
    if name == "x0":
        x0 = case["x0"]
        case["x0"] = x0 * np.nan if s is None else TrapezoidalState(*(v * np.nan for v in x0[:3]), x0.angle)
    else:
        case[name][20, 0, 0] = np.nan
    for chunk in (1, 10, 64, 100):
        y, state = run(case | {"reset": np.arange(100) == 40}, chunk=chunk)
        assert np.isnan(y[20:40]).any()
        assert_same((y[40:], state), (clean[0][40:], clean[1]))


# --------------------------------------------------------------- gradients

ARRAYS = ("x", "delta", "A", "B", "C", "D")
MORE = ("weight", "angles")


def differentiable(rng, kind, length=23):
    """A case with |λ| in [0.99, 1] for most of it, and weights that stay inside [0, 1] when moved."""
    case = draw(rng, length, **{"rate": (0.01, 0.1), "step": (0.05, 0.1)} | kind)
    if "weight" in case:
        case["weight"] = 0.1 + 0.8 * case["weight"]
    return case


def flat(case):
    """The array arguments one after the other, of a TrapezoidalState each part."""
    x0 = case.get("x0")
    parts = () if x0 is None else (x0,) if "weight" not in case else tuple(x0)
    return [case[k] for k in (*ARRAYS, *MORE) if k in case] + list(parts)


def unflat(case, values):
    names = [k for k in (*ARRAYS, *MORE) if k in case]
    new, rest = dict(zip(names, values, strict=False)), values[len(names) :]
    if rest:
        new["x0"] = rest[0] if "weight" not in case else TrapezoidalState(*rest)
    return case | new


def one(y, state):
    """Y and the state in one array, with weights that grow unevenly in time."""
    uneven = (1.0 + np.arange(y.shape[-3]) ** 1.5)[:, None, None]
    parts = [y * uneven, *state[:3], np.cos(state.angle), np.sin(state.angle)]
    return np.concatenate([v.ravel() for v in parts])


def one_vjp(case, y, pullback):
    state = run(case)[1]
    shapes = [y.shape, *(v.shape for v in state), state.angle.shape]
    uneven = (1.0 + np.arange(y.shape[-3]) ** 1.5)[:, None, None]

    def back(grad):
        ends = np.cumsum([int(np.prod(k)) for k in shapes])
        gy, *gs, gc, gn = (v.reshape(k) for v, k in zip(np.split(grad, ends[:-1]), shapes, strict=True))
        gs.append(-np.sin(state.angle) * gc + np.cos(state.angle) * gn)
        gs = TrapezoidalState(*gs) if "weight" in case else gs[0]
        result = pullback(gy * uneven, gs)
        *arrays, x0 = result
        arrays = [v for k, v in zip((*ARRAYS, *MORE), arrays, strict=False) if k in case]
        return tuple(arrays) + (() if x0 is None else (x0,) if "weight" not in case else tuple(x0))

    return one(y, state), back


def pair(case, chunk):
    """The function of the arrays, and its vjp, for assert_gradient."""
    vjp = ssd_trapezoidal_vjp if "weight" in case else ssd_vjp

    def function(*values):
        return one(*run(unflat(case, values), chunk=chunk))

    def with_pullback(*values):
        moved = unflat(case, values)
        return one_vjp(moved, *vjp(**moved, chunk=chunk))

    return function, with_pullback


GRADED = [pytest.param(kind, id=f"ssd: {name}") for name, kind in KINDS.items() if name not in ("stiff", "no decay")]
GRADED += [
    pytest.param(kind, id=f"trapezoidal: {name}") for name, kind in KINDS3.items() if name not in ("stiff", "no decay")
]


@pytest.mark.parametrize("chunk", [1, 5, 64])
@pytest.mark.parametrize("kind", GRADED)
def test_gradients_are_those_of_the_dot_product_test(kind, chunk):
    case = differentiable(np.random.default_rng(13), kind, 11)
    assert assert_gradient(*pair(case, chunk), *flat(case)).bound > 0


@pytest.mark.parametrize("length", [0, 1, 64, 200])
@pytest.mark.parametrize("kind", GRADED)
def test_gradients_are_directional_differences(kind, length):
    """For each array by itself, to 1e-9 of what it moves and the rounding of y over h; over several checkpoints."""
    case = differentiable(np.random.default_rng(14), kind, length)
    rng = np.random.default_rng(15)
    function, vjp = pair(case, 16)
    values = flat(case)
    y, back = vjp(*values)
    w = rng.normal(size=y.shape)
    gradients = back(w)
    for i, value in enumerate(values):
        if value is None or value.size == 0:
            continue
        v = rng.choice([-1.0, 1.0], value.shape) * np.minimum(np.abs(value), 0.1)
        slope = w @ quotient(lambda h, i=i, v=v: function(*values[:i], values[i] + h * v, *values[i + 1 :]))
        size = np.abs(gradients[i] * v).sum()
        assert abs(np.vdot(gradients[i], v) - slope) <= 1e-9 * size + 1e-13 * np.abs(w * y).sum()


def quotient(f, h=2.0**-6):
    """The slope of f at 0 to O(h⁶)."""
    return (45 * (f(h) - f(-h)) - 9 * (f(2 * h) - f(-2 * h)) + f(3 * h) - f(-3 * h)) / (60 * h)


def test_gradients_do_not_depend_on_chunks_or_calls():
    case = differentiable(np.random.default_rng(16), {"bx": (2,), "start": True, "resets": 0.05}, 150)
    y, pullback = ssd_vjp(**case)
    np.testing.assert_array_equal(y, ssd(**case))
    grad_y = np.random.default_rng(17).normal(size=y.shape)
    first, second = pullback(grad_y), pullback(grad_y)
    other = ssd_vjp(**case, chunk=7)[1](grad_y)
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a, b)
        close(c, a, 1e-13)


def test_gradients_of_the_split_are_those_of_the_whole():
    """Back through time in pieces: the gradient of a piece's x0 is the grad_state of the piece before."""
    for kind in ({"start": True}, {"s": 2, "start": True, "resets": 0.1}):
        case = differentiable(np.random.default_rng(18), kind, 40)
        vjp = ssd_trapezoidal_vjp if "weight" in case else ssd_vjp
        grad_y = np.random.default_rng(19).normal(size=case["x"].shape)
        whole = vjp(**case)[1](grad_y)
        parts, pulls, state = (slice(0, 17), slice(17, 17), slice(17, 18), slice(18, 40)), [], case["x0"]
        for part in parts:
            piece = during(case, part) | {"x0": state}
            (y, state), pull = vjp(**piece, return_state=True)
            pulls.append(pull)
            same, other = (ssd_trapezoidal if "weight" in case else ssd)(**piece, return_state=True)
            assert np.array_equal(y, same)
            for got, want in zip(*((x if isinstance(x, tuple) else (x,)) for x in (state, other)), strict=True):
                assert np.array_equal(got, want)
        after, found = None, []
        for part, pull in reversed(list(zip(parts, pulls, strict=True))):
            found.insert(0, pull(grad_y[part], after))
            after = found[0].x0
        for name in ("x", "delta", "B", *(k for k in MORE if k in case)):
            close(np.concatenate([getattr(f, name) for f in found]), getattr(whole, name), 1e-12)
        for name in ("A", "D"):
            close(sum(getattr(f, name) for f in found), getattr(whole, name), 1e-12)
        parts_of_x0 = zip(found[0].x0, whole.x0, strict=True) if "weight" in case else [(found[0].x0, whole.x0)]
        for got, want in parts_of_x0:
            close(got, want, 1e-12)


def test_gradients_in_single_precision():
    for kind in ({"bx": (2,), "start": True}, {"s": 1, "start": True}):
        case = differentiable(np.random.default_rng(20), kind, 130)
        vjp = ssd_trapezoidal_vjp if "weight" in case else ssd_vjp
        grad_y = np.random.default_rng(21).normal(size=case["x"].shape)
        wanted = vjp(**case)[1](grad_y)
        small = {k: v.astype("f4") if isinstance(v, np.ndarray) else v for k, v in case.items() if k != "x0"}
        small |= {"x0": case["x0"]}
        for got, want in zip(vjp(**small)[1](grad_y)[:-1], wanted[:-1], strict=True):
            if want is not None:
                assert got.dtype == np.float32
                close(got, want, 3e-6)


def test_what_is_not_given_has_no_gradient():
    case = draw(np.random.default_rng(22), 5, s=0, d=0)
    del case["angles"]
    y, pullback = ssd_trapezoidal_vjp(**case)
    gradients = pullback(y, TrapezoidalState(None, None, None, None))
    assert gradients.D is None
    assert gradients.angles is None
    assert gradients.x0 is None
    plain = {k: v for k, v in case.items() if k != "weight"}
    assert ssd_vjp(**plain)[1](y).x0 is None
