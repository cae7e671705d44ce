"""The two types: what they are made of, how they show themselves, their properties and their algebra."""

import copy
import pickle
import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import statespace as ss

RNG = np.random.default_rng(7)
EPS = float(np.finfo(float).eps)


def random_matrices(n, m, p, *batch, kind=float):
    def draw(*shape):
        values = RNG.standard_normal((*batch, *shape))
        return values + 1j * RNG.standard_normal((*batch, *shape)) if kind is complex else values

    return draw(n, n) - 2 * np.eye(n), draw(n, m), draw(p, n), draw(p, m)


def with_structure(name):
    """One continuous system of each structure; those that are discrete only are made with dt=0.5."""
    pairs, batch = ss.Diagonal([-1 + 2j, -0.5 + 1j], pairs=True), ss.Diagonal([[-1.0, -2.0], [-3, -4]])
    known = ss.Dense([[-1.0, 0], [1, -2]], [-1, -2])
    b, c = RNG.standard_normal((2, 2)) + 1j, RNG.standard_normal((3, 2)) - 1j
    return {
        "dense": lambda: ss.ContinuousSystem(*random_matrices(3, 2, 2)),
        "dense, complex": lambda: ss.ContinuousSystem(*random_matrices(3, 2, 2, kind=complex)),
        "dense, batch": lambda: ss.ContinuousSystem(*random_matrices(2, 1, 1, 2, 3)),
        "dense, known poles": lambda: ss.ContinuousSystem(known, [[1], [0]], [[0, 1]]),
        "diagonal": lambda: ss.ContinuousSystem(ss.Diagonal([-1.0, -2.0]), np.ones((2, 1)), [[1.0, 3.0]], [[0.5]]),
        "diagonal, complex": lambda: ss.ContinuousSystem(ss.Diagonal([-1 + 1j, -2]), np.ones((2, 2)), [[1.0, 3j]]),
        "diagonal, batch": lambda: ss.ContinuousSystem(batch, np.ones((2, 1)), [[1.0, 3]]),
        "pairs": lambda: ss.ContinuousSystem(pairs, b, c, RNG.standard_normal((3, 2))),
        "pairs, batch": lambda: ss.ContinuousSystem(pairs, np.stack([b, 2 * b]), c),
        "cascade, even": lambda: ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j], 2.0),
        "cascade, odd": lambda: ss.from_zpk([3j, -3j], [-1 + 2j, -1 - 2j, -4.0], 2.0),
        "cascade, complex": lambda: ss.from_zpk([], [-1 + 2j, -1.0, -3j - 1], 1.0),
        "cascade, batch": lambda: ss.from_zpk([[-1.0], [-2.0]], [[-3.0, -4.0], [-5.0, -6.0]], [1.0, 2.0]),
        "delay line": lambda: ss.from_ba([1.0, 2.0, 3.0], [1.0], dt=0.5),
        "no states": lambda: ss.ContinuousSystem([], [], [], [[1.0, 2.0]]),
        "no states, discrete": lambda: ss.from_zpk([], [], 3.0, dt=0.5),
    }[name]()  # fmt: skip


STRUCTURES = [
    "dense", "dense, complex", "dense, batch", "dense, known poles", "diagonal", "diagonal, complex", "diagonal, batch",
    "pairs", "pairs, batch", "cascade, even", "cascade, odd", "cascade, complex", "cascade, batch", "delay line",
    "no states", "no states, discrete",
]  # fmt: skip
S = np.array([0.3 + 1.1j, -0.7 + 0.2j, 2.0 - 0.5j, 1.4j])  # off every pole of the cases


def plain_transfer(a, b, c, d, s):
    """C (s − A)⁻¹ B + D by the book, (..., *s.shape, p, m)."""
    s = np.asarray(s, complex)
    a, b, c, d = (np.expand_dims(x, tuple(range(x.ndim - 2, x.ndim - 2 + s.ndim))) for x in (a, b, c, d))
    return c @ np.linalg.solve(s[..., None, None] * np.eye(a.shape[-1]) - a, b + 0j) + d


