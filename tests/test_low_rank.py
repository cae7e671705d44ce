"""DiagonalPlusLowRank: the structure, its algebra, discretization and back, its loop, and its kernels."""

import pickle

import numpy as np
import pytest

import statespace as ss
from gallery import kernel, random_matrices, relative
from statespace import scan
from statespace.cpu import low_rank_steps
from statespace.discretization.low_rank import LOW_RANK, Moebius, apply
from statespace.kernels import cauchy

EPS = np.finfo(float).eps
RATIONAL = {
    "bilinear": "bilinear",
    "s4_bilinear": "s4_bilinear",
    "prewarped": ss.Bilinear(prewarp=3.0),
    "prewarped, current": ss.Bilinear(prewarp=3.0, tap="current"),
    "euler": "euler",
    "backward_euler": "backward_euler",
    "gbt(0.3)": ss.GeneralizedBilinear(0.3),
}
EXPONENTIAL = ("zoh", "s4_zoh", "foh", "impulse", "exp_trapezoidal")


def stable(seed, n=5, rank=1, m=2, p=3, batch=(), complex_=True):
    """Re λ ≤ −0.3 and P = Q: A + Aᴴ ≤ −0.6, so that no method meets a pole in the right half plane."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        x = rng.normal(size=(*batch, *shape))
        return x + 1j * rng.normal(size=(*batch, *shape)) if complex_ else x

    diag = -0.3 - rng.uniform(0, 2, (*batch, n)) + (2j * rng.normal(size=(*batch, n)) if complex_ else 0)
    low = 0.5 * draw(n, rank)
    return ss.ContinuousSystem(ss.DiagonalPlusLowRank(diag, low, low), draw(n, m), draw(p, n), draw(p, m))


SYSTEMS = {
    "complex": stable(1),
    "real": stable(2, complex_=False),
    "rank 2": stable(3, rank=2),
    "real, rank 2": stable(4, rank=2, complex_=False),
    "rank 0": stable(5, rank=0),
    "rank above n": stable(6, n=2, rank=3),
    "one state": stable(7, n=1, m=1, p=1),
    "batch": stable(8, n=3, m=1, p=1, batch=(2, 3)),
}


def dense(system):
    """The same system of plain arrays."""
    step = {} if isinstance(system, ss.ContinuousSystem) else {"dt": system.dt, "method": system.method}
    return type(system)(*system, **step)


# --------------------------------------------------------------- the structure


def test_matrix_and_sizes():
    a = ss.DiagonalPlusLowRank([-1.0, 2j], [[1.0], [2.0]], [[1j], [3.0]])
    np.testing.assert_array_equal(np.asarray(a), [[-1 + 1j, -3], [2j, 2j - 6]])  # −P Qᴴ: Q is conjugated
    assert (a.n_states, a.state_size, a.rank, a.batch_shape, a.is_complex) == (2, 2, 1, (), True)
    assert not SYSTEMS["real"].A.is_complex
    assert not SYSTEMS["complex"].stores_pairs


def test_parts_broadcast():
    a = ss.DiagonalPlusLowRank(np.zeros((3, 1, 2)), np.ones((4, 2, 1)), np.ones((2, 1)), poles=np.zeros((2,)))
    assert a.batch_shape == (3, 4)
    assert np.asarray(a).shape == (3, 4, 2, 2)
    assert a.poles.shape == (3, 4, 2)


def test_parts_are_frozen_and_pickle():
    p = np.ones((2, 1))
    a = ss.DiagonalPlusLowRank([-1.0, -2.0], p, p, poles=[-1.0, -3.0])
    p[0] = 5
    assert a.P[0, 0] == 1
    for one in (a, pickle.loads(pickle.dumps(a))):
        assert not any(getattr(one, name).flags.writeable for name in ("diagonal", "P", "Q", "known_poles"))
        np.testing.assert_array_equal(np.asarray(one), np.asarray(a))


def test_repr_evaluates():
    names = {"DiagonalPlusLowRank": ss.DiagonalPlusLowRank, "ContinuousSystem": ss.ContinuousSystem}
    for poles in (None, [-1.0, -3.0]):
        a = ss.DiagonalPlusLowRank([-1.0, -2.0j], [[1.0], [0.5]], [[1.0], [1j]], poles)
        again = eval(repr(ss.ContinuousSystem(a, [[1.0], [2.0]], [[1.0, 1.0]])), names).A
        for name in ("diagonal", "P", "Q", "known_poles"):
            np.testing.assert_array_equal(getattr(again, name), getattr(a, name))
    large = ss.ContinuousSystem(ss.DiagonalPlusLowRank(np.zeros(65), np.ones((65, 1)), np.ones((65, 1))),
                                np.ones((65, 1)), np.ones((1, 65)))  # fmt: skip
    assert repr(large) == "<ContinuousSystem: DiagonalPlusLowRank, 65 states, 1 input, 1 output, time in s>"
    assert "DiagonalPlusLowRank" in large._repr_html_()


@pytest.mark.parametrize("name", SYSTEMS)
def test_poles_and_product_are_those_of_the_matrix(name):
    system = SYSTEMS[name]
    a, x = np.asarray(system.A), np.broadcast_to(system.B, (*system.batch_shape, *system.B.shape[-2:]))
    np.testing.assert_allclose(system.A.product(x), a @ x, atol=1e-14 * np.abs(a).max() * np.abs(x).max() * 5)
    np.testing.assert_allclose(np.sort(system.poles), np.sort(np.linalg.eigvals(a)), atol=1e-13)


def test_known_poles_are_kept():
    a = ss.DiagonalPlusLowRank([-1.0, -2.0], [[0.0], [1.0]], [[1.0], [0.0]], poles=[-2, -1])
    assert a.poles.tolist() == [-2, -1]
    system = ss.ContinuousSystem(a, [[1.0], [1.0]], [[1.0, 1.0]])
    digital = ss.discretize(system, 0.5, "bilinear")
    np.testing.assert_array_equal(digital.poles, [(1 - 0.5) / (1 + 0.5), (1 - 0.25) / (1 + 0.25)])
    assert digital.A.known_poles is not None
    assert ss.undiscretize(digital).A.known_poles == pytest.approx([-2, -1], abs=1e-15)
    assert ss.discretize(SYSTEMS["real"], 0.5, "bilinear").A.known_poles is None


def test_no_states():
    system = ss.ContinuousSystem(
        ss.DiagonalPlusLowRank([], np.zeros((0, 1)), np.zeros((0, 1))), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]]
    )
    assert system(1j).item() == 2
    assert ss.discretize(system, 0.1, "bilinear")(1j).item() == 2


# --------------------------------------------------------------- its resolvent


@pytest.mark.parametrize("name", SYSTEMS)
def test_transfer_is_that_of_the_matrix(name):
    """Well-conditioned systems of five states: some roundings of the largest value."""
    system = SYSTEMS[name]
    s = np.array([0.0, 1j, -0.1 + 2j, 30j, 5.0])
    assert relative(system(s), dense(system)(s)) < 1e-13
    omega = [0.1, 1.0, 10.0]
    wanted = ss.frequency_response(dense(system), omega).H
    assert relative(ss.frequency_response(system, omega).H, wanted) < 1e-13
    assert relative(system.dc_gain, dense(system).dc_gain) < 1e-13


@pytest.mark.parametrize("distance", [0.0, 1e-300, 1e-14, 1e-8, 1e-4, 1e-2])
@pytest.mark.parametrize("name", ["complex", "real, rank 2", "batch"])
def test_on_and_beside_an_entry_of_the_diagonal(name, distance):
    """There R = (s − diag)⁻¹ is huge and Woodbury cancels, although A has no pole: the dense solution is as ever.

    Up to 100 times is left to Woodbury, which costs two digits.
    """
    system = SYSTEMS[name]
    s = system.A.diagonal[..., 0] + distance
    x, b = system.A.resolvent(s, system.B + 0j), system.B
    wanted = np.linalg.solve(s[..., None, None] * np.eye(system.n_states) - np.asarray(system.A), b + 0j)
    assert relative(x, wanted) < 1e-12


def test_at_a_pole_the_transfer_is_infinite():
    """P Qᴴ = diag(0, 1) moves an integrator's entry from 1 to 0."""
    a = ss.DiagonalPlusLowRank([-1.0, 1.0], [[0.0], [1.0]], [[0.0], [1.0]])
    system = ss.ContinuousSystem(a, [[1.0], [1.0]], [[1.0, 0.0], [0.0, 1.0]])
    for gain in (system(0.0), system.dc_gain):
        assert gain.ravel() == pytest.approx([1, np.inf], abs=1e-15)


