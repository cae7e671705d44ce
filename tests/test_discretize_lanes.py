"""e^z, softplus and α, β, γ on vectors, against their homes in double or extended precision, on one grid."""

import numpy as np
import pytest

from statespace.cpu.compile import compiled
from statespace.cpu.discretize import factors, load_vector
from statespace.cpu.functions import LOG2_E, exponential, logistic, softplus
from statespace.cpu.parts import get, like, put
from statespace.cpu.simd import lanes_of, load, mul, number, store
from statespace.discretization.names import METHODS
from statespace.rule_numbers import EXP_TRAPEZOIDAL, FOH, GBT, IMPULSE, S4_BILINEAR, S4_ZOH, ZOH

RULES = {
    IMPULSE: "mamba", S4_ZOH: "s4_zoh", ZOH: "zoh", FOH: "foh", EXP_TRAPEZOIDAL: "exp_trapezoidal", GBT: "bilinear",
    S4_BILINEAR: "s4_bilinear",
}  # fmt: skip


@compiled
def on_vectors(x, out):
    for i in range(0, x.shape[0], lanes_of(x)):
        v = load(x, i)
        s, f = exponential(mul(v, number(v, LOG2_E)))
        store(out[0], i, s)
        store(out[1], i, f)
        store(out[2], i, logistic(v))
        store(out[3], i, softplus(v))


@compiled
def on_grid(kind, dt, a, turns, out, parts):
    for k in range(dt.shape[0] // lanes_of(dt)):
        s, f, ahead, behind = factors(kind, 0.5, load_vector(dt, k), get(a, k, parts), turns, k)
        put(out, 4 * k, like((s,), parts))
        put(out, 4 * k + 1, f)
        put(out, 4 * k + 2, ahead)
        put(out, 4 * k + 3, behind)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_on_a_grid(dtype):
    """e^z to a rounding times 1 + |z|, which is what z is known to; measured 0.54, and 0.36 |z| of the others."""
    x = np.concatenate([-np.logspace(-8, 1.9, 1000), np.logspace(-8, 1.9, 1000), np.zeros(16)]).astype(dtype)
    out = np.zeros((4, len(x)), dtype)
    on_vectors(x, out)
    wide, eps = x.astype(np.longdouble), np.finfo(dtype).eps
    e, room = np.exp(wide), eps * (1 + np.abs(wide))
    assert np.all(np.abs(out[0].astype(np.longdouble) + out[1] - e) <= room * e)
    small = (np.abs(x) < 0.3) & (x != 0)
    left = out[0].astype(np.longdouble) - 1 + out[1]
    assert np.all(np.abs(left - np.expm1(wide))[small] <= 2 * eps * np.abs(np.expm1(wide))[small])
    assert np.all(out[0][x == 0] + out[1][x == 0] == 1)
    assert np.all(np.abs(out[2] * (1 + np.exp(-wide)) - 1) <= 2 * room)
    soft = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))
    assert np.all(np.abs(out[3] - soft) <= 2 * room * soft)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("kind", RULES, ids=RULES.values())
def test_rules_on_vectors_are_the_rules(kind, is_complex, dtype):
    """From |z| = 1e-9 to 1e3 and at 0: roundings times 1 + |z|, as z is known to one; e^z is held at the smallest."""
    width, rng = 64 // np.dtype(dtype).itemsize, np.random.default_rng(1)
    a = -np.concatenate([np.logspace(-9, 3, 300), np.zeros(20), rng.uniform(0, 3, 64 * width - 320)])
    a = a * np.exp(1j * rng.uniform(-np.pi / 2, np.pi / 2, a.size)) if is_complex else a
    a = a.astype(np.result_type(dtype, np.complex64) if is_complex else dtype)
    dt = rng.uniform(0.5, 2, a.size).astype(dtype)
    rows = a.reshape(-1, width)
    decay = (rows.real.astype(float) * np.log2(np.e)).astype(dtype)
    half = rows.imag.astype(np.longdouble) / np.longdouble("3.14159265358979323846264")
    high = half.astype(dtype)
    table = np.stack([rows.real, rows.imag], 1) if is_complex else rows[:, None]
    turns = np.stack([decay, high, (half - high).astype(dtype)], 1) if is_complex else decay
    parts = (0, 0) if is_complex else (0,)
    out = np.zeros(64 * 4 * len(parts) * width, dtype)
    on_grid(kind, dt, np.ascontiguousarray(table).ravel(), np.ascontiguousarray(turns).ravel(), out, parts)
    found = out.reshape(64, 4, len(parts), width).astype(float)
    found = found[:, :, 0] + 1j * found[:, :, 1] if is_complex else found[:, :, 0]
    s, f, ahead, behind = found.transpose(1, 0, 2).reshape(4, -1)
    step = dt.astype(float)
    want = METHODS[RULES[kind]].factors(a.astype(complex if is_complex else float), step)
    eps, z = np.finfo(dtype).eps, np.abs(a.astype(complex)) * step
    room = eps * (2 + np.abs(want.alpha) * z)
    assert np.all(np.abs(s + f - want.alpha) <= 2 * room)
    for got, exact in ((ahead, want.gamma / step), (behind, want.beta / step)):
        assert np.all(np.abs(got - exact) <= 8 * eps * np.abs(exact) * (1 + z) + np.finfo(dtype).tiny)
