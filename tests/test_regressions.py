"""What attacks on this library found, each under its name; none of these may come back."""

import numpy as np
import pytest

import statespace as ss
from gallery import relative


@pytest.mark.parametrize("fast", [3.3e3, 1.1e6, 1.7e9, 1.3e12, 1.3e15])
@pytest.mark.parametrize("method", ["zoh", "foh", "impulse", "exp_trapezoidal", "s4_zoh"])
def test_a_stiff_cascade_keeps_its_slow_mode(fast, method):
    """Squaring 1 + z/2^s rounded the slow pole away: 0.22 off for poles −0.7 and −1.3e15."""
    digital = ss.discretize(ss.from_zpk([], [-0.7, -fast], 0.7 * fast), 1.0, method)
    gone, slow = np.diag(np.asarray(digital.A))
    assert abs(slow / np.exp(-0.7) - 1) < 1e-15
    assert gone <= np.exp(-700.0)


def test_a_stiff_cascade_settles_at_its_gain():
    """Poles −1e-4 and −3.7e12 gave a step response of 99.9999 instead of 1, on uniform and uneven grids."""
    system = ss.from_zpk([], [-1e-4, -3.7e12], 3.7e8)
    assert abs(ss.discretize(system, 1.0).dc_gain[0, 0] - 1) < 1e-11  # 1 − e^{−1e-4} is known to eps/1e-4
    assert abs(ss.step_response(system, 10**6, dt=1.0).y[-1] - 1) < 1e-11
    t = np.cumsum(np.r_[0.0, np.random.default_rng(0).uniform(5, 15, 300)])
    assert relative(ss.step_response(system, t=t).y, -np.expm1(-1e-4 * t)) < 1e-11


@pytest.mark.parametrize("coupling", [1e6, 1e9, 1e12])
def test_a_triangular_matrix_in_bad_units(coupling):
    """A reducible matrix cannot be balanced; its diagonal was off by eps·coupling."""
    digital = ss.discretize(ss.ContinuousSystem([[-0.7, coupling], [0, -1.3]], [[0], [1]], [[1, 0]]), 1.0)
    assert np.allclose(np.diag(np.asarray(digital.A)), np.exp([-0.7, -1.3]), rtol=1e-15, atol=0)


def test_decayed_modes_keep_their_digits():
    """E + 1 alone would know e^{−30} only to eps: the squares beside it keep 1e-13."""
    for z in (-15.0, -30.0, -100.0):
        digital = ss.discretize(ss.ContinuousSystem([[z, 1.0], [0.0, z - 1]], [[0], [1]], [[1, 0]]), 1.0)
        assert np.allclose(np.diag(np.asarray(digital.A)), np.exp([z, z - 1]), rtol=1e-12, atol=0)


def test_dc_gain_channel_by_channel_beside_a_double_integrator():
    """One defective pole made every channel infinite."""
    chain = ss.ContinuousSystem([[0, 1, 0], [0, 0, 1], [0, 0, -0.5]], [[0], [0], [1]], np.eye(3))
    assert np.array_equal(np.isinf(chain.dc_gain[:, 0]), [True, True, False])
    assert abs(chain.dc_gain[2, 0] - 2) < 1e-13
    double = ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], [[1, 0]])
    lag = ss.ContinuousSystem([[-1.0]], [[1]], [[1.0]])
    assert np.allclose(ss.append(double, lag).dc_gain, [[np.inf, 0], [0, 1]], atol=1e-13)


