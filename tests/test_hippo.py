"""HiPPO: matrices by hand, what each state remembers, LegS as diagonal plus low rank, the S4D family, the example."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from numpy.polynomial import laguerre, legendre
from scipy import signal

import statespace as ss
from gallery import kernel, relative
from statespace import hippo
from statespace.kernels import cauchy

ROOT = Path(__file__).resolve().parents[1]
EPS = np.finfo(float).eps
R3, R5, R15 = np.sqrt([3.0, 5.0, 15.0])


def polynomials(n, x):
    """√(2k+1) P_k(x) for k < n, (..., n)."""
    return np.stack([np.sqrt(2 * k + 1) * legendre.Legendre.basis(k)(x) for k in range(n)], axis=-1)


def smooth(t):
    """Frequencies 1.3 and 3 rad per unit of time."""
    return np.sin(1.3 * t) + 0.5 * np.cos(3 * t)


# --------------------------------------------------------------- by hand


def test_three_states_by_hand():
    a, b, c, d = hippo.legs(3)
    np.testing.assert_allclose(a, [[-1, 0, 0], [-R3, -2, 0], [-R5, -R15, -3]], rtol=2 * EPS)
    np.testing.assert_allclose(b[:, 0], [1, R3, R5], rtol=2 * EPS)
    np.testing.assert_array_equal(c, np.eye(3))
    np.testing.assert_array_equal(d, np.zeros((3, 1)))
    a, b, _, _ = hippo.legt(3)
    np.testing.assert_allclose(2 * a, [[-1, R3, -R5], [-R3, -3, R15], [-R5, -R15, -5]], rtol=2 * EPS)
    np.testing.assert_allclose(2 * b[:, 0], [1, R3, R5], rtol=2 * EPS)
    a, b, _, _ = hippo.lagt(3)
    np.testing.assert_array_equal(a, [[-0.5, 0, 0], [-1, -0.5, 0], [-1, -1, -0.5]])
    np.testing.assert_array_equal(b[:, 0], [1, 1, 1])


def test_six_states_of_fourier_by_hand():
    a, b, _, _ = hippo.fourier(6)
    root, p = np.sqrt(2), np.pi
    np.testing.assert_allclose(b[:, 0], [1, 0, root, 0, root, 0])
    wanted = [
        [-1, 0, -root, 0, -root, 0],
        [0, 0, 0, 0, 0, 0],
        [-root, 0, -2, -p, -2, 0],
        [0, 0, p, 0, 0, 0],
        [-root, 0, -2, 0, -2, -2 * p],
        [0, 0, 0, 0, 2 * p, 0],
    ]
    np.testing.assert_allclose(a, wanted, rtol=4 * EPS)


@pytest.mark.parametrize("name", hippo.__all__)
def test_sizes_defaults_and_c(name):
    make = getattr(hippo, name)
    system = make(8)
    pairs = name in ("s4d_lin", "s4d_inv", "s4d_legs")
    assert isinstance(system, ss.ContinuousSystem)
    assert (system.n_states, system.state_size, system.stores_pairs) == (8, 4 if pairs else 8, pairs)
    if name.startswith("s4d"):
        assert np.all(system.B == 1)
        assert np.all(system.C == 1)
    elif name != "legs_dplr":
        np.testing.assert_array_equal(system.C, np.eye(8))
    c = np.arange(2 * 3 * system.state_size).reshape(2, 3, -1)
    assert make(8, c).batch_shape == (2,)
    np.testing.assert_array_equal(make(8, C=c).C, c)
    with pytest.raises(ValueError, match="C must have shape"):
        make(8, np.ones((1, 3)))
    assert np.array_equal(make(np.int64(8)).B, system.B)


@pytest.mark.parametrize("name", hippo.__all__)
@pytest.mark.parametrize("n", [0, -2, 2.0, True, "4", None])
def test_n_must_be_a_number_of_states(name, n):
    with pytest.raises(ValueError, match="n must be a positive number of states, got"):
        getattr(hippo, name)(n)


@pytest.mark.parametrize("name", ["fourier", "s4d_lin", "s4d_inv", "s4d_legs"])
def test_n_must_be_even_where_states_come_in_twos(name):
    with pytest.raises(ValueError, match=f"{name} needs an even number of states n, two for each frequency, got 3"):
        getattr(hippo, name)(3)


# --------------------------------------------------------------- what is remembered


def test_legs_remembers_under_an_exponential_weight():
    """e^{At}B is e^−t √(2k+1) P_k(2e^−t − 1): eps·‖A‖ of 12 states, 5e-15 seen."""
    t = np.linspace(0, 6, 50)
    h = ss.impulse_response(hippo.legs(12), t=t).y[..., 0]
    np.testing.assert_allclose(h, np.exp(-t)[:, None] * polynomials(12, 2 * np.exp(-t) - 1), atol=1e-13)


def legs_by_quadrature(n, u, t):
    """(1/t) ∫₀ᵗ √(2k+1) P_k(2s/t − 1) u(s) ds by 200 points of Gauss."""
    x, w = legendre.leggauss(200)
    return 0.5 * (w * u(t * (x + 1) / 2)) @ polynomials(n, x)


def test_legs_with_its_one_over_t_is_an_irregular_run_on_log_t():
    """Of a held signal exactly: against quadrature of the steps, which are integrals of polynomials, to rounding.

    Antiderivative of P_k: (P_{k+1} − P_{k−1})/(2k+1); 300 steps of rounding.
    """
    n, t = 10, np.linspace(1.0, 4.0, 301)
    u = smooth(t)
    memory = hippo.legs(n)
    run = ss.simulate(memory, u, t=np.log(t), x0=ss.steady_state(memory, u[0]))  # as if u[0] had been since 0
    x = 2 * t / t[-1] - 1
    integral = np.stack([legendre.Legendre.basis(k).integ()(x) for k in range(n)], axis=-1)
    start = np.stack([legendre.Legendre.basis(k).integ()(-1.0) for k in range(n)])
    pieces = u[0] * (integral[0] - start) + u[:-1] @ np.diff(integral, axis=0)
    wanted = np.sqrt(2 * np.arange(n) + 1) / 2 * pieces
    np.testing.assert_allclose(run.y[-1], wanted, atol=1e-13)


def test_legs_reconstructs_the_whole_past():
    """Held for 5 ms a smooth signal is late by 2.5 ms of its slope of 2.8; a Legendre series of 24 terms adds 1e-6."""
    n, t = 24, np.arange(0.005, 8.0, 0.005)
    memory = hippo.legs(n)
    x = ss.simulate(memory, smooth(t), t=np.log(t), x0=ss.steady_state(memory, smooth(t[0]))).y[-1]
    s = np.linspace(0.5, 7.5, 100)
    seen = polynomials(n, 2 * s / t[-1] - 1) @ x
    assert np.abs(seen - smooth(s)).max() < 0.01
    assert np.abs(x - legs_by_quadrature(n, smooth, t[-1])).max() < 0.005
    assert np.abs(seen - smooth(s - 0.0025)).max() < 1e-3  # most of it is the delay of the hold


def test_legs_scales_with_time():
    """Timescale equivariance: twice as slow a signal gives the same coefficients at twice the time."""
    t = np.geomspace(0.01, 8.0, 400)
    memory = hippo.legs(12)
    first = ss.simulate(memory, smooth(t), t=np.log(t)).y
    second = ss.simulate(memory, smooth(t), t=np.log(2 * t)).y
    # The stamps log t and log 2t differ by the rounding of log 2, which 400 steps of A with ‖A‖ = 90 add up.
    np.testing.assert_allclose(first, second, atol=1e-11)


def test_legt_reconstructs_a_window_of_two():
    """A signal up to 3 rad per unit of time, joined by lines of 5 ms: their error is h²/8·u'' = 2e-5; n = 16 adds 1e-7.

    The window is 2 long: so smooth a signal can be continued a little, but 3 ago the coefficients say nothing.
    """
    n, dt = 16, 0.005
    t = np.arange(0, 10, dt)
    x = ss.simulate(hippo.legt(n), smooth(t), dt=dt, hold="foh").y[-1]
    tau = np.linspace(0, 2, 201)
    assert np.abs(polynomials(n, 1 - tau) @ x - smooth(t[-1] - tau)).max() < 3e-5
    assert np.abs(polynomials(n, 1 - 3.0) @ x - smooth(t[-1] - 3.0)) > 0.01


def test_legt_is_exact_for_polynomials_and_the_projection():
    """The coefficients of a cubic over [0, 2] in the basis, whatever n > 3; 2000 steps of a foh from rest.

    u(t) = t is joined by lines exactly, a line is the polynomial tested; eps·t of rounding.
    """
    t = np.arange(0, 20, 0.01)
    x = ss.simulate(hippo.legt(6), t, dt=0.01, hold="foh").y[-1]
    # u(t − τ) = (t − 1) + (1 − τ) = (t − 1) P_0 + P_1
    np.testing.assert_allclose(x, [t[-1] - 1, 1 / R3, 0, 0, 0, 0], atol=1e-11)


def test_legt_holds_the_pade_approximant_of_the_delay():
    """Read at the far end it is u(t − 2): e^−2s of order (n − 1, n), right to rounding at n/4 rad, useless at n."""
    n = 16
    end = polynomials(n, -1.0)[None]
    memory = hippo.legt(n, end)
    for omega, error in ((4.0, 1e-13), (8.0, 1e-6), (12.0, 0.02)):
        assert abs(memory(1j * omega).item() - np.exp(-2j * omega)) < error
    assert abs(memory(16j).item() - np.exp(-32j)) > 0.5


def test_legt_is_the_legendre_memory_unit_in_other_coordinates():
    """Voelker's A = R(−1 or (−1)^{n−k+1}), B = (−1)^n R over a window θ = 2, by x ↦ (−1)^n √(2n+1) x."""
    n = 7
    k = np.arange(n)
    r = (2 * k + 1)[:, None]
    a = r * np.where(k[:, None] < k, -1.0, (-1.0) ** (k[:, None] - k + 1)) / 2
    b = r * (-1.0) ** k[:, None] / 2
    t = ((-1.0) ** k * np.sqrt(2 * k + 1))[:, None]  # their state is t times ours
    mine = hippo.legt(n)
    np.testing.assert_allclose(t * mine.A.matrix / t.T, a, atol=1e-14)
    np.testing.assert_allclose(t * mine.B, b, atol=1e-14)


