"""From a kernel back to a recurrence: order, kernel, delay, taps, noise, bound, unstable fits.

Kernels to compare with are the plain recurrence of the gallery; systems are drawn by their poles.
"""

import pickle
import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

import statespace as ss
from gallery import kernel, relative, systems
from statespace.kernels import hankel as hankel_file
from statespace.kernels.hankel import hankel, leading, orthonormal
from statespace.kernels.realization import Realization, realize

EPS = np.finfo(float).eps
PROMISED = 1e-9  # of max|h|, between h and the kernel of what was found
LENGTHS = {50: 60, 200: 60, 1000: 30, 5000: 6, 20000: 2}  # and how many systems are drawn for each


def drawn(rng, n, p=1, m=1, radius=0.99, complex_=False):
    """A stable system with poles up to a radius, half of them near it, in coordinates that mix its states."""
    a, k = np.zeros((n, n), complex), 0
    while k < n:
        r = radius * np.sqrt(rng.uniform()) if rng.uniform() < 0.5 else 1 - 10 ** rng.uniform(np.log10(1 - radius), 0)
        if complex_:
            a[k, k], k = r * np.exp(2j * np.pi * rng.uniform()), k + 1
        elif n - k >= 2 and rng.uniform() < 0.7:
            x, y = r * np.cos(np.pi * rng.uniform()), r * np.sin(np.pi * rng.uniform())
            x, y = (x, y) if x * x + y * y < radius**2 else (x / 2, y / 2)
            a[k : k + 2, k : k + 2], k = [[x, y], [-y, x]], k + 2
        else:
            a[k, k], k = r * rng.choice([-1, 1]), k + 1

    def draw(*shape):
        x = rng.normal(size=shape)
        return x + 1j * rng.normal(size=shape) if complex_ else x

    t = np.eye(n) + 0.3 * draw(n, n) / np.sqrt(n)
    a = t @ (a if complex_ else a.real) @ np.linalg.inv(t)
    return ss.DiscreteSystem(a, draw(n, m), draw(p, n), draw(p, m), dt=1.0)


def noisy(rng, h, db):
    """Samples with white noise so far below their peak, and its rms."""
    rms = 10 ** (db / 20) * np.abs(h).max()
    return h + rms * rng.normal(size=h.shape), rms


