"""The kernels of LTI systems against their twins in statespace.cpu: the same inputs through both."""

import numpy as np
import pytest

from gallery import relative
from statespace import cpu
from statespace.gpu.affine import affine_steps
from statespace.gpu.cascade import cascade_steps, delay_steps
from statespace.gpu.dense import carry, complex_dense_steps, dense_steps, low_rank_steps, tiled
from statespace.gpu.diagonal import Ends, blocks_of_time, diagonal_steps, in_blocks, pair_steps, shared_out
from statespace.gpu.signals import empty_in_order_of, placed
from statespace.simulation import device
from statespace.structure.matrices import blocks

KINDS = (np.float64, np.float32, np.complex128, np.complex64)


def draw(*shape, complex_=False, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if complex_ else x


def assert_same(got, wanted, tolerance):
    """Compare an array on the device with one on the host; types and shapes too."""
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    wide = np.result_type(wanted.dtype, np.float64)
    assert relative(got.get().astype(wide), wanted.astype(wide)) <= tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_affine_steps(cupy, kind):
    for rows, length, n in ((1, 1, 1), (5, 37, 3), (2, 0, 4), (0, 5, 2), (300, 9, 1)):
        which = np.arange(rows) % 2
        shapes, complex_ = ((2, length, n), (rows, length, n), (rows, n)), np.dtype(kind).kind == "c"
        a, b, x = (draw(*shape, complex_=complex_, seed=i).astype(kind) for i, shape in enumerate(shapes))
        wanted, there = np.empty_like(b), [cupy.asarray(v) for v in (a, b, x, np.empty_like(b))]
        cpu.affine_steps(a, b, which, x, wanted)
        affine_steps(there[0], there[1], which, there[2], there[3])
        assert_same(there[3], wanted, 20 * np.finfo(kind).eps)
        assert_same(there[2], x, 20 * np.finfo(kind).eps)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 100, 256, 300])
def test_diagonal_and_pair_steps(cupy, n):
    """Every number of modes, on lanes of a warp and beyond one; inputs and outputs of any number."""
    kinds = (1, 1, True, True), (2, 3, False, False), (1, 1, False, False), (1, 1, True, False)
    for m, p, complex_, pairs in kinds if n <= 8 else kinds[:2]:  # every set of macros is compiled
        which = np.array([0, 1, 0])
        a = 0.9 * np.exp(1j * draw(2, n)) if complex_ else 0.9 * np.cos(draw(2, n))
        b, c = draw(2, m, n, complex_=complex_, seed=1), draw(2, n, p, complex_=complex_, seed=2)
        d = draw(2, m, p, seed=3).astype(float if pairs else a.dtype)
        u = draw(3, 13, m, complex_=complex_ and not pairs, seed=4)
        x = draw(3, n, complex_=complex_, seed=5)
        y, states = np.empty((3, 13, p), u.dtype), np.empty((3, 4, n), a.dtype)
        there = [cupy.asarray(v) for v in (u, x, y, states)]
        (cpu.pair_steps if pairs else cpu.diagonal_steps)(a, b, c, d, which, u, x, y, states)
        (pair_steps if pairs else diagonal_steps)(a, b, c, d, which, *there)
        for got, wanted in zip(there[1:], (x, y, states), strict=True):
            assert_same(got, wanted, 1e-13)


def test_blocks_of_time_leave_the_same(cupy):
    """A few blocks, the last one short, with states kept at the end, of one input and of two."""
    for pairs, m in ((False, 1), (True, 1), (True, 2)):
        a = 0.99 * np.exp(0.3j * draw(1, 3)) if pairs else 0.99 * np.cos(0.1 * draw(1, 3))
        b, c = draw(1, m, 3, complex_=pairs, seed=1), draw(1, 3, 1, complex_=pairs, seed=2)
        u, x = draw(2, 70, m, seed=3), draw(2, 3, complex_=pairs, seed=4)
        y, states = np.empty((2, 70, 1)), np.empty((2, 20, 3), a.dtype)
        matrices, which = (a, b, c, np.ones((1, m, 1))), np.zeros(2, np.int64)
        there = [cupy.asarray(v) for v in (u, x, y, states)]
        (cpu.pair_steps if pairs else cpu.diagonal_steps)(*matrices, which, u, x, y, states)
        in_blocks(matrices, a**16, which, *there, Ends(5, 16), pairs=pairs)
        for got, wanted in zip(there[1:], (x, y, states), strict=True):
            assert_same(got, wanted, 1e-13)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 9, 40, 130])
def test_dense_and_low_rank_steps(cupy, n):
    """Rows of one block of threads and of several, states wider than a block."""
    for m, p, complex_ in ((1, 1, False), (3, 2, False), (2, 1, True)):
        which = np.array([1, 0, 0])
        a, b = 0.1 * draw(2, n, n, complex_=complex_), draw(2, n, m, complex_=complex_, seed=1)
        c, d = draw(2, p, n, complex_=complex_, seed=2), draw(2, p, m, complex_=complex_, seed=3)
        u, x = draw(3, 9, m, complex_=complex_, seed=4), draw(3, n, complex_=complex_, seed=5)
        y, states = np.empty((3, 9, p), u.dtype), np.empty((3, 4, n), u.dtype)
        there = [cupy.asarray(v) for v in (u, x, y, states)]
        mt = np.ascontiguousarray(blocks(a, b, c, d).swapaxes(-1, -2))
        if complex_:
            cpu.complex_dense_steps(mt, which, u, x, y, states)
            complex_dense_steps(mt, which, *there)
        else:
            cpu.dense_steps(cpu.tiled(a, b, c, d), which, u, x, y, states)
            dense_steps(tiled(a, b, c, d), which, *there)
        for got, wanted in zip(there[1:], (x, y, states), strict=True):
            assert_same(got, wanted, 1e-13)
        if n:
            low_rank(cupy, n, m, p, complex_)


