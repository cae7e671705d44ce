"""kernel and lift: every structure against the plain recurrence, long powers against sixty digits."""

import decimal
import time
import tracemalloc
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import statespace as ss
from gallery import METHODS, digital_systems, kernel, relative, systems

SYSTEMS = digital_systems()
EPS = np.finfo(float).eps


# --------------------------------------------------------------- kernel


@pytest.mark.parametrize("length", [1, 2, 3, 5, 300])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_kernel_is_what_the_recurrence_says(name, length):
    """h_0 = D, h_k = C A^{k−1} B, by the plain loop in NumPy."""
    h, wanted = ss.kernel(SYSTEMS[name], length), kernel(SYSTEMS[name], length)
    assert h.shape == wanted.shape
    # Both round each of at most 300 steps; nothing in the gallery remembers all of them. The Cauchy form adds an FFT.
    assert relative(h, wanted) < 2e-14


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", systems())
def test_a_kernel_is_the_impulse_response(name, method):
    """By every method; `impulse_response` squeezes what has one input and one output."""
    digital = ss.discretize(systems()[name], 0.05, METHODS[method])
    wanted = np.asarray(ss.impulse_response(digital, 40).y)
    assert relative(ss.kernel(digital, 40).reshape(wanted.shape), wanted) < 2e-14


def test_batched_steps_give_a_kernel_each():
    """A batch equals the loop over its members, bit for bit where each is a product of its own."""
    model, steps = (
        ss.ContinuousSystem(ss.Diagonal([-1 + 2j, -0.3 + 5j], pairs=True), [[1], [1]], [[1, 2]]),
        [0.1, 0.2, 0.4],
    )
    together = ss.kernel(ss.discretize(model, steps), 100)
    assert together.shape == (3, 100, 1, 1)
    for k, dt in enumerate(steps):
        assert np.array_equal(together[k], ss.kernel(ss.discretize(model, dt), 100))


def test_parts_of_a_batch_broadcast():
    """A, B, C, D and dt each with batch axes of their own."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 1, 4)), rng.normal(size=(2, 4, 1)), rng.normal(size=(1, 1, 2, 4))
    system = ss.DiscreteSystem(ss.Diagonal(0.9 * np.tanh(a)), b, c, np.ones((2, 1)), dt=1.0)
    h = ss.kernel(system, 50)
    assert h.shape == (3, 2, 50, 2, 1)
    for i, j in np.ndindex(3, 2):
        one = ss.DiscreteSystem(ss.Diagonal(0.9 * np.tanh(a[i, 0])), b[j], c[0, 0], np.ones((2, 1)), dt=1.0)
        assert relative(h[i, j], kernel(one, 50)) < 4 * EPS


def powers_of(pole, exponents, digits=60):
    """pole^l of a stored complex pole, to sixty digits; from the largest exponent's binary digits, in decimals."""
    with decimal.localcontext(prec=digits):

        def product(a, b):
            return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]

        answers = {}
        for exponent in exponents:
            value, square, left = (Decimal(1), Decimal(0)), (Decimal(pole.real), Decimal(pole.imag)), exponent
            while left:
                value = product(value, square) if left & 1 else value
                square, left = product(square, square), left >> 1
            answers[exponent] = value
        return answers


LATE = (1, 10, 1000, 12_345, 99_999, 999_999, 1_000_000)


@pytest.mark.parametrize("radius", [1.0, 0.99999])
def test_s4d_kernels_equal_sixty_digit_powers(radius):
    """1e-14 of max|K| at l = 10⁶, whatever the angle: exp(l·log λ) would be off by eps·l·angle = 2e-10."""
    modes = 32
    poles = radius * np.exp(1j * np.linspace(0.01, 3.1, modes))
    poles /= np.maximum(1.0, np.abs(poles))
    weights = np.random.default_rng(1).normal(size=modes) + 0.5j
    system = ss.DiscreteSystem(ss.Diagonal(poles, pairs=True), np.ones((modes, 1)), weights[None, :], dt=1.0)
    h = ss.kernel(system, LATE[-1] + 2)[:, 0, 0]
    exact = [powers_of(pole, LATE) for pole in poles]
    for l in LATE:
        with decimal.localcontext(prec=60):
            terms = (
                Decimal(w.real) * power[l][0] - Decimal(w.imag) * power[l][1]
                for w, power in zip(weights.tolist(), exact, strict=True)
            )
            error = abs(Decimal(float(h[l + 1])) - 2 * sum(terms))
        assert float(error) < 1e-14 * np.abs(h).max(), l


def test_dead_poles_and_what_underflows():
    """λ = 0 is gone after one sample (0⁰ = 1); what falls below 1e-290 is 0 and not slow."""
    dead = ss.DiscreteSystem(ss.Diagonal([0.0, 0.5, 1e-200]), np.ones((3, 1)), np.ones((1, 3)), dt=1.0)
    h = ss.kernel(dead, 2000)[:, 0, 0]
    assert h[:4].tolist() == [0.0, 3.0, 0.5 + 1e-200, 0.25]
    assert h[-1] == 0.0
    assert np.isfinite(h).all()


