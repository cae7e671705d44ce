"""undiscretize, rediscretize, MatchedPoles: there and back, by every method, for every structure."""

import re
import warnings
from itertools import product

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import EXPONENTIAL, METHODS, kernel, random_matrices, relative, systems

EPS = np.finfo(float).eps
DIVIDES = ("s4_zoh", "impulse", "exp_trapezoidal")  # B and D are divided by e^z, s4_bilinear's by 1 + z/2


def parts(system):
    """What must come back: poles, finite zeros and gains of a cascade, the matrices of anything else."""
    if isinstance(system.A, ss.Cascade):
        z = system.A.zeros
        return system.A.known_poles, np.where(np.isinf(z), 0.0, z), system.A.gains
    return np.asarray(system.A), system.B, system.D


def errors(back, system):
    """Of A, B and D relative to their sizes; what is 0 to begin with counts against the size of C B."""
    inner = max(np.abs(system.C).max(initial=0.0) * np.abs(system.B).max(initial=0.0), 1e-300)
    for got, want in zip(parts(back), parts(system), strict=True):
        yield np.abs(got - want).max(initial=0.0) / (np.abs(want).max(initial=0.0) or inner)


# --------------------------------------------------------------- round trips


@pytest.mark.parametrize(("name", "method"), list(product(systems(), METHODS)))
def test_round_trip(name, method):
    """Well inside the range everything comes back to a few roundings over |λ dt|, here 0.03 and more."""
    system = systems()[name]
    digital = ss.discretize(system, 0.1, METHODS[method])
    back = ss.undiscretize(digital)
    if isinstance(digital.A, (ss.Cascade, ss.Diagonal)):
        assert type(back.A) is type(digital.A)
    assert isinstance(back, ss.ContinuousSystem)
    if type(back.A) is type(system.A):
        assert max(errors(back, system)) < 2e-14
    assert max(relative(got, want) for got, want in zip(tuple(back)[:3:2], tuple(system)[:3:2], strict=True)) < 2e-14
    s = np.array([0.3 + 1.1j, 2j, -0.25 + 5j])
    # The way over the dense realization of the repeated pole at −0.5 in `cascade` keeps ten digits of eleven.
    assert relative(back(s), system(s)) < 1e-12


@pytest.mark.parametrize(
    ("name", "method"), list(product(["cascade", "lowpass", "complex cascade"], ["bilinear", "gbt(0.3)"]))
)
def test_zeros_at_infinity_come_back(name, method):
    system = systems()[name]
    back = ss.undiscretize(ss.discretize(system, 0.1, METHODS[method]))
    np.testing.assert_array_equal(np.isinf(back.A.zeros), np.isinf(system.A.zeros))
    assert back.is_complex == system.is_complex


@pytest.mark.parametrize(("size", "method"), list(product([1e-5, 1e-3, 0.1, 1.0, 3.0], METHODS)))
def test_round_trip_inside_the_promised_range(size, method):
    """1e-10 of ‖A‖, ‖B‖, ‖D‖ for 1e-5 ≤ |λ dt|, without a warning."""
    for seed in range(4):
        for complex_ in (False, True):
            system = ss.ContinuousSystem(*random_matrices(seed, complex_=complex_))
            dt = size / np.abs(system.poles).max()
            assert max(errors(ss.undiscretize(ss.discretize(system, dt, METHODS[method])), system)) < 1e-10


def rotated(*rates):
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(len(rates),) * 2))[0]
    b = np.arange(1.0, len(rates) + 1)[:, None]
    return ss.ContinuousSystem(q @ np.diag(rates) @ q.T, b, b.T - 0.5, [[1.0]])


@pytest.mark.parametrize(("fast", "method"), list(product([-8.0, -12.0, -17.0], METHODS)))
def test_round_trip_of_decays_up_to_e_17(fast, method):
    """1e-10, for the three that divide by e^z eps·e^|Re z| in B and D: 10 times that, of 3 states."""
    system = rotated(fast, -1.0, -0.1)
    a, b, d = errors(ss.undiscretize(ss.discretize(system, 1.0, METHODS[method])), system)
    assert a < 1e-10
    assert max(b, d) < (max(1e-10, 10 * EPS * np.exp(-fast)) if method in DIVIDES else 2e-10)


