"""assert_gradient: right gradients pass over shapes and scales, and every way to be wrong is found and named."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.testing.gradient import assert_gradient

Gradients = namedtuple("Gradients", "u a b x0")

# --------------------------------------------------------------- two scans with their adjoints by hand


def scan(u, a, b, x0):
    """y_k = Σ x_k with x_k = a x_{k-1} + b u_k."""
    x, y = x0, np.zeros(u.shape, np.result_type(u, a, b, x0))
    for k in range(len(u)):
        x = a * x + b * u[k]
        y[k] = x.sum()
    return y


def scan_vjp(u, a, b, x0):
    states = [x0]
    for k in range(len(u)):
        states.append(a * states[-1] + b * u[k])

    def pullback(grad_y):
        gu, ga, gb, gx = np.zeros_like(u), np.zeros_like(a), np.zeros_like(b), np.zeros_like(x0)
        for k in reversed(range(len(u))):
            gx = gx + grad_y[k]
            gu[k] = (b.conj() * gx).sum()
            ga, gb = ga + states[k].conj() * gx, gb + u[k].conj() * gx
            gx = a.conj() * gx
        return Gradients(gu, ga, gb, gx)

    return scan(u, a, b, x0), pullback


def selective(u, delta, A, B, C):
    """y_k = C_k x_k with x_k = exp(δ_k A) x_{k-1} + δ_k B_k u_k; δ must be positive."""
    if np.any(delta <= 0):
        raise ValueError("delta must be positive")
    x, y = np.zeros_like(A), np.zeros_like(u)
    for k in range(len(u)):
        x = np.exp(delta[k] * A) * x + delta[k] * B[k] * u[k]
        y[k] = C[k] @ x
    return y


def selective_vjp(u, delta, A, B, C):
    x = np.zeros((len(u) + 1, *A.shape), A.dtype)
    for k in range(len(u)):
        x[k + 1] = np.exp(delta[k] * A) * x[k] + delta[k] * B[k] * u[k]

    def pullback(grad_y):
        g, gu, gdelta, gA, gB, gC = (np.zeros_like(z) for z in (A, u, delta, A, B, C))
        for k in reversed(range(len(u))):
            gC[k], g = grad_y[k] * x[k + 1], g + grad_y[k] * C[k]
            decay = np.exp(delta[k] * A)
            gA += g * decay * delta[k] * x[k]
            gdelta[k] = (g * (A * decay * x[k] + B[k] * u[k])).sum()
            gu[k], gB[k] = delta[k] * (g * B[k]).sum(), delta[k] * u[k] * g
            g = decay * g
        return gu, gdelta, gA, gB, gC

    return selective(u, delta, A, B, C), pullback


def drawn(rng, dtype, *shape):
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0)
    return x.astype(dtype)


def scan_args(length=12, n=3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    u, b, x0 = (drawn(rng, dtype, size) for size in (length, n, n))
    a = 0.9 * drawn(rng, dtype, n)
    return u, a / np.maximum(np.abs(a), 1), b, x0


def selective_args(length=12, n=3, dtype=np.float64):
    rng = np.random.default_rng(1)
    delta = (10 ** rng.uniform(-3, -1, length)).astype(dtype)
    A = -np.arange(1.0, n + 1).astype(dtype)
    return drawn(rng, dtype, length), delta, A, drawn(rng, dtype, length, n), drawn(rng, dtype, length, n)


DTYPES = [np.float64, np.complex128, np.float32, np.complex64]


# --------------------------------------------------------------- what is right passes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("length", "n"), [(1, 1), (5, 1), (12, 3), (100, 2), (0, 2)])
def test_a_right_gradient_passes(length, n, dtype):
    margin = assert_gradient(scan, scan_vjp, *scan_args(length, n, dtype))
    assert margin.error <= margin.bound


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("length", "n"), [(1, 1), (12, 3), (40, 2)])
def test_a_selective_scan_keeps_its_steps_positive(length, n, dtype):
    assert_gradient(selective, selective_vjp, *selective_args(length, n, dtype))


@given(
    numbers=st.lists(st.integers(-5, 5), min_size=10, max_size=10),
    scales=st.lists(st.integers(-8, 8), min_size=3, max_size=3),
    turned=st.booleans(),
    seed=st.integers(0, 5),
)
def test_scales_and_zeros(numbers, scales, turned, seed):
    x = np.array(numbers, np.float64) * (1 + 1j if turned else 1)
    su, sb, sx = (10.0**s for s in scales)
    assert_gradient(scan, scan_vjp, x[:4] * su, x[4:6] / 10, x[6:8] * sb, x[8:] * sx, seed=seed)


@given(st.lists(st.integers(-5, 5), min_size=20, max_size=20), st.lists(st.integers(-8, 8), min_size=3, max_size=3))
def test_scales_and_zeros_of_a_selective_scan(numbers, scales):
    x = np.array(numbers, np.float64)
    su, sb, sc = (10.0**s for s in scales)
    delta = (6 + x[4:8]) / 100
    B, C = x[8:16].reshape(4, 2) * sb, x[12:].reshape(4, 2) * sc
    assert_gradient(selective, selective_vjp, x[:4] * su, delta, -1 - np.abs(x[4:6]), B, C)


def test_the_bound_is_near_and_deterministic():
    margin = assert_gradient(scan, scan_vjp, *scan_args())
    assert margin == assert_gradient(scan, scan_vjp, *scan_args())
    assert margin != assert_gradient(scan, scan_vjp, *scan_args(), seed=1)
    assert margin.error > 0
    assert margin.bound < 1e-10
    assert assert_gradient(scan, scan_vjp, *scan_args(), slack=2.0).bound > margin.bound


@pytest.mark.parametrize("function", ["sin", "exp", "log", "sqrt", "tanh", "cbrt"])
def test_elementary_functions(function):
    slopes = {
        "sin": np.cos,
        "exp": np.exp,
        "log": np.reciprocal,
        "sqrt": lambda x: 0.5 / np.sqrt(x),
        "tanh": lambda x: 1 - np.tanh(x) ** 2,
        "cbrt": lambda x: 1 / (3 * np.cbrt(x) ** 2),
    }
    f, x = getattr(np, function), np.geomspace(1e-3, 10, 7)
    assert_gradient(f, lambda x: (f(x), lambda g: (g * slopes[function](x),)), x)


def test_steps_get_smaller_where_the_function_turns_fast():
    x = np.array([1.0, 0.9999])
    for f, slope in (
        (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)),
        (lambda x: x**5000, lambda x: 5000 * x**4999),
    ):
        margin = assert_gradient(f, lambda x, f=f, slope=slope: (f(x), lambda g: (g * slope(x),)), x)
        assert margin.bound < 1e-7 * 5000


def test_steps_get_smaller_where_the_function_overflows():
    x = np.array([700.0])
    margin = assert_gradient(np.exp, lambda x: (np.exp(x), lambda g: (np.exp(x) * g,)), x)
    assert margin.bound < 1e-7 * np.exp(700) * 700


def test_a_complex_gradient_is_that_of_the_real_inner_product():
    """|x|² has the gradient 2x, and x² the gradient 2 conj(x) w."""
    x = np.array([1 + 2j, -3j])
    assert_gradient(lambda x: np.abs(x) ** 2, lambda x: (np.abs(x) ** 2, lambda g: (2 * x * g,)), x)
    assert_gradient(np.square, lambda x: (x**2, lambda g: (2 * x.conj() * g,)), x)
    assert_gradient(lambda x: x + 1j * x**2, lambda x: (x + 1j * x**2, lambda g: ((g * (1 - 2j * x)).real,)), x.real)


def test_what_is_not_differentiated_is_handed_on():
    mask = np.array([True, False, True])

    def f(x, mask, times, nothing):
        assert mask.dtype == bool
        assert times == 3
        assert nothing is None
        return times * x[mask]

    def f_vjp(x, mask, times, nothing):
        def pullback(grad_y):
            g = np.zeros_like(x)
            g[mask] = times * grad_y
            return g, None, None, None

        return f(x, mask, times, nothing), pullback

    assert_gradient(f, f_vjp, [1.0, 2.0, 3.0], mask, 3, None)


def test_numbers_and_lists_are_arguments():
    assert_gradient(lambda x, y: x * y, lambda x, y: (x * y, lambda g: [(g * y).sum(), g * x]), 2.0, [1.0, 3.0])


def test_arguments_stay_as_they_are():
    args = scan_args()
    before = [x.copy() for x in args]

    def greedy(u, a, b, x0):
        y = scan(u, a, b, x0)
        u[:] = 0
        return y

    assert_gradient(greedy, scan_vjp, *args)
    for x, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(x, old)


def test_precisions_mix():
    """What is double is tested as doubles, beside an argument in single precision."""
    u, a, b, x0 = scan_args()
    args = u.astype(np.float32), a, b, x0
    assert_gradient(scan, scan_vjp, *args)
    with pytest.raises(AssertionError, match=r"argument 1 \(a\) is wrong at entry \[0\]"):
        assert_gradient(scan, broken(scan_vjp, "a", lambda g: entry(g, 0, 1 + 1e-6)), *args)


# --------------------------------------------------------------- what is wrong is found


def broken(vjp, field, change):
    """The vjp with one gradient changed."""

    def wrong(*args):
        y, pullback = vjp(*args)

        def changed(grad_y):
            answer = pullback(grad_y)
            return answer._replace(**{field: change(getattr(answer, field))})

        return y, changed

    return wrong


def entry(g, index, factor):
    g = g.copy()
    g[index] *= factor
    return g


def without_last(u, a, b, x0):
    y, pullback = scan_vjp(u, a, b, x0)
    return y, lambda g: pullback(np.append(g[:-1], 0))


def without_conj(u, a, b, x0):
    y, _ = scan_vjp(u, a, b, x0)
    return y, scan_vjp(u, a.conj(), b, x0)[1]


FIELDS = list(enumerate(Gradients._fields))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize(("number", "field"), FIELDS)
@pytest.mark.parametrize(
    "change",
    [lambda g: -g, lambda g: g * (1 + 1e-6), lambda g: g * 0, np.flip, lambda g: g * np.nan],
    ids=["sign", "scaled by 1 + 1e-6", "zero", "backwards", "NaN"],
)
def test_a_wrong_gradient_of_one_argument_is_named(number, field, change, dtype):
    with pytest.raises(AssertionError, match=rf"^the gradient of argument {number} \({field}\) is wrong at entry \["):
        assert_gradient(scan, broken(scan_vjp, field, change), *scan_args(dtype=dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize(("number", "field"), FIELDS)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_one_entry_wrong_by_a_millionth_is_named(number, field, index, dtype):
    args = scan_args(50, 3, dtype, seed=7)
    vjp = broken(scan_vjp, field, lambda g: entry(g, index, 1 + 1e-6))
    with pytest.raises(AssertionError, match=rf"argument {number} \({field}\) is wrong at entry \[{index}\]"):
        assert_gradient(scan, vjp, *args)


@pytest.mark.parametrize("index", range(0, 50, 7))
def test_any_entry_of_fifty(index):
    x = np.random.default_rng(3).uniform(0.5, 2, 50)
    mix = np.random.default_rng(4).normal(size=(20, 50))

    def wrong(x):
        return np.sin(mix @ x), lambda g: (entry(mix.T @ (np.cos(mix @ x) * g), index, 1 + 1e-6),)

    with pytest.raises(AssertionError, match=rf"argument 0 is wrong at entry \[{index}\]"):
        assert_gradient(lambda x: np.sin(mix @ x), wrong, x)


def test_one_imaginary_part():
    vjp = broken(scan_vjp, "u", lambda g: entry(g, 4, 1 + 1e-6j))
    with pytest.raises(AssertionError, match=r"argument 0 \(u\) is wrong at entry \[4\]"):
        assert_gradient(scan, vjp, *scan_args(dtype=np.complex128))


def test_a_conj_is_missing():
    with pytest.raises(AssertionError, match=r"the gradient of argument 0 \(u\) is wrong"):
        assert_gradient(scan, without_conj, *scan_args(dtype=np.complex128))
    assert_gradient(scan, without_conj, *scan_args())


def test_a_shifted_index():
    vjp = broken(scan_vjp, "u", lambda g: np.roll(g, 1))
    with pytest.raises(AssertionError, match=r"the gradient of argument 0 \(u\) is wrong"):
        assert_gradient(scan, vjp, *scan_args())


def test_the_last_sample_is_missing():
    with pytest.raises(AssertionError, match=r"argument 0 \(u\) is wrong at entry \[11\]:\n  pullback +0\.0\n"):
        assert_gradient(scan, without_last, *scan_args())


@pytest.mark.parametrize("number", range(5))
def test_a_selective_scan_with_one_entry_wrong(number):
    args = selective_args()
    place = tuple(n - 1 for n in args[number].shape)

    def wrong(*args):
        y, pullback = selective_vjp(*args)
        return y, lambda g: tuple(entry(x, place, 1 + 1e-4) if i == number else x for i, x in enumerate(pullback(g)))

    name = ", ".join(map(str, place))
    with pytest.raises(AssertionError, match=rf"the gradient of argument {number} is wrong at entry \[{name}\]"):
        assert_gradient(selective, wrong, *args)


@pytest.mark.parametrize("index", [(0, 0), (17, 30), (39, 49)])
def test_an_entry_of_thousands_is_found_by_halving(index):
    x = np.random.default_rng(0).normal(size=(40, 50))

    def wrong(x):
        return np.sin(x), lambda g: (entry(g * np.cos(x), index, np.nan),)

    with pytest.raises(AssertionError, match=rf"entry \[{index[0]}, {index[1]}\]:\n  pullback +nan") as caught:
        assert_gradient(np.sin, wrong, x)
    assert "...  # float64 of shape (40, 50)" in str(caught.value)


def test_single_precision_sees_a_hundredth_and_not_a_millionth():
    args = scan_args(dtype=np.float32)
    assert_gradient(scan, broken(scan_vjp, "u", lambda g: entry(g, 3, np.float32(1 + 1e-6))), *args)
    with pytest.raises(AssertionError, match=r"argument 0 \(u\) is wrong at entry \[3\]"):
        assert_gradient(scan, broken(scan_vjp, "u", lambda g: entry(g, 3, np.float32(1.01))), *args)


def test_a_zero_argument_is_tested_too():
    u, a, b, x0 = scan_args()
    with pytest.raises(AssertionError, match=r"argument 3 \(x0\) is wrong at entry \[1\]"):
        assert_gradient(scan, broken(scan_vjp, "x0", lambda g: entry(g, 1, 1 + 1e-6)), u, a, b, 0 * x0)


def test_the_lines_of_a_failure_can_be_pasted():
    args = (*scan_args(dtype=np.complex128)[:3], scan_args(dtype=np.complex64)[3])
    with pytest.raises(AssertionError) as caught:
        assert_gradient(scan, without_last, *args)
    text = str(caught.value)
    names = {}
    exec(text[text.index("import numpy") :], names)
    for value, wanted in zip(names["args"], args, strict=True):
        np.testing.assert_array_equal(value, wanted)
        assert value.dtype == wanted.dtype
    place = int(text.split("[")[1].split("]")[0])
    for label, vjp in (("pullback", without_last), ("difference quotient", scan_vjp)):
        number = complex(text.split(label)[1].split("\n")[0])
        np.testing.assert_allclose(number, vjp(*args)[1](names["grad_y"]).u[place], rtol=1e-9)