def close(got, wanted, tolerance=2e-13):
    """Relative to the largest entry. 2e-13: a few eps times the condition of s − A, below 100 for these cases."""
    assert got.shape == np.shape(wanted)
    assert np.max(np.abs(got - wanted), initial=0) <= tolerance * max(np.max(np.abs(wanted), initial=0), 1e-300)


# --------------------------------------------------------------- construction


@pytest.mark.parametrize(
    ("matrices", "dtype", "sizes", "batch"),
    [
        (([[0, 1], [-4, -1]], [[0], [1]], [[1, 0]]), float, (2, 1, 1), ()),
        ((np.eye(2, dtype=np.int8), np.ones((2, 3), bool), np.ones((4, 2), np.float16)), float, (2, 3, 4), ()),
        ((np.eye(2, dtype=np.float32), np.ones((2, 1), np.longdouble), [[1, 0]], [[2]]), float, (2, 1, 1), ()),
        (([[1j]], [[1]], [[1]]), complex, (1, 1, 1), ()),
        ((np.ones((5, 2, 2)), np.ones((2, 1)), np.ones((4, 1, 1, 2))), float, (2, 1, 1), (4, 5)),
        (([], [], [], [[1, 2]]), float, (0, 2, 1), ()),
        ((np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((3, 0))), float, (0, 2, 3), ()),
        ((np.zeros((2, 2)), np.zeros((2, 0)), np.zeros((1, 2))), float, (2, 0, 1), ()),
    ],
)
def test_construction(matrices, dtype, sizes, batch):
    for system in (ss.ContinuousSystem(*matrices), ss.DiscreteSystem(*matrices, dt=0.5)):
        assert (system.n_states, system.n_inputs, system.n_outputs) == sizes
        assert system.batch_shape == batch
        assert np.asarray(system.A).dtype == dtype
        assert system.D.shape[-2:] == (sizes[2], sizes[1])
        assert system.is_complex == (dtype is complex)
        assert system.poles.shape == (*batch, sizes[0])


def test_dt_and_fs_are_two_names_of_one_thing():
    a, b = (ss.DiscreteSystem([[0.5]], [[1]], [[1]], **step) for step in ({"dt": 0.25}, {"fs": 4}))
    assert a.dt == b.dt == 0.25
    assert a.fs == b.fs == 4.0
    batch = ss.DiscreteSystem([[0.5]], [[1]], [[1]], dt=[0.1, 0.2])
    assert batch.batch_shape == (2,)
    assert not batch.dt.flags.writeable


@pytest.mark.parametrize("name", STRUCTURES)
def test_frozen_also_after_pickle_and_copy(name):
    system = with_structure(name)
    for copied in (system, pickle.loads(pickle.dumps(system)), copy.deepcopy(system), copy.copy(system)):
        for attribute in ("A", "B", "time_unit", "something_new"):
            with pytest.raises(FrozenInstanceError):
                setattr(copied, attribute, 1)
        arrays = [*vars(copied).values(), *vars(copied.A).values()]
        assert not any(x.flags.writeable for x in arrays if isinstance(x, np.ndarray))
        close(copied(S), system(S), 0)
        assert repr(copied) == repr(system)


def test_arrays_are_copies():
    a, b = np.array([[-1.0]]), np.array([[1.0]])
    system = ss.ContinuousSystem(a, b, b)
    a[:] = b[:] = 9.0
    assert (np.asarray(system.A), system.B, system.C) == (-1.0, 1.0, 1.0)
    np.asarray(system.A)[:] = 3.0  # a copy again
    assert np.asarray(system.A) == -1.0


def test_equality_is_identity():
    one, other = (ss.from_zpk([], [-1.0], 1.0) for _ in range(2))
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2


@pytest.mark.parametrize("name", STRUCTURES)
def test_unpacking_gives_the_same_system(name):
    system = with_structure(name)
    a, b, c, d = system
    assert all(type(x) is np.ndarray for x in (a, b, c, d))
    close(system(S), np.broadcast_to(plain_transfer(a, b, c, d, S), system(S).shape))
    assert a.shape[-1] == system.n_states