def low_rank(cupy, n, m, p, complex_):
    which, kind = np.array([1, 0, 0]), complex if complex_ else float
    shapes = (2, n), (2, 2, n), (2, 2, n), (2, m, n), (2, n, p), (2, m, p)
    parts = [draw(*shape, complex_=complex_, seed=i) for i, shape in enumerate(shapes)]
    parts[0], parts[1] = 0.5 * parts[0], 0.1 / n * parts[1]
    u, x = draw(3, 9, m, complex_=complex_, seed=7), draw(3, n, complex_=complex_, seed=8)
    y, states = np.empty((3, 9, p), kind), np.empty((3, 4, n), kind)
    there = [cupy.asarray(v) for v in (u, x, y, states)]
    cpu.low_rank_steps(*parts, which, u, x, y, states)
    low_rank_steps(*parts, which, *there)
    for got, wanted in zip(there[1:], (x, y, states), strict=True):
        assert_same(got, wanted, 1e-13)


@pytest.mark.parametrize("complex_", [False, True])
def test_carry(cupy, complex_):
    for rows, count, n in ((1, 1, 1), (3, 7, 5), (2, 0, 2), (40, 3, 33)):
        which = np.arange(rows) % 2
        power, v = 0.1 * draw(2, n, n, complex_=complex_), draw(rows, count, n, complex_=complex_, seed=1)
        x = draw(rows, count + 1, n, complex_=complex_, seed=2)
        there = cupy.asarray(x)
        if complex_:  # that of the CPU is compiled for real ones
            for j in range(count):
                x[:, j + 1] = (x[:, j][:, None] @ power[which])[:, 0] + v[:, j]
        else:
            cpu.carry(power, which, v, x)
        carry(power, which, cupy.asarray(v), there)
        assert_same(there, x, 1e-13)


def test_groups_of_blocks(cupy):
    """States over 500 blocks in groups of 16 are those of one go."""
    power, which = 0.3 * draw(1, 4, 4), np.zeros(2, np.int64)
    v, x = draw(2, 500, 4, seed=1), draw(2, 4, seed=2)
    wanted = np.empty((2, 501, 4))
    wanted[:, 0] = x
    cpu.carry(power, which, v, wanted)
    got = device._carried(power, which, cupy.asarray(v), cupy.asarray(x))
    assert_same(got, wanted, 1e-13)


@pytest.mark.parametrize("complex_", [False, True])
def test_cascade_and_delay_steps(cupy, complex_):
    """Strips of samples, the last one short, and states that begin within one."""
    for sections, length, kept in ((1, 1, 1), (3, 16, 3), (2, 37, 20)):
        which = np.array([1, 0, 1])
        q, u = 0.4 * draw(2, sections, 8, complex_=complex_), draw(3, length, complex_=complex_, seed=1)
        x, y = draw(3, sections, 2, complex_=complex_, seed=2), np.empty((3, length), u.dtype)
        states = np.empty((3, kept, sections, 2), u.dtype)
        there = [cupy.asarray(value) for value in (u, x, y, states)]
        cpu.cascade_steps(q, which, u, x, y, states)
        cascade_steps(q, which, *there)
        for got, wanted in zip(there[1:], (x, y, states), strict=True):
            assert_same(got, wanted, 1e-13)
    taps, padded = draw(2, 6), draw(3, 5 + 40, complex_=complex_, seed=1)
    taps, y = taps.astype(padded.dtype), np.empty((3, 40), padded.dtype)
    there = cupy.asarray(y)
    cpu.delay_steps(taps, np.array([1, 0, 1]), padded, y)
    delay_steps(taps, np.array([1, 0, 1]), cupy.asarray(padded), there)
    assert_same(there, y, 1e-14)


def test_rules_of_the_launcher():
    """Fewest lanes that fill 132 multiprocessors; blocks of time for few rows."""
    assert shared_out(10**6, 64, 132) == (8, 8)  # all modes in registers
    assert shared_out(10**6, 4, 132) == (1, 4)
    assert shared_out(12_288, 16, 132) == (4, 4)
    assert shared_out(1, 16, 132) == (8, 2)
    assert shared_out(1, 1, 132) == (1, 1)
    assert shared_out(1, 0, 132) == (1, 1)
    assert shared_out(1, 256, 132) == (32, 8)
    assert blocks_of_time(1, 8, 1000, 132) == (1, 1000)
    assert blocks_of_time(1, 8, 1025, 132) == (5, 256)
    assert blocks_of_time(1, 8, 2**20, 132) == (2048, 512)
    assert blocks_of_time(5280, 8, 2**20, 132) == (1, 2**20)
    assert blocks_of_time(64, 16, 2**20, 132) == (256, 4096)


def test_rows_on_two_axes(cupy):
    """Axes that run on are one; three that do not are copied; what is written to keeps the order of what is read."""
    x = cupy.zeros((2, 3, 4, 5, 1))
    assert placed(x, x).steps == ((0, 5, 1, 1), (0, 5, 1, 1))
    turned = x.transpose(2, 1, 0, 3, 4)
    place = placed(turned, cupy.zeros(turned.shape))
    assert (place.inner, place.steps[0]) == (24, (0, 5, 1, 1))
    assert placed(x[0].transpose(1, 0, 2, 3), x[0].transpose(1, 0, 2, 3)).steps[0] == (5, 20, 1, 1)
    assert empty_in_order_of(x[0].transpose(1, 0, 2, 3), (4, 3, 5, 2), float).transpose(1, 0, 2, 3).flags.c_contiguous