@pytest.mark.parametrize(("fast", "method"), list(product([-20.0, -25.0, -30.0], EXPONENTIAL)))
def test_outside_the_range_a_warning_says_what_is_lost(fast, method):
    """The figure of the warning, eps·e^|Re z|/|z|, is what happens: not ten times more, not a thousandth."""
    system = rotated(fast, -1.0, -0.1)
    digital = ss.discretize(system, 1.0, METHODS[method])
    with pytest.warns(ss.AccuracyWarning, match=r"leaves up to \de-\d\d of the continuous one unknown") as caught:
        back = ss.undiscretize(digital)
    told = figure(caught[0])
    happened = next(errors(back, system))
    assert told / 1000 < happened < 10 * told


@pytest.mark.parametrize("method", METHODS)
def test_tiny_steps_warn(method):
    system = ss.ContinuousSystem(*random_matrices(1))
    digital = ss.discretize(system, 1e-7 / np.abs(system.poles).max(), METHODS[method])
    with pytest.warns(ss.AccuracyWarning, match="leaves up to [23]e-09"):
        back = ss.undiscretize(digital)
    assert next(errors(back, system)) < 1e-8


def test_near_the_branch_cut_a_warning():
    turning = ss.ContinuousSystem([[-0.1, np.pi - 1e-8], [1e-8 - np.pi, -0.1]], [[1], [2]], [[1, 1]])
    with pytest.warns(ss.AccuracyWarning, match="unknown"):
        ss.undiscretize(ss.discretize(turning, 1.0))


def turned(matrix, angle=0.5):
    """A dense 2×2 system, D = 1."""
    q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ss.ContinuousSystem(q @ np.asarray(matrix, float) @ q.T, np.eye(2), np.eye(2), np.eye(2))


