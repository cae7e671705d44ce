"""The table of shapes in docs/conventions.md, row by row, and the first samples of each convention by hand."""

import re
from pathlib import Path

import numpy as np
import pytest

import statespace as ss

PAGE = (Path(__file__).resolve().parents[1] / "docs/conventions.md").read_text(encoding="utf-8")
SIZES = {"L": 17, "F": 6, "n": 4, "p": 3, "m": 2, "b": 5, "c": 8, "d": 9, "k": 4}


def continuous(p, m, *batch):
    """Stable, 4 states; its "foh" has a feedthrough, so as many zeros as states."""
    rng = np.random.default_rng(7)
    a = rng.normal(size=(*batch, 4, 4)) - 5 * np.eye(4)
    return ss.ContinuousSystem(a, rng.normal(size=(*batch, 4, m)), rng.normal(size=(*batch, p, 4)))


MODELS = {
    "1×1": continuous(1, 1),
    "p×1": continuous(3, 1),
    "p×m": continuous(3, 2),
    "b of 1×1": continuous(1, 1, 5),
    "b of p×m": continuous(3, 2, 5),
}
SYSTEMS = {name: ss.discretize(model, 0.1, "foh") for name, model in MODELS.items()}

# What is called, on which system, with an array of which shape, and the shape of the answer.
TABLE = [
    ("simulate(system, u).y", "1×1", "(L,)", "(L,)"),
    ("simulate(system, u).y", "1×1", "(L, 1)", "(L, 1)"),
    ("simulate(system, u).y", "1×1", "(c, L, 1)", "(c, L, 1)"),
    ("simulate(system, u).y", "p×1", "(L,)", "(L, p)"),
    ("simulate(system, u).y", "p×m", "(L, m)", "(L, p)"),
    ("simulate(system, u).y", "p×m", "(c, L, m)", "(c, L, p)"),
    ("simulate(system, u).y", "b of 1×1", "(L,)", "(b, L, 1)"),
    ("simulate(system, u).y", "b of p×m", "(c, 1, L, m)", "(c, b, L, p)"),
    ("simulate(system, u).t", "b of p×m", "(L, m)", "(L,)"),
    ("simulate(system, u, states=True).x", "1×1", "(L,)", "(L, n)"),
    ("simulate(system, u, states=True).x", "b of p×m", "(L, m)", "(b, L, n)"),
    ("simulate(system, u).final_state", "1×1", "(L,)", "(n,)"),
    ("simulate(system, u).final_state", "b of p×m", "(c, 1, L, m)", "(c, b, n)"),
    ("filter(system, u)", "1×1", "(L,)", "(L,)"),
    ("filter(system, u, axis=1)", "1×1", "(c, L, d)", "(c, L, d)"),
    ("filter(system, u, axis=1)", "b of 1×1", "(c, L, b)", "(c, L, b)"),
    ("filter(system, u)", "b of 1×1", "(L,)", "(L, b)"),
    ('filter(system, u, axis=1, state="zero")[1]', "1×1", "(c, L, d)", "(c, d, n)"),
    ('filter(system, u, axis=1, state="zero")[1]', "b of 1×1", "(c, L, b)", "(c, b, n)"),
    ('filter(system, u, state="zero")[1]', "b of 1×1", "(L,)", "(b, n)"),
    ("filtfilt(system, u)", "1×1", "(L,)", "(L,)"),
    ("filtfilt(system, u, axis=1)", "1×1", "(c, L, d)", "(c, L, d)"),
    ("filtfilt(system, u, axis=1)", "b of 1×1", "(c, L, b)", "(c, L, b)"),
    ("filtfilt(system, u)", "b of 1×1", "(L,)", "(L, b)"),
    ("convolve(u, kernel(system, L))", "1×1", "(L,)", "(L,)"),
    ("convolve(u, kernel(system, L))", "1×1", "(c, L, 1)", "(c, L, 1)"),
    ("convolve(u, kernel(system, L))", "p×1", "(L,)", "(L, p)"),
    ("convolve(u, kernel(system, L))", "p×m", "(c, L, m)", "(c, L, p)"),
    ("convolve(u, kernel(system, L))", "b of p×m", "(c, 1, L, m)", "(c, b, L, p)"),
    ("convolve(u, kernel(system, L), axis=1)", "1×1", "(c, L, d)", "(c, L, d)"),
    ("convolve(u, kernel(system, L), axis=1)", "b of 1×1", "(c, L, b)", "(c, L, b)"),
    ("kernel(system, L)", "1×1", "", "(L, 1, 1)"),
    ("kernel(system, L)", "p×m", "", "(L, p, m)"),
    ("kernel(system, L)", "b of p×m", "", "(b, L, p, m)"),
    ("Stream(system).push(u)", "1×1", "(L,)", "(L,)"),
    ("Stream(system).push(u)", "p×m", "(c, L, m)", "(c, L, p)"),
    ("Stream(system, axis=1).push(u)", "b of 1×1", "(c, L, b)", "(c, L, b)"),
    ("impulse_response(system, L).y", "1×1", "", "(L,)"),
    ("impulse_response(system, L).y", "p×m", "", "(L, p, m)"),
    ("impulse_response(system, L).y", "b of 1×1", "", "(b, L, 1, 1)"),
    ("step_response(system, L).y", "1×1", "", "(L,)"),
    ("step_response(system, L).y", "b of p×m", "", "(b, L, p, m)"),
    ("frequency_response(system, u).H", "1×1", "(F,)", "(F,)"),
    ("frequency_response(system, u).H", "1×1", "()", "(1,)"),
    ("frequency_response(system, u).H", "p×m", "(F,)", "(F, p, m)"),
    ("frequency_response(system, u).H", "b of 1×1", "(F,)", "(b, F, 1, 1)"),
    ("frequency_response(system, u).H", "b of p×m", "(F,)", "(b, F, p, m)"),
    ("system(u)", "1×1", "()", "(1, 1)"),
    ("system(u)", "1×1", "(F,)", "(F, 1, 1)"),
    ("system(u)", "b of p×m", "(F,)", "(b, F, p, m)"),
    ("system.dc_gain", "1×1", "", "(1, 1)"),
    ("system.dc_gain", "b of p×m", "", "(b, p, m)"),
    ("system.poles", "1×1", "", "(n,)"),
    ("system.poles", "b of p×m", "", "(b, n)"),
    ("system.zeros", "1×1", "", "(k,)"),
    ("system.zeros", "b of 1×1", "", "(b, k)"),
    ("steady_state(system, u)", "1×1", "()", "(n,)"),
    ("steady_state(system, u)", "p×m", "(m,)", "(n,)"),
    ("steady_state(system, u)", "b of p×m", "(m,)", "(b, n)"),
    ('initial_state(model, 0.1, "foh", u0=u)', "1×1", "(1,)", "(n,)"),
    ('initial_state(model, 0.1, "foh", u0=u)', "b of p×m", "(m,)", "(b, n)"),
]