def silently(*arguments, **options):
    """What is found, and the texts of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return realize(*arguments, **options), [str(w.message) for w in caught]


def rotation(radius, length, turn=0.3):
    """Kernel of a turning pair, each sample rounded once and not 100,000 times."""
    k = np.arange(length)
    return radius**k * np.cos(turn * k + 0.2)


# --------------------------------------------------------------- the kernel and the order come back


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("length", LENGTHS)
def test_drawn_systems_come_back(length, p, m):
    """Kernel to 1e-9; order exact where σ_n/σ_1 > 1e-11, ten times the threshold; never too large. No warning."""
    rng = np.random.default_rng(100 * length + p)
    for _ in range(LENGTHS[length]):
        system = drawn(rng, int(rng.integers(1, 21)), p, m)
        h = kernel(system, length)
        found = realize(h, dt=1.0)
        # The error follows the threshold 9e-13·σ_1 and the rounding of U; σ_1 is at most 50 max|h| at radius 0.99.
        assert found.error < PROMISED
        assert found.order <= system.n_states
        sigma = found.singular_values
        if len(sigma) >= system.n_states and sigma[system.n_states - 1] > 1e-11 * sigma[0]:
            assert found.order == system.n_states
        if length <= 1000:  # the reported error is the error: up to its own rounding, √L products of size 1
            assert abs(relative(kernel(found.system, length), h) - found.error) < 1e-12


def test_the_poles_come_back():
    """To eps over the smallest singular value that matters, here 1e-3 of the largest: 1e-12 is generous."""
    system = drawn(np.random.default_rng(4), 6)
    found = realize(kernel(system, 300), dt=1.0)
    np.testing.assert_allclose(np.sort_complex(found.system.poles), np.sort_complex(system.poles), atol=1e-11)
    assert found.system.A.known_poles is not None


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_complex_kernels_give_complex_systems_and_real_ones_real(complex_):
    system = drawn(np.random.default_rng(5), 7, 2, 2, complex_=complex_)
    for length in (100, 1000):  # dense and randomized
        h = kernel(system, length)
        found = realize(h, dt=1.0)
        assert found.system.is_complex == complex_
        assert found.order == 7
        assert relative(kernel(found.system, length), h) < 1e-12  # 7 modes of size 1, a few hundred roundings


@pytest.mark.parametrize("name", [n for n in systems() if n not in ("integrators", "diagonal")])
def test_every_structure_comes_back(name):
    """Systems of every structure, discretized; the bar is PROMISED of each member of a batch."""
    system = ss.discretize(systems()[name], 0.1)
    h = kernel(system, 400)
    found = realize(h, dt=0.1)
    assert found.order <= system.n_states
    assert found.system.batch_shape == system.batch_shape
    assert np.all(found.error < 1e-12)  # radius at most 0.98: σ_1 is 25 max|h| at most
    assert relative(kernel(found.system, 400), h) < 1e-12


def test_integrators_are_refused_or_kept():
    """One is on the circle by the rule of is_stable. Of two in series rounding of 1e-16 makes a pair 1e-8 apart."""
    with pytest.raises(ValueError, match="on or outside the unit circle"):
        realize(np.ones(200), dt=0.1)
    np.testing.assert_allclose(realize(np.ones(200), dt=0.1, unstable="keep").system.poles, 1, atol=1e-15)
    found = realize(kernel(ss.discretize(systems()["integrators"], 0.1), 200), dt=0.1, unstable="keep")
    assert found.order == 2
    np.testing.assert_allclose(found.system.poles, 1, atol=1e-6)
    assert found.error < PROMISED


def test_a_narrow_band_pass_of_order_16():
    """1 % wide, poles at 0.9994; σ_16/σ_1 = 1e-9 at 500 samples, so that its poles are known to 1e-7 there only."""
    z, p, k = signal.butter(8, [0.2, 0.202], "bandpass", output="zpk")
    system = ss.from_zpk(z, p, k, dt=1.0)
    for length in (500, 5000, 20000):
        impulse = np.zeros(length)
        impulse[0] = 1.0
        h = ss.filter(system, impulse)
        found = realize(h, dt=1.0)
        assert found.order == 16
        assert found.error < PROMISED
        assert found.system.is_stable
    # At 20,000 samples it has decayed: σ_16/σ_1 = 3e-5, the error of a pole about eps·σ_1/σ_16 times 16 of them.
    np.testing.assert_allclose(np.sort_complex(found.system.poles), np.sort_complex(p), atol=1e-10)


@pytest.mark.parametrize("radius", [0.999, 0.99999])
def test_a_rotation_that_rings_through_the_record(radius):
    """2^17 samples: a pole wrong by δ is wrong by 1e5·δ/e at the time 1e5; cos(0.3 k) itself is rounded by 4e-12."""
    h = rotation(radius, 2**17)
    found = realize(h, dt=1.0)
    assert found.order == 2
    assert found.error < PROMISED
    assert np.abs(np.abs(found.system.poles) - radius).max() < 1e-13


def test_a_resonance_on_the_circle_follows_is_stable():
    with pytest.raises(ValueError, match=r"modulus 1, on or outside"):
        realize(rotation(1.0, 1000), dt=1.0)
    kept = realize(rotation(1.0, 1000), dt=1.0, unstable="keep")
    assert not kept.system.is_stable
    assert kept.error < 1e-11


# --------------------------------------------------------------- the Hankel matrix


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("count", [40, 41])
def test_the_products_are_those_of_the_matrix(count, p, m, complex_):
    """Both ways, an even and an odd number of samples, more columns than one FFT takes together."""
    rng = np.random.default_rng(6)
    h = hankel(kernel(drawn(rng, 5, p, m, complex_=complex_), count))
    full = h.dense()
    assert full.shape == h.shape
    assert h.rows + h.columns - 1 == count
    np.testing.assert_array_equal(full[p * 3 : p * 4, m * 2 : m * 3], h.samples[5])
    x, y = rng.normal(size=(h.shape[1], 19)), rng.normal(size=(h.shape[0], 19))
    assert relative(h.times(x), full @ x) < 1e-14  # 40 terms: √40 roundings
    assert relative(h.adjoint.times(y), full.conj().T @ y) < 1e-14
    assert h.squared_norm() == pytest.approx(np.linalg.norm(full) ** 2, rel=1e-14)


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_randomized_singular_values_are_those_of_the_dense_matrix(complex_, monkeypatch):
    """To a few eps·σ_1, small ones too; the rest is what they leave of the norm. The seed is fixed."""
    h = hankel(kernel(drawn(np.random.default_rng(7), 12, 2, 1, complex_=complex_), 500)[1:])
    fast = leading(h, 32)
    np.testing.assert_array_equal(leading(h, 32).u, fast.u)
    monkeypatch.setattr(hankel_file, "_DENSE", 10**4)
    dense = leading(h, 32)
    assert len(dense.sigma) == min(h.shape) > len(fast.sigma) == 32
    np.testing.assert_allclose(fast.sigma[:12], dense.sigma[:12], atol=20 * EPS * dense.sigma[0])
    assert fast.sigma[12:].max() < 20 * EPS * dense.sigma[0]
    assert fast.rest < (20 * EPS * dense.sigma[0]) ** 2 * min(h.shape)


@pytest.mark.parametrize("rank", [60, 5])
def test_tall_matrices_are_made_orthonormal(rank):
    """Also where nothing but rounding is left of most columns. √3,000 roundings of entries of size √rank."""
    rng = np.random.default_rng(22)
    y = rng.normal(size=(3000, rank)) @ (rng.normal(size=(rank, 60)) + 1j * rng.normal(size=(rank, 60)))
    q, r = orthonormal(y)
    assert np.abs(q.conj().T @ q - np.eye(60)).max() < 1e-14
    assert relative(q @ r, y) < 1e-14
    assert not np.tril(r, -1).any()


def test_the_rest_of_noise_is_measured():
    """Eight random vectors on a spread rest: its square is right to some per cent, also 1e-12 below σ_1."""
    rng = np.random.default_rng(8)
    samples = 0.9 ** np.arange(2000.0)[:, None, None] + 1e-12 * rng.normal(size=(2000, 1, 1))
    h = hankel(samples)
    found = leading(h, 32)
    exact = np.sum(np.linalg.svd(h.dense(), compute_uv=False)[32:] ** 2)
    assert found.rest == pytest.approx(exact, rel=0.2)


# --------------------------------------------------------------- the threshold


def test_the_threshold_is_where_it_is_said_to_be():
    """σ_k/σ_1 = 2e-11 counts, 1e-13 does not, and tol= moves it."""
    k = np.arange(300)
    for small, order in ((1e-10, 2), (1e-14, 1)):
        h = 0.9**k + small * (-0.8) ** k  # σ_2/σ_1 is about small·(1 − 0.9²)/(1 − 0.8²) = small/2
        assert realize(h, dt=1.0).order == order
    assert realize(0.9**k + 1e-6 * (-0.8) ** k, dt=1.0, tol=1e-5).order == 1


@pytest.mark.parametrize("length", [200, 2000])
def test_single_precision_is_known_to_be_rounded(length):
    """Rounding of 6e-8 a sample is no pole; the kernel agrees to that, and to the threshold of 5e-7·σ_1."""
    rng = np.random.default_rng(length)
    for _ in range(20):
        system = drawn(rng, int(rng.integers(1, 7)), radius=0.95)
        h = kernel(system, length)
        found = realize(h.astype(np.float32), dt=1.0)
        assert found.order <= system.n_states
        # 2 Σ σ_k left out: at most 6 of 5e-7·σ_1, and σ_1 is at most 10 max|h|.
        assert relative(kernel(found.system, length), h) < 1e-5
        assert found.system.A.matrix.dtype == np.float64


def test_half_precision_too():
    found = realize((0.5 ** np.arange(20.0) + 0.1 * (-0.7) ** np.arange(20.0)).astype(np.float16), dt=1.0)
    assert found.order == 2


# --------------------------------------------------------------- delay


@pytest.mark.parametrize(("p", "m"), [(1, 1), (3, 1), (1, 3), (2, 3), (3, 2)])
def test_leading_zeros_are_delays_and_no_poles(p, m):
    """The delays are states, of the narrower side; their poles are zeros, those of the fit stay as they are."""
    h = kernel(drawn(np.random.default_rng(9), 5, p, m), 200)
    late = np.concatenate([h[:1], np.zeros((7, p, m)), h[1:]])
    plain, found = realize(h, dt=1.0), realize(late, dt=1.0)
    assert (found.delay, found.order, found.system.n_states) == (7, 5, 5 + 7 * min(p, m))
    assert relative(kernel(found.system, len(late)), late) < 1e-12
    np.testing.assert_array_equal(kernel(found.system, 9)[:8], late[:8])  # D and the zeros: exact
    poles = found.system.poles
    assert np.sum(poles == 0) == 7 * min(p, m)
    np.testing.assert_allclose(np.sort_complex(poles[poles != 0]), np.sort_complex(plain.system.poles), atol=1e-14)
    # The core is the same kernel 7 samples early.
    assert relative(kernel(found.core, 200)[1:], h[1:]) < 1e-12
    assert not kernel(found.core, 1).any()


def test_zeros_that_the_poles_give_anyway_cost_no_delay():
    """By Euler a force moves the mass two samples later: C B = 0, and the order is two, not three."""
    spring = ss.discretize(systems()["spring"], 0.05, "euler")
    h = kernel(spring, 300)
    assert h[1] == 0
    found = realize(h, dt=0.1)
    assert (found.delay, found.order, found.system.n_states) == (0, 2, 2)
    late = np.concatenate([h[:1], np.zeros((5, 1, 1)), h[1:]])
    found = realize(late, dt=0.1)
    assert (found.delay, found.system.n_states) == (5, 7)
    assert found.error < 1e-12


def test_the_delay_of_a_measured_record_is_given():
    """Its samples before the arrival are noise, no zeros: they are taken as 0, and reported as error."""
    rng = np.random.default_rng(10)
    k = np.arange(400)
    h = (0.9**k * np.cos(k) + 0.8**k * np.sin(2 * k))[:, None, None]
    late = np.concatenate([np.zeros((21, 1, 1)), h])
    record, rms = noisy(rng, late, -60)
    found, said = silently(record, dt=1.0, delay=20)
    assert (found.delay, found.order, found.system.n_states) == (20, 4, 24)
    assert len(said) == 1
    assert not kernel(found.system, 21)[1:].any()
    assert np.sqrt(np.mean((kernel(found.system, 421) - late)[1:] ** 2)) < rms / 2
    assert found.error >= np.abs(record[1:21]).max() / np.abs(record).max()
    # Not told, the order spends poles on them.
    assert silently(record, dt=1.0)[0].order > 4


def test_what_is_taken_as_zero_is_reported():
    for h in ([1.0, 0.01, *0.5 ** np.arange(20.0)], [1.0, 0.01, 1.0, 0.5, 0.0, 0.0, 0.0]):
        found = realize(h, dt=1.0, delay=1)
        assert found.error == pytest.approx(0.01)
        assert not kernel(found.system, 2)[1].any()


def test_a_delay_over_the_signal_is_said():
    with pytest.warns(ss.AccuracyWarning, match=r"delay=5 takes samples as 0 that reach 0\.9 of the peak"):
        realize(0.9 ** np.arange(100.0), dt=1.0, delay=5)


def test_the_kernel_of_a_batch_that_is_refused_is_named():
    h = np.stack([0.5 ** np.arange(40.0), 1.01 ** np.arange(40.0)])[..., None, None]
    with pytest.raises(ValueError, match=r"the fit of kernel 1 of the batch, of order 1, has a pole of modulus 1\.01"):
        realize(h, dt=1.0)


def test_the_given_delay_wins():
    h = [1.0, 0.0, 0.0, *0.5 ** np.arange(20.0)]
    assert realize(h, dt=1.0, delay=0).order == 3
    assert realize(h, dt=1.0, delay=1).order == 2
    found = realize(h, dt=1.0)
    assert (found.delay, found.order) == (2, 1)


# --------------------------------------------------------------- taps


@pytest.mark.parametrize(("p", "m"), [(1, 1), (3, 1), (1, 3), (2, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_finite_kernel_comes_back_bit_for_bit(p, m, batch):
    h = np.zeros((*batch, 13, p, m))
    h[..., :7, :, :] = np.random.default_rng(11).normal(size=(*batch, 7, p, m))
    found = realize(h, dt=1.0)
    np.testing.assert_array_equal(np.broadcast_to(kernel(found.system, 13), h.shape), h)
    assert isinstance(found.system.A, ss.DelayLine if min(p, m) == 1 else ss.Dense)
    assert found.system.n_states == 6 * min(p, m)
    assert np.all(found.error == 0)
    assert np.all(found.bound == 0)
    if p == m == 1 and not batch:
        np.testing.assert_array_equal(ss.filter(found.system, np.eye(1, 13)[0]), h[:, 0, 0])


def test_the_rule_of_finite_kernels():
    """As many zeros at the end as samples from h_1 to the last: 6 and 6 are enough, one less may go on for ever."""
    taps = np.random.default_rng(12).normal(size=7)
    assert isinstance(realize([*taps, *np.zeros(6)], dt=1.0).system.A, ss.DelayLine)
    found, said = silently([*taps, *np.zeros(5)], dt=1.0, unstable="keep")
    assert said
    assert isinstance(found.system.A, ss.Dense)


def test_a_finite_kernel_with_a_delay():
    found = realize([2.0, 0.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0], dt=1.0)
    assert (found.delay, found.order, found.system.n_states) == (2, 2, 4)
    np.testing.assert_array_equal(kernel(found.system, 9)[:, 0, 0], [2, 0, 0, 3, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(kernel(found.core, 5)[:, 0, 0], [0, 3, 1, 0, 0])


def test_decay_to_nothing_is_no_end():
    """0.5^k is 0 from k = 1,075 on: that is the smallest number, not a filter of 1,074 taps."""
    h = 0.5 ** np.arange(3000.0)
    assert h[1074] > 0 == h[1075]
    assert realize(h, dt=1.0).order == 1


def test_an_order_below_that_of_the_taps_is_fitted():
    """Beliczynski's reduction of an FIR filter: the error in every sample is within the bound."""
    taps = signal.firwin(61, 0.2)
    h = np.concatenate([taps, np.zeros(140)])
    found = realize(h, 12, dt=1.0)
    assert found.order == 12
    assert found.system.is_stable
    assert found.error * np.abs(h).max() <= found.bound < 0.05


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3), (2, 5, 1, 1)])
def test_a_zero_kernel_is_a_gain(shape):
    h = np.zeros(shape)
    h.reshape(-1)[0] = 2.0
    found = realize(h, dt=1.0)
    assert found.system.n_states == found.order == 0
    assert np.all(found.singular_values == 0)
    np.testing.assert_array_equal(ss.kernel(found.system, 5).reshape(shape), h)
    assert realize(np.zeros(shape), dt=1.0).system.n_states == 0