@pytest.mark.parametrize("damping", [0.3, 0.99, 1 - 1e-6, 1 - 1e-10, 1 - 1e-14, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_springs_near_critical_damping(damping, method):
    """Two nearly equal poles, typed in or turned: their eigenvectors, which nearly agree, are not used."""
    for rate in (0.003, 0.37, 1.5):
        matrix = [[0, 1], [-(rate**2), -2 * damping * rate]]
        typed = ss.ContinuousSystem(matrix, [[0], [1]], [[1, 0]])
        for system in (typed, turned([[0, rate], [-rate, -2 * damping * rate]], angle=rate)):
            assert max(errors(ss.undiscretize(ss.discretize(system, 1.0, METHODS[method])), system)) < 1e-11


@pytest.mark.parametrize("rates", [(10.0, -10.0), (16.0, -16.0)])
@pytest.mark.parametrize("method", ["zoh", "foh", "impulse"])
def test_growing_beside_decaying_modes_warn(rates, method):
    """What counts is e^(fastest − slowest), 1e14 for ±16: the loss is inherent, silence was the defect."""
    system = turned(np.diag(rates))
    digital = ss.discretize(system, 1.0, method)
    with pytest.warns(ss.AccuracyWarning, match="unknown") as caught:
        back = ss.undiscretize(digital)
    told = figure(caught[0])
    assert told / 1e4 < max(errors(back, system)) < 100 * told  # "up to": for ±16 the warning says 1
    assert next(errors(back, system)) < 1e-3


@pytest.mark.parametrize("coupling", [100.0, 300.0])
def test_large_couplings_warn(coupling):
    system = turned([[-0.5, coupling], [0.0, -0.6]])
    with pytest.warns(ss.AccuracyWarning, match="unknown"):
        ss.undiscretize(ss.discretize(system, 1.0))


def wild(rng, kind):
    """A random matrix z = AΔ that rounding is unkind to."""
    n = int(rng.integers(2, 6))
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    v, upper = rng.normal(size=(n, n)), np.triu(rng.normal(size=(n, n)), 1)
    decays = -(10 ** rng.uniform(-2, np.log10(17), n))
    return {
        "decaying": lambda: q @ np.diag(decays) @ q.T,
        "oblique": lambda: v @ np.diag(decays) @ np.linalg.inv(v),
        "growing": lambda: q @ np.diag(rng.uniform(-16, 16, n)) @ q.T,
        "coupled": lambda: q @ (10 ** rng.uniform(-3, 3) * upper - rng.uniform(0, 2) * np.eye(n)) @ q.T,
        "Jordan": lambda: q @ (10 ** rng.uniform(-1, 3) * np.eye(n, k=1) - rng.uniform(0.1, 3) * np.eye(n)) @ q.T,
        "stiff": lambda: q @ np.diag(-(10 ** rng.uniform(-2, 6, n))) @ q.T,
        "slow": lambda: v * 10 ** rng.uniform(-5, 0) / np.linalg.norm(v),
    }[kind]()


@pytest.mark.parametrize("method", ["zoh", "foh", "bilinear", "s4_bilinear", "backward_euler"])
def test_the_figure_of_a_warning_is_what_happens(method):
    """It is an estimate: 98 in 100 that stay silent are right to 1e-10, all to 1e-7.

    Of those that warn 94 or 95 in 100, as the processor rounds, are off by at most ten times the figure, all by
    500 times.
    """
    rng, silent, beyond = np.random.default_rng(0), [], []
    for kind in ("decaying", "oblique", "growing", "coupled", "Jordan", "stiff", "slow"):
        for _ in range(60):
            a = wild(rng, kind)
            system = ss.ContinuousSystem(a, np.ones((len(a), 1)), np.ones((1, len(a))), [[1.0]])
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    back = ss.undiscretize(ss.discretize(system, 1.0, method))
                except ValueError:
                    continue  # refused
            worst, told = max(errors(back, system)), [w for w in map(figure, caught) if w]
            if not told:
                silent.append(worst)
            elif told[0] < 0.5:  # not all is lost
                beyond.append(worst / told[0])
    assert len(silent) > 150
    assert np.quantile(silent, 0.98) < 1e-10
    assert max(silent) < 1e-7
    assert len(beyond) > 30
    assert np.quantile(beyond, 0.93) < 10
    assert max(beyond) < 500


def figure(warning):
    """The part that is lost, by the words of undiscretize; nothing in other warnings."""
    found = re.search(r"leaves up to (\S+) of", str(warning.message))
    return float(found[1]) if found else None


@pytest.mark.parametrize("fast", [1e3, 1e4, 1e6])
@pytest.mark.parametrize("angle", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("method", ["bilinear", "backward_euler", "gbt(0.3)", "s4_bilinear"])
def test_rational_rules_on_stiff_matrices(fast, angle, method):
    """The inherent loss of B is below eps·fast², which a warning tells: 2e-5 at 1e6, where it was 0.5 in silence.

    How much of it is there is for the rounding of one number to decide: on some processors nothing.
    """
    system = turned(np.diag([-fast, -0.1]), angle)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        a, b, d = errors(ss.undiscretize(ss.discretize(system, 1.0, METHODS[method])), system)
    assert a < 1e-9
    assert max(b, d) < np.finfo(float).eps * fast**2 / 4
    told = [figure(w) for w in caught]
    assert max(a, b, d) < (10 * told[0] if told else 1e-9)  # silent: a few 1e-10
    assert not told or told[0] < np.finfo(float).eps * fast**2  # with R from A, 1e4 times too dark


def test_a_stiff_triangle_loses_nothing():
    """Modes of a triangular matrix do not mix, whichever triangle it is."""
    for matrix in ([[-60.0, 5.0], [0.0, -0.1]], [[-0.1, 0.0], [5.0, -60.0]]):
        system = ss.ContinuousSystem(matrix, np.eye(2), np.eye(2))
        assert max(errors(ss.undiscretize(ss.discretize(system, 1.0)), system)) < 1e-12


def test_integrators_lose_nothing_however_small_the_step():
    chain = ss.ContinuousSystem(np.eye(3, k=1), [[0], [0], [1]], np.eye(3))
    for dt in (1e-9, 1.0, 100.0):  # at 1e3, in these units, B is known to eps·dt² only
        for method in ("zoh", "foh", "bilinear", "impulse"):
            back = ss.undiscretize(ss.discretize(chain, dt, method))
            # Entries of A_d are dt²/2, known to eps of that, and divided by dt.
            assert relative(np.asarray(back.A), np.asarray(chain.A)) < EPS * max(dt, 4)


def test_poles_one_by_one_lose_nothing_to_stiffness():
    """A Diagonal is mapped elementwise: −300 beside −0.1 comes back to a few roundings, without a warning."""
    system = ss.ContinuousSystem(ss.Diagonal([-300.0, -0.1]), np.ones((2, 1)), np.ones((1, 2)))
    for method in EXPONENTIAL:
        assert max(errors(ss.undiscretize(ss.discretize(system, 1.0, method)), system)) < 1e-14


STIFF = ([-1.0, -500.0], [-40.0, -50.0, -2.0, -0.1], [-45 + 2j, -45 - 2j, -1 + 1j, -1 - 1j, -0.3])


@pytest.mark.parametrize("poles", STIFF)
@pytest.mark.parametrize("method", ["zoh", "foh"])
def test_a_cascade_loses_nothing_to_stiffness(poles, method):
    """Its block-triangular matrix keeps the modes apart: e^−500 beside e^−1 comes back, without a warning."""
    system = ss.from_zpk([], poles, np.abs(np.prod(poles)))
    back = ss.undiscretize(ss.discretize(system, 1.0, method))
    omega = 1j * np.geomspace(0.01, 100, 50)
    assert relative(np.asarray(back.A), np.asarray(system.A)) < 1e-15
    assert relative(back(omega), system(omega)) < 1e-13  # eps·|z| of e^−500


def test_a_cascade_under_a_rule_that_divides_warns():
    system = ss.from_zpk([], [-40.0, -50.0, -2.0, -0.1], 400.0)
    with pytest.warns(ss.AccuracyWarning, match="unknown"):
        ss.undiscretize(ss.discretize(system, 1.0, "impulse"))


@pytest.mark.parametrize("order", [4, 12, 16, 20])
@pytest.mark.parametrize("method", ["zoh", "foh", "bilinear"])
def test_round_trip_of_a_filter(order, method):
    """A Butterworth filter keeps its poles: the logarithm is taken of the poles it was given."""
    system = ss.from_zpk(*signal.butter(order, 2 * np.pi, analog=True, output="zpk"))
    for rate in (3, 8, 1000):
        digital = ss.discretize(system, fs=rate, method=method)
        back = ss.undiscretize(digital)
        if method != "bilinear":
            assert np.array_equal(back.poles, np.log(digital.poles) / digital.dt)  # kept, not computed
        # e^z of a pole carries eps, |z| is 2π/1000: 4e-14.
        assert np.abs(back.poles - system.poles).max() < 1e-13 * 2 * np.pi
        omega = 1j * np.geomspace(1e-3, 20, 50)
        # Measured 1e-15 at 3 and 8, 6e-14 at 1000 samples a period; with SciPy's logarithm alone 1e-7 at order 20.
        assert relative(back(omega), system(omega)) < 1e-12


def test_prewarp_round_trip_is_exact():
    notch = ss.from_zpk([60j, -60j], [-3 + 60j, -3 - 60j], 1.0)
    digital = ss.discretize(notch, 0.01, ss.Bilinear(prewarp=60.0))
    assert digital.method == ss.Bilinear(prewarp=60.0)
    assert max(errors(ss.undiscretize(digital), notch)) < 1e-14


def test_batch_with_a_step_for_each():
    """Systems (3,), steps (2, 1): each one as if alone."""
    system = ss.ContinuousSystem(*random_matrices(4, n=3, m=1, p=1, batch=(3,)))
    dt = np.array([[0.1], [0.4]])
    for method in METHODS.values():
        back = ss.undiscretize(ss.discretize(system, dt, method))
        assert back.batch_shape == (2, 3)
        for got, want in zip(tuple(back)[:3], tuple(system)[:3], strict=True):
            assert np.abs(got - want).max() < 1e-13 * np.abs(want).max()


@pytest.mark.parametrize("method", METHODS)
def test_the_other_way_round(method):
    """A discrete system with poles in the right half of the disc, and any D: undiscretized and discretized again."""
    rng = np.random.default_rng(3)
    a = 0.6 * np.eye(4) + 0.12 * rng.normal(size=(4, 4))
    digital = ss.DiscreteSystem(a, rng.normal(size=(4, 2)), rng.normal(size=(3, 4)), rng.normal(size=(3, 2)), dt=0.5)
    again = ss.discretize(ss.undiscretize(digital, METHODS[method]), 0.5, METHODS[method])
    for got, want in zip(again, digital, strict=True):
        assert relative(got, want) < 1e-13


def test_sections_without_a_method_of_their_own():
    """A digital filter that never was continuous: the bilinear rule finds one, and leads back."""
    rows = signal.ellip(6, 1, 60, 0.3, output="sos")
    digital = ss.from_sos(rows, fs=100)
    analog = ss.undiscretize(digital, "bilinear")
    again = ss.discretize(analog, fs=100, method="bilinear")
    assert relative(again.A.known_poles, digital.A.known_poles) < 1e-15
    z = np.exp(1j * np.linspace(0, 3, 100))
    assert relative(again(z), digital(z)) < 1e-13
    assert relative(kernel(again, 50), kernel(digital, 50)) < 1e-13


def test_a_strictly_proper_filter_gets_its_zero_at_two_over_dt():
    digital = ss.from_zpk([], [0.5], 0.5, dt=0.1)
    np.testing.assert_allclose(ss.undiscretize(digital, "tustin").zeros, [20.0], rtol=1e-15)
    assert ss.undiscretize(digital, "euler").zeros.size == 0


def test_a_delay_line_has_a_bilinear_inverse():
    fir = ss.from_ba([0.25, 0.5, 0.25], [1.0], dt=0.1)
    back = ss.undiscretize(fir, "bilinear")
    np.testing.assert_allclose(back.poles, [-20.0, -20.0], rtol=1e-7)  # a Jordan block: the square root of eps
    again = ss.discretize(back, 0.1, "bilinear")
    assert relative(kernel(again, 5), kernel(fir, 5)) < 1e-15


def test_any_part_may_be_batched():
    """A alone, B alone, C alone, D alone, of dense matrices that mix their modes; and steps beside them."""
    a, b, c, d = np.array([[0, 1.0], [-1, -2]]), np.array([[0], [1.0]]), np.array([[1, 0.0]]), np.zeros((1, 1))
    scale = np.arange(1.0, 4.0).reshape(3, 1, 1)
    for parts in ((a * scale, b, c, d), (a, b * scale, c, d), (a, b, c * scale, d), (a, b, c, d + scale)):
        system = ss.ContinuousSystem(*parts)
        for method, dt in product(METHODS.values(), (0.1, np.array([0.1, 0.2, 0.3]), np.array([[0.1], [0.2]]))):
            back = ss.undiscretize(ss.discretize(system, dt, method))
            assert back.batch_shape == np.broadcast_shapes(system.batch_shape, np.shape(dt))
            for got, want in zip(back, parts, strict=True):
                assert np.abs(got - want).max() < 1e-12


def test_a_decay_beyond_the_range_of_numbers():
    digital = ss.discretize(ss.from_zpk([], [-720.0], 1.0), 1.0, "impulse")
    with pytest.warns(ss.AccuracyWarning, match="unknown"):
        ss.undiscretize(digital)


def test_the_unit_of_time_and_the_batch_stay():
    system = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], time_unit="h")
    assert ss.undiscretize(ss.discretize(system, 0.1)).time_unit == "h"
    assert ss.undiscretize(ss.discretize(systems()["static"], 0.1, "foh")).n_states == 0


# --------------------------------------------------------------- rediscretize


@pytest.mark.parametrize("method", METHODS)
def test_rediscretize_is_discretizing_the_original(method):
    system = systems()["dense"]
    got = ss.rediscretize(ss.discretize(system, 0.1, METHODS[method]), 0.25)
    want = ss.discretize(system, 0.25, METHODS[method])
    assert got.dt == 0.25
    assert got.method == want.method
    for one, other in zip(got, want, strict=True):
        assert relative(one, other) < 1e-12


def test_rediscretize_by_a_named_method_and_rate():
    digital = ss.DiscreteSystem([[0.5]], [[0.5]], [[1.0]], dt=1.0)
    fast = ss.rediscretize(digital, fs=2.0, method="zoh")
    np.testing.assert_allclose(fast.poles, [np.sqrt(0.5)], rtol=1e-15)
    np.testing.assert_allclose(fast.dc_gain, [[1.0]], rtol=1e-15)


def test_rediscretize_keeps_the_prewarp():
    notch = ss.from_zpk([60j, -60j], [-3 + 60j, -3 - 60j], 1.0)
    digital = ss.discretize(notch, 0.01, ss.Bilinear(prewarp=60.0))
    slow = ss.rediscretize(digital, 0.02)
    assert abs(slow(np.exp(1.2j))[0, 0]) < 1e-13


# --------------------------------------------------------------- what has no inverse


@pytest.mark.parametrize("method", [m for m in METHODS if m in EXPONENTIAL])
def test_negative_poles_have_no_logarithm(method):
    """The trap: A_d = −0.5 must not come back as if it were +0.5."""
    for system in (
        ss.DiscreteSystem([[-0.5]], [[1.0]], [[1.0]], dt=1.0),
        ss.DiscreteSystem([[-0.5, 1.0], [0.0, 0.3]], [[1.0], [1.0]], [[1.0, 1.0]], dt=1.0),
        ss.DiscreteSystem(ss.Diagonal([-0.5 + 0j]), [[1.0]], [[1.0]], dt=1.0),
        ss.from_zpk([], [-0.5], 1.0, dt=1.0),
    ):
        with pytest.raises(ValueError, match=r"pole at -0\.5, on the negative real axis"):
            ss.undiscretize(system, method)


@pytest.mark.parametrize("method", [*EXPONENTIAL, "s4_bilinear"])
def test_singular_matrices_have_no_inverse(method):
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for matrix in (np.diag([0.5, 0.0]), np.eye(3, k=1), q @ np.diag([0.5, 0.3, 0.0]) @ q.T):
        n = len(matrix)
        system = ss.DiscreteSystem(matrix, np.ones((n, 1)), np.ones((1, n)), dt=1.0)
        with pytest.raises(ValueError, match=r"a pole at 0 .*is gone after one step"):
            ss.undiscretize(system, method)


def test_a_mode_gone_within_a_step_is_refused():
    digital = ss.discretize(rotated(-800.0, -1.0), 1.0)
    with pytest.raises(ValueError, match="gone after one step"):
        ss.undiscretize(digital)


@pytest.mark.parametrize(("method", "pole"), [("bilinear", -1.0), ("s4_bilinear", -1.0), ("gbt(0.3)", -0.7 / 0.3)])
def test_the_image_of_infinity_has_no_inverse(method, pole):
    for system in (
        ss.DiscreteSystem([[pole]], [[1.0]], [[1.0]], dt=1.0),
        ss.DiscreteSystem([[pole, 1.0], [0.0, 0.5]], np.ones((2, 1)), np.ones((1, 2)), dt=1.0),
        ss.from_zpk([], [pole], 1.0, dt=1.0),
    ):
        with pytest.raises(ValueError, match=r"sends only poles at infinity"):
            ss.undiscretize(system, METHODS[method])
    assert ss.undiscretize(system, "euler").n_states == 1


def test_near_the_image_of_infinity_a_warning():
    stiff = ss.ContinuousSystem([[-1e8]], [[1e8]], [[1.0]])
    with pytest.warns(ss.AccuracyWarning, match="unknown"):
        back = ss.undiscretize(ss.discretize(stiff, 1.0, "bilinear"))
    np.testing.assert_allclose(np.asarray(back.A), [[-1e8]], rtol=1e-7)


def test_the_method_must_be_known():
    digital = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=1.0)
    for verb in (ss.undiscretize, lambda s: ss.rediscretize(s, 0.1)):
        with pytest.raises(ValueError, match=r"does not know the method that made it; name it"):
            verb(digital)