def test_integrators_hidden_in_a_dense_matrix():
    """A rotated integrator misses 0 by 1e-16: the gain was ±1e16 with a random sign, the steady state too."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        block = np.diag([0.0, 0.0, -1.0, -2.0])
        block[0, 1] = seed % 2  # a double integrator every other time
        system = ss.ContinuousSystem(q @ block @ q.T, q @ np.ones((4, 1)), np.ones((1, 4)) @ q.T)
        assert np.isinf(system.dc_gain).all()
        with pytest.raises(ValueError, match="integrates a constant input"):
            ss.steady_state(system, 1.0)


def test_a_slow_mode_beside_a_fast_one_is_no_integrator():
    """The test for hidden integrators does not mistake units for one."""
    system = ss.ContinuousSystem([[-0.1, 1e3], [0, -1e13]], [[0], [1e10]], [[1, 0]])
    assert abs(system.dc_gain[0, 0] - 10) < 1e-13
    assert np.allclose(ss.steady_state(system, 1.0), [10.0, 1e-3], rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-8, 1e-12, 1e-14, 1e8])
@pytest.mark.parametrize("feedthrough", [True, False])
def test_zeros_do_not_depend_on_the_units_of_a_channel(scale, feedthrough):
    """One factor for all inputs lost four zeros at 1e-14 and invented others."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(4, 4)), rng.normal(size=(4, 2)), rng.normal(size=(2, 4))
    d = rng.normal(size=(2, 2)) * feedthrough
    wanted = ss.ContinuousSystem(a, b, c, d).zeros
    for one in (
        ss.ContinuousSystem(a, b * [1, scale], c, d * [1, scale]),
        ss.ContinuousSystem(a, b, c * [[1], [scale]], d * [[1], [scale]]),
    ):
        assert np.allclose(one.zeros, wanted, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "shortest"), [("f4", 1e-4), ("f4", 1e-6), ("f8", 1e-12)])
def test_grids_over_many_decades_keep_their_short_steps(dtype, shortest):
    """The rounding of the largest stamp was taken for that of all: short intervals were averaged, up to 0.98 off."""
    t = np.r_[0, np.geomspace(shortest, 1e3, 40)].astype(dtype)
    system = ss.ContinuousSystem([[-1 / shortest]], [[1 / shortest]], [[1.0]])
    wanted = -np.expm1(-t.astype(float) / shortest)
    assert relative(ss.step_response(system, t=t).y, wanted) < 1e-13


def test_an_interval_that_is_known_is_not_moved_by_one_that_is_not():
    """Later ones, equal within the rounding of their large stamps, took it to their common mean, 1e-12 off."""
    t = np.array([0.0, 1e-5, 1.0, 1.00001, 1.00002, 5.0])
    system = ss.ContinuousSystem([[-1e5]], [[1e5]], [[1.0]])
    assert abs(ss.step_response(system, t=t).y[1] + np.expm1(-1e5 * t[1])) < 2e-16


@pytest.mark.parametrize("near", [1.0, 0.3, 0.1])  # the last two are near the identity
@pytest.mark.parametrize("coupling", [0.1, 0.5, 1.0])
def test_a_row_of_rounding_does_not_spoil_the_logarithm(coupling, near):
    """Balancing took 1e-18 beside 1 for what it says, and the logarithm beside it came back 2e-6 off."""
    a = [[0.6, 1.0, 0.0, 1.0], [0.0, 0.6, 0.0, 1.0], [coupling, 0.2, 0.3, 1.0], [1e-18, -2e-18, 1e-18, 0.9]]
    a = np.eye(4) + near * (np.array(a) - np.eye(4))
    digital = ss.DiscreteSystem(a, np.ones((4, 1)), np.ones((1, 4)), dt=1.0)
    again = ss.discretize(ss.undiscretize(digital, "zoh"), 1.0)
    assert relative(np.asarray(again.A), a) < 1e-15
    assert relative(again.B, digital.B) < 1e-13


def test_a_stiff_section_starts_where_its_state_says():
    """Its map went through the inverse of [B_d, A_d B_d], singular to 1e-5: the output of rest was 4e-11 of D u."""
    system = ss.ContinuousSystem(ss.Cascade([-83 + 85j, -1e5], [None, None], [8e6]))
    digital, u = ss.discretize(system, 0.0084, "backward_euler"), np.array([1e4])
    start = ss.initial_state(system, 0.0084, "backward_euler", u0=u)
    y = ss.simulate(digital, u, x0=start).y
    assert abs(y[0]) < 1e-15 * abs(digital.D[0, 0] * u[0])