def test_a_kernel_that_has_died_takes_no_time():
    """A million samples of a system that is over after ten thousand: subnormal numbers would take seconds."""
    z, p, k = signal.butter(4, 0.1, output="zpk")
    for system in (ss.from_zpk(z, p, k, dt=1.0), ss.DiscreteSystem(*ss.from_zpk(z, p, k, dt=1.0), dt=1.0)):
        ss.kernel(system, 10)
        start = time.perf_counter()
        h = ss.kernel(system, 2**20)
        assert time.perf_counter() - start < 0.5
        assert not h[20_000:].any()


def test_a_long_kernel_goes_on_where_a_block_ends():
    """Twenty thousand samples of a slow recurrence, each right to its own size."""
    for system in (ss.DiscreteSystem([[0.999]], [[1.0]], [[1.0]], dt=1.0), ss.from_zpk([], [0.999], 1.0, dt=1.0)):
        h = ss.kernel(system, 20_000)[1:, 0, 0]
        assert abs(h / 0.999 ** np.arange(19_999) - 1).max() < 20_000 * EPS


def test_small_inputs_keep_their_samples():
    """States of 1e-295 that an output of 1e295 shows are not gone."""
    for a in (ss.Dense([[0.9999]]), ss.DiagonalPlusLowRank([0.9999], [[0.0]], [[0.0]])):
        h = ss.kernel(ss.DiscreteSystem(a, [[1e-295]], [[1e295]], dt=1.0), 20_000)[1:, 0, 0]
        assert abs(h / 0.9999 ** np.arange(19_999) - 1).max() < 20_000 * EPS


def test_no_inputs_and_no_outputs():
    for b, c in ((np.ones((2, 0)), np.ones((1, 2))), (np.ones((2, 1)), np.ones((0, 2)))):
        for a in (ss.Diagonal([0.5, 0.25]), ss.Dense(np.eye(2) / 2), ss.Diagonal([0.5j, 0.25], pairs=True)):
            assert ss.kernel(ss.DiscreteSystem(a, b, c, dt=1.0), 5).shape == (5, len(c), b.shape[1])


def test_small_powers_keep_their_digits():
    h = ss.kernel(ss.DiscreteSystem(ss.Diagonal([0.1]), [[1.0]], [[1.0]], dt=1.0), 280)[1:, 0, 0]
    assert h[250] == pytest.approx(float(Fraction(0.1) ** 250), rel=4 * EPS)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_like_rounds_once(kind):
    h = ss.kernel(SYSTEMS["pairs"], 50, like=np.zeros(0, kind))
    assert h.dtype == kind
    assert np.array_equal(h, ss.kernel(SYSTEMS["pairs"], 50).astype(kind))
    complex_kind = np.complex64 if kind is np.float32 else np.complex128
    assert ss.kernel(SYSTEMS["pairs"], 50, like=np.zeros(0, complex_kind)).dtype == kind
    assert ss.kernel(SYSTEMS["complex"], 50, like=np.zeros(0, kind)).dtype == complex_kind


def layer(systems=256, modes=32, seed=0):
    """An S4D layer: every system with its own step and read-out, 2·modes states each."""
    rng = np.random.default_rng(seed)
    model = ss.ContinuousSystem(
        ss.Diagonal(-0.5 + 1j * np.pi * np.arange(modes), pairs=True),
        np.ones((modes, 1)),
        rng.normal(size=(systems, 1, modes)) + 1j * rng.normal(size=(systems, 1, modes)),
    )
    return ss.discretize(model, np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), systems)))


def one_line(system, length):
    """What everybody writes: K = 2·Re Σ_n C_n B_n λ_n^l."""
    poles, weights = system.A.diagonal, system.C[:, 0] * system.B[..., 0]
    return 2 * np.einsum("hn,hnl->hl", weights, np.exp(np.log(poles)[..., None] * np.arange(length))).real


def test_a_layer_of_kernels_is_small():
    """256 systems × 64 states × 16384 samples in less than twice the output; the line in NumPy takes 64 times it."""
    system, length = layer(), 16384
    ss.kernel(system, 16)
    tracemalloc.start()
    h = ss.kernel(system, length)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * h.nbytes
    part = layer(systems=4)
    # eps·l·angle of the line itself, while the mode lives: l·dt·|Im λ| up to 37/0.5 · 97.
    assert relative(ss.kernel(part, length)[:, 1:, 0, 0], one_line(part, length - 1)) < 7200 * EPS