# --------------------------------------------------------------- batches


def test_a_batch_has_one_order_and_each_its_own_kernel():
    rng = np.random.default_rng(13)
    h = np.array([[kernel(drawn(rng, n, 2, 1), 300) for n in row] for row in ((3, 5, 1), (2, 4, 4))])
    h[1, 0] = 0.0
    found = realize(h, dt=0.5)
    assert found.system.batch_shape == found.bound.shape == found.error.shape == (2, 3)
    assert found.order == 5
    assert found.singular_values.shape[:2] == (2, 3)
    assert np.all(found.error < 1e-12)
    got = kernel(found.system, 300)
    assert all(relative(got[i], h[i]) < 1e-12 for i in np.ndindex(2, 3))
    alone = realize(h[0, 0], dt=0.5)
    np.testing.assert_array_equal(found.system.A.matrix[0, 0, :3, :3], alone.system.A.matrix)


def test_a_small_kernel_of_a_batch_is_not_overlooked():
    """The miss of each is measured by its own peak."""
    good, grows = 0.5 ** np.arange(99.0), 1e-15 * 1.01 ** np.arange(99.0)
    with pytest.warns(ss.AccuracyWarning, match=r"differs from h by 6\.\de-01 of its peak: unstable poles were"):
        ss.realize(np.stack([good, grows])[..., None, None], dt=1.0, unstable="stabilize")


