"""Laws of discretization: the closed forms, the structures, the orders of convergence, the starting states."""

import warnings

import numpy as np
import pytest
from scipy import signal
from scipy.linalg import expm

import statespace as ss
from gallery import METHODS, kernel, random_matrices, relative, systems
from statespace.discretization.algebra import ELEMENTWISE, MATRICES
from statespace.discretization.names import as_method

SYSTEMS = systems()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_delta_is_alpha_gamma_plus_beta(method):
    """The closed form of δ, for numbers: from z → 0 and the integrator to stiff, complex ones too."""
    z = np.array([0, 1e-300, 1e-9, -1e-3, 0.5, -1.2, -1.3, 3j, -2 + 40j, -50.0, -700.0])
    f = as_method(method).factors(z, np.array(0.3))
    # αγ + β cancels by |z| at the stiff end: that is why δ has a closed form.
    assert np.all(np.abs(f.alpha * f.gamma + f.beta - f.delta) <= 4e-16 * 0.3 * (1 + np.abs(z)))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_matrices_and_numbers_agree(method):
    """One formula: a diagonal matrix gives the same α, β, γ, δ as its entries."""
    poles = np.array([0.0, -1e-9, -0.3, 0.2, -5.0, -1 + 2j, 3j])
    step = np.array(0.7)
    for number, matrix in zip(
        as_method(method).factors(poles, step, ELEMENTWISE),
        as_method(method).factors(np.diag(poles), step, MATRICES),
        strict=True,
    ):
        assert relative(np.diagonal(matrix), number) < 4e-15  # eps·‖z‖, ‖z‖ = 3.5, and a few squarings


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_standard_form_is_the_two_tap_recurrence(name, method):
    """x_k = α x_{k−1} + β v_{k−1} + γ v_k run as it is written gives the kernel of the standard form."""
    system = SYSTEMS[name]
    a, b, c, d = system
    f = as_method(method).factors(a, np.array(0.2), MATRICES)
    x, h = f.gamma @ b, []
    for k in range(20):
        h.append(c @ x + (d if k == 0 else 0))
        x = f.alpha @ x + (f.beta @ b if k == 0 else 0)
    digital = ss.discretize(system, 0.2, method)
    got = kernel(digital, 20)
    assert relative(got, np.broadcast_to(np.stack(h, axis=-3), got.shape)) < 1e-13


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", ["diagonal", "pairs", "cascade", "lowpass", "complex cascade"])
def test_structure_is_kept_and_changes_nothing(name, method):
    """A structured system and its dense equal have one discrete transfer function."""
    system = SYSTEMS[name]
    digital = ss.discretize(system, 0.3, method)
    dense = ss.discretize(ss.ContinuousSystem(*system), 0.3, method)
    z = np.exp(1j * np.array([0.05, 0.7, 2.0, 3.1]))
    assert relative(digital(z), dense(z)) < 2e-14
    assert relative(kernel(digital, 30), kernel(dense, 30)) < 1e-13
    if isinstance(system.A, ss.Diagonal):
        assert isinstance(digital.A, ss.Diagonal)
        assert digital.A.pairs == system.A.pairs
    elif method in ("bilinear", "euler", "backward_euler") or isinstance(method, ss.GeneralizedBilinear):
        assert isinstance(digital.A, ss.Cascade)
    else:
        assert isinstance(digital.A, ss.Dense)
        mapped = as_method(method).factors(system.poles, np.array(0.3)).alpha
        assert np.array_equal(digital.poles, mapped)  # known poles stay known


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_batch_is_a_loop(method):
    """Batched systems, batched steps: the same numbers as one at a time."""
    a, b, c, d = random_matrices(5, n=4, m=2, p=2, batch=(3,))
    a[1] *= 30.0  # different numbers of squarings in one batch
    dt = np.array([0.1, 0.5, 0.02])
    digital = ss.discretize(ss.ContinuousSystem(a, b, c, d), dt, method)
    for i in range(3):
        one = ss.discretize(ss.ContinuousSystem(a[i], b[i], c[i], d[i]), dt[i], method)
        assert relative(np.asarray(digital.A)[i], np.asarray(one.A)) < 1e-15
        assert relative(digital.B[i], one.B) < 1e-15
        assert relative(digital.D[i], one.D) < 1e-15
    many = ss.discretize(ss.ContinuousSystem(a[0], b[0], c[0], d[0]), dt, method)
    assert many.batch_shape == (3,)