def shape(text):
    return eval(text, dict(SIZES))


@pytest.mark.parametrize(("call", "kind", "given", "wanted"), TABLE, ids=lambda text: str(text) or "none")
def test_row_of_the_table_of_shapes(call, kind, given, wanted):
    u = np.ones(shape(given)) if given else None
    scope = {name: getattr(ss, name) for name in ss.__all__}
    scope |= {"system": SYSTEMS[kind], "model": MODELS[kind], "u": u, "L": SIZES["L"]}
    assert np.shape(eval(call, scope)) == shape(wanted)


def test_table_on_the_page_is_this_one():
    rows = [tuple(cell.strip(" `") for cell in line.strip("|").split("|"))
            for line in re.search(r"<!-- shapes -->\n(.*?)\n\n", PAGE, re.S)[1].splitlines()[2:]]  # fmt: skip
    assert rows == TABLE


# --------------------------------------------------------------- by hand


def test_first_samples_of_the_control_recurrence():
    a, b, c, d = 0.5, 3.0, 2.0, 7.0
    h = ss.impulse_response(ss.DiscreteSystem([[a]], [[b]], [[c]], [[d]], dt=1.0), 3).y
    assert h.tolist() == [7.0, 6.0, 3.0]  # D, CB, CAB


@pytest.mark.parametrize(
    ("method", "first", "second"),
    [  # z = ΔA = −1/2, B = 3, C = 2; E = e^z and P = Δ φ1(z) = 1 − E
        ("zoh", "0", "C*P*B"),
        ("s4_zoh", "C*P*B", "C*E*P*B"),
        ("impulse", "C*dt*B", "C*E*dt*B"),
        ("mamba", "C*dt*B", "C*E*dt*B"),
        ("exp_trapezoidal", "C*dt*B/2", "C*E*dt*B"),
        ("foh", "C*dt*(E-1-z)/z**2*B", "C*dt*((E-1)/z)**2*B"),
        ("euler", "0", "C*dt*B"),
        ("backward_euler", "C*dt/(1-z)*B", "C*dt/(1-z)**2*B"),
        ("bilinear", "C*dt/2/(1-z/2)*B", "C*dt/(1-z/2)**2*B"),
        ("s4_bilinear", "C*dt/(1-z/2)*B", "C*dt*(1+z/2)/(1-z/2)**2*B"),
    ],
)
def test_first_samples_of_each_method(method, first, second):
    a, dt = -1.0, 0.5
    values = {"z": a * dt, "dt": dt, "B": 3.0, "C": 2.0, "E": np.exp(a * dt), "P": np.expm1(a * dt) / a}
    h = ss.impulse_response(ss.discretize(ss.ContinuousSystem([[a]], [[3.0]], [[2.0]]), dt, method), 2).y
    np.testing.assert_allclose(h, [eval(first, values), eval(second, values)], rtol=1e-14)