def test_a_batch_shares_its_delay():
    h = np.zeros((2, 60, 1, 1))
    h[0, 4:, 0, 0], h[1, 6:, 0, 0] = 0.9 ** np.arange(56.0), 0.8 ** np.arange(54.0)
    found = realize(h, dt=1.0)
    assert found.delay == 3
    assert found.order == 3  # two samples more of the second are poles at 0
    assert relative(kernel(found.system, 60), h) < 1e-12


# --------------------------------------------------------------- noise


@pytest.mark.parametrize(("length", "draws"), [(60, 12), (200, 12), (1000, 8), (10000, 2)])
@pytest.mark.parametrize("db", [-40, -60, -80])
@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 2)])
def test_the_order_of_a_noisy_kernel(length, draws, db, p, m):
    """Never more than the true order; every pole that stands well above the noise is found.

    White noise of rms s in an n×n Hankel matrix has singular values up to s·√(2 n (log n + p + m − 2)), see
    `_edge`, which the rule takes 1.25-fold; twice of that is "well above". σ_k of the noise-free kernel.
    """
    rng = np.random.default_rng(length - db + p)
    for _ in range(draws):
        system = drawn(rng, int(rng.integers(2, 9)), p, m, radius=0.97)
        h = np.zeros((length, p, m))
        h[: min(length, 1500)] = kernel(system, min(length, 1500))
        record, rms = noisy(rng, h, db)
        found, said = silently(record, dt=1.0)
        sigma, n = leading(hankel(h[1:]), 16).sigma, length / 2
        clear = int(np.sum(sigma[: system.n_states] > 2.5 * rms * np.sqrt(2 * n * (np.log(n) + p + m - 2))))
        assert clear <= found.order <= system.n_states
        assert len(said) == 1
        assert "looks noisy" in said[0]
        assert f"order {found.order} is what stands above" in said[0]
        assert "order=" in said[0]
        # Poles that the noise hides may be missing, each of about the size of the noise.
        truth = kernel(found.system, min(length, 1500)) - h[:1500]
        assert np.sqrt(np.mean(truth**2)) < 2.5 * rms