# --------------------------------------------------------------- algebra


@pytest.mark.parametrize("verb", [ss.series, ss.parallel, ss.append])
@pytest.mark.parametrize("other", ["low rank", "diagonal", "pairs", "dense", "number"])
def test_algebra_is_that_of_the_matrices(verb, other):
    first = stable(1, m=2, p=2)
    second = {
        "low rank": stable(2, n=3, m=2, p=2, rank=2),
        "diagonal": ss.ContinuousSystem(ss.Diagonal([-1.0, -2j]), np.ones((2, 2)), np.ones((2, 2))),
        "pairs": ss.ContinuousSystem(ss.Diagonal([-1 + 2j], pairs=True), np.ones((1, 2)), np.ones((2, 1))),
        "dense": ss.ContinuousSystem(*random_matrices(1, m=2, p=2)),
        "number": np.eye(2),
    }[other]
    s = np.array([0.3, 1j, 20j])
    for pair in ((first, second), (second, first)):
        got = verb(*pair)
        assert relative(got(s), verb(*(dense(x) if hasattr(x, "A") else x for x in pair))(s)) < 1e-13
        kept = verb is not ss.series and other in ("low rank", "diagonal")
        assert isinstance(got.A, ss.DiagonalPlusLowRank) == kept
    if verb is ss.parallel and other == "low rank":
        assert got.A.rank == 3