SCIPY = {
    "zoh": ("zoh", "zoh"),
    "foh": ("foh", "foh"),
    "impulse": ("impulse", "impulse"),
    "euler": ("euler", "euler"),
    "backward_euler": ("backward_diff", "backward_euler"),
    "bilinear": ("bilinear", "bilinear"),
    "gbt": ("gbt", ss.GeneralizedBilinear(0.3)),
}


@pytest.mark.parametrize("method", SCIPY)
def test_kernels_agree_with_scipy(method):
    """200 drawn well-scaled systems × 7 methods × 3 steps: real, complex, MIMO, feedthrough."""
    theirs, ours = SCIPY[method]
    worst = 0.0
    for seed in range(200):
        a, b, c, d = random_matrices(seed, n=1 + seed % 6, m=1 + seed % 2, p=1 + seed % 3, complex_=seed % 4 == 3)
        if method == "impulse":
            d = 0 * d  # SciPy refuses a feedthrough there
        for dt in (0.01, 0.1, 0.5):
            reference = signal.cont2discrete((a, b, c, d), dt, theirs, alpha=0.3 if method == "gbt" else None)
            wanted = kernel(ss.DiscreteSystem(*reference[:4], dt=dt), 40)
            digital = ss.discretize(ss.ContinuousSystem(a, b, c, d), dt, ours)
            got = ss.impulse_response(digital, 40).y.reshape(wanted.shape)
            worst = max(worst, relative(got, wanted))
    assert worst < 1e-13


ORDERS = {
    "zoh": 1, "impulse": 1, "euler": 1, "backward_euler": 1, "s4_zoh": 1, "s4_bilinear": 1,
    "bilinear": 2, "foh": 2, "exp_trapezoidal": 2,
}  # fmt: skip


def _error(system, method, steps, x0, duration=2.0):
    """Largest error against the exact solution for u = cos(t) + 1, which does not start at zero."""
    a, b, c, d = system
    n, m = b.shape
    dt = duration / steps
    t = dt * np.arange(steps + 1)
    u = np.stack([np.cos(t * (1 + j)) + 1 for j in range(m)], axis=-1)
    w0 = ss.initial_state(system, dt, method, x0, u[0])
    got = ss.simulate(ss.discretize(system, dt, method), u, x0=w0).y.reshape(len(t), -1)
    # The inputs as states of an oscillator: one expm gives the exact solution.
    big = np.zeros((n + 3 * m, n + 3 * m), dtype=complex)
    big[:n, :n] = a
    for j in range(m):
        k, w = n + 3 * j, 1.0 + j
        big[:n, k], big[:n, k + 2] = b[:, j], b[:, j]
        big[k, k + 1], big[k + 1, k] = w, -w
    start = np.concatenate([x0, np.tile([1.0, 0.0, 1.0], m)])
    step, x, worst, scale = expm(big * dt), start.astype(complex), 0.0, 0.0
    for k in range(len(t)):
        y = c @ x[:n] + d @ u[k]
        worst, scale = max(worst, np.max(np.abs(got[k] - y))), max(scale, np.max(np.abs(y)))
        x = step @ x
    return worst / scale


@pytest.mark.parametrize("method", ORDERS)
@pytest.mark.parametrize("kind", ["real", "complex", "siso"])
def test_order_of_convergence(kind, method):
    """Order 1 or 2 measured by halving the step twice, where Δ·max|λ| ≤ 0.1."""
    a, b, c, d = random_matrices(7, n=3, m=1 if kind == "siso" else 2, p=2, complex_=kind == "complex")
    system = ss.ContinuousSystem(a, b, c, d)
    x0 = np.array([0.3, -0.2, 0.5])
    steps = int(np.ceil(2.0 * np.abs(system.poles).max() / 0.1))
    errors = [_error(system, method, k * steps, x0) for k in (1, 2, 4)]
    order = np.log2(errors[1] / errors[2])
    # The measured slope differs from the limit by the next term, about Δ·|λ|/2 ≤ 0.025.
    assert abs(order - ORDERS[method]) < 0.1, errors