def test_the_noise_that_is_named_is_the_noise():
    """Its rms within 10 %: (n − r)² entries of a matrix with 2n − 1 samples, n = 1,000."""
    rng = np.random.default_rng(14)
    record, rms = noisy(rng, kernel(drawn(rng, 4), 2000), -60)
    _, said = silently(record, dt=1.0)
    named = float(said[0].split("about ")[1].split()[0])
    assert named == pytest.approx(rms, rel=0.1)


def test_a_long_quiet_end_hides_nothing():
    """Noise in 20,000 samples is 30 times that in 200, where all of this kernel is: the beginning shows its poles."""
    rng = np.random.default_rng(15)
    h = np.zeros(20000)
    h[:400] = 0.9 ** np.arange(400) * np.cos(np.arange(400))
    record, rms = noisy(rng, h, -40)
    for found in (silently(record, dt=1.0)[0], silently(record, 2, dt=1.0)[0]):
        assert found.order == 2
        # Fitted to some 40 samples with noise of 1 % each: to a half of it, where it rings.
        assert np.abs(kernel(found.system, 60)[1:, 0, 0] - h[1:60]).max() < rms


def test_what_rings_to_its_end_is_fitted_to_all_of_it():
    """The whole record and its first half show both poles; the whole knows them better, by as much as it has more."""
    rng = np.random.default_rng(21)
    h = rotation(0.9997, 8000)
    record, rms = noisy(rng, h, -40)
    found = silently(record, dt=1.0)[0]
    assert found.order == 2
    # Four numbers from 8,000 samples: rms·√(4/8,000) = 0.022 rms, where a sixteenth of them would give 0.5 rms.
    assert np.sqrt(np.mean((kernel(found.system, 8000)[:, 0, 0] - h)[1:] ** 2)) < 0.1 * rms