# --------------------------------------------------------------- showing

SHOWN = {name: with_structure(name) for name in STRUCTURES} | {
    "steps": ss.discretize(with_structure("diagonal"), [0.1, 0.2], "foh"),
    "method": ss.discretize(with_structure("cascade, odd"), 0.1, ss.Bilinear(prewarp=3.0)),
    "known poles": ss.discretize(with_structure("cascade, odd"), 0.1),
    "pairs, tap": ss.discretize(with_structure("pairs"), 1 / 3, "s4_zoh"),
    "unit": ss.from_zpk([0.0], [-1e-300, -1 / 3], -0.0, time_unit='it\'s "a" week'),
}


@pytest.mark.parametrize("name", SHOWN)
def test_repr_can_be_evaluated(name):
    system = SHOWN[name]
    again = eval(repr(system), {n: getattr(ss, n) for n in ss.__all__ if n[0].isupper()} | {"nan": np.nan})
    assert type(again) is type(system)
    assert type(again.A) is type(system.A)
    for one, other in zip((*system, system.poles), (*again, again.poles), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.time_unit == system.time_unit
    assert getattr(again, "method", None) == getattr(system, "method", None)
    np.testing.assert_array_equal(getattr(again, "dt", 0), getattr(system, "dt", 0))


LARGE = [
    ss.ContinuousSystem(*random_matrices(20, 2, 2)),
    ss.from_zpk([], -np.arange(1.0, 90), 1.0),
    ss.ContinuousSystem(*random_matrices(2, 1, 1, 50)),
    ss.from_ba(np.ones(500), [1.0], dt=0.1),
    ss.ContinuousSystem(ss.Diagonal(-np.arange(1.0, 1e4)), np.ones((9999, 1)), np.ones((1, 9999))),
]


@pytest.mark.parametrize("system", LARGE, ids=range(len(LARGE)))
def test_a_large_system_is_shown_in_one_line(system):
    assert repr(system).startswith("<")
    assert len(repr(system)) < 160
    assert str(system.n_states) in repr(system)
    assert len(system._repr_html_()) < 20_000


def test_html_is_escaped():
    html = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], time_unit="<b>&")._repr_html_()
    assert "<b>&" not in html
    assert "&lt;b&gt;&amp;" in html
    assert all(with_structure(name)._repr_html_() for name in STRUCTURES)


# --------------------------------------------------------------- poles, zeros, gains


def matched(got, wanted, tolerance):
    """Two sets of roots, in any order."""
    got, wanted = list(np.atleast_1d(got)), list(np.atleast_1d(wanted))
    assert len(got) == len(wanted), (got, wanted)
    for w in wanted:
        nearest = min(range(len(got)), key=lambda i: abs(got[i] - w))
        assert abs(got.pop(nearest) - w) <= tolerance * max(1.0, abs(w))


def siso(zeros, poles, gain):
    """Dense, in mixed coordinates: nothing of the zpk form is left to see."""
    a, b, c, d = ss.from_zpk(zeros, poles, gain)
    t = np.random.default_rng(len(poles)).standard_normal(a.shape) + 2 * np.eye(len(a))
    return ss.ContinuousSystem(t @ a @ np.linalg.inv(t), t @ b, c @ np.linalg.inv(t), d)


@pytest.mark.parametrize(
    ("zeros", "poles"),
    [
        ([], [-1.0]),
        ([-2.0], [-1.0]),
        ([0.0], [-1.0, -3.0]),
        ([1j, -1j], [-1 + 2j, -1 - 2j]),
        ([5.0, -7.0], [-1.0, -2.0, -3.0, -4.0]),
        ([], [-1.0, -2.0, -3.0]),
        ([-0.5 + 3j, -0.5 - 3j, 2.0], [-1.0, -2.0, -1 + 3j, -1 - 3j, 0.0]),
    ],
)
def test_poles_and_zeros_of_one_channel(zeros, poles):
    # Roots move by eps times their condition, which is below 1e4 for these: 1e-11 leaves a factor of four.
    system = siso(zeros, poles, 2.5)
    matched(system.poles, poles, 1e-11)
    matched(system.zeros, zeros, 1e-11)
    kept = ss.from_zpk(zeros, poles, 2.5)
    matched(kept.poles, poles, 0)
    matched(kept.zeros, zeros, 0)


