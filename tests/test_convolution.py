"""convolve: against NumPy's sum of products, in one block or many, channel by channel or from inputs to outputs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from gallery import relative
from statespace.kernels import convolution

EPS = np.finfo(float).eps


def direct(u, h):
    """y_k = Σ_j h_j u_{k−j} by the plain loop: u (L, m), h (K, p, m)."""
    y = np.zeros((len(u), h.shape[1]), np.result_type(u, h))
    for k in range(len(u)):
        for j in range(min(k + 1, len(h))):
            y[k] += h[j] @ u[k - j]
    return y


def bound(u, h):
    """What FFTs may lose: eps·log₂(size)·‖h‖·‖u‖ at each sample, with a factor 4 for three of them."""
    sizes = np.log2(2 + u.shape[0] + h.shape[0])
    return 4 * EPS * sizes * np.linalg.norm(h) * max(np.linalg.norm(u), 1e-300)


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_convolution_is_the_sum_of_products(length, taps, m, p, complex_u, complex_h):
    rng = np.random.default_rng(length + 100 * taps)
    u, h = rng.normal(size=(length, m)), rng.normal(size=(taps, p, m))
    u, h = u + 1j * complex_u * u[::-1], h + 1j * complex_h * h[::-1]
    u, h = (u if complex_u else u.real), (h if complex_h else h.real)
    y = ss.convolve(u, h)
    assert y.shape == (length, p)
    assert y.dtype == (np.complex128 if complex_u or complex_h else np.float64)
    assert np.abs(y - direct(u, h)).max(initial=0.0) <= bound(u, h)


@pytest.mark.parametrize("length", [1, 2, 5, 4095, 4096, 4097, 40_000, 100_003])
@pytest.mark.parametrize("taps", [1, 2, 700, 5000])
def test_long_signals_go_in_blocks(length, taps):
    """Every border of the blocks of overlap-add is crossed; np.convolve sums directly."""
    rng = np.random.default_rng(taps)
    u, h = rng.normal(size=length), rng.normal(size=taps)
    y = ss.convolve(u, h)
    assert y.shape == (length,)
    # A block loses eps·log₂ of what is in it, a kernel and eight of its lengths.
    part = u[: 8 * taps + 4096]
    assert np.abs(y - np.convolve(u, h)[:length]).max() <= bound(part[:, None], h[:, None])


def test_blocks_hide_nothing(monkeypatch):
    """Blocks of any size give what one transform gives."""
    rng = np.random.default_rng(0)
    u, h = rng.normal(size=(2, 300, 2)), rng.normal(size=(17, 3, 2))
    whole = ss.convolve(u, h)
    for smallest in (20, 33, 64, 290):
        monkeypatch.setattr(convolution, "_SMALLEST", smallest)
        monkeypatch.setattr(convolution, "_NUMBERS", smallest)
        assert relative(ss.convolve(u, h), whole) < 50 * EPS


def test_memory_is_bounded():
    """A kernel of 1000 samples over four million: the answer, and a few megabytes."""
    u, h = np.ones(2**22), np.ones(1000) / 1000
    ss.convolve(u[:5000], h)
    tracemalloc.start()
    y = ss.convolve(u, h)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < y.nbytes + 4 * 2**20
    assert abs(y[1000:] - 1).max() < 1e-12


def test_many_channels_do_not_fill_the_memory():
    """(8, 4096, 128) through 128 kernels of 4096 samples: transformed a part at a time."""
    rng = np.random.default_rng(0)
    u, h = rng.normal(size=(8, 4096, 128)), rng.normal(size=(128, 4096, 1, 1))
    tracemalloc.start()
    y = ss.convolve(u, h, axis=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < y.nbytes + 100 * 2**20  # all at once would be 0.5 GB
    assert relative(y[3, :, 77], np.convolve(u[3, :, 77], h[77, :, 0, 0])[:4096]) < 1e-13


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_channelwise_along_any_axis(axis):
    rng = np.random.default_rng(0)
    u, h = rng.normal(size=(3, 4, 5)), rng.normal(size=7)
    y = ss.convolve(u, h, axis=axis)
    wanted = np.apply_along_axis(lambda row: np.convolve(row, h)[: len(row)], axis, u)
    assert relative(y, wanted) < 20 * EPS


def test_a_batch_of_kernels_aligns_with_the_channels():
    """An S4D layer: 5 systems with their own steps over (batch, L, 5) in one call, as `filter` runs them."""
    model = ss.ContinuousSystem(ss.Diagonal([-0.5 + 3j, -0.5 + 6j], pairs=True), np.ones((2, 1)), [[1.0, 2j]])
    layer = ss.discretize(model, np.geomspace(0.01, 0.1, 5))
    u = np.random.default_rng(0).normal(size=(3, 200, 5))
    y = ss.convolve(u, ss.kernel(layer, 200), axis=1)
    assert y.shape == u.shape
    assert relative(y, ss.filter(layer, u, axis=1)) < 20 * EPS


def test_kernels_and_signals_broadcast():
    rng = np.random.default_rng(0)
    u, h = rng.normal(size=(4, 1, 50, 2)), rng.normal(size=(3, 20, 2, 2))
    y = ss.convolve(u, h)
    assert y.shape == (4, 3, 50, 2)
    assert relative(y[2, 1], direct(u[2, 0], h[1])) < 20 * EPS


@pytest.mark.parametrize("kind", [np.float32, np.complex64, np.float64, np.complex128])
def test_the_answer_is_as_precise_as_the_signal(kind):
    """Computed in double, rounded once."""
    rng = np.random.default_rng(0)
    u, h = rng.normal(size=3000).astype(kind), rng.normal(size=200)
    y = ss.convolve(u, h)
    assert y.dtype == kind
    assert relative(y, np.convolve(u.astype(np.result_type(kind, np.float64)), h)[:3000]) < np.finfo(kind).eps + 8 * EPS


def test_a_complex_kernel_makes_the_answer_complex():
    assert ss.convolve(np.ones(3, np.float32), [1j, 1.0]).dtype == np.complex64


def test_large_and_small_numbers_are_in_range():
    """What over- and underflows in a transform, though not in the answer."""
    assert np.allclose(ss.convolve([1e302, 1.0, 2.0], [1.0, 1e-5])[:2], [1e302, 1e297], rtol=1e-10)  # of the largest
    assert np.allclose(ss.convolve(np.full(3, 1e-305), [1.0, 2.0]), [1e-305, 3e-305, 3e-305], rtol=1e-12, atol=0)
    assert np.allclose(ss.convolve([1e-250, 1e-250], [1e250, 1e250]), [1.0, 2.0], rtol=1e-12)
    assert np.allclose(ss.convolve([1e-250j, 1e-250], [1e250, 1e250]), [1j, 1 + 1j], rtol=1e-12)


def test_shapes_in_and_out():
    assert ss.convolve(np.ones(5), np.ones((3, 1, 1))).shape == (5,)
    assert ss.convolve(np.ones((5, 1)), np.ones(3)).shape == (5, 1)
    assert ss.convolve(np.ones(5), np.ones((3, 2, 1))).shape == (5, 2)
    assert ss.convolve(np.ones((0, 2)), np.ones((3, 4, 2))).shape == (0, 4)
    assert ss.convolve(np.ones((2, 0)), np.ones(3), axis=1).shape == (2, 0)
    assert ss.convolve(np.ones((5, 0)), np.ones((3, 2, 0))).tolist() == [[0.0, 0.0]] * 5


@given(st.integers(1, 40), st.integers(0, 10))
def test_time_invariance_and_linearity(taps, delay):
    rng = np.random.default_rng(taps)
    u, v, h = rng.normal(size=60), rng.normal(size=60), rng.normal(size=taps)
    late = ss.convolve(np.concatenate([np.zeros(delay), u]), h)[delay:]
    size = bound(np.stack([u, v], 1) * 5, h[:, None])
    assert np.abs(late - ss.convolve(u, h)).max() <= size
    assert np.abs(ss.convolve(2 * u - 3 * v, h) - 2 * ss.convolve(u, h) + 3 * ss.convolve(v, h)).max() <= 3 * size


def test_nothing_is_heard_before_it_is_played():
    """Causality, to rounding: the FFT is circular, the answer is not."""
    u = np.zeros(500)
    u[300] = 1.0
    y = ss.convolve(u, np.random.default_rng(0).normal(size=800))
    assert np.abs(y[:300]).max() < 40 * EPS