def test_lagt_has_laguerre_functions():
    t = np.linspace(0, 20, 60)
    h = ss.impulse_response(hippo.lagt(12), t=t).y[..., 0]
    wanted = np.stack([np.exp(-t / 2) * laguerre.Laguerre.basis(k)(t) for k in range(12)], axis=-1)
    np.testing.assert_allclose(h, wanted, atol=1e-11)  # Laguerre polynomials of 20 cancel from 1e4


def test_lagt_reconstructs_a_pulse():
    """Orthonormal under the weight 1: a pulse that was 6 ago, with a deviation of 1.4, in 40 functions."""
    t = np.arange(0, 30, 0.01)
    pulse = lambda s: np.exp(-((s - 24.0) ** 2) / 4)  # noqa: E731
    x = ss.simulate(hippo.lagt(40), pulse(t), dt=0.01, hold="foh").y[-1]
    tau = np.linspace(0, 15, 200)
    seen = np.exp(-tau / 2) * laguerre.lagval(tau, x)
    assert np.abs(seen - pulse(t[-1] - tau)).max() < 2e-3


def fourier_series(x, tau):
    k = np.arange(1, len(x) // 2)
    turns = np.pi * np.outer(tau, k)
    return x[0] + np.sqrt(2) * (np.cos(turns) @ x[2::2] + np.sin(turns) @ x[3::2])


@pytest.mark.parametrize(("n", "bar"), [(64, 0.03), (128, 0.015)])
def test_fourier_reconstructs_a_window_of_two(n, bar):
    """Between the ends of the window to 1/n: the signal has other values at the two, so that its series jumps."""
    dt = 0.005
    t = np.arange(0, 10, dt)
    x = ss.simulate(hippo.fourier(n), smooth(t), dt=dt, hold="foh").y[-1]
    tau = np.linspace(0.3, 1.7, 100)
    assert np.abs(fourier_series(x, tau) - smooth(t[-1] - tau)).max() < bar
    ends = fourier_series(x, np.array([0.0, 2.0]))
    np.testing.assert_allclose(ends, np.mean([smooth(t[-1]), smooth(t[-1] - 2)]), atol=0.1)


def test_fourier_has_an_uncontrollable_pole_at_zero():
    """The sine of frequency 0: exactly 0, so it is not stable by its poles; every state that is reached is."""
    memory = hippo.fourier(16)
    assert np.sum(memory.poles == 0) == 1
    assert memory.is_stable is False
    a, b, _, _ = memory
    assert not a[1].any()
    assert not a[:, 1].any()
    assert b[1] == 0
    rest = [0, *range(2, 16)]
    c = np.ones((1, 15))
    smaller = ss.ContinuousSystem(a[np.ix_(rest, rest)], b[rest], c)
    assert smaller.is_stable
    s = np.array([0.3, 2j, 1 + 5j])
    assert relative(hippo.fourier(16, np.insert(c, 1, 0.0, axis=1))(s), smaller(s)) < 1e-13
    assert not ss.simulate(memory, np.ones(50), dt=0.1).y[:, 1].any()


# --------------------------------------------------------------- stability and poles


@pytest.mark.parametrize("name", [x for x in hippo.__all__ if x != "fourier"])
def test_all_others_are_stable(name):
    assert getattr(hippo, name)(64).is_stable


def test_known_poles():
    """LegS of 64 states in its unitary basis: eigenvalues computed from that matrix are off by more than 1."""
    for memory in (hippo.legs(64), hippo.legs_dplr(64)):
        np.testing.assert_array_equal(memory.poles, -np.arange(1, 65))
    np.testing.assert_array_equal(hippo.lagt(64).A.known_poles, -0.5 * np.ones(64))
    digital = ss.discretize(hippo.lagt(64), 0.1)
    np.testing.assert_array_equal(digital.poles, np.exp(-0.05) * np.ones(64))
    computed = np.linalg.eigvals(np.asarray(hippo.legs_dplr(64).A))
    assert np.abs(np.sort(-computed.real) - np.arange(1, 65)).max() > 1


# --------------------------------------------------------------- diagonal plus low rank


@pytest.mark.parametrize("n", [1, 2, 3, 16, 64])
def test_legs_dplr_is_legs_in_a_unitary_basis(n):
    """A to eps·‖A‖ in relative terms, 5e-15 seen at n = 64."""
    plain, memory = hippo.legs(n), hippo.legs_dplr(n)
    v = memory.C
    assert np.abs(v.conj().T @ v - np.eye(n)).max() < 1e-13
    assert relative(v @ np.asarray(memory.A) @ v.conj().T, plain.A.matrix) < 1e-13
    assert relative(v @ memory.B, plain.B) < 1e-13
    assert isinstance(memory.A, ss.DiagonalPlusLowRank)
    assert memory.A.rank == 1
    np.testing.assert_array_equal(memory.A.P, memory.A.Q)


def test_the_normal_part_has_real_parts_of_one_half():
    n = 32
    p = np.sqrt(np.arange(n) + 0.5)
    normal = hippo.legs(n).A.matrix + np.outer(p, p)
    np.testing.assert_allclose(normal + normal.T, -np.eye(n), atol=1e-13)
    np.testing.assert_allclose(np.linalg.eigvals(normal).real, -0.5, atol=1e-12)  # eps·‖A‖ of a normal matrix
    np.testing.assert_array_equal(hippo.legs_dplr(n).A.diagonal.real, -0.5)


@pytest.mark.parametrize("method", ["s4_bilinear", "bilinear"])
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 1e-2, 1e-1])
def test_kernels_of_legs_are_those_of_the_dense_system(method, dt):
    """64 states, 16384 samples, all 64 coefficients: 1e-11 of the largest sample; the recurrences differ by 1e-13.

    The dense system is that of the dense matrix in the same basis: A_d agrees to 6e-16, which 16384 steps remember.
    """
    length = 16384
    memory = hippo.legs_dplr(64)
    few = np.random.default_rng(0).normal(size=(4, 64)) @ memory.C
    digital = ss.discretize(hippo.legs_dplr(64, few), dt, method)
    dense = ss.discretize(ss.ContinuousSystem(*hippo.legs_dplr(64, few)), dt, method)
    wanted = ss.impulse_response(dense, length).y
    assert relative(cauchy.recurred(digital, length), wanted) < 1e-12
    assert relative(cauchy.generated(digital, length), wanted) < 1e-12