@st.composite
def modes(draw):
    """Poles of any modulus up to 1, at 0 and on the circle too."""
    n = draw(st.integers(1, 5))
    radius = draw(st.lists(st.sampled_from([0.0, 1e-8, 0.3, 0.9, 0.999, 1.0]), min_size=n, max_size=n))
    angle = draw(st.lists(st.floats(0, 3.14), min_size=n, max_size=n))
    return np.array(radius) * np.exp(1j * np.array(angle))


@given(modes(), st.integers(1, 400), st.booleans(), st.integers(1, 2), st.integers(1, 2))
def test_a_diagonal_kernel_is_the_dense_one(poles, length, pairs, m, p):
    rng = np.random.default_rng(len(poles))
    b, c = rng.normal(size=(len(poles), m)) + 1j, rng.normal(size=(p, len(poles))) - 0.5j
    system = ss.DiscreteSystem(ss.Diagonal(poles, pairs=pairs), b, c, dt=1.0)
    dense = ss.DiscreteSystem(*system, dt=1.0)
    # The dense recurrence turns a mode on the circle by eps at every step.
    size = 1 + np.abs(b).sum() * np.abs(c).sum()
    assert np.abs(ss.kernel(system, length) - ss.kernel(dense, length)).max() < 4 * EPS * length * size


# --------------------------------------------------------------- lift


@pytest.mark.parametrize("M", [1, 3, 8])
@pytest.mark.parametrize("name", SYSTEMS)
def test_lifting_is_running_in_blocks(name, M):
    """x⁺ = A^M x + R u_block, y_block = O x + T u_block gives the same outputs and the same states."""
    system = SYSTEMS[name]
    lifted = ss.lift(system, M)
    rng = np.random.default_rng(0)
    u = rng.normal(size=(24, system.n_inputs))
    x0 = rng.normal(size=system.state_size)
    one = ss.simulate(system, u, x0=x0, form="recurrent")
    many = ss.simulate(lifted, u.reshape(24 // M, M * system.n_inputs), x0=x0, form="recurrent")
    assert np.allclose(lifted.dt, M * np.asarray(system.dt))
    # 24 roundings on either side.
    assert relative(many.y.reshape(one.y.shape), one.y) < 50 * EPS
    assert relative(many.final_state, one.final_state) < 50 * EPS


def test_lifting_keeps_the_unit_of_time():
    weekly = ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], dt=2.0, time_unit="week")
    assert (ss.lift(weekly, 3).dt, ss.lift(weekly, 3).time_unit) == (6.0, "week")


def test_lifting_by_one_is_the_system_itself():
    a, b, c, d = ss.lift(SYSTEMS["dense"], 1)
    for mine, theirs in zip((a, b, c, d), SYSTEMS["dense"], strict=True):
        assert np.array_equal(mine, theirs)


def test_lifting_keeps_what_is_known_of_the_poles():
    """A Diagonal stays one; a cascade's poles are taken to the M-th power, not found again from a matrix."""
    assert isinstance(ss.lift(SYSTEMS["pairs"], 4).A, ss.Diagonal)
    narrow = ss.from_zpk(*signal.butter(8, [0.2, 0.202], "bandpass", output="zpk"), dt=1.0)
    lifted = ss.lift(narrow, 64)
    assert abs(lifted.poles - narrow.poles**64).max() < 200 * EPS
    assert lifted.is_stable  # eigenvalues of the dense matrix are not


def test_lifting_twice_is_lifting_once():
    """A block of 3 blocks of 4 is a block of 12: the semigroup."""
    system = SYSTEMS["dense"]
    twice, once = ss.lift(ss.lift(system, 4), 3), ss.lift(system, 12)
    for mine, theirs in zip(twice, once, strict=True):
        assert relative(mine, theirs) < 50 * EPS


def test_powers_of_a_narrow_filter_decay():
    """‖A^k‖ of an eighth-order band-pass, spectral radius 0.9885: powers of its companion matrix reach 2e5 first."""
    z, p, k = signal.butter(4, [0.2, 0.22], "bandpass", output="zpk")
    narrow = ss.from_zpk(z, p, k, dt=1.0)
    companion = signal.zpk2ss(z, p, k)[0]
    assert np.abs(np.linalg.matrix_power(companion, 100)).max() > 2e5
    assert np.abs(np.asarray(ss.lift(narrow, 100).A)).max() < 0.4
    assert np.abs(np.asarray(ss.lift(narrow, 1500).A)).max() < 100 * np.abs(p).max() ** 1400


@given(st.sampled_from(sorted(SYSTEMS)), st.integers(1, 40))
def test_a_lifted_kernel_holds_the_kernel(name, M):
    """T of M = L is the whole kernel: its first column, block by block."""
    system = SYSTEMS[name]
    p, m = system.n_outputs, system.n_inputs
    first = ss.lift(system, M).D[..., :, :m]
    assert np.array_equal(first.reshape(*first.shape[:-2], M, p, m), ss.kernel(system, M))