def one_over(poles, b, c, d=None):
    return ss.ContinuousSystem(np.diag(np.asarray(poles, float)), b, c, d)


ZEROS = [
    # [1/(s+1), 2/(s+3); 1/(s+1), 1/(s+1)]: transmission zero at +1 (Skogestad, Postlethwaite, example 4.?)
    (one_over([-1, -3, -1], [[1, 0], [0, 1], [0, 1]], [[1, 2, 0], [1, 0, 1]]), [1.0]),
    # diag((s+2)/(s+1), (s+5)/(s+3)): the zeros of the channels
    (one_over([-1, -3], np.eye(2), np.diag([1.0, 2.0]), np.eye(2)), [-2.0, -5.0]),
    # diag(1/(s+1), 1/(s+3)): both at infinity
    (one_over([-1, -3], np.eye(2), np.eye(2)), []),
    # a square static gain, and no state at all
    (ss.ContinuousSystem([], [], [], [[2.0, 1.0], [0.0, 1.0]]), []),
    # [(s+2); (s+2)]/(s+1): one input, two outputs with a common zero
    (one_over([-1], [[1.0]], [[1.0], [1.0]], [[1.0], [1.0]]), [-2.0]),
    # [(s+2); (s+3)]/(s+1): no common zero
    (one_over([-1], [[1.0]], [[1.0], [2.0]], [[1.0], [1.0]]), []),
    # [s+2, s+2]/(s+1): two inputs, one output
    (one_over([-1], [[1.0, 1.0]], [[1.0]], [[1.0, 1.0]]), [-2.0]),
    # an uncontrollable mode at −5 is an invariant zero as well as a pole
    (one_over([-1, -5], [[1.0], [0.0]], [[1.0, 1.0]]), [-5.0]),
    # an unobservable one
    (one_over([-1, -5], [[1.0], [1.0]], [[1.0, 0.0]]), [-5.0]),
    # two integrators in a row: both zeros at infinity
    (ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], [[1, 0]]), []),
]


@pytest.mark.parametrize(("system", "wanted"), ZEROS, ids=range(len(ZEROS)))
def test_invariant_zeros(system, wanted):
    matched(system.zeros, wanted, 1e-12)
    scaled = ss.ContinuousSystem(system.A, system.B * 1e9, system.C * 1e-7, system.D * 1e2)
    matched(scaled.zeros, wanted, 1e-12)  # the units of inputs and outputs do not matter


def test_zeros_of_a_batch_are_filled_with_infinity():
    c = np.array([[[1.0, 0.0]], [[1.0, 1.0]]])
    batch = ss.ContinuousSystem([[0, 1], [-2, -3]], [[0], [1]], c)
    np.testing.assert_allclose(batch.zeros, [[np.inf], [-1.0]], rtol=1e-14)
    cascade = ss.from_zpk([[-1.0], [-2.0]], [-3.0, -4.0], 1.0)
    np.testing.assert_array_equal(cascade.zeros[:, 0], [-1.0, -2.0])


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (ss.from_zpk([], [-2.0], 6.0), [[3.0]]),
        (ss.from_zpk([], [0.0], 6.0), [[np.inf]]),
        (ss.from_zpk([0.0], [0.0, -2.0], 6.0), [[3.0]]),
        (ss.from_zpk([0.0], [-1.0], 1.0), [[0.0]]),
        (ss.from_zpk([1.0], [1.0, 0.5], 2.0, dt=1.0), [[4.0]]),
        (ss.from_zpk([], [1.0, 0.5], 2.0, dt=1.0), [[np.inf]]),
        (ss.from_ba([1, 2, 3], [1], dt=1.0), [[6.0]]),
        (ss.from_ba([1], [1, -1], dt=1.0), [[np.inf]]),
        (one_over([-1, 0], np.eye(2), np.eye(2)), [[1.0, 0.0], [0.0, np.inf]]),  # only one channel integrates
        (one_over([-1, 0], [[1.0], [0.0]], [[1.0, 1.0]]), [[1.0]]),  # the integrator is uncontrollable
        (one_over([-1, 0], [[1.0], [1.0]], [[1.0, 0.0]]), [[1.0]]),  # the integrator is unobservable
        (ss.ContinuousSystem(ss.Diagonal([-1.0, 0.0]), np.eye(2), np.eye(2)), [[1.0, 0.0], [0.0, np.inf]]),
        (ss.ContinuousSystem(ss.Diagonal([0.0, -1.0]), [[1], [1]], [[0, 1]], [[2]]), [[3.0]]),
        (ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], [[1, 0]]), [[np.inf]]),
        (ss.ContinuousSystem([], [], [], [[1.0, 2.0]]), [[1.0, 2.0]]),
        (ss.ContinuousSystem([[[-1.0]], [[0.0]]], [[1]], [[1]]), [[[1.0]], [[np.inf]]]),
        (ss.ContinuousSystem(ss.Diagonal([-1 + 1j], pairs=True), [[1.0]], [[1.0]]), [[1.0]]),
    ],
)
def test_dc_gain(system, wanted):
    # Exact poles give exact infinities; the finite values are a sum of a few terms: 4 eps.
    np.testing.assert_allclose(system.dc_gain, wanted, rtol=4 * EPS)
    assert system.dc_gain.dtype == float