@pytest.mark.parametrize("length", [1, 2, 3, 5, 1000, 65536])
def test_kernels_of_every_length(length):
    memory = hippo.legs_dplr(64)
    digital = ss.discretize(memory, 1e-3, "s4_bilinear")[:3, :]
    wanted = ss.impulse_response(ss.DiscreteSystem(*digital, dt=1e-3), length).y
    h = ss.kernel(digital, length)
    assert h.shape == (length, 3, 1)
    assert relative(h, wanted) < 1e-12
    assert relative(cauchy.generated(digital, length), wanted) < 1e-12


def test_the_way_back_warns_where_modes_mix():
    """No pole of LegS comes near −1 or 0 here, but what rounding leaves of B does not show in its poles: 4e-7 of it."""
    memory = hippo.legs_dplr(64)
    with pytest.warns(ss.AccuracyWarning, match="undiscretize: the rounding of the discrete system leaves"):
        back = ss.undiscretize(ss.discretize(memory, 0.01, "s4_bilinear"))
    assert 1e-9 < relative(back.B, memory.B) < 1e-5
    back = ss.undiscretize(ss.discretize(memory, 0.01, "bilinear"))
    assert relative(back.B, memory.B) < 1e-12


def test_the_default_c_gives_the_coefficients_of_legs():
    digital, plain = (ss.discretize(m, 0.01, "bilinear") for m in (hippo.legs_dplr(16), hippo.legs(16)))
    got, wanted = kernel(digital, 200), kernel(plain, 200)
    assert relative(got, wanted) < 1e-12
    assert np.abs(got.imag).max() < 1e-12 * np.abs(wanted).max()