def test_nothing_but_noise_is_no_pole():
    for seed in range(5):
        record = np.random.default_rng(seed).normal(size=500)
        found, said = silently(record, dt=1.0)
        assert found.order == 0
        assert found.system.n_states == 0
        assert len(said) == 1


def test_noise_far_below_the_norm_is_found_too():
    """At 1e-11 the square of it is nothing beside the norm of the matrix, which therefore is not what is asked."""
    rng = np.random.default_rng(16)
    record, _ = noisy(rng, kernel(drawn(rng, 4), 2000), -220)
    found, said = silently(record, dt=1.0)
    assert found.order == 4
    assert "looks noisy" in said[0]


def test_too_short_a_record_says_so():
    """30 poles, 31 samples: the 15 poles that fit all of them are not its poles."""
    h = kernel(drawn(np.random.default_rng(17), 30), 31)
    found, said = silently(h, dt=1.0, unstable="keep", tol=0.0)
    assert "h is too short for that: order 15 was taken, the most that 31 samples determine" in said[0]
    assert found.error < 1e-9


def test_never_more_than_the_cap():
    """100 pairs, of 4,000 samples that show them all: 128 poles are taken, with a warning."""
    k = np.arange(4000)
    h = np.sum([0.97**i * 0.99**k * np.cos((0.02 + 0.031 * i) * k) for i in range(100)], axis=0)
    found, said = silently(h, dt=1.0)
    assert found.order == 128
    assert "order 128 was taken, the most that is looked for" in said[0]
    assert found.error * np.abs(h).max() < found.bound


# --------------------------------------------------------------- the bound


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("length", [240, 800])
def test_the_bound_holds_for_kernels_that_have_decayed(length, p, m):
    """Peak gain error over frequency, and every sample; 1e-12·σ_1 for the rounding of both."""
    rng = np.random.default_rng(17 + length)
    z = np.exp(1j * np.linspace(0, np.pi, 2000))
    for _ in range(5):
        system = drawn(rng, 10, p, m, radius=0.9 if length == 240 else 0.96)
        h = kernel(system, length)
        assert np.abs(h[-10:]).max() < 1e-9 * np.abs(h).max()
        sigma = np.linalg.svd(hankel(h[1:]).dense(), compute_uv=False)
        for order in (2, 4, 7):
            found = realize(h, order, dt=1.0)
            gain = np.linalg.norm(found.system(z) - system(z), 2, axis=(-2, -1)).max()
            assert gain <= found.bound + 1e-12 * sigma[0]
            assert found.error * np.abs(h).max() <= found.bound + 1e-12 * sigma[0]
            # It is the sum it is said to be, what was not computed included: at most 800 of eps·σ_1.
            exact = 2 * np.sum(sigma[order:])
            assert exact - 1e-12 * sigma[0] <= found.bound <= exact + 1e-11 * sigma[0]


def test_the_order_asked_for_is_the_order():
    system = drawn(np.random.default_rng(18), 9)
    h = kernel(system, 500)
    errors = [realize(h, r, dt=1.0).error for r in (1, 3, 6, 9)]
    assert all(realize(h, r, dt=1.0).order == r for r in (1, 3, 6, 9))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 1e-12


# --------------------------------------------------------------- unstable


def test_what_grows_is_refused_with_ways_out():
    h = 1.01 ** np.arange(300.0)
    with pytest.raises(ValueError, match=r"modulus 1\.01, on or outside.*order=.*keep.*stabilize.*from_ba"):
        realize(h, dt=1.0)
    kept = realize(h, dt=1.0, unstable="keep")
    np.testing.assert_allclose(kept.system.poles, [1.01], rtol=1e-12)
    assert kept.error < 1e-12
    assert kept.bound == np.inf


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_stabilized_poles_are_reflected_and_c_is_fitted_again(complex_):
    """1.001·e^{±jθ} over 300 samples: the others stay, and no other C is better by least squares."""
    k = np.arange(300)
    unstable = 1.001 * np.exp(0.7j)
    h = (0.9 * np.exp(0.3j)) ** k + (0.5 + 0.2j) * unstable**k + (-0.6) ** k
    h = h if complex_ else h.real
    kept, (found, said) = realize(h, dt=1.0, unstable="keep"), silently(h, dt=1.0, unstable="stabilize")
    assert len(said) == 1
    assert "of its peak: unstable poles were reflected" in said[0]
    assert found.system.is_stable
    assert found.system.is_complex == complex_
    wanted = np.where(np.abs(kept.system.poles) < 1, kept.system.poles, 1 / kept.system.poles.conj())
    np.testing.assert_allclose(np.sort_complex(found.system.poles), np.sort_complex(wanted), atol=1e-9)
    states = kernel(ss.DiscreteSystem(found.system.A, found.system.B, np.eye(found.order), dt=1.0), 300)[1:, :, 0]
    miss = kernel(found.system, 300)[1:, 0, 0] - h[1:]
    assert np.abs(states.conj().T @ miss).max() < 1e-10 * np.linalg.norm(states) * np.linalg.norm(h)
    # e^{2·0.001·300} − 1 = 0.8 of a part of half the size, fitted: 0.2 of the peak.
    assert 1e-3 < found.error < 0.3