def test_is_stable():
    assert ss.from_zpk([], [-1.0], 1.0).is_stable is True
    assert ss.from_zpk([], [0.0], 1.0).is_stable is False
    assert ss.from_zpk([], [1.0], 1.0, dt=1).is_stable is False
    assert ss.from_zpk([], [], 1.0).is_stable is True
    assert ss.from_ba([1, 2], [1], dt=1).is_stable is True
    np.testing.assert_array_equal(ss.from_zpk([], [[-1.0], [1.0]], 1.0).is_stable, [True, False])
    np.testing.assert_array_equal(
        ss.discretize(ss.from_zpk([], [-1.0], 1.0), [1.0, 3.0], "euler").is_stable, [True, False]
    )


@pytest.mark.parametrize("name", STRUCTURES)
def test_transfer_matrix_for_every_shape_of_s(name):
    system = with_structure(name)
    shape = (system.n_outputs, system.n_inputs)
    grid = S.reshape(2, 2)
    close(system(grid), np.broadcast_to(plain_transfer(*system, grid), (*system.batch_shape, 2, 2, *shape)))
    close(system(S[0]), np.take(system(S), 0, axis=len(system.batch_shape)), 4 * EPS)
    close(system(S[0].item()), system(S[0]), 0)
    assert system([]).shape == (*system.batch_shape, 0, *shape)


# Eigenvalues of a dense matrix are not its poles to the last bit: it has a test of its own.
@pytest.mark.parametrize("name", [n for n in STRUCTURES if "dense" not in n and "no states" not in n])
def test_a_pole_gives_infinity_without_a_warning(name):
    system = with_structure(name)
    for pole in system.poles.reshape(-1, system.n_states)[0]:
        values = system(pole).reshape(-1, system.n_outputs, system.n_inputs)
        assert np.isinf(values[0]).any()
        assert not np.isnan(values[0]).any()
        both = system([pole, S[0]]).reshape(-1, 2, system.n_outputs, system.n_inputs)
        assert np.isfinite(both[0, 1]).all()


def test_a_pole_of_a_dense_matrix_gives_infinity():
    for system in (
        one_over([-1, -3], [[1], [1]], [[1, 1]]),
        ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], [[1, 0]]),
    ):
        for pole in np.diag(np.asarray(system.A)):
            assert np.isinf(system(pole)).all()


# --------------------------------------------------------------- algebra

PAIRS_OF_SYSTEMS = [("dense", "dense"), ("dense, batch", "dense, batch"), ("diagonal", "cascade, odd"),
                    ("cascade, even", "cascade, odd"), ("cascade, odd", "cascade, even"), ("diagonal", "diagonal"),
                    ("cascade, complex", "diagonal"), ("cascade, batch", "cascade, even"),
                    ("diagonal", "diagonal, batch"),
                    ("delay line", "delay line"), ("delay line", "no states, discrete")]  # fmt: skip