# --------------------------------------------------------------- S4D


def test_s4d_by_hand():
    np.testing.assert_allclose(hippo.s4d_lin(6).A.diagonal, -0.5 + 1j * np.pi * np.arange(3))
    inverse = 6 / np.pi * (6 / np.array([1, 3, 5]) - 1)
    np.testing.assert_allclose(hippo.s4d_inv(6).A.diagonal, -0.5 + 1j * inverse)
    np.testing.assert_array_equal(hippo.s4d_real(3).A.diagonal, [-1, -2, -3])


def test_s4d_legs_has_the_diagonal_of_legs():
    """One of each pair, that below the axis, as S4 keeps it; together the poles of the normal part."""
    stored, whole = hippo.s4d_legs(32).A.diagonal, hippo.legs_dplr(32).A.diagonal
    np.testing.assert_array_equal(stored, whole[:16])
    assert np.all(stored.imag < 0)
    np.testing.assert_allclose(np.sort(hippo.s4d_legs(32).poles.imag), np.sort(whole.imag), atol=1e-12)


def test_s4d_with_half_of_b_tends_to_legs():
    """Theorem 3 of S4D: without the term of rank 1, half the input. The error of a response falls as 1/n."""
    s, errors = np.array([0.1j, 1j, 5j]), []
    for n in (64, 256):
        memory = hippo.legs_dplr(n)
        half = ss.ContinuousSystem(ss.Diagonal(memory.A.diagonal), memory.B / 2, memory.C[:3])
        errors.append(np.abs(half(s) - hippo.legs(3)(s)).max(axis=(-2, -1)))
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.1)
    assert np.all(errors[1] < 0.01)