def test_known_poles_of_both_stay_known():
    """Side by side and in series; one that is not known leaves all to be computed."""
    known = ss.ContinuousSystem(ss.DiagonalPlusLowRank([-1.0], [[0.0]], [[0.0]], poles=[-1.0]), [[1.0]], [[1.0]])
    lag, other = ss.from_zpk([], [-2.0], 1.0), stable(1, m=1, p=1)
    for verb in (ss.series, ss.parallel, ss.append):
        assert verb(known, lag).A.known_poles.tolist() == [-1, -2]
        assert verb(known, known).A.known_poles.tolist() == [-1, -1]
        assert verb(known, other).A.known_poles is None
        assert verb(other, lag).A.known_poles is None


def test_feedback_scaling_and_channels():
    system = stable(1, m=2, p=2)
    s = np.array([0.3, 1j])
    assert relative(ss.feedback(system)(s), ss.feedback(dense(system))(s)) < 1e-13
    for change in (lambda x: 2 * x, lambda x: -x, lambda x: x / 2j, lambda x: x[0, 1], lambda x: x - 1j * x):
        assert relative(change(system)(s), change(dense(system))(s)) < 1e-13
        assert isinstance(change(system).A, ss.DiagonalPlusLowRank)


def test_batches_are_their_members():
    system = SYSTEMS["batch"]
    digital = ss.discretize(system, 0.1, "bilinear")
    for i in np.ndindex(2, 3):
        a = ss.DiagonalPlusLowRank(system.A.diagonal[i], system.A.P[i], system.A.Q[i])
        one = ss.discretize(ss.ContinuousSystem(a, system.B[i], system.C[i], system.D[i]), 0.1, "bilinear")
        assert relative(np.asarray(digital.A)[i], np.asarray(one.A)) < 4 * EPS


# --------------------------------------------------------------- save, convert, export