def test_an_oscillator_is_not_stable_whatever_the_step():
    """Rounding put its poles inside the circle for a quarter of all steps."""
    oscillator = ss.from_zpk([], [1j, -1j], 1.0)
    for dt in np.linspace(0.01, 3, 300):
        for method in ("zoh", "bilinear"):
            assert not ss.discretize(oscillator, dt, method).is_stable


def test_clock_stamps_of_a_discrete_system():
    """Stamps that differ from k·dt by their own rounding only were refused."""
    system = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=0.002)
    for length in (2, 10, 1000):
        for t in (1.7e9 + 0.002 * np.arange(length), (0.002 * np.arange(length)).astype("f4")):
            assert len(ss.simulate(system, np.ones(length), t=t).y) == length
    with pytest.raises(ValueError, match="must have the step of the discrete system"):
        ss.simulate(system, np.ones(1000), t=0.0020001 * np.arange(1000))


def test_default_response_of_an_unstable_system_with_a_slow_mode():
    """The slowest decay set a duration in which the fastest growth overflows."""
    y = ss.impulse_response(ss.from_zpk([], [1, -1e-6], 1.0)).y
    assert np.isfinite(y).all()
    assert y[-1] > 1e12


def test_zeros_go_to_the_poles_they_are_near():
    """A zero at −1e-3 beside poles −1e-6, −1, −1e6 went to the fastest one, and 1e-7 of the step response with it."""
    system = ss.from_zpk([-1e-3], [-1e-6, -1e6, -1.0], 1e6)
    s = np.array([1e-7, 1e-4j, 0.1 + 1j, 1e3])
    # A zero a thousand times its pole: three digits cancel in the realization, not seven.
    assert np.allclose(ss.ContinuousSystem(*system)(s), system(s), rtol=1e-12, atol=0)


def test_a_delay_line_has_a_b_of_its_own():
    """The FIR loop took the input as it was, whatever B said."""
    for b in ([[2.0], [0.0]], [[2.0], [1.0]], [[0.0], [1.0]]):
        system = ss.DiscreteSystem(ss.DelayLine(2), b, [[1.0, 3.0]], dt=1.0)
        wanted = ss.DiscreteSystem(np.eye(2, k=-1), b, [[1.0, 3.0]], dt=1.0)
        u = np.arange(1.0, 6.0)
        assert np.array_equal(ss.simulate(system, u).y, ss.simulate(wanted, u).y)


@pytest.mark.parametrize("gain", [1e-280, 1e-300, 1e-310])
def test_a_section_that_hardly_adds_anything(gain):
    """Its units were subnormal, and their inverse overflowed: found by a deep run of the laws."""
    system = ss.from_zpk([0.2], [0.5 + 0.1j, 0.5 - 0.1j], gain, dt=1.0)
    wanted = gain * ss.filter(ss.from_zpk([0.2], [0.5 + 0.1j, 0.5 - 0.1j], 1.0, dt=1.0), np.ones(50))
    np.testing.assert_allclose(ss.filter(system, np.ones(50)), wanted, rtol=1e-13, atol=1e-322)


@pytest.mark.parametrize("omega", [1e-99, 1e-101, 1e-200, 1e-310, 5e-324])
def test_a_pair_next_to_a_double_pole(omega):
    """Below 1e-308 a coefficient overflowed, and every output was NaN."""
    pair = ss.from_zpk([0.2], [0.5 + 1j * omega, 0.5 - 1j * omega], 1.0, dt=1.0)
    double = ss.from_zpk([0.2], [0.5, 0.5], 1.0, dt=1.0)
    u = np.random.default_rng(0).normal(size=50)
    np.testing.assert_allclose(ss.filter(pair, u), ss.filter(double, u), rtol=0, atol=1e-14)


