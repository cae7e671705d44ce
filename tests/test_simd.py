"""The vector type, operation by operation, and tiles from every layout of memory."""

import numpy as np
import pytest
from numba import njit

from statespace.cpu import simd
from statespace.cpu.tiles import aligned, gather_all, scatter_all

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(3, 8))


@njit
def arithmetic(a, b, c, out):
    x, y, z = simd.load(a, 0), simd.load(b, 0), simd.load(c, 0)
    simd.store(out, 0, simd.fma(x, y, z))
    simd.store(out, 8, simd.mul(x, y))
    simd.store(out, 16, simd.add(x, y))
    simd.store(out, 24, simd.splat(2.5))
    simd.store(out, 32, simd.spread(a, 3))


def test_arithmetic():
    out = np.zeros(40)
    arithmetic(A, B, C, out)
    exact = (A.astype(np.longdouble) * B + C).astype(float)  # 64 bits of a product of 106: nearly always rounded once
    assert np.abs(out[:8] - exact).max() <= np.spacing(np.abs(exact)).max()
    assert np.array_equal(out[8:16], A * B)
    assert np.array_equal(out[16:24], A + B)
    assert np.array_equal(out[24:], [2.5] * 8 + [A[3]] * 8)


def test_fma_rounds_once():
    """(1 + 2⁻³⁰)² − 1 − 2⁻²⁹ is 2⁻⁶⁰, and 0 where the product is rounded by itself."""
    a, c, out = np.full(8, 1 + 2.0**-30), np.full(8, -1 - 2.0**-29), np.zeros(40)
    arithmetic(a, a, c, out)
    assert np.array_equal(out[:8], np.full(8, 2.0**-60))


@njit
def turned(a, out):
    rows = (
        simd.load(a, 0), simd.load(a, 8), simd.load(a, 16), simd.load(a, 24),
        simd.load(a, 32), simd.load(a, 40), simd.load(a, 48), simd.load(a, 56),
    )  # fmt: skip
    at = 0
    for column in simd.transposed(rows):
        simd.store(out, at, column)
        at += 8


def test_transposed():
    a, out = np.arange(64.0), np.zeros(64)
    turned(a, out)
    assert np.array_equal(out.reshape(8, 8), a.reshape(8, 8).T)


@njit
def copied(source, target, like, out):
    out[0] = simd.size_of(like)
    simd.prefetch(source, 0)
    simd.prefetch(target + 2**20, 1)  # need not be there
    simd.store_at(target, like, simd.load_at(source, like))
    simd.write_at(target + 8 * simd.size_of(like), like, simd.read_at(source + 8 * simd.size_of(like), like))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_memory_at_addresses(kind):
    a, b, size = RNG.normal(size=10).astype(kind), np.zeros(10, kind), np.zeros(1)
    copied(a.ctypes.data, b.ctypes.data, kind(0), size)
    assert np.array_equal(b[:9], a[:9])
    assert (b[9], size[0]) == (0, kind(0).itemsize)


@pytest.mark.parametrize("wrong", [np.zeros((2, 8)), np.zeros(8, np.float32), np.zeros(16)[::2]])
def test_vectors_live_in_contiguous_doubles(wrong):
    from numba.core.errors import TypingError

    with pytest.raises(TypingError):
        arithmetic(wrong, B, C, np.zeros(40))


def test_buffers_begin_with_a_line_of_the_cache():
    buffer = aligned(24)
    assert buffer.ctypes.data % 64 == 0
    assert np.array_equal(buffer, np.zeros(24))


# --------------------------------------------------------------- tiles

LAYOUTS = {
    "samples are neighbours": lambda x: np.ascontiguousarray(x),
    "backward in time": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "lanes are neighbours": lambda x: np.asfortranarray(x.swapaxes(0, 1).copy().swapaxes(0, 1)),
    "every third sample": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
    "one signal": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 40])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tile_holds_the_signals_whatever_their_layout(layout, kind, channels, count):
    x = LAYOUTS[layout](RNG.normal(size=(8, 50, channels)).astype(kind))
    tile = np.full(count * channels * 8 + 8, np.nan)
    rows = x.ctypes.data + x.strides[0] * np.arange(8)
    gather_all(tile, channels, rows, 2, x.strides[1:], count, kind(0))
    assert np.array_equal(tile[:-8].reshape(count, channels, 8), x[:, 2 : 2 + count].transpose(1, 2, 0))
    assert np.isnan(tile[-8:]).all()
    y = LAYOUTS[layout](np.full((8, 50, channels), -1, kind))
    if layout == "one signal":
        y = np.broadcast_to(np.full((1, 50, channels), -1, kind), x.shape)
    rows = y.ctypes.data + y.strides[0] * np.arange(8)
    scatter_all(tile, channels, rows, 2, y.strides[1:], count, kind(0))
    assert np.array_equal(y[:, 2 : 2 + count], x[:, 2 : 2 + count])
    assert (y[:, :2] == -1).all()
    assert (y[:, 2 + count :] == -1).all()