def test_current_tap_starts_one_sample_early():
    model = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]])
    held = 1 - np.exp(-0.5)  # Δ φ1
    assert ss.impulse_response(ss.discretize(model, 0.5, "s4_zoh"), 1).y[0] == pytest.approx(held, rel=1e-15)
    assert ss.impulse_response(ss.discretize(model, 0.5, "zoh"), 2).y.tolist() == pytest.approx([0.0, held], rel=1e-15)


# --------------------------------------------------------------- promises of the page


def filters():
    """One system for each engine: cascade, dense, diagonal, pairs, delay line."""
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    pair = ss.ContinuousSystem(ss.Diagonal([-0.2 + 2j, -3 + 1j], pairs=True), np.ones((2, 1)), np.ones((1, 2)))
    return {
        "cascade": ss.from_ba([0.1, 0.2, 0.1], [1, -1.2, 0.5], dt=1.0),
        "dense": ss.discretize(spring, 0.1, "foh"),
        "diagonal": ss.DiscreteSystem(ss.Diagonal([0.9, -0.3]), [[1.0], [1.0]], [[1.0, 2.0]], [[0.5]], dt=1.0),
        "pairs": ss.discretize(pair, 0.1),
        "delays": ss.from_ba([0.2, 0.3, 0.4, 0.1], [1.0], dt=1.0),
    }


@pytest.mark.parametrize("name", filters())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_split_of_a_signal_gives_the_same_bits(name, dtype):
    system, x = filters()[name], np.random.default_rng(3).normal(size=101).astype(dtype)
    whole, end = ss.filter(system, x, state="zero")
    for cuts in ([50], [1, 2, 3], [10, 10, 64]):
        state, parts = "zero", []
        for part in np.split(x, cuts):
            y, state = ss.filter(system, part, state=state)
            parts.append(y)
        assert np.concatenate(parts).tobytes() == whole.tobytes()
        assert state.tobytes() == end.tobytes()
    first = ss.simulate(system, x[:40])
    second = ss.simulate(system, x[40:], x0=first.final_state)
    assert np.concatenate([first.y, second.y]).tobytes() == ss.simulate(system, x).y.tobytes() == whole.tobytes()


def test_held_continuous_run_can_be_split_too():
    spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    u = np.random.default_rng(3).normal(size=101)
    first = ss.simulate(spring, u[:41], dt=0.1)
    second = ss.simulate(spring, u[40:], dt=0.1, x0=first.final_state)  # the last stamp comes again
    assert np.concatenate([first.y, second.y[1:]]).tobytes() == ss.simulate(spring, u, dt=0.1).y.tobytes()


@pytest.mark.parametrize("name", filters())
def test_nan_never_travels_backwards_or_sideways(name):
    x = np.ones((20, 2))
    x[8, 0] = np.nan
    y = ss.filter(filters()[name], x, axis=0)
    clean = ss.filter(filters()[name], np.ones((20, 2)), axis=0)
    assert np.array_equal(y[:8], clean[:8])
    assert np.array_equal(y[:, 1], clean[:, 1])
    assert np.isnan(y[8:11, 0]).any()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("float32", "float32"), ("float64", "float64"), ("complex64", "complex64"), ("complex128", "complex128"),
     ("int32", "float64"), ("bool", "float64"), ("float16", "float64"), ("longdouble", "float64")],
)  # fmt: skip
def test_precision_follows_the_signal_and_the_state_is_double(given, wanted):
    y, state = ss.filter(filters()["dense"], np.ones(5, given), state="zero")
    assert y.dtype == wanted
    assert state.dtype == (np.complex128 if "complex" in given else np.float64)