def test_an_integrator_beside_slow_zeros_keeps_its_gain():
    """As the first pole of its section its residue was a difference: 7e-10 off, and 21 % off in float32."""
    system = ss.discretize(ss.from_zpk([-0.01, -1.0], [0.0, -200.0], 1.0), 1e-3, "bilinear")
    settles = 0.01 * 1.0 / 200.0 * 1e-3  # ∫ of one sample of the residue of 1/s
    assert abs(ss.impulse_response(system, 20000).y[-1] / settles - 1) < 1e-11  # 1 − zero is known to eps/1e-5
    q = [np.asarray(v, np.float32).astype(float)[0] for v in system.A.sections()]
    a, b, c = np.array([[q[0], q[1]], [q[2], q[3]]]), np.array([q[4], 0.0]), np.array(q[5:7])
    rounded = ss.impulse_response(ss.DiscreteSystem(a, b[:, None], c[None], dt=1e-3), 20000).y[-1]
    assert abs(rounded / settles - 1) < 1e-6


@pytest.mark.parametrize("w", [2.2e-309, 4.5e-305, 1e-160, 1e-20])
def test_a_weight_next_to_zero_is_eulers_rule(w):
    """Found by the laws: the zeros of a cascade at −(1 − w)/w overflowed when two of them were multiplied."""
    system = ss.from_zpk([-0.5], [-1 + 2j, -1 - 2j, -3], 2.0)
    euler, nearly = (ss.discretize(system, 0.1, rule) for rule in (ss.ForwardEuler(), ss.GeneralizedBilinear(w)))
    assert np.isinf(nearly.A.zeros).sum() == 2
    np.testing.assert_allclose(ss.kernel(nearly, 40), ss.kernel(euler, 40), rtol=0, atol=1e-15)
    back = ss.undiscretize(nearly)
    np.testing.assert_allclose(back(1j), system(1j), rtol=1e-14)


@pytest.mark.parametrize("form", ["recurrent", "chunked", "convolution"])
def test_a_batch_of_outputs_ends_in_a_batch_of_states(form):
    """Found by the testing kit: form="convolution" lost the batch axes that C alone has."""
    two = ss.DiscreteSystem([[0.5]], [[1.0]], [[[1.0]], [[2.0]]], dt=1.0)
    final = ss.simulate(two, np.ones(70), form=form).final_state
    assert final.shape == (2, 1)
    np.testing.assert_allclose(final, 2.0, rtol=1e-15)


@pytest.mark.parametrize("pole", [-700.0, -700.0 + 300.0j, -400.0])
def test_poles_that_are_gone_after_one_sample(pole):
    """Found by the laws: e^{−700} set the unit of a state, whose neighbour then overflowed."""
    z, p = [-0.5, -2.0], [-1.0, *((pole, pole.conjugate()) if pole.imag else (pole, 1.1 * pole))]
    digital = ss.discretize(ss.from_zpk(z, p, 1e3), 1.0, ss.MatchedPoles())
    assert np.abs(digital.B).max() < 1e6
    assert np.isfinite(digital.A.realization()[0]).all()
    h = ss.kernel(digital, 12)[:, 0, 0]
    assert np.isfinite(h).all()
    # After two samples only e^{−1} is left: the kernel is that of one pole.
    np.testing.assert_allclose(h[4:] / h[3:-1], np.exp(-1.0), rtol=1e-13)


def test_balancing_over_three_hundred_decades():
    """Found by the laws: a row of 1e-310 beside a column of 1 overflowed."""
    from statespace.structure.matrices import balanced

    scaled, scale = balanced(np.array([[0.5, 1e-310], [1.0, 0.25]]))
    assert np.array_equal(np.diag(scaled), [0.5, 0.25])
    assert abs(np.log10(scaled[0, 1] / scaled[1, 0])) < 1
    assert np.isfinite(scale).all()