@pytest.fixture(params=PAIRS_OF_SYSTEMS, ids=" & ".join)
def two(request):
    first, second = request.param
    one, other = with_structure(first), with_structure(second)
    if first == "dense, batch":
        other = ss.ContinuousSystem(*random_matrices(2, 1, 1, 3))  # batch axes (2, 3) with (3,)
    return one, other


def block_diagonal(g1, g2):
    g1, g2 = (np.broadcast_to(g, (*np.broadcast_shapes(g1.shape[:-2], g2.shape[:-2]), *g.shape[-2:])) for g in (g1, g2))
    (p1, m1), (p2, m2) = g1.shape[-2:], g2.shape[-2:]
    whole = np.zeros((*g1.shape[:-2], p1 + p2, m1 + m2), complex)
    whole[..., :p1, :m1], whole[..., p1:, m1:] = g1, g2
    return whole


LAWS = {
    "series": (ss.series, lambda g1, g2: g2 @ g1),
    "parallel": (ss.parallel, lambda g1, g2: g1 + g2),
    "append": (ss.append, block_diagonal),
    "feedback": (ss.feedback, lambda g1, g2: g1 @ np.linalg.inv(np.eye(g1.shape[-1]) + g2 @ g1)),
}


@pytest.mark.parametrize("law", LAWS)
def test_transfer_functions_agree_with_matrix_algebra(two, law):
    one, other = two
    verb, formula = LAWS[law]
    for s in S:  # one at a time, so that batch axes broadcast by themselves; 1e-11: the loop may be near singular
        wanted = formula(one(s), other(s))
        close(verb(one, other)(s), wanted, 1e-11)


def test_operators():
    one, other, k = (
        with_structure("dense"),
        ss.ContinuousSystem(*random_matrices(2, 2, 2)),
        np.array([[1.0, 2], [3, 4]]),
    )
    g, h, eye = one(S), other(S), np.eye(2)
    number = with_structure("cascade, odd")
    for got, wanted in [
        (one + other, g + h), (one - other, g - h), (one * other, g @ h), (-one, -g), (2 * one, 2 * g),
        (one * 2, 2 * g), (one / 2, g / 2), (np.float32(2) * one, 2 * g), (one * 2j, 2j * g),
        (k * one, k @ g), (one * k, g @ k),
        (one + k, g + k), (k + one, g + k), (k - one, k - g), (one - k, g - k), (k.tolist() * one, k @ g),
        (one - k.tolist(), g - k), (k.tolist() - one, k - g), (number + 1, number(S) + 1), (1 - number, 1 - number(S)),
        (-number, -number(S)), (number * 3, number(S) * 3), (number * -2.5, number(S) * -2.5),
        (one[0, 1], g[:, :1, 1:]), (one[:, 0], g[:, :, :1]), (one[::-1, [1, 0]], g[:, ::-1, ::-1]),
        (one[-1, :], g[:, 1:]),
        (number[0, 0], number(S)), (number[[0, 0], 0], np.repeat(number(S), 2, 1)), (one[[], 0], g[:, :0, :1]),
        (ss.series(one, other, one), g @ h @ g), (ss.parallel(one, other, one), 2 * g + h),
        (ss.series(k, one), g @ k), (ss.series(one, k), k @ g), (ss.append(k, one), block_diagonal(k + 0 * g, g)),
        (ss.feedback(one, sign=1), g @ np.linalg.inv(eye - g)), (ss.feedback(one, k), g @ np.linalg.inv(eye + k @ g)),
        (ss.feedback(k, one), np.linalg.inv(eye + k @ g) @ k),
    ]:  # fmt: skip
        close(got(S), wanted, 1e-11)


def test_numpy_leaves_operators_to_the_system():
    assert ss.ContinuousSystem.__array_ufunc__ is None
    for result in (
        np.eye(2) * with_structure("dense"),
        np.float64(2) * with_structure("dense"),
        np.eye(2) - SHOWN["dense"],
    ):
        assert isinstance(result, ss.ContinuousSystem)