# --------------------------------------------------------------- matched poles


def matched(z, p, k, dt=0.1):
    return ss.discretize(ss.from_zpk(z, p, k), dt, ss.MatchedPoles())


def test_matched_by_hand():
    """1/s: Δ/2 (ζ + 1)/(ζ − 1); 1/s²: its square; a/(s + a): (1 − e)/2 (ζ + 1)/(ζ − e)."""
    integrator, double, lag = matched([], [0.0], 1.0), matched([], [0.0, 0.0], 1.0), matched([], [-3.0], 3.0)
    np.testing.assert_array_equal(integrator.poles, [1.0])
    assert integrator(3.0)[0, 0] == pytest.approx(0.05 * 4 / 2, rel=1e-15)
    assert double(3.0)[0, 0] == pytest.approx((0.05 * 4 / 2) ** 2, rel=1e-15)
    e = np.exp(-0.3)
    assert lag(3.0)[0, 0] == pytest.approx((1 - e) / 2 * 4 / (3 - e), rel=1e-14)
    assert lag.dc_gain[0, 0] == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("name", [n for n, s in systems().items() if s.n_inputs == s.n_outputs == 1])
def test_matched_agrees_at_zero_frequency_whatever_is_there(name):
    """H_d(e^{sΔ})/H(s) → 1 for s → 0, with poles or zeros at 0 too: at s = 1e-5, to the order of s Δ."""
    system = systems()[name]
    digital = ss.discretize(system, 0.1, "matched")
    s = 1e-5 * np.exp(0.3j)
    assert digital.method == ss.MatchedPoles()
    assert relative(digital(np.exp(0.1 * s)), system(s)) < 2e-6
    np.testing.assert_allclose(np.sort_complex(digital.poles), np.sort_complex(np.exp(0.1 * system.poles)), rtol=1e-13)


