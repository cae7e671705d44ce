"""Numerical traps that others fall into, one regression test each; the docstring says what happens elsewhere."""

import warnings

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import kernel, relative
from statespace.arrays import phi1
from statespace.discretization.algebra import ELEMENTWISE
from statespace.discretization.names import as_method


def butterworth(order, cutoff=2e3 * np.pi, kind="low"):
    return signal.butter(order, cutoff, kind, analog=True, output="zpk")


@pytest.mark.parametrize("order", [8, 12, 16, 20])
@pytest.mark.parametrize("method", ["zoh", "foh", "bilinear"])
def test_high_order_butterworth(order, method):
    """cont2discrete(zpk) at fs/fc = 8: 4e-5 off at order 8, 1.0 at order 12 without a warning, a crash at 16.

    The kernels themselves are held against 60 digits in test_reference.py, with the extra `peers`. What must hold
    without it: a bilinear filter has the analog frequency response, warped, and both holds keep its gain.
    """
    system = ss.from_zpk(*butterworth(order))
    digital = ss.discretize(system, fs=8e3, method=method)
    assert digital.is_stable
    if method == "bilinear":
        omega = np.linspace(0.01, 3.0, 50)
        warped = 2 * 8e3 * np.tan(omega / 2)
        assert relative(digital(np.exp(1j * omega)), system(1j * warped)) < 1e-13
    else:  # both holds reproduce a step exactly (zoh) or are exact on a ramp (foh): the final value is the gain
        assert abs(digital.dc_gain[0, 0] - 1) < 1e-13
        h = ss.impulse_response(digital, 2000).y
        assert abs(h.sum() - 1) < 1e-13


@pytest.mark.parametrize("structure", ["dense", "diagonal", "cascade"])
def test_zoh_with_integrators(structure):
    """A singular A is exact: the double integrator, a Jordan block, and a system without states."""
    if structure == "dense":
        digital = ss.discretize(ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], [[1, 0]]), 0.5)
        assert np.array_equal(np.asarray(digital.A), [[1, 0.5], [0, 1]])
        assert np.array_equal(digital.B, [[0.125], [0.5]])
    elif structure == "diagonal":
        digital = ss.discretize(ss.ContinuousSystem(ss.Diagonal([0.0]), [[1.0]], [[1.0]]), 0.5)
        assert digital.B == 0.5
    else:
        digital = ss.discretize(ss.from_zpk([], [0, 0], 1.0), 0.5)
        assert np.array_equal(ss.impulse_response(digital, 4).y, [0, 0.125, 0.375, 0.625])
    static = ss.discretize(ss.ContinuousSystem([], [], [], [[3.0]]), 0.5)
    assert static.n_states == 0
    assert np.array_equal(ss.simulate(static, [1.0, 2.0]).y, [3.0, 6.0])


def test_stiff_system_is_finite_and_right():
    """diag(−3000, −1), Δ = 1: CuPy's expm gives NaN."""
    wanted = np.exp([-3000.0, -1.0])
    diagonal = ss.discretize(ss.ContinuousSystem(ss.Diagonal([-3000.0, -1.0]), np.ones((2, 1)), np.ones((1, 2))), 1.0)
    assert np.all(np.abs(diagonal.A.diagonal - wanted) < 1e-13)
    assert np.all(np.abs(diagonal.B[:, 0] / [1 / 3000, 1 - np.exp(-1)] - 1) < 1e-13)
    dense = ss.discretize(ss.ContinuousSystem(np.diag([-3000.0, -1.0]), np.ones((2, 1)), np.ones((1, 2))), 1.0)
    assert np.all(np.abs(np.diag(np.asarray(dense.A)) - wanted) < 3000 * np.finfo(float).eps)


def test_phi1_near_zero():
    """(e^z − 1)/a for a = −1e-6, Δ = 1e-3 in float32 is −0.0 instead of 0.001."""
    assert abs(1e-3 * phi1(np.float64(-1e-9)) / 1e-3 - 1) < 1e-9
    assert phi1(np.float32(-1e-9)) == 1.0
    assert phi1(np.complex128(0)) == 1.0
    z = 1e-9 * np.exp(1j * np.linspace(0, 6, 20))
    assert np.all(np.abs(phi1(z) - (1 + z / 2)) < 4e-16)


def test_frequency_response_without_polynomials():
    """ss2tf and then freqs: 1e-3 off at order 10 by cancellation."""
    z, p, k = butterworth(10, 1.0, "low")
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    a, b, c, d = ss.from_zpk(z, p, k)
    dense = ss.ContinuousSystem(q @ a @ q.T, q @ b, c @ q.T, d)
    omega = np.geomspace(0.05, 5, 60)
    wanted = np.prod(1.0 / (1j * omega[:, None] - p), axis=1) * k
    assert relative(ss.frequency_response(dense, omega).H, wanted) < 1e-13