def test_a_layer_of_s4d_is_a_batch():
    """256 channels of their own C and dt over one structure."""
    c = np.random.default_rng(0).normal(size=(8, 1, 16))
    layer = ss.discretize(hippo.s4d_inv(32, c), np.geomspace(1e-3, 1e-1, 8), "zoh")
    u = np.random.default_rng(1).normal(size=(3, 100, 8))
    assert ss.filter(layer, u, axis=1).shape == (3, 100, 8)
    assert ss.kernel(layer, 50).shape == (8, 50, 1, 1)


# --------------------------------------------------------------- against SciPy


def test_simulated_legt_is_scipys():
    """A check from outside: lsim on the same matrices, held inputs; 200 steps."""
    memory = hippo.legt(8)
    t = np.arange(0, 4, 0.02)
    u = smooth(t)
    _, y, _ = signal.lsim(tuple(memory), u, t, interp=False)
    np.testing.assert_allclose(ss.simulate(memory, u, dt=0.02).y, y, atol=1e-12)


# --------------------------------------------------------------- the example


@pytest.fixture(scope="module")
def example():
    pytest.importorskip("pywt", reason="PyWavelets, which has the record, is not installed")
    spec = spec_from_file_location("hippo_memory", ROOT / "examples" / "hippo_memory.py")
    module = module_from_spec(spec)
    sys.modules["hippo_memory"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hippo_memory"]


def projection(u, n):
    """Coefficients of a held signal in √(2k+1) P_k over all of it: (P_{k+1} − P_{k−1})/(2k+1) between the edges."""
    values = legendre.legvander(np.linspace(-1, 1, len(u) + 1), n)
    k = np.arange(1, n)
    steps = np.diff(values[:, 2:] - values[:, :-2], axis=0) / (2 * k + 1) if n > 1 else np.zeros((len(u), 0))
    steps = np.concatenate([np.full((len(u), 1), 2 / len(u)), steps], axis=1)
    return np.sqrt(2 * np.arange(n) + 1) / 2 * (u @ steps)


@pytest.mark.parametrize("k", [1, 2, 180, 1023])
def test_the_state_of_legs_is_the_projection(example, k):
    """Exactly that of the held record: an irregular run on log t; 2e-14 of the largest coefficient seen."""
    wanted = projection(example.record()[1][:k], 48)
    assert relative(example.legs_states(48)[k - 1], wanted) < 1e-12


def test_the_table_of_the_example(example):
    """LegS is the best there is, LegT a little worse, and both better with more states. The bounds are rounded."""
    small, middle, large = example.table()
    assert [row.states for row in (small, middle, large)] == [24, 48, 96]
    for row in (small, middle, large):
        assert row.legs_best <= row.legs < 1.001 * row.legs_best  # between samples a polynomial is read once
        assert row.legt_best < row.legt < 1.5 * row.legt_best
    assert large.legs == pytest.approx(50.2, abs=0.05)
    assert large.legt == pytest.approx(3.75, abs=0.01)
    assert small.legs > 80
    assert small.legt > 45


def test_legt_reads_the_last_window(example):
    s, seen = example.from_legt(730)
    assert s[0] == pytest.approx(730 / 360 - 0.5, abs=1 / 360)
    assert s[-1] == pytest.approx(730 / 360, abs=1 / 360)
    assert example.percent(seen, example.held(s)) < 5.5


def test_the_example_runs(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path / "memory.png")])
    example.main()
    said = capsys.readouterr().out
    assert "360 samples per second (assumed)" in said
    rows = [[float(x) for x in re.findall(r"\d+\.?\d*", line)] for line in said.splitlines() if line.count(" %") == 4]
    for row, numbers in zip(example.table(), rows, strict=True):
        assert numbers == pytest.approx(row, abs=0.051)  # one or two digits are printed
    import matplotlib.image

    assert matplotlib.image.imread(tmp_path / "memory.png").shape[:2] == (950, 1000)


def test_the_example_without_matplotlib(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path / "memory.png")])
    monkeypatch.setattr(example, "find_spec", lambda name: None)
    example.main()
    assert "no picture: Matplotlib is not installed" in capsys.readouterr().out
    assert not (tmp_path / "memory.png").exists()