@pytest.mark.parametrize("name", SYSTEMS)
def test_save_and_load_bit_for_bit(name, tmp_path):
    for system in (SYSTEMS[name], ss.discretize(SYSTEMS[name], 0.1, ss.Bilinear(prewarp=2.0))):
        ss.save(system, tmp_path / "system.npz")
        again = ss.load(tmp_path / "system.npz")
        assert type(again) is type(system)
        assert isinstance(again.A, ss.DiagonalPlusLowRank)
        assert getattr(again, "method", None) == getattr(system, "method", None)
        for part in ("diagonal", "P", "Q"):
            assert getattr(again.A, part).tobytes() == getattr(system.A, part).tobytes()
        assert again.A.known_poles is None
        assert all(x.tobytes() == y.tobytes() for x, y in zip(again, system, strict=True))


def test_save_keeps_known_poles(tmp_path):
    a = ss.DiagonalPlusLowRank([-1.0], [[0.0]], [[0.0]], poles=[-1.0])
    ss.save(ss.ContinuousSystem(a, [[1.0]], [[1.0]]), tmp_path / "system.npz")
    assert ss.load(tmp_path / "system.npz").A.known_poles.tolist() == [-1]


def test_conversions_are_those_of_the_matrix():
    """Five poles, computed from the same matrix: what the dense system gives, in the same order."""
    for system in (stable(1, m=1, p=1), ss.discretize(stable(2, m=1, p=1, complex_=False), 0.2, "bilinear")):
        for got, wanted in zip(ss.to_zpk(system), ss.to_zpk(dense(system)), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
        modes = ss.modal(system)
        assert isinstance(modes.A, ss.Diagonal)
        points = np.array([2.0, 1 + 1j])
        assert relative(modes(points), system(points)) < 1e-12
    assert ss.to_scipy(stable(1)).A.shape == (5, 5)


@pytest.mark.parametrize("complex_", [False, True])
def test_to_c_refuses(complex_):
    digital = ss.discretize(stable(2, complex_=complex_), 0.1, "bilinear")
    with pytest.raises(ValueError, match="complex one" if complex_ else "no step for a DiagonalPlusLowRank; give its"):
        ss.to_c(digital, "name")
    if not complex_:
        assert "name_step" in ss.to_c(ss.DiscreteSystem(*digital, dt=digital.dt), "name")


# --------------------------------------------------------------- discretization


@pytest.mark.parametrize("method", RATIONAL.values(), ids=RATIONAL)
@pytest.mark.parametrize("name", SYSTEMS)
def test_rational_methods_keep_the_rank_and_the_kernel(name, method):
    """Against the dense system: matrices of some units, 30 steps that decay; measured 2e-15."""
    system = SYSTEMS[name]
    digital = ss.discretize(system, 0.1, method)
    assert isinstance(digital.A, ss.DiagonalPlusLowRank)
    assert digital.A.rank == system.A.rank
    assert digital.is_complex == system.is_complex
    wanted = ss.discretize(dense(system), 0.1, method)
    assert relative(np.asarray(digital.A), np.asarray(wanted.A)) < 1e-14
    for got, want in zip(digital, wanted, strict=True):  # C is kept: all four are the same
        assert relative(got, want) < 2e-14
    assert relative(kernel(digital, 30), kernel(wanted, 30)) < 1e-13


@pytest.mark.parametrize("method", RATIONAL.values(), ids=RATIONAL)
def test_each_system_has_its_own_step(method):
    steps = np.array([0.01, 0.1, 0.3])
    digital = ss.discretize(stable(1), steps, method)
    assert digital.batch_shape == (3,)
    for i, dt in enumerate(steps):
        assert relative(kernel(digital, 20)[i], kernel(ss.discretize(dense(stable(1)), dt, method), 20)) < 1e-13


@pytest.mark.parametrize("method", RATIONAL.values(), ids=RATIONAL)
@pytest.mark.parametrize("name", SYSTEMS)
def test_and_back(name, method):
    """|λ dt| of 0.1: the promise is 1e-10 of the size; roundings of z = 0.1 leave 1e-14."""
    system = SYSTEMS[name]
    back = ss.undiscretize(ss.discretize(system, 0.1, method))
    assert isinstance(back.A, ss.DiagonalPlusLowRank)
    assert back.A.rank == system.A.rank
    for got, want in zip(back, system, strict=True):
        assert relative(got, want) < 1e-12
    other = ss.rediscretize(ss.discretize(system, 0.1, method), 0.2)
    for got, want in zip(other, ss.discretize(system, 0.2, method), strict=True):
        assert relative(got, want) < 1e-12


@pytest.mark.parametrize("method", RATIONAL.values(), ids=RATIONAL)
def test_initial_state(method):
    system, u0, x0 = stable(1), np.array([1.0, -2.0]), np.arange(5.0)
    got = ss.initial_state(system, 0.2, method, x0, u0)
    assert relative(got, ss.initial_state(dense(system), 0.2, method, x0, u0)) < 1e-14


def test_matched_poles_come_as_a_cascade():
    system = stable(2, m=1, p=1, complex_=False)
    digital = ss.discretize(system, 0.1, "matched")
    assert isinstance(digital.A, ss.Cascade)
    np.testing.assert_allclose(np.sort(digital.poles), np.sort(np.exp(0.1 * system.poles)), atol=1e-12)


@pytest.mark.parametrize("coefficients", [(0.5, 1.0, -0.5, 1.0), (2.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 5.0)])
def test_moebius_is_its_definition(coefficients):
    """Both directions are this one formula: (aX + b)(cX + d)⁻¹."""
    x = stable(3, rank=2).A
    a, b, c, d = coefficients
    m, one = np.asarray(x), np.eye(5)
    wanted = (a * m + b * one) @ np.linalg.inv(c * m + d * one)
    assert relative(np.asarray(Moebius(x, *coefficients).structure()), wanted) < 1e-14


def test_products_and_inverses_of_moebius_maps():
    """Those that are Möbius maps again are one; others are applied one after the other."""
    x = stable(3).A
    m, b = np.asarray(x), np.ones((5, 1))
    linear, reciprocal = Moebius(x, 2.0, 1.0, 0.0, 3.0), Moebius(x, 0.0, 5.0, 2.0, -7.0)
    values = [np.asarray(f.structure()) for f in (linear, reciprocal)]
    assert isinstance(LOW_RANK.product(linear, reciprocal), Moebius)
    for first, second, wanted in ((linear, reciprocal, values), (reciprocal, reciprocal, [values[1]] * 2)):
        product = LOW_RANK.product(first, second)
        assert relative(apply(product, b), wanted[0] @ wanted[1] @ b) < 1e-13
        assert relative(apply(product.inverse(), wanted[0] @ wanted[1] @ b), b) < 1e-12
        assert relative(apply(LOW_RANK.solve(second, first), b), np.linalg.solve(wanted[1], wanted[0]) @ b) < 1e-12
    assert relative(np.asarray((linear - 0.5 * linear).structure()), (2 * m + np.eye(5)) / 6) < 1e-14


EXPLAINED = r"by e\^\(A·dt\), or back, which is not diagonal plus low rank: discretize it by a rational method"


@pytest.mark.parametrize("method", EXPONENTIAL)
def test_exponential_methods_are_refused(method):
    """With the same words wherever e^(A·dt) is needed; the dense way that they offer works."""
    system = stable(1)
    digital = ss.discretize(system, 0.1, "bilinear")
    calls = [
        lambda: ss.discretize(system, 0.1, method),
        lambda: ss.initial_state(system, 0.1, method),
        lambda: ss.undiscretize(digital, method),
        lambda: ss.rediscretize(digital, 0.2, method),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=EXPLAINED):
            call()
    assert isinstance(ss.discretize(ss.ContinuousSystem(*system), 0.1, method).A, ss.Dense)


@pytest.mark.parametrize("hold", ["zoh", "foh"])
@pytest.mark.parametrize("grid", [{"dt": 0.1}, {"t": [0, 0.1, 0.3, 0.35]}, {"t": [0, 0.1, 0.3, 0.7]}])
def test_running_it_in_continuous_time_is_refused(grid, hold):
    with pytest.raises(ValueError, match=EXPLAINED):
        ss.simulate(stable(1), np.ones((4, 2)), hold=hold, **grid)
    with pytest.raises(ValueError, match=EXPLAINED):
        ss.step_response(stable(1), dt=0.1, length=3)


def test_an_entry_of_the_diagonal_at_the_pole_of_the_rule():
    """diag = 2/Δ has no finite image under Tustin, although the poles of A are elsewhere."""
    a = ss.DiagonalPlusLowRank([20.0, -1.0], [[25.0], [0.0]], [[1.0], [1.0]])
    system = ss.ContinuousSystem(a, [[1.0], [1.0]], [[1.0, 1.0]])
    assert system.is_stable
    with pytest.raises(ValueError, match="an entry of diag of a DiagonalPlusLowRank lies where the rational method"):
        ss.discretize(system, 0.1, "bilinear")
    assert ss.discretize(ss.ContinuousSystem(*system), 0.1, "bilinear").is_stable
    with pytest.raises(ValueError, match="lies where the rational method sends it to infinity"):
        ss.discretize(system, 0.1 * (1 + 4 * EPS), "bilinear")
    with pytest.warns(ss.AccuracyWarning, match=r"a pole lies close to 1/\(w·dt\)"):
        ss.discretize(system, 0.1 * (1 + 1e-10), "bilinear")
    back = ss.DiscreteSystem(ss.DiagonalPlusLowRank([-1.0, 0.5], [[1.0], [0.0]], [[-1.2], [1.0]]), [[1.0], [1.0]],
                             [[1.0, 1.0]], dt=0.1)  # fmt: skip
    with pytest.raises(ValueError, match="an entry of diag of a DiagonalPlusLowRank lies where the rational method"):
        ss.undiscretize(back, "bilinear")


def test_a_pole_at_the_pole_of_the_rule():
    """The same message as for any structure: A = 1 − (−19) = 20 = 2/Δ."""
    system = ss.ContinuousSystem(ss.DiagonalPlusLowRank([1.0], [[19.0]], [[-1.0]]), [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match=r"a pole of the system lies at 1/\(w·dt\)"):
        ss.discretize(system, 0.1, "bilinear")
    near = ss.ContinuousSystem(ss.DiagonalPlusLowRank([1.0], [[19.0 + 1e-8]], [[-1.0]]), [[1.0]], [[1.0]])
    with pytest.warns(ss.AccuracyWarning, match=r"a pole lies close to 1/\(w·dt\) with w=0.5: about 9 digits are lost"):
        ss.discretize(near, 0.1, "bilinear")
    digital = ss.DiscreteSystem(ss.DiagonalPlusLowRank([1.0], [[2.0]], [[1.0]]), [[1.0]], [[1.0]], dt=0.1)
    with pytest.raises(ValueError, match="the system has a pole at −"):
        ss.undiscretize(digital, "bilinear")


def test_beyond_the_range_of_double_precision():
    system = ss.ContinuousSystem(ss.DiagonalPlusLowRank([-1.0], [[1e200]], [[1e200]]), [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="overflows under this method and step; take another dt"):
        ss.discretize(system, 1.0, "euler")


def test_the_way_back_warns_of_what_it_loses():
    """A fast mode beside a slow one: of 1 + α, which is 4e-8, rounding leaves 4e-9, and δ⁻¹ divides by its square."""
    a = ss.DiagonalPlusLowRank([-1e8, -1.0], [[1e4], [1.0]], [[1e4], [1.0]])
    system = ss.ContinuousSystem(a, [[1.0], [1.0]], [[1.0, 1.0]])
    with pytest.warns(ss.AccuracyWarning, match="undiscretize: the rounding of the discrete system leaves"):
        ss.undiscretize(ss.discretize(system, 1.0, "bilinear"))


# --------------------------------------------------------------- its loop


@pytest.mark.parametrize("name", SYSTEMS)
def test_loop_is_the_reference(name):
    """Five products a state and 40 steps that decay: some roundings."""
    digital = ss.discretize(SYSTEMS[name], 0.1, "bilinear")
    rng = np.random.default_rng(0)
    u, x0 = rng.normal(size=(40, digital.n_inputs)), rng.normal(size=digital.state_size)
    run = ss.simulate(digital, u, x0=x0, states=True)
    for i in np.ndindex(digital.batch_shape):
        matrices = (np.broadcast_to(m, (*digital.batch_shape, *m.shape[-2:]))[i] for m in digital)
        wanted = scan.reference(ss.DiscreteSystem(*matrices, dt=0.1), u, x0)
        assert relative(run.y[i], wanted) < 1e-14
    assert run.x.shape == (*digital.batch_shape, 40, digital.state_size)
    np.testing.assert_array_equal(run.x[..., 0, :], np.broadcast_to(x0, run.x[..., 0, :].shape))
    assert run.y.dtype == (np.complex128 if digital.is_complex else np.float64)


def test_loop_is_the_one_that_is_run(monkeypatch):
    seen = []
    monkeypatch.setattr("statespace.cpu.low_rank_steps", lambda *args: seen.append(low_rank_steps(*args)))
    scan.run(ss.discretize(stable(1), 0.1, "bilinear"), np.ones((3, 2)))
    assert len(seen) == 1


@pytest.mark.parametrize("name", SYSTEMS)
def test_any_split_gives_the_same_bits(name):
    digital = ss.discretize(SYSTEMS[name], 0.1, "bilinear")
    u = np.random.default_rng(0).normal(size=(50, digital.n_inputs))
    whole = scan.run(digital, u, keep=50)
    state, parts, states = None, [], []
    for part in np.split(u, [0, 1, 2, 9, 30]):
        y, state, x = scan.run(digital, part, state, keep=len(part))
        parts.append(y)
        states.append(x)
    assert np.array_equal(np.concatenate(parts, axis=-2), whole.y)
    assert np.array_equal(np.concatenate(states, axis=-2), whole.states)
    assert np.array_equal(state, whole.final)


def test_rows_precision_and_complex_signals():
    """Many signals through one system; float32 stays outside, a complex signal makes a real system answer complex."""
    digital = ss.discretize(stable(2, complex_=False), 0.1, "bilinear")
    u = np.random.default_rng(0).normal(size=(3, 4, 20, 2))
    y = ss.simulate(digital, u).y
    assert np.array_equal(y[1, 2], ss.simulate(digital, u[1, 2]).y)
    single = ss.simulate(digital, u.astype(np.float32)).y
    assert single.dtype == np.float32
    assert relative(single, y) < 1e-6  # input and output rounded once each
    both = ss.simulate(digital, u + 1j * u).y
    assert relative(both, y + 1j * y) < 1e-14


def test_filter_and_steady_state():
    """A constant from its steady state on is constant: 40 steps add some roundings of the state."""
    digital = ss.discretize(stable(2, m=1, p=1, complex_=False), 0.1, "bilinear")
    y, _ = ss.filter(digital, np.ones(40), state="steady")
    np.testing.assert_allclose(y, digital.dc_gain[0, 0], rtol=1e-13)
    continuous = stable(1)
    x = ss.steady_state(continuous, [1.0, 2.0])
    assert relative(np.asarray(continuous.A) @ x, -continuous.B @ [1.0, 2.0]) < 1e-14


# --------------------------------------------------------------- its kernels


def wide_kernel(digital, length):
    """The recurrence in extended precision, of 64 bits at least where the machine has them."""
    wide = [np.asarray(m).astype(np.clongdouble) for m in (digital.A.diagonal, digital.A.P, digital.A.Q.conj().T)]
    x, h = digital.B.astype(np.clongdouble), [digital.D.astype(np.clongdouble)]
    for _ in range(length - 1):
        h.append(digital.C @ x)
        x = wide[0][:, None] * x - wide[1] @ (wide[2] @ x)
    return np.array(h)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 64, 1000])
@pytest.mark.parametrize("name", [n for n in SYSTEMS if n != "batch"])
def test_both_forms_of_the_kernel(name, length):
    """The recurrence to roundings; the Cauchy form loses eps/(1 − ρ), here up to 1000 of them at most."""
    digital = ss.discretize(SYSTEMS[name], 0.1, "bilinear")
    wanted = wide_kernel(digital, length)
    for form, bar in ((cauchy.recurred, 1e-14), (cauchy.generated, 2e-13), (cauchy.cauchy_kernel, 2e-13)):
        h = form(digital, length)
        assert h.shape == wanted.shape
        assert h.dtype == (np.complex128 if digital.is_complex else np.float64)
        assert relative(h, wanted) < bar


def test_kernels_of_batches():
    digital = ss.discretize(SYSTEMS["batch"], [[0.1], [0.2]], "s4_bilinear")
    assert digital.batch_shape == (2, 3)
    for form in (cauchy.recurred, cauchy.generated):
        assert relative(form(digital, 50), kernel(digital, 50)) < 1e-13


def test_poles_on_the_circle_and_on_the_nodes():
    """Undamped, at roots of unity of the very number of samples: on the nodes, were they on the unit circle.

    The Cauchy form is within eps·N, 4e-12, measured 8e-13; no mode is damped, so nothing is hidden.
    """
    n, size = 16, 16384
    rng = np.random.default_rng(0)
    low = np.zeros((n, 1))
    b, c = rng.normal(size=(n, 1)), rng.normal(size=(1, n))
    system = ss.DiscreteSystem(ss.DiagonalPlusLowRank(np.exp(2j * np.pi * np.arange(n) / size), low, low), b, c, dt=1)
    k = np.arange(size)[:, None]
    wanted = (np.exp(2j * np.pi * (k * np.arange(n) % size) / size) * c * b[:, 0]).sum(axis=1)
    for form, bar in ((cauchy.generated, 4e-12), (cauchy.recurred, 4e-12)):
        assert relative(form(system, size + 1)[1:, 0, 0], wanted) < bar


def many_inputs(scale):
    """A system of two inputs for which the Cauchy form is chosen, with poles 0.9·scale."""
    a = ss.DiagonalPlusLowRank([0.9 * scale, -0.5], [[0.1], [0.2]], [[0.1], [0.1]])
    return ss.DiscreteSystem(a, np.eye(2), [[1.0, 1.0]], dt=1.0)


@pytest.mark.parametrize(("scale", "trusted"), [(1.0, True), (1.3, False)])
def test_powers_that_grow_are_left_to_the_recurrence(scale, trusted, monkeypatch):
    """1.17^400 = 1e27: rounding of what the last samples are is more than all of the first."""
    digital, forms = many_inputs(scale), []
    for name in ("generated", "recurred"):
        form = getattr(cauchy, name)
        monkeypatch.setattr(
            cauchy, name, lambda *args, form=form, name=name: forms.append((name, args[1])) or form(*args)
        )
    h = cauchy.cauchy_kernel(digital, 400)
    assert [x for x in forms if x[1] == 400] == [("generated", 400)] + [("recurred", 400)] * (not trusted)
    assert relative(h, kernel(digital, 400)) < 1e-12
    np.testing.assert_allclose(h[:5], kernel(digital, 5), rtol=1e-11)


def test_one_input_or_few_samples_are_for_the_recurrence(monkeypatch):
    monkeypatch.setattr(cauchy, "generated", None)
    cauchy.cauchy_kernel(many_inputs(1.0)[:, 0], 400)
    cauchy.cauchy_kernel(ss.discretize(stable(1, n=30, p=1), 0.1, "bilinear"), 400)


def test_what_has_died_away_is_zero():
    """Subnormal numbers take a hundred times as long, and 0.9 times the last of them is that again, for ever."""
    digital = ss.DiscreteSystem(ss.DiagonalPlusLowRank([0.9], [[0.0]], [[0.0]]), [[1.0]], [[1.0]], dt=1.0)
    h = cauchy.recurred(digital, 20_000)[:, 0, 0]
    assert not h[2 * 4096 + 1 :].any()
    assert h[6000] == pytest.approx(0.9**5999, rel=1e-12)


@pytest.mark.parametrize("form", ["convolution", "recurrent"])
def test_kernel_and_response_agree(form):
    digital = ss.discretize(stable(1, m=2, p=2), 0.1, "bilinear")
    h = ss.kernel(digital, 60)
    assert relative(h, ss.impulse_response(digital, 60).y) < 1e-13
    u = np.random.default_rng(0).normal(size=(60, 2))
    assert relative(ss.simulate(digital, u, form=form).y, ss.simulate(digital, u).y) < 1e-13