def test_a_static_gain_has_no_states():
    """tf2ss(2, 1) invents one."""
    assert ss.from_tf([2.0], [1.0]).n_states == 0
    assert ss.from_zpk([], [], 2.0).n_states == 0
    assert ss.from_ba([2.0], [1.0], dt=1.0).n_states == 0
    assert ss.from_sos([[2.0, 0, 0, 1.0, 0, 0]], dt=1.0).n_states == 0


@pytest.mark.parametrize("structure", [lambda p: [[p]], lambda p: ss.Diagonal([p])])
def test_bilinear_with_a_pole_at_two_over_dt(structure):
    """A LinAlgError elsewhere, or silently entries of 1e14 for a pole at 2/Δ·(1 + 1e-14)."""
    with pytest.raises(ValueError, match=r"a pole of the system lies at 1/\(w·dt\)"):
        ss.discretize(ss.ContinuousSystem(structure(20.0), [[1.0]], [[1.0]]), 0.1, "bilinear")
    with pytest.warns(ss.AccuracyWarning, match="digits are lost"):
        ss.discretize(ss.ContinuousSystem(structure(20.0 * (1 + 1e-14)), [[1.0]], [[1.0]]), 0.1, "bilinear")


@pytest.mark.parametrize("zeta", [1e-3, 0.1, 0.7])
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_prewarp(zeta, fraction):
    """H(jω) = H_d(e^{jωΔ}) at the prewarp frequency, to eps/(2ζ)/(1 − ω/ω_N); near 0 poles near z = 1 cost 1/(ωΔ)."""
    dt = 0.01
    omega = fraction * np.pi / dt
    system = ss.from_zpk([], omega * (-zeta + np.sqrt(1 - zeta**2) * np.array([1j, -1j])), omega**2)
    digital = ss.discretize(system, dt, ss.Bilinear(prewarp=omega))
    error = abs(digital(np.exp(1j * omega * dt))[0, 0] / system(1j * omega)[0, 0] - 1)
    assert error < 4 * np.finfo(float).eps / (2 * zeta) * (1 / (1 - fraction) + 1 / (omega * dt))
    for beyond in (np.pi / dt, 1.1 * np.pi / dt):
        with pytest.raises(ValueError, match="must lie below the Nyquist frequency"):
            ss.discretize(system, dt, ss.Bilinear(prewarp=beyond))


def test_foh_starting_state():
    """Dropped by SciPy, python-control and harold: a ramp through the starting point is then not exact."""
    lag = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]])
    t = 0.5 * np.arange(8)
    got = ss.simulate(lag, 2.0 + t, t=t, hold="foh").y
    assert relative(got, 1 + t - np.exp(-t)) < 1e-15
    w0 = ss.initial_state(lag, 0.5, "foh", u0=[2.0])
    assert relative(ss.simulate(ss.discretize(lag, 0.5, "foh"), 2.0 + t, x0=w0).y, got) < 1e-15


def test_impulse_response_is_the_unit_sample_response():
    """python-control scales it by 1/Δ, SciPy's c2d by Δ."""
    system = ss.DiscreteSystem([[0.5]], [[2.0]], [[3.0]], [[7.0]], dt=0.01)
    assert np.array_equal(ss.impulse_response(system, 3).y, [7.0, 6.0, 3.0])


def test_complex_systems_stay_complex():
    """`dlsim` casts the state to float64 and loses the imaginary part."""
    system = ss.DiscreteSystem([[0.5j]], [[1.0]], [[1.0]], dt=1.0)
    assert np.array_equal(ss.impulse_response(system, 4).y, [0, 1, 0.5j, -0.25])


def test_integer_matrices():
    """`lsim` with an integer A gives wrong numbers."""
    t = np.linspace(0, 5, 50)
    ints = ss.ContinuousSystem([[0, 1], [-4, -1]], [[0], [1]], [[1, 0]], [[0]])
    floats = ss.ContinuousSystem([[0.0, 1], [-4, -1]], [[0.0], [1]], [[1.0, 0]], [[0.0]])
    assert np.array_equal(ss.simulate(ints, np.ones(50, int), t=t).y, ss.simulate(floats, np.ones(50), t=t).y)


def test_as_many_samples_out_as_in():
    """`dlsim` with t = [0, .1, .2, .3], dt = .1 returns 3 samples at [0, .15, .3]."""
    system = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=0.1)
    t, y = ss.simulate(system, np.ones(4), t=[0, 0.1, 0.2, 0.3])
    assert np.array_equal(t, [0, 0.1, 0.2, 0.3])
    assert np.array_equal(y, [0.0, 1.0, 1.5, 1.75])
    for length in (1, 2, 7, 1000):
        assert len(ss.simulate(system, np.ones(length)).y) == length


