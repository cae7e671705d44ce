"""One test for each number in the documentation. Errors are relative to the largest value of the right answer."""

import warnings

import numpy as np
import pytest
from scipy import signal

import statespace as ss

SPRING = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])


def error(got, want):
    return abs(np.asarray(got) - want).max() / abs(np.asarray(want)).max()


@pytest.fixture(scope="module")
def mp():
    import mpmath

    with mpmath.workdps(80):
        yield mpmath.mp


def residues(mp, gain, zeros, poles):
    return [
        gain * mp.fprod(p - z for z in zeros) / mp.fprod(p - q for j, q in enumerate(poles) if j != i)
        for i, p in enumerate(poles)
    ]


def modal_kernel(mp, first, weights, poles, length):
    """h[0] = first, h[k] = Σ w p^(k − 1), in 80 digits."""
    h, terms = [first], list(weights)
    for _ in range(length - 1):
        h.append(float(mp.re(mp.fsum(terms))))
        terms = [w * p for w, p in zip(terms, poles, strict=True)]
    return np.array(h)


def precise(mp, values):
    return [mp.mpc(complex(v)) for v in values]


# --------------------------------------------------------------- discretization.md


@pytest.mark.parametrize(
    ("method", "degrees"), [("zoh", -14.4), ("foh", 0.0), ("bilinear", -1.4), (ss.Bilinear(prewarp=80 * np.pi), 0.0)]
)
def test_phase_of_a_tone_at_40_hz(method, degrees):
    lowpass = ss.from_zpk(*signal.butter(4, 200 * np.pi, analog=True, output="zpk"))
    digital = ss.discretize(lowpass, fs=500.0, method=method)
    ratio = digital(np.exp(80j * np.pi / 500)) / lowpass(80j * np.pi)
    assert round(float(np.angle(ratio[0, 0], deg=True)), 1) == pytest.approx(degrees, abs=1e-9)


# --------------------------------------------------------------- differences.md


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("zoh", "zoh"), ("foh", "foh"), ("bilinear", "bilinear"), ("euler", "euler"), ("impulse", "impulse"),
     ("backward_diff", "backward_euler"), ("gbt", ss.GeneralizedBilinear(0.3))],
)  # fmt: skip
def test_kernels_agree_with_scipy(theirs, ours):
    A, B, C, D = SPRING
    D = D if theirs == "impulse" else D + 0.5
    *matrices, dt = signal.cont2discrete((A, B, C, D), 0.1, theirs, alpha=0.3)
    digital = ss.discretize(ss.ContinuousSystem(A, B, C, D), 0.1, ours)
    h = ss.impulse_response(digital, 100).y
    assert error(ss.impulse_response(ss.DiscreteSystem(*matrices, dt=dt), 100).y, h) < 1e-15
    if theirs in ("zoh", "foh", "euler", "impulse"):
        for mine, other in zip(digital, matrices, strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-15)


# --------------------------------------------------------------- numerics.md


def butterworth(mp, order, length=200):
    """Zeros, poles and gain at 1 kHz, and the kernel when held at 8 kHz."""
    z, p, k = signal.butter(order, 2 * np.pi * 1000, analog=True, output="zpk")
    poles, dt = precise(mp, p), mp.mpf(1) / 8000
    powers = [mp.exp(q * dt) for q in poles]
    weights = [r * (e - 1) / q for r, e, q in zip(residues(mp, mp.mpf(k), [], poles), powers, poles, strict=True)]
    return z, p, k, modal_kernel(mp, 0.0, weights, powers, length)


@pytest.mark.peer
@pytest.mark.parametrize("order", [8, 10, 12, 16, 20])
def test_butterworth_by_sections(mp, order):
    z, p, k, h = butterworth(mp, order)
    assert error(ss.impulse_response(ss.discretize(ss.from_zpk(z, p, k), fs=8000), 200).y, h) < 1e-14


@pytest.mark.peer
@pytest.mark.parametrize("rate", [4, 8, 100])
def test_an_order_16_filter_by_foh_runs_right(mp, rate):
    """from_zpk, discretize, filter: 1e-11 of the peak against the kernel Δφ2, Δφ1² e^{z(k−1)} of 80 digits."""
    z, p, k = signal.butter(16, 2 * np.pi, analog=True, output="zpk")
    poles = precise(mp, p)
    r, zs = residues(mp, mp.mpf(float(k)), [], poles), [pole / rate for pole in poles]
    first = mp.re(mp.fsum(w * (mp.expm1(x) - x) / x**2 for w, x in zip(r, zs, strict=True))) / rate
    weights = [w * (mp.expm1(x) / x) ** 2 / rate for w, x in zip(r, zs, strict=True)]
    h = modal_kernel(mp, float(first), weights, [mp.exp(x) for x in zs], 40 * rate)
    u = np.random.default_rng(0).normal(size=40 * rate)
    got = ss.filter(ss.discretize(ss.from_zpk(z, p, k), fs=rate, method="foh"), u)
    assert error(got, np.convolve(h, u)[: len(u)]) < 1e-11