@pytest.mark.parametrize("law", LAWS)
def test_a_batch_is_a_loop(law):
    one, other = (ss.ContinuousSystem(*random_matrices(3, 2, 2, *batch)) for batch in ((4,), ()))
    whole = LAWS[law][0](one, other)
    for i in range(4):
        single = ss.ContinuousSystem(*(x[i] for x in one))
        for got, wanted in zip(whole, LAWS[law][0](single, other), strict=True):
            close((np.broadcast_to(got, (4, *got.shape[-2:])))[i], wanted, 8 * EPS)  # one product more or less
        matched(whole.poles[i], LAWS[law][0](single, other).poles, 1e-11)


def test_known_poles_are_kept():
    poles = np.array([-1e-3 + 1j, -1e-3 - 1j] * 3)  # a triple pair: eigvals would scatter it by 1e-5
    triple = ss.from_zpk([], poles, 1.0)
    lag = ss.from_zpk([], [-2.0], 1.0)
    for system in (triple * lag, lag * triple, triple + lag, ss.append(lag, triple), triple * 3, triple * triple * lag):
        near = np.abs(system.poles[:, None] - poles[:2]).min(axis=1)
        assert set(near[near < 0.5]) == {0.0}
    assert isinstance((lag * triple).A, ss.Cascade)
    assert isinstance(
        ss.series(
            triple,
            lag,
        ).A,
        ss.Cascade,
    )
    assert isinstance((triple / 3).A, ss.Cascade)
    assert isinstance(ss.discretize(triple, 0.1, "tustin").A, ss.Cascade)
    assert isinstance((SHOWN["diagonal"] + SHOWN["diagonal"]).A, ss.Diagonal)
    np.testing.assert_array_equal(ss.discretize(triple, 0.1).poles, np.exp(0.1 * triple.poles))


def test_the_parts_decide_method_and_unit():
    one = ss.discretize(ss.from_zpk([], [-1.0], 1.0, time_unit="h"), 0.1, "tustin")
    other = ss.discretize(ss.from_zpk([], [-2.0], 1.0, time_unit="h"), 0.1 * (1 + 1e-12), "foh")
    assert (one * one).method == ss.Bilinear()
    assert (one * other).method is None
    assert (one + one).time_unit == (one * other).time_unit == "h"
    assert (one + other).dt == 0.1


def test_well_posedness():
    gain = ss.ContinuousSystem([], [], [], [[-1.0]])
    with pytest.raises(ValueError, match="the loop is algebraic"):
        ss.feedback(gain)
    assert ss.feedback(gain, sign=1).D == -0.5
    nearly = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[-1 + 1e-10]])
    with pytest.warns(ss.AccuracyWarning, match="about 10 digits are lost"):
        ss.feedback(nearly)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ss.feedback(1e12 * ss.ContinuousSystem([], [], [], [[1.0]]))  # large, but nothing cancels


# --------------------------------------------------------------- no states, through every verb


