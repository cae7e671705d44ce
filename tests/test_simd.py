"""The vector type, operation by operation, and tiles from every layout of memory."""

import numpy as np
import pytest
from numba import njit

from statespace.cpu import simd
from statespace.cpu.tiles import aligned, gather_all, scatter_all

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(3, 16))
KINDS = {np.float64: 8, np.float32: 16}
both = pytest.mark.parametrize(("kind", "lanes"), KINDS.items(), ids=["double", "single"])


@njit
def arithmetic(a, b, c, out):
    n = simd.lanes_of(a)
    x, y, z = simd.load(a, 0), simd.load(b, 0), simd.load(c, 0)
    simd.store(out, 0, simd.fma(x, y, z))
    simd.store(out, n, simd.mul(x, y))
    simd.store(out, 2 * n, simd.add(x, y))
    simd.store(out, 3 * n, simd.splat(a.dtype.type(2.5)))
    simd.store(out, 4 * n, simd.spread(a, 3))


@both
def test_arithmetic(kind, lanes):
    a, b, c = (v[:lanes].astype(kind) for v in (A, B, C))
    out = np.zeros((5, lanes), kind)
    arithmetic(a, b, c, out.reshape(-1))
    wide = a.astype(np.longdouble) * b + c  # 64 bits of a product of 106: nearly always rounded once
    assert np.abs(out[0] - wide.astype(kind)).max() <= np.spacing(np.abs(out[0])).max()
    assert np.array_equal(out[1:], [a * b, a + b, np.full(lanes, 2.5), np.full(lanes, a[3])])


@pytest.mark.parametrize(("kind", "bits"), [(np.float64, 30), (np.float32, 14)], ids=["double", "single"])
def test_fma_rounds_once(kind, bits):
    """(1 + ε)² − 1 − 2ε is ε², and 0 where the product is rounded by itself."""
    lanes, small = KINDS[kind], 2.0**-bits
    a, c, out = np.full(lanes, 1 + small, kind), np.full(lanes, -1 - 2 * small, kind), np.zeros(5 * lanes, kind)
    arithmetic(a, a, c, out)
    assert np.array_equal(out[:lanes], np.full(lanes, small**2))


@njit
def turned(a, out):
    n = simd.lanes_of(a)
    at = 0
    for column in simd.transposed(simd.load_rows(a, 0, n)):
        simd.store(out, at, column)
        at += n


@both
def test_transposed(kind, lanes):
    a, out = np.arange(lanes**2, dtype=kind), np.zeros(lanes**2, kind)
    turned(a, out)
    assert np.array_equal(out.reshape(lanes, lanes), a.reshape(lanes, lanes).T)


@njit
def copied(source, target, like, held, out):
    n, size = simd.lanes_of(held), simd.size_of(like)
    out[0] = size
    simd.prefetch(source, 0)
    simd.prefetch(target + 2**20, 1)  # need not be there
    simd.store_at(target, like, simd.load_at(source, like, held))
    simd.write_at(target + n * size, like, simd.read_at(source + n * size, like))


@pytest.mark.parametrize(
    ("kind", "held"), [(np.float32, np.float64), (np.float64, np.float64), (np.float32, np.float32)]
)
def test_memory_at_addresses(kind, held):
    """Singles are held as they are, or as doubles; doubles never as singles."""
    lanes = KINDS[held]
    a, b, size = RNG.normal(size=lanes + 2).astype(kind), np.zeros(lanes + 2, kind), np.zeros(1)
    copied(a.ctypes.data, b.ctypes.data, kind(0), np.zeros(lanes, held), size)
    assert np.array_equal(b[:-1], a[:-1])
    assert (b[-1], size[0]) == (0, kind(0).itemsize)


@pytest.mark.parametrize("wrong", [np.zeros((2, 8)), np.zeros(8, np.float32), np.zeros(8, int), np.zeros(16)[::2]])
def test_vectors_live_in_contiguous_numbers_of_one_type(wrong):
    from numba.core.errors import TypingError

    with pytest.raises(TypingError):
        arithmetic(wrong, B, C, np.zeros(40))
    with pytest.raises(TypingError):
        copied(A.ctypes.data, A.ctypes.data, 0.0, np.zeros(16, np.float32), np.zeros(1))


@both
def test_buffers_begin_with_a_line_of_the_cache(kind, lanes):
    buffer = aligned(24, np.zeros(1, kind))
    assert buffer.ctypes.data % 64 == 0
    assert buffer.dtype == kind
    assert np.array_equal(buffer, np.zeros(24))


# --------------------------------------------------------------- tiles

LAYOUTS = {
    "samples are neighbours": lambda x: np.ascontiguousarray(x),
    "backward in time": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "lanes are neighbours": lambda x: np.asfortranarray(x.swapaxes(0, 1).copy().swapaxes(0, 1)),
    "every third sample": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
    "one signal": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17, 40])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kind", "held"), [(np.float32, np.float64), (np.float64, np.float64), (np.float32, np.float32)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tile_holds_the_signals_whatever_their_layout(layout, kind, held, channels, count):
    lanes = KINDS[held]
    x = LAYOUTS[layout](RNG.normal(size=(lanes, 50, channels)).astype(kind))
    tile = np.full((count * channels + 1) * lanes, np.nan, held)
    rows = x.ctypes.data + x.strides[0] * np.arange(lanes)
    gather_all(tile, channels, rows, 2, x.strides[1:], count, kind(0))
    inside = tile[:-lanes].reshape(count, channels, lanes)
    assert np.array_equal(inside, x[:, 2 : 2 + count].transpose(1, 2, 0))
    assert np.isnan(tile[-lanes:]).all()
    y = LAYOUTS[layout](np.full((lanes, 50, channels), -1, kind))
    if layout == "one signal":
        y = np.broadcast_to(np.full((1, 50, channels), -1, kind), x.shape)
    rows = y.ctypes.data + y.strides[0] * np.arange(lanes)
    scatter_all(tile, channels, rows, 2, y.strides[1:], count, kind(0))
    assert np.array_equal(y[:, 2 : 2 + count], x[:, 2 : 2 + count])
    assert (y[:, :2] == -1).all()
    assert (y[:, 2 + count :] == -1).all()