@pytest.mark.parametrize(
    ("z", "p"), [([0.0], [-1.0]), ([0.0, 0.0], [-1 + 1j, -1 - 1j, 0.0]), ([-1.0], [0.0, 0.0]), ([0.0], [0.0, -2.0])]
)
def test_matched_with_roots_at_zero(z, p):
    """Where python-control gives NaN: zeros and poles at 0 are mapped to 1, the leading term is matched."""
    system, digital = ss.from_zpk(z, p, 2.0), matched(z, p, 2.0)
    assert np.isfinite(digital.A.gains).all()
    s = 1e-6j
    assert relative(digital(np.exp(0.1 * s)), system(s)) < 1e-6


def test_matched_is_of_order_two():
    system = ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j, -4.0], 5.0)
    errors = [relative(ss.discretize(system, dt, "matched")(np.exp(1j * dt)), system(1j)) for dt in (0.1, 0.05, 0.025)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.02)


def test_matched_keeps_a_notch_and_stability():
    digital = matched([20j, -20j], [-2 + 20j, -2 - 20j, -5.0], 5.0)
    assert abs(digital(np.exp(2j))[0, 0]) < 1e-14
    assert digital.is_stable


def test_matched_does_not_ask_for_the_structure():
    system = ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j, -4.0], 5.0)
    dense = ss.ContinuousSystem(*system)
    modal = ss.modal(ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j], 5.0))
    z = 1.3 * np.exp(1j * np.linspace(0, 3, 9))
    assert relative(ss.discretize(dense, 0.1, "matched")(z), ss.discretize(system, 0.1, "matched")(z)) < 1e-13
    assert modal.stores_pairs
    assert relative(ss.discretize(modal, 0.1, "matched")(z), matched([-3.0], [-1 + 2j, -1 - 2j], 5.0)(z)) < 1e-13