@pytest.mark.peer
@pytest.mark.parametrize(("order", "at_least"), [(8, 1e-7), (10, 1e-3), (12, 1.0), (16, None), (20, None)])
def test_butterworth_by_companion_matrix(mp, order, at_least):
    z, p, k, h = butterworth(mp, order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if at_least is None:
            with pytest.raises(ValueError, match="infs or NaNs"):  # LinAlgError is a ValueError
                signal.cont2discrete((z, p, k), 1 / 8000)
            return
        matrices = signal.cont2discrete(signal.zpk2ss(z, p, k), 1 / 8000)
    assert error(ss.impulse_response(ss.DiscreteSystem(*matrices[:4], fs=8000), 200).y, h) > at_least


@pytest.mark.peer
def test_bilinear_low_pass_far_below_nyquist(mp):
    z, p, k = signal.butter(8, 2 * np.pi, analog=True, output="zpk")
    dt = mp.mpf(1) / 1000
    analog = precise(mp, p)
    poles = [(2 + dt * q) / (2 - dt * q) for q in analog]
    gain = mp.mpf(k) * mp.fprod(dt / (2 - dt * q) for q in analog)
    h = modal_kernel(mp, float(mp.re(gain)), residues(mp, gain, [mp.mpf(-1)] * 8, poles), poles, 6000)
    pulse = np.r_[1.0, np.zeros(5999)]
    digital = signal.bilinear_zpk(z, p, k, 1000)
    assert error(signal.lfilter(*signal.zpk2tf(*digital), pulse), h) > 1
    assert 5e-13 < error(signal.sosfilt(signal.zpk2sos(*digital), pulse), h) < 2e-11
    ours = ss.discretize(ss.from_zpk(z, p, k), fs=1000, method="bilinear")
    assert error(ss.impulse_response(ours, 6000).y, h) < 3e-13


def test_roots_call_a_stable_filter_unstable():
    z, p, k = signal.butter(8, [0.1, 0.101], btype="bandpass", output="zpk")
    assert round(abs(p).max(), 5) == 0.9997
    assert abs(np.roots(signal.zpk2tf(z, p, k)[1])).max() > 1.04
    ours = ss.from_zpk(z, p, k, fs=1000)
    assert ours.is_stable
    assert set(ours.poles) == set(p)


@pytest.mark.peer
def test_frequency_response_through_polynomials(mp):
    z, p, k = signal.cheby1(10, 1, 0.02, output="zpk")
    omega = np.linspace(1e-3, 0.2, 300)
    circle = [mp.expj(mp.mpf(float(w))) for w in omega]
    zeros, poles = precise(mp, z), precise(mp, p)
    h = np.array([complex(k * mp.fprod(s - q for q in zeros) / mp.fprod(s - q for q in poles)) for s in circle])
    sections = ss.from_zpk(z, p, k, dt=1.0)
    A, B, C, D = sections
    assert error(signal.freqz(*signal.zpk2tf(z, p, k), omega)[1], h) > 0.1
    assert error(ss.frequency_response(sections, omega).H, h) < 1e-12
    assert error(ss.frequency_response(ss.DiscreteSystem(A, B, C, D, dt=1.0), omega).H, h) < 1e-12


@pytest.mark.peer
def test_phi_functions_of_one_pole(mp):
    z = -np.logspace(-12, 4, 400)
    exact = [mp.mpf(float(v)) for v in z]
    phi1 = np.array([float(mp.expm1(v) / v) for v in exact])
    phi2 = np.array([float((mp.expm1(v) - v) / v**2) for v in exact])
    poles = ss.ContinuousSystem(ss.Diagonal(z[:, None]), [[1.0]], [[1.0]])
    np.testing.assert_allclose(ss.discretize(poles, 1.0, "zoh").B[:, 0, 0], phi1, rtol=1e-15)
    np.testing.assert_allclose(ss.discretize(poles, 1.0, "foh").D[:, 0, 0], phi2, rtol=1e-15)
    assert round((np.exp(-1e-8) - 1 + 1e-8) / 1e-16, 2) == 0.61


def test_stiff_diagonal():
    stiff = ss.discretize(ss.ContinuousSystem(ss.Diagonal([-3000.0, -1.0]), np.eye(2), np.eye(2)), 1.0)
    np.testing.assert_allclose(stiff.A.diagonal, np.exp([-3000.0, -1.0]), rtol=1e-15)
    np.testing.assert_allclose(np.diag(stiff.B), -np.expm1([-3000.0, -1.0]) / [3000.0, 1.0], rtol=1e-15)


@pytest.mark.peer
def test_stiff_dense_stays_within_eps_times_norm(mp):
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    A = turn @ np.diag([-3000.0, -1.0]) @ turn.T
    exact = np.array(mp.expm(mp.matrix(A.tolist())).tolist(), float)
    limit = np.finfo(float).eps * np.linalg.norm(A, 2)
    assert 6e-13 < limit < 7e-13
    assert abs(ss.discretize(ss.ContinuousSystem(A, np.eye(2), np.eye(2)), 1.0).A.matrix - exact).max() < limit


@pytest.mark.peer
def test_companion_in_si_units(mp):
    rate = 2 * np.pi * np.array([10.0, 100.0, 1000.0, 5000.0])
    p = np.concatenate([rate * (-0.05 + 1j), rate * (-0.05 - 1j)])
    A, B, C, D = signal.zpk2ss([], p, np.prod(rate**2))
    whole = mp.matrix(np.block([[A, B], [np.zeros((1, 9))]]).tolist()) / 8000
    held = mp.expm(whole)
    a, x, c, h = held[:8, :8], held[:8, 8], mp.matrix(C.tolist()), [0.0]
    for _ in range(399):
        h.append(float((c * x)[0]))
        x = a * x
    theirs = ss.DiscreteSystem(*signal.cont2discrete((A, B, C, D), 1 / 8000)[:4], fs=8000)
    ours = ss.discretize(ss.ContinuousSystem(A, B, C, D), fs=8000)
    assert error(ss.impulse_response(theirs, 400).y, np.array(h)) > 1e-5
    assert error(ss.impulse_response(ours, 400).y, np.array(h)) < 1e-12


@pytest.mark.parametrize("hold", ["zoh", "foh"])
@pytest.mark.parametrize(("system", "low", "high", "bar"), [
    (SPRING, np.log10(0.1), np.log10(0.15), 1e-14),
    (ss.ContinuousSystem([[0, 1], [-3000.0, -3001.0]], [[0], [1]], [[1, 0]]), -4, 1, 1e-12),
], ids=["spring", "stiff"])  # fmt: skip
def test_uneven_grids(system, low, high, bar, hold):
    """Against one exponential of [A, v, slope] for each step."""
    from scipy.linalg import expm

    rng = np.random.default_rng(1)
    t, u = np.cumsum(10 ** rng.uniform(low, high, 500)), rng.normal(size=500)
    A, B, C, _ = system
    x, y = np.zeros(2), [0.0]
    for k, step in enumerate(np.diff(t)):
        slope = (u[k + 1] - u[k]) / step if hold == "foh" else 0.0
        whole = np.zeros((4, 4))
        whole[:2, :2], whole[:2, 2], whole[:2, 3], whole[3, 2] = A, B[:, 0] * u[k], B[:, 0] * slope, 1.0
        flow = expm(whole * step)
        x = flow[:2, :2] @ x + flow[:2, 2]
        y.append(float((C @ x)[0]))
    assert error(ss.simulate(system, u, t=t, hold=hold).y, np.array(y)) < bar


def test_up_to_64_different_steps_are_a_table():
    from statespace.simulation.grids import distinct_steps

    rng = np.random.default_rng(0)
    for count in (64, 65):
        steps = rng.permutation(np.r_[np.linspace(0.1, 0.25, count), rng.choice(np.linspace(0.1, 0.25, count), 500)])
        assert (distinct_steps(steps, np.full(len(steps), 1e-15)) is not None) == (count == 64)


def test_float32_signal_with_a_double_state():
    rho, ones = 0.99999, np.ones(2_000_000, np.float32)
    single = signal.lfilter(np.array([0, 1 - rho], np.float32), np.array([1, -rho], np.float32), ones)
    y = ss.simulate(ss.DiscreteSystem([[rho]], [[1 - rho]], [[1.0]], dt=1.0), ones).y
    assert abs(single[-1] - 1) == pytest.approx(3e-3, rel=0.1)
    assert y.dtype == np.float32
    assert abs(y.astype(float) - -np.expm1(np.arange(2_000_000) * np.log(rho))).max() < 6e-8


def nearly_at_the_step(gap):
    ss.discretize(ss.ContinuousSystem([[4.0]], [[1.0]], [[1.0]]), 0.5 * (1 + gap), "tustin")


def nearly_algebraic(gap):
    ss.feedback(ss.ContinuousSystem([], [], [], [[gap - 1]]))


def nearly_integrating(gap):
    ss.steady_state(ss.DiscreteSystem([[1 - gap]], [[1.0]], [[1.0]], dt=1.0), 1.0)


@pytest.mark.parametrize(
    ("call", "limit"), [(nearly_at_the_step, 1e-8), (nearly_algebraic, 1e-8), (nearly_integrating, 1e-10)]
)
def test_accuracy_warnings_begin_where_the_page_says(call, limit):
    call(2 * limit)
    with pytest.warns(ss.AccuracyWarning, match="digits"):
        call(limit / 2)