def test_stabilizing_what_is_on_the_circle_costs_next_to_nothing():
    found = realize(np.ones(1000), dt=1.0, unstable="stabilize")
    assert found.system.is_stable
    assert found.error < 1e-9  # 1 − 1e-13 after 1,000 samples
    assert realize(rotation(0.9, 200), dt=1.0, unstable="stabilize").error < 1e-14  # stable: nothing is touched


# --------------------------------------------------------------- form


def test_size_of_the_samples_does_not_matter():
    """A power of two changes no digit, and squares stay within range."""
    h = kernel(drawn(np.random.default_rng(19), 5), 200)
    one = realize(h, dt=1.0)
    for scale in (2.0**-900, 2.0**900):
        other = realize(h * scale, dt=1.0)
        np.testing.assert_array_equal(other.system.A.matrix, one.system.A.matrix)
        assert other.error == one.error
        np.testing.assert_allclose(other.singular_values, one.singular_values * scale)


def test_step_unit_and_form_of_the_answer():
    found = realize(0.5 ** np.arange(20.0), fs=48.0, time_unit="ms")
    assert isinstance(found, Realization)
    assert found.system.fs == pytest.approx(48.0)
    assert found.system.time_unit == "ms"
    assert isinstance(found.bound, float)
    assert isinstance(found.error, float)
    assert not found.singular_values.flags.writeable
    assert repr(found).startswith("<Realization: order 1, delay 0, bound ")
    again = pickle.loads(pickle.dumps(found))
    assert again.order == 1
    assert not again.singular_values.flags.writeable
    batch = realize(0.5 ** np.arange(20.0)[None, :, None, None] * np.ones((3, 1, 1, 1)), dt=1.0)
    assert "batch (3,)" in repr(batch)


def test_the_same_kernel_gives_the_same_bits():
    h = kernel(drawn(np.random.default_rng(20), 8), 3000)
    first, second = realize(h, dt=1.0), realize(h, dt=1.0)
    np.testing.assert_array_equal(first.system.A.matrix, second.system.A.matrix)


@pytest.mark.parametrize("length", [40, 300])
def test_a_kernel_that_its_end_contradicts_is_not_called_found(length):
    """The last sample alone is off: no recurrence of the rank that the matrix has leads there."""
    h = 0.5 ** np.arange(float(length))
    h[-1] += 1e-6
    found, said = silently(h, dt=1.0, unstable="keep")
    assert "the last samples do not follow from those before" in said[0]
    assert found.error > PROMISED


# --------------------------------------------------------------- examples/distill_a_kernel.py


@pytest.fixture(scope="module")
def bar():
    path = Path(__file__).resolve().parents[1] / "examples" / "distill_a_kernel.py"
    spec = spec_from_file_location("distill_a_kernel", path)
    module = module_from_spec(spec)
    sys.modules["distill_a_kernel"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["distill_a_kernel"]


def test_the_bar_is_a_bar(bar):
    """First mode of a free steel bar of 0.6 m and 10 mm: 22.373/(2π L²)·√(E I/ρ A) = 128 Hz; a shape has no net
    momentum, ∫ φ dx = 0, and norm 1; the kernel is the modes, late."""
    omega, decay, _ = bar.bar()
    assert omega[0] / (2 * np.pi) == pytest.approx(
        22.3733 / (2 * np.pi * 0.36) * np.sqrt(210e9 / 7850) * 0.0025, rel=1e-5
    )
    assert np.all(np.diff(omega) > 0)
    assert np.all((decay > 1.5) & (decay < 10))
    x = np.linspace(0, 1, 100001)
    for beta in (4.730040744862704, 39.269908169872416):
        phi = bar.deflection(beta, x)
        assert abs(np.trapezoid(phi, x)) < 1e-6
        assert np.trapezoid(phi**2, x) == pytest.approx(1, abs=1e-6)
    assert not bar.truth()[: bar.WAY + 1].any()
    assert np.abs(bar.truth()).max() == 1
    assert bar.rms(bar.measured() - bar.truth()) == pytest.approx(bar.NOISE, rel=0.01)


def test_the_bar_is_distilled(bar):
    """12 modes are 24 poles. 48 numbers from 98,304 samples: noise·√(48/98,304) = 1.1 % · 0.022 = 2.3e-4 at best."""
    result, said = bar.found()
    assert (result.order, result.delay) == (24, bar.WAY)
    assert "order 24 is what stands above that" in said
    rows = {row.order: row for row in bar.table()}
    assert list(rows) == [4, 12, 20, 24, 30]
    noise = bar.rms(bar.measured() - bar.truth()) / bar.rms(bar.truth())
    assert rows[24].to_truth < 3e-4 < noise / 30
    assert rows[24].to_record == pytest.approx(noise, rel=0.01)
    assert rows[30].to_truth < 3e-4  # six poles more take nothing of the noise that lasts
    assert rows[4].to_truth > 0.4
    assert rows[20].to_truth == pytest.approx(0.0085, rel=0.05)
    hz, decay = bar.worst_mode()
    assert hz < 0.05
    assert decay < 0.03


def test_both_ways_to_run_the_bar_agree(bar):
    """The modal recurrence with its shift, the blocks of the FIR filter, and a plain convolution."""
    x = np.random.default_rng(3).normal(size=bar.BLOCK * 40)
    model = ss.modal(bar.found()[0].core)
    recurrence, own = bar.late(ss.filter(model, x)), bar.kernel_of(bar.found()[0])
    np.testing.assert_allclose(recurrence, signal.oaconvolve(x, own)[: len(x)], atol=1e-10)
    fir = bar.Partitioned(bar.measured())
    blocks = np.concatenate([fir.push(block) for block in x.reshape(-1, bar.BLOCK)])
    np.testing.assert_allclose(blocks, signal.oaconvolve(x, bar.measured())[: len(x)], atol=1e-11)
    # a record of rms 0.09 with noise 1e-3: they differ by that noise, summed over the samples that x has reached
    assert np.std(blocks - recurrence) < 3 * bar.NOISE * np.sqrt(len(x))


def test_the_example_speaks_and_draws(bar, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path / "bar.png")])
    bar.main()
    said = capsys.readouterr().out
    assert "By itself: order 24, a delay of 42 samples; 0.00024 on the truth." in said
    assert "recurrence, stream                        96" in said
    assert "6,240 and FFTs" in said
    assert (tmp_path / "bar.png").stat().st_size > 50_000
    costs = {row.way: row for row in bar.costs()}
    assert costs["recurrence, stream"].waits == 1 < costs["convolution, stream"].waits == bar.BLOCK