def test_matched_batch_and_static():
    batch = ss.from_zpk([[-1.0], [-2.0]], [[-1 + 1j, -1 - 1j], [-3.0, -4.0]], [1.0, 2.0])
    digital = ss.discretize(batch, [0.1, 0.2], "matched")
    for i, dt in enumerate((0.1, 0.2)):
        one = ss.discretize(ss.from_zpk(batch.A.zeros[i, :1], batch.A.known_poles[i], float(i + 1)), dt, "matched")
        assert relative(digital(2.0)[i], one(2.0)) < 1e-14
    gain = ss.discretize(ss.from_zpk([], [], 3.0), 0.1, "matched")
    assert gain.n_states == 0
    assert gain.D.tolist() == [[3.0]]


def test_matched_refusals():
    with pytest.raises(ValueError, match=r"a zero lies at a multiple of the sampling frequency"):
        matched([2j * np.pi, -2j * np.pi], [-1.0, -2.0], 1.0, dt=1.0)
    with pytest.raises(
        ValueError, match=r"one channel, this system has 2 inputs and 3 outputs; take one, system\[i, j"
    ):
        ss.discretize(ss.ContinuousSystem(*random_matrices(0)), 0.1, "matched")
    with pytest.raises(ValueError, match="MatchedPoles has no inverse"):
        ss.undiscretize(matched([], [-1.0], 1.0))
    with pytest.raises(ValueError, match="MatchedPoles keeps no map"):
        ss.initial_state(ss.from_zpk([], [-1.0], 1.0), 0.1, "matched")


@pytest.mark.peer
def test_matched_poles_and_gain_are_those_of_python_control():
    """It maps zeros at infinity to infinity, so only poles, finite zeros and the gain at 0 can agree."""
    import control

    system = ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j], 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = control.sample_system(control.zpk([-3.0], [-1 + 2j, -1 - 2j], 5.0), 0.1, "matched")
    ours = ss.discretize(system, 0.1, "matched")
    np.testing.assert_allclose(np.sort_complex(ours.poles), np.sort_complex(theirs.poles()), rtol=1e-12)
    np.testing.assert_allclose(ours.dc_gain[0, 0], theirs.dcgain(), rtol=1e-12)