@pytest.mark.parametrize("gain", [[[2.0]], [[1.0, 2.0], [3.0, 4.0]], [[1j]]])
def test_a_system_without_states_through_every_verb(gain):
    d = np.array(gain)
    m = d.shape[1]
    system = ss.ContinuousSystem([], [], [], d)
    u = np.arange(3.0 * m).reshape(3, m)
    assert system.poles.shape == (0,)
    assert system.zeros.shape == (0,)
    assert system.is_stable is True
    np.testing.assert_array_equal(system.dc_gain, d)
    np.testing.assert_array_equal(system(S), np.broadcast_to(d, (4, *d.shape)))
    h = ss.frequency_response(system, [0.0, 1.0]).H
    np.testing.assert_array_equal(h.reshape(2, *d.shape), np.broadcast_to(d, (2, *d.shape)))
    assert np.isfinite(ss.frequency_response(system).H).all()
    for method in ("zoh", "foh", "tustin", "impulse", "s4_zoh", "s4_bilinear", "exp_trapezoidal", "euler"):
        digital = ss.discretize(system, 0.1, method)
        np.testing.assert_array_equal(digital.D, d)
        assert ss.initial_state(system, 0.1, method).shape == (0,)
    digital = ss.discretize(system, 0.1)
    for y in (
        ss.simulate(system, u, dt=0.1).y,
        ss.simulate(system, u, t=[0, 1, 3], hold="foh").y,
        ss.simulate(digital, u, states=True).y,
    ):
        np.testing.assert_array_equal(y, u @ d.T)
    assert ss.simulate(digital, u, x0=[]).final_state.shape == (0,)
    np.testing.assert_array_equal(ss.impulse_response(digital, 3).y.reshape(3, *d.shape), [d, 0 * d, 0 * d])
    np.testing.assert_array_equal(ss.step_response(system, t=[0, 1, 3]).y.reshape(3, *d.shape), [d] * 3)
    np.testing.assert_array_equal(ss.impulse_response(system, t=[0, 1, 3]).y.reshape(3, *d.shape), [0 * d] * 3)
    assert ss.steady_state(system, np.ones(m)).shape == (0,)
    if m == 1:
        y, state = ss.filter(digital, u[:, 0], state="steady")
        np.testing.assert_array_equal(y, u[:, 0] * d[0, 0])
        assert state.shape == (0,)
    for both in (system * system, system + system, ss.append(system, system), ss.feedback(system), 2 * system, -system):
        assert both.n_states == 0
    np.testing.assert_array_equal((system * system).D, d @ d)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_series_of_cascades_keeps_sections_odd_ones_too(n, m):
    """Poles and zeros of both stay as they were given; two single poles make a section."""
    first = ss.from_zpk([-0.5] * (n - 1), -1.0 - np.arange(n), 2.0)
    second = ss.from_zpk([1j, -1j][: 2 * (m // 2)], -0.3 - np.arange(m), 3.0)
    both = ss.series(first, second)
    assert isinstance(both.A, ss.Cascade)
    assert not both.is_complex
    assert np.array_equal(np.sort_complex(both.poles), np.sort_complex(np.r_[first.poles, second.poles]))
    assert np.array_equal(np.sort_complex(both.zeros), np.sort_complex(np.r_[first.zeros, second.zeros]))
    s = np.array([0.3j, 2j, 1.0 + 1j])
    assert np.allclose(both(s), second(s) @ first(s), rtol=1e-14, atol=0)
    assert np.allclose(ss.ContinuousSystem(*both)(s), both(s), rtol=1e-13, atol=0)


@pytest.mark.parametrize("method", ["zoh", "foh", "impulse", "s4_bilinear", "matched"])
def test_what_is_driven_by_samples_forgets_a_method_that_does_not_commute(method):
    """The zoh of two systems in series is not the series of their zohs, nor that of a loop the loop of theirs."""
    one = ss.discretize(ss.from_zpk([], [-1.0], 1.0), 0.1, method)
    dense = ss.DiscreteSystem(*one, dt=0.1, method=one.method)
    for made in (ss.series(one, one), ss.series(dense, one), ss.feedback(one, 0.5), ss.feedback(one, one)):
        assert made.method is None
    for kept in (one + one, ss.append(one, one), 2 * one, ss.series(one, [[3.0]]), -one, one[0, 0]):
        assert kept.method == one.method


@pytest.mark.parametrize("method", ["bilinear", "euler", "backward_euler", ss.GeneralizedBilinear(0.3)])
def test_what_is_driven_by_samples_keeps_a_substitution(method):
    lag, lead = ss.from_zpk([], [-1.0], 1.0), ss.from_zpk([-2.0], [-5.0], 2.0)
    one, other = (ss.discretize(s, 0.1, method) for s in (lag, lead))
    for made, wanted in (
        (ss.series(one, other), ss.series(lag, lead)),
        (ss.feedback(one, other), ss.feedback(lag, lead)),
    ):
        assert made.method == one.method
        s = np.array([1j, 2 + 1j])
        np.testing.assert_allclose(ss.undiscretize(made)(s), wanted(s), rtol=1e-12)