@pytest.mark.parametrize(("method", "order"), [("zoh", 1), ("foh", 2)])
def test_order_on_a_stiff_system(method, order):
    """The two holds keep their order at Δ·max|λ| = 1000, where no other rule shows one."""
    a = np.array([[-1.0, 0.5, 0], [0, -2.0, 1], [0, 0, -2e4]])
    system = ss.ContinuousSystem(a, np.ones((3, 1)), [[1.0, 1.0, 0.0]])
    errors = [_error(system, method, steps, np.zeros(3)) for steps in (40, 80, 160)]
    assert abs(np.log2(errors[1] / errors[2]) - order) < 0.1, errors


@pytest.mark.parametrize("method", ["foh", "bilinear", "exp_trapezoidal"])
def test_without_the_starting_state_order_two_is_order_one(method, monkeypatch):
    """What initial_state is for: dropping γ B u_0 costs an order."""
    system = ss.ContinuousSystem(*random_matrices(7, n=3, m=1, p=2))
    monkeypatch.setattr(ss, "initial_state", lambda system, dt, method, x0, u0: x0)
    errors = [_error(system, method, k * 100, np.zeros(3)) for k in (1, 2, 4)]
    assert abs(np.log2(errors[1] / errors[2]) - 1) < 0.1


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", ["cascade", "lowpass", "complex cascade"])
def test_initial_state_of_a_cascade_is_mapped_section_by_section(name, method):
    """From any x(0) and u(0) the discrete cascade gives the same output as the discrete dense system."""
    system, rng = SYSTEMS[name], np.random.default_rng(0)
    dense = ss.ContinuousSystem(*system)
    x0, u = rng.normal(size=system.n_states), rng.normal(size=30)
    got, wanted = (
        ss.simulate(ss.discretize(s, 0.2, method), u, x0=ss.initial_state(s, 0.2, method, x0, u[:1])).y
        for s in (system, dense)
    )
    assert relative(got, wanted) < 1e-13


@pytest.mark.parametrize("tap", ["previous", "current"])
def test_prewarp_is_exact_at_its_frequency(tap):
    """H(jω) = H_d(e^{jωΔ}) for the bilinear rule prewarped at ω (the substitution; the S4 tap maps poles alike)."""
    notch = ss.from_zpk([60j, -60j], [-3 + 60j, -3 - 60j], 1.0)
    dt, omega = 0.01, 60.0
    digital = ss.discretize(notch, dt, ss.Bilinear(prewarp=omega, tap=tap))
    if tap == "previous":
        assert abs(digital(np.exp(1j * omega * dt))[0, 0]) < 1e-13
    warped = 2 / omega * np.tan(omega * dt / 2)
    assert relative(np.sort(digital.poles), np.sort(ss.discretize(notch, warped, "bilinear").poles)) < 1e-15


def test_a_pole_near_two_over_dt_warns():
    """Digits are lost in proportion; nothing is silent."""
    system = ss.ContinuousSystem([[20.0 * (1 + 1e-10)]], [[1.0]], [[1.0]])
    with pytest.warns(ss.AccuracyWarning, match="about 10 digits are lost"):
        ss.discretize(system, 0.1, "bilinear")


def test_si_units_are_no_trouble():
    """A companion matrix with entries up to 1e28 does not look singular to the rational rules."""
    z, p, k = signal.butter(8, 2e3 * np.pi, analog=True, output="zpk")
    a, b, c, d = signal.zpk2ss(z, p, k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        digital = ss.discretize(ss.ContinuousSystem(a, b, c, d), 1 / 8e3, "bilinear")
    wanted = ss.discretize(ss.from_zpk(z, p, k), 1 / 8e3, "bilinear")
    w = np.exp(1j * np.array([0.01, 0.3, 1.0]))
    assert relative(digital(w), wanted(w)) < 1e-10  # what the companion form itself is good for


def test_methods_are_remembered():
    system = SYSTEMS["spring"]
    assert ss.discretize(system, 0.1).method == ss.ZeroOrderHold()
    assert ss.discretize(system, fs=10, method="s4_bilinear").method == ss.Bilinear(tap="current")
    assert ss.discretize(system, fs=10).dt == 0.1