def test_hold_is_explicit_and_linear():
    """ControlSystems.jl's lsim chose foh or zoh by looking at u: not linear. Here superposition holds."""
    system = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]])
    t = 0.1 * np.arange(50)
    smooth, square = np.sin(t), np.sign(np.sin(3 * t))
    for hold in ("zoh", "foh"):
        parts = [ss.simulate(system, u, t=t, hold=hold).y for u in (smooth, square, smooth + square)]
        assert relative(parts[0] + parts[1], parts[2]) < 1e-14
    default, zoh = (ss.simulate(system, smooth, t=t, **o).y for o in ({}, {"hold": "zoh"}))
    assert np.array_equal(default, zoh)


def test_powers_of_a_band_pass_decay():
    """A companion matrix with spectral radius 0.98: ‖A^3000‖ = 1.9e15, truth 1e-26. A cascade decays."""
    z, p, k = signal.butter(4, [0.2, 0.25], "band", output="zpk")
    system = ss.from_zpk(z, p, k, dt=1.0)
    radius = np.abs(system.poles).max()
    power = np.linalg.matrix_power(np.asarray(system.A), 3000)
    # ρ^L times the polynomial growth of eight coupled modes, each bounded by 1/(1 − ρ).
    assert np.linalg.norm(power) < radius**3000 / (1 - radius) ** 8
    companion = signal.zpk2ss(z, p, k)[0]
    assert np.linalg.norm(np.linalg.matrix_power(companion, 3000)) > 1e3 * np.linalg.norm(power)


def test_known_poles_are_kept():
    """eigvals of a dense order-16, 1 % band-pass calls a stable filter unstable."""
    z, p, k = butterworth(8, 2e3 * np.pi * np.array([0.995, 1.005]), "band")
    for method in ("zoh", "foh", "bilinear", "s4_zoh"):
        digital = ss.discretize(ss.from_zpk(z, p, k), fs=2e4, method=method)
        assert digital.is_stable
        mapped = as_method(method).factors(p, np.array(1 / 2e4), ELEMENTWISE).alpha
        assert relative(np.sort_complex(digital.poles), np.sort_complex(mapped)) < 1e-15


def test_phase_of_the_holds():
    """A 40 Hz tone at fs = 500: zoh lags by half a step, 14.4°, whatever the filter; foh 0.0°, bilinear 1.4° here."""
    system = ss.from_zpk(*butterworth(2, 2 * np.pi * 60))
    fs, omega = 500.0, 2 * np.pi * 40
    analog = system(1j * omega)[0, 0]

    def lag(method):
        digital = ss.discretize(system, fs=fs, method=method)(np.exp(1j * omega / fs))[0, 0]
        return np.degrees(np.angle(digital / analog))

    assert lag("zoh") == pytest.approx(-14.4, abs=0.1)
    assert lag("foh") == pytest.approx(0.0, abs=0.1)
    assert lag("bilinear") == pytest.approx(-1.4, abs=0.1)
    assert lag(ss.Bilinear(prewarp=omega)) == pytest.approx(0.0, abs=1e-10)


def test_time_stamps_of_a_clock():
    """2 ms steps at Unix times jitter by 1e-4 relative: unique(diff(t)) explodes, here it is one step."""
    t = 1.7e9 + 0.002 * np.arange(5000)
    response = ss.simulate(ss.from_zpk([], [-1.0], 1.0), np.ones(5000), t=t)
    assert isinstance(response.system, ss.DiscreteSystem)
    assert response.system.dt == pytest.approx(0.002, rel=1e-7)


def test_defective_matrices():
    """Modal forms blow up on repeated poles without a word; nothing here diagonalizes."""
    jordan = ss.ContinuousSystem([[-1, 1, 0], [0, -1, 1], [0, 0, -1]], [[0], [0], [1]], [[1, 0, 0]])
    t = np.cumsum(np.random.default_rng(0).uniform(0.1, 1, 80))
    t -= t[0]
    h = ss.impulse_response(jordan, t=t).y
    assert relative(h, t**2 / 2 * np.exp(-t)) < 1e-14


def test_algebraic_loops():
    """A rank test at eps alone lets loops pass that have no digits left."""
    gain = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[-1.0]])
    with pytest.raises(ValueError, match="the loop is algebraic"):
        ss.feedback(gain)
    near = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[-1.0 + 1e-10]])
    with pytest.warns(ss.AccuracyWarning, match="about 10 digits are lost"):
        ss.feedback(near)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ss.feedback(ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]], [[-0.5]]))


def test_kernel_of_a_cascade_outlives_its_companion():
    """The kernel of a narrow band-pass after 20,000 samples: known poles, not eigenvalues of a companion."""
    z, p, k = signal.butter(4, [0.2, 0.202], "band", output="zpk")
    system = ss.from_zpk(z, p, k, dt=1.0)
    h = ss.impulse_response(system, 20_000).y
    assert np.isfinite(h).all()
    assert np.abs(h[-1000:]).max() < 1e-8 * np.abs(h).max()
    assert relative(h[:200], kernel(system, 200)[:, 0, 0]) < 1e-13