# --------------------------------------------------------------- errors


H = 0.5 ** np.arange(20.0)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: realize(H), ValueError, r"realize needs exactly one of dt= .*got neither"),
        (lambda: realize(H, dt=1.0, fs=1.0), ValueError, r"realize needs exactly one of dt="),
        (lambda: realize(H[:2], dt=1.0), ValueError, r"at least 3 samples.*h.shape=\(2,\)"),
        (lambda: realize(3.0, dt=1.0), ValueError, r"at least 3 samples.*h.shape=\(\)"),
        (lambda: realize(np.ones((20, 0, 1)), dt=1.0), ValueError, r"at least one channel; got h.shape=\(20, 0, 1\)"),
        (lambda: realize(np.ones((20, 3)), dt=1.0), ValueError, r"\(20, 3\); write h\[:, :, None\] for 3 outputs"),
        (lambda: realize([1.0, np.nan, 0.2], dt=1.0), ValueError, r"h must be finite, got 1 NaN"),
        (lambda: realize(H, 0, dt=1.0), ValueError, r"order must be a positive integer, or None to find it, got 0"),
        (lambda: realize(H, 2.0, dt=1.0), ValueError, r"order must be a positive integer.*got 2\.0"),
        (lambda: realize(H, True, dt=1.0), ValueError, r"order must be a positive integer.*got True"),
        (lambda: realize(H, 10, dt=1.0), ValueError, r"order=10 is more than 19 samples .*at most 9"),
        (lambda: realize(H, 3, dt=1.0), ValueError, r"order=3 is more than the numerical order 1 of h.*set tol="),
        (lambda: realize(H, dt=1.0, delay=-1), ValueError, r"delay must be a number of samples .*got -1"),
        (lambda: realize(H, dt=1.0, delay=18), ValueError, r"h has 1 sample after h_0 and a delay of 18"),
        (lambda: realize([1.0, 0, 0, 1], dt=1.0), ValueError, r"h has 1 sample after h_0 and a delay of 2"),
        (lambda: realize(H, dt=1.0, tol=1.0), ValueError, r"tol must be a number from 0 to below 1.*got 1\.0"),
        (lambda: realize(H, dt=1.0, unstable="mirror"), ValueError, r"unstable must be one of 'raise', 'keep'"),
        (lambda: realize(np.ma.array(H), dt=1.0), TypeError, r"h is a masked array"),
        (lambda: realize("h", dt=1.0), TypeError, r"h must hold numbers"),
        (
            lambda: realize(np.concatenate([np.zeros(5000), H]), dt=1.0),
            ValueError,
            r"a delay of 4999 states makes a dense system of 5000 states, at most 4096.*cut the zeros off h",
        ),
        (
            lambda: realize(np.r_[np.ones((2100, 2, 2)), np.zeros((2100, 2, 2))], dt=1.0),
            ValueError,
            r"a finite kernel of 4198 states makes",
        ),
    ],
)  # fmt: skip
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
