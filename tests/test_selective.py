"""The selective scan: against five lines of NumPy, against LTI systems, against itself in pieces."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace as ss
from statespace.selective import plan, reference, scan
from statespace.testing import strategies

METHODS = {
    "mamba": "mamba", "s4_zoh": "s4_zoh", "zoh": "zoh", "bilinear": "bilinear", "foh": "foh", "euler": "euler",
    "exp_trapezoidal": "exp_trapezoidal", "backward_euler": "backward_euler", "s4_bilinear": "s4_bilinear",
    "gbt": ss.GeneralizedBilinear(0.8), "exp_trapezoidal(0.2)": ss.ExponentialTrapezoidal(0.2),
}  # fmt: skip
PAIRED = ("zoh", "bilinear", "foh", "euler", "exp_trapezoidal", "gbt", "exp_trapezoidal(0.2)")
EPS = {np.float32: float(np.finfo(np.float32).eps), np.float64: float(np.finfo(np.float64).eps)}
# real or complex: A with B and C, and u with D; then pairs
KINDS = {
    "real": (False, False, False), "complex A": (True, False, False), "pairs": (True, False, True),
    "complex u": (False, True, False), "all complex": (True, True, False),
}  # fmt: skip


def drawn(rng, shape, is_complex=False):
    """Normal numbers."""
    return rng.normal(size=shape) + (1j * rng.normal(size=shape) if is_complex else 0)


def case(seed, length, d, n, groups=1, kind="real", dtype=np.float64):
    """u, delta, A, B, C, D; B and C with groups."""
    rng, (of_a, of_u, pairs) = np.random.default_rng(seed), KINDS[kind]
    a = -np.exp(rng.normal(size=(d, n))) + (5j * rng.normal(size=(d, n)) if of_a else 0)
    arrays = (
        drawn(rng, (length, d), of_u), np.exp(rng.normal(size=(length, d)) - 2), a,
        drawn(rng, (length, groups, n), of_a), drawn(rng, (length, groups, n), of_a), drawn(rng, d, of_u and not pairs),
    )  # fmt: skip
    return [array.astype(np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype) for array in arrays]


def expected(u, delta, A, B, C, D, pairs=False, **how):
    """What the reference answers in double precision, for B and C with groups."""
    u, delta, A, B, C, D = (a.astype(complex if a.dtype.kind == "c" else float) for a in (u, delta, A, B, C, D))
    each = A.shape[0] // B.shape[-2]
    B, C = (np.broadcast_to(np.repeat(m, each, -2), (len(u), *A.shape)) for m in (B, C))
    y, x, v = reference(u, delta, A, B, C, 0 * D, **how)
    return (2 * y.real if pairs else y) + D * u, x, v


def near(got, want, eps, terms=16):
    """Equal to roundings of the largest."""
    np.testing.assert_allclose(got, want, rtol=0, atol=terms * eps * max(np.abs(want).max(initial=0), 1e-300))


# --------------------------------------------------------------- against the reference


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_scan_is_the_reference(method, kind, dtype):
    """Measured: at most 3 roundings of the largest in these runs; longer ones have a test of their own."""
    for seed, (length, d, n, groups) in enumerate([(300, 5, 3, 1), (130, 20, 4, 2), (7, 12, 2, 12), (1, 1, 1, 1)]):
        arrays, pairs = case(seed, length, d, n, groups, kind, dtype), KINDS[kind][2]
        reset = np.random.default_rng(seed).random(length) < 0.02
        y, state = ss.selective_scan(
            *arrays, groups=groups, pairs=pairs, method=METHODS[method], reset=reset, return_state=True
        )
        want, x, v = expected(*arrays, pairs=pairs, method=METHODS[method], reset=reset)
        assert y.dtype == np.result_type(dtype, np.complex64 if kind in KINDS and want.dtype.kind == "c" else dtype)
        near(y, want, EPS[dtype])
        near(state.x if method in PAIRED else state, x, EPS[dtype])
        if method in PAIRED:
            near(state.v, v, EPS[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["mamba", "foh"])
def test_few_channels_have_their_states_side_by_side(method, kind, dtype, monkeypatch):
    """Up to a quarter of a vector: as among others, but for the order of Σ C x."""
    for seed, (length, d, n) in enumerate([(300, 1, 16), (130, 2, 32), (5, 2, 16)]):
        arrays, pairs = case(seed, length, d, n, 1, kind, dtype), KINDS[kind][2]
        reset = np.random.default_rng(seed).random(length) < 0.02
        how = {"groups": 1, "pairs": pairs, "method": METHODS[method], "reset": reset, "return_state": True}
        beside, state = ss.selective_scan(*arrays, **how)
        (y, _), pullback = ss.selective_scan_vjp(*arrays, **how)
        with monkeypatch.context() as patch:
            patch.setattr(scan, "as_lanes", lambda *args: plan.as_lanes(*args, own=False))
            (alone, expected_state), other = ss.selective_scan_vjp(*arrays, **how)
        assert np.array_equal(y, beside)
        assert not np.array_equal(beside, alone)
        near(beside, alone, EPS[dtype])
        assert np.array_equal(state, expected_state)  # a state is its own
        for got, want in zip(pullback(y), other(y), strict=True):
            assert np.array_equal(got, want)


def test_d_is_added_once_where_states_lie_side_by_side():
    u, one = np.full((3, 1), 2.0), np.ones((3, 16))
    y = ss.selective_scan(u, np.ones((3, 1)), -np.ones((1, 16)), one, 0 * one, [5.0])
    np.testing.assert_array_equal(y, 5 * u)


@given(strategies.selective_inputs(groups=1), st.sampled_from(sorted(METHODS)))
def test_drawn_scans_are_the_reference(inputs, method):
    """Poles over twelve decades, integrators, stiff and tiny steps, holds: 8 roundings for each step, and for each
    size that cancels."""
    rule = METHODS[method]
    with np.errstate(all="ignore"):
        want, _, _ = expected(*inputs, method=rule)
        size, _, _ = expected(*map(np.abs, inputs[:2]), inputs.A, *map(np.abs, inputs[3:]), method=rule)
    got = ss.selective_scan(*inputs, groups=1, method=rule)
    bound = 8 * len(inputs.u) * EPS[np.float64] * np.abs(np.nan_to_num(size)).max(initial=0) + 1e-290
    grows = method == "euler"  # leaves the unit circle, and roundings with it
    if np.isfinite(want).all() and not grows:
        np.testing.assert_allclose(got, want, rtol=0, atol=bound)


def test_first_samples_by_hand():
    """a = −1, Δ = ½ then 1, u = 1, 2 and B = C = 1."""
    u, delta, one = np.array([[1.0], [2.0]]), np.array([[0.5], [1.0]]), np.ones((1, 1))
    e = np.exp(-1.0)
    by_hand = {
        "mamba": (0.5, e * 0.5 + 2),
        "s4_zoh": (1 - np.exp(-0.5), e * (1 - np.exp(-0.5)) + 2 * (1 - e)),
        "zoh": (0.0, 1 - e),
        "euler": (0.0, 1.0),
        "backward_euler": (0.5 / 1.5, (0.5 / 1.5 + 2) / 2),
        "bilinear": (0.25 / 1.25, (0.5 * 0.2 + 0.5 * 1 + 0.5 * 2) / 1.5),
        "exp_trapezoidal": (0.25, e * 0.25 + 0.5 * e + 1),
        "foh": (2 * (np.exp(-0.5) - 0.5), e * 2 * (np.exp(-0.5) - 0.5) + (1 - 2 * e) + 2 * e),
    }
    for method, want in by_hand.items():
        np.testing.assert_allclose(ss.selective_scan(u, delta, -one, one, one, method=method)[:, 0], want, rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_what_surrounds_the_scan(kind):
    """Bias and softplus of Δ, and the gate."""
    u, delta, *rest = case(5, 200, 6, 2, kind=kind)
    rng = np.random.default_rng(0)
    raw, bias, z = 4 * rng.normal(size=delta.shape), rng.normal(size=6), 3 * rng.normal(size=delta.shape)
    raw[3] = -60.0, -5.0, 0.0, 5.0, 60.0, 700.0
    how = {"groups": 1, "pairs": KINDS[kind][2]}
    y = ss.selective_scan(u, raw, *rest, z=z, delta_bias=bias, delta_softplus=True, **how)
    plain = ss.selective_scan(u, np.logaddexp(0, raw + bias), *rest, **how)
    near(y, plain * z / (1 + np.exp(-z)), EPS[np.float64])
    near(ss.selective_scan(u, delta, *rest, delta_bias=np.ones(6), **how),
         ss.selective_scan(u, delta + 1, *rest, **how), EPS[np.float64])  # fmt: skip


def test_layouts_of_memory_make_no_difference():
    """The bits of a copy in order: exchanged axes, backward in time, gaps, repeats of one row, one channel of many."""
    u, delta, a, b, c, d = case(1, 150, 18, 3)
    b, c = b[:, 0], c[:, 0]
    want = ss.selective_scan(u, delta, a, b, c, d)

    def same(*arrays):
        np.testing.assert_array_equal(ss.selective_scan(*arrays), want)

    same(np.ascontiguousarray(u.T).T, np.ascontiguousarray(delta.T).T, a, np.asfortranarray(b), c, d)
    same(u[::-1].copy()[::-1], np.repeat(delta, 3, axis=1)[:, ::3], a, b[::-1].copy()[::-1], c, d)
    wide = np.zeros((150, 40))
    wide[:, 2:38:2] = u
    same(wide[:, 2:38:2], delta, a, np.broadcast_to(b, (1, 150, 3))[0], c, d)
    for array in (u, delta, a, b, c, d):
        array.setflags(write=False)
    same(u, delta, a, b, c, d)
    np.testing.assert_array_equal(ss.selective_scan(u[:, 4:5], delta[:, 4:5], a[4:5], b, c, d[4:5]), want[:, 4:5])


def test_batch_axes_broadcast():
    u, delta, a, b, c, d = case(2, 40, 3, 2)
    b, c = b[:, 0], c[:, 0]
    many = np.stack([u, 2 * u])[:, None]
    y, x = ss.selective_scan(many, delta, a, np.stack([b, -b, 3 * b]), c[:1], d, return_state=True)
    assert y.shape == (2, 3, 40, 3)
    assert x.shape == (2, 3, 3, 2)
    for i, j in np.ndindex(2, 3):
        one, last = ss.selective_scan(many[i, 0], delta, a, (b, -b, 3 * b)[j], c[:1], d, return_state=True)
        np.testing.assert_array_equal(y[i, j], one)
        np.testing.assert_array_equal(x[i, j], last)


def test_groups_are_channels_that_share():
    u, delta, a, b, c, d = case(3, 50, 12, 2, groups=4)
    want = [
        ss.selective_scan(u[:, k], delta[:, k], a[k], b[:, i], c[:, i], d[k])
        for i, k in enumerate(np.split(np.arange(12), 4))
    ]
    np.testing.assert_array_equal(ss.selective_scan(u, delta, a, b, c, d, groups=4), np.concatenate(want, axis=1))


@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2), (4, 3, 0), (0, 1, 16), (4, 1, 0), (0, 2, 8)])
def test_nothing_is_a_size_too(shape):
    length, d, n = shape
    u, a, b = np.ones((length, d)), -np.ones((d, n)), np.ones((1, n))
    y, x = ss.selective_scan(u, u, a, b, b, np.full(d, 2.0), x0=np.ones((d, n)), return_state=True)
    assert y.shape == (length, d)
    assert x.shape == (d, n)
    if n == 0:
        np.testing.assert_array_equal(y, 2 * u)
    if length == 0:
        np.testing.assert_array_equal(x, np.ones((d, n)))
    for groups, method in itertools.product({1, d} - {0}, ("mamba", "zoh")):
        levels = np.ones((1, groups, n))
        y, pullback = ss.selective_scan_vjp(u, u, a, levels, levels, groups=groups, method=method)
        assert pullback(y).A.shape == (d, n)


def test_a_batch_of_none_has_gradients():
    u = np.ones((0, 5, 1))
    y, pullback = ss.selective_scan_vjp(u, u, -np.ones((1, 16)), np.ones((1, 16)), np.ones((1, 16)))
    np.testing.assert_array_equal(pullback(y).A, np.zeros((1, 16)))


# --------------------------------------------------------------- laws


@pytest.mark.parametrize("method", METHODS)
def test_any_split_gives_the_same_bits(method):
    u, delta, a, b, c, d = case(4, 300, 11, 3, kind="complex A")
    rest, how = (a,), {"groups": 1, "method": METHODS[method], "return_state": True}
    want, last = ss.selective_scan(u, delta, *rest, b, c, d, **how)
    for cuts in ([0, 1, 1, 130, 300], [0, 299, 300], range(0, 301, 25)):
        state, parts = None, []
        for i, j in itertools.pairwise(cuts):
            y, state = ss.selective_scan(u[i:j], delta[i:j], *rest, b[i:j], c[i:j], d, x0=state, **how)
            parts.append(y)
        np.testing.assert_array_equal(np.concatenate(parts), want)
        np.testing.assert_array_equal(state, last)


@pytest.mark.parametrize("method", METHODS)
def test_steps_are_the_scan(method):
    u, delta, a, b, c, d = case(6, 20, 5, 3)
    z, how = u[::-1], {"method": METHODS[method], "delta_softplus": True, "delta_bias": d}
    want = ss.selective_scan(u, delta, a, b[:, 0], c[:, 0], d, z=z, **how)
    state = None
    for k in range(20):
        y, state = ss.selective_step(state, u[k], delta[k], a, b[k, 0], c[k, 0], d, z=z[k], **how)
        np.testing.assert_array_equal(y, want[k])
    y, _ = ss.selective_step(None, u[0], delta[0], a, b[0], c[0], d, z=z[0], groups=1, **how)
    np.testing.assert_array_equal(y, want[0])


@given(strategies.selective_inputs(constant=True, groups=1), st.sampled_from(sorted(METHODS)))
def test_constant_is_lti(inputs, method):
    """Constant Δ, B and C: a batch of discrete systems from w_0 = 0, here run by `filter`."""
    u, delta, a, b, c, direct = inputs
    if not len(u):
        return
    rule = METHODS[method]
    with np.errstate(all="ignore"):
        steps = [
            ss.discretize(
                ss.ContinuousSystem(
                    ss.Diagonal(a[k]), b[0, 0][:, None], c[0, 0][None], [[direct[k]]]
                ), float(delta[0, k]), rule,
            )
            for k in range(u.shape[1])
        ]  # fmt: skip
        want = np.stack([ss.filter(s, u[:, k]) for k, s in enumerate(steps)], axis=1)
        size = (
            np.abs(b).max() * np.abs(c).max() * a.shape[1] * np.abs(delta).max() * np.abs(u).sum(axis=0).max(initial=0)
        )
    got = ss.selective_scan(u, delta, a, b, c, direct, groups=1, method=rule)
    if method != "euler" and np.isfinite(want).all():
        bound = 16 * EPS[np.float64] * len(u) * (size + np.abs(want).max(initial=0)) + 1e-290
        np.testing.assert_allclose(got, want, rtol=0, atol=bound)


def test_a_step_of_zero_holds():
    u, delta, a, b, c, _ = case(7, 30, 4, 2)
    for method in METHODS.values():
        _, state = ss.selective_scan(u, delta, a, b, c, groups=1, method=method, return_state=True)
        _, held = ss.selective_scan(u, 0 * delta, a, b, c, groups=1, x0=state, method=method, return_state=True)
        x, y = (s.x if isinstance(s, tuple) else s for s in (state, held))
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("method", METHODS)
def test_reset_begins_anew(method):
    u, delta, a, b, c, d = case(8, 400, 5, 2)
    how = {"groups": 1, "method": METHODS[method]}
    starts = [0, 1, 2, 127, 128, 300]
    reset = np.isin(np.arange(400), starts)
    x0 = np.ones((5, 2))
    y = ss.selective_scan(u, delta, a, b, c, d, reset=reset, x0=(x0, x0) if method in PAIRED else x0, **how)
    for i, j in zip(starts, [*starts[1:], 400], strict=True):
        np.testing.assert_array_equal(y[i:j], ss.selective_scan(u[i:j], delta[i:j], a, b[i:j], c[i:j], d, **how))


@pytest.mark.parametrize("method", METHODS)
def test_nan_goes_forward_only_and_in_its_channel(method):
    u, delta, a, b, c, d = case(9, 60, 4, 2)
    how = {"groups": 1, "method": METHODS[method], "reset": np.arange(60) == 50}
    want = ss.selective_scan(u, delta, a, b, c, d, **how)
    u[20, 1] = np.nan
    y = ss.selective_scan(u, delta, a, b, c, d, **how)
    gone = np.isnan(y)
    assert gone[21:50, 1].all()
    assert not gone[:20].any()
    assert not gone[50:].any()
    np.testing.assert_array_equal(y[~gone], want[~gone])


def test_bits_do_not_depend_on_threads(monkeypatch):
    u, delta, a, b, c, d = case(10, 500, 70, 4, dtype=np.float32)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("STATESPACE_THREADS", threads)
        y, pullback = ss.selective_scan_vjp(u, delta, a, b, c, d, groups=1)
        found.append((y, *(g for g in pullback(u) if g is not None)))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("turn", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("decay", [0.0, 1e-6, 1e-4, 1e-2])
def test_long_memories_stay_accurate(decay, turn, dtype):
    """|α| in [0.99, 1] over 100,003 samples, against extended precision: c·eps·min(L, 1/(1 − |α|)) with c = 4.

    Never asked below 1e-13 and 1e-6. Constant input, so that roundings of one sign add up.
    """
    length = 100_003
    rng = np.random.default_rng(0)
    delta = (1 + 0.5 * rng.random((length, 1))).astype(dtype)
    a = np.array([[-decay + 1j * turn]]) if turn else np.array([[-decay]])
    a = a.astype(np.result_type(dtype, np.complex64) if turn else dtype)
    u, one = np.ones((length, 1), dtype), np.ones((1, 1), dtype)
    wide = np.clongdouble if turn else np.longdouble
    alpha = np.exp(delta.astype(np.longdouble)[:, 0] * a.astype(wide)[0, 0])
    x, want = wide(0), np.empty(length, wide)
    for k in range(length):
        x = alpha[k] * x + delta[k, 0].astype(np.longdouble)
        want[k] = x
    y = ss.selective_scan(u, delta, a, one, one)[:, 0]
    eps, least = EPS[dtype], 1e-13 if dtype == np.float64 else 1e-6
    far = 1 - float(np.abs(alpha).max())
    bar = max(4 * eps * min(length, 1 / far if far > 0 else length), least)
    assert float(np.abs(y - want).max() / np.abs(want).max()) <= bar


def test_single_states_lose_what_double_keeps():
    """A constant summed over 200,000 steps by Δ|A| = 1e-8: x stalls in rounding where eps·x is a step and more."""
    length = 200_000
    u, one = np.ones((length, 1)), np.ones((1, 1))
    exact = -np.expm1(-1e-8 * np.arange(1, length + 1)) * 1e8
    errors = [
        np.max(np.abs(ss.selective_scan(u.astype(t), 1e-8 * u.astype(t), -one, 1e8 * one, one)[:, 0] / exact - 1))
        for t in (np.float64, np.float32)
    ]
    assert errors[0] < 1e-8  # Mamba's ΔB itself is 5e-9 off
    assert 1e-4 < errors[1] < 2e-3


def test_a_state_that_fades_away_is_gone():
    """Subnormal numbers count as 0: a state would stay at the smallest of them, at a hundred times the cost."""
    for dtype in (np.float32, np.float64):
        one = np.ones((1, 1), dtype)
        for length in (4_000, 40_000):
            u = np.zeros((length, 1), dtype)
            u[0] = 1
            _, x = ss.selective_scan(u, np.full((length, 1), 0.3, dtype), -one, one, one, return_state=True)
            assert x == 0 or abs(x) >= np.finfo(dtype).smallest_normal


@pytest.mark.parametrize(("dtype", "angle"), [(np.float32, 1e8), (np.float32, 1e13), (np.float64, 1e17)])
def test_a_step_of_many_turns_is_still_a_rotation(dtype, angle):
    """How far it turns is known to a rounding of the angle only, how long it is stays 1."""
    one = np.ones((1, 1), dtype)
    steps = np.linspace(1, 2, 300, dtype=dtype)[:, None]
    x = np.ones((1, 1), np.result_type(dtype, np.complex64))
    y = ss.selective_scan(0 * steps, steps, [[1j * angle]], one, one, x0=x)
    np.testing.assert_allclose(np.abs(y), 1, atol=1e-4 if dtype == np.float32 else 1e-12)


def test_infinity_stays_infinity_without_feedthrough():
    one = np.ones((1, 1))
    assert ss.selective_scan([[np.inf]], 0.1 * one, -one, one, one) == np.inf


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gate_that_is_shut_lets_nothing_through(dtype):
    """z σ(z) of what is used to mask: σ is held at the smallest normal number, and z with it."""
    one, tiny = np.ones((1, 1), dtype), float(np.finfo(dtype).tiny)
    for z in (-100.0 if dtype == np.float32 else -800.0, float(np.finfo(dtype).min), -np.inf):
        y, pullback = ss.selective_scan_vjp(one, one, -one, one, one, z=np.full((1, 1), z, dtype))
        assert abs(y[0, 0]) < 1000 * tiny
        assert abs(pullback(one).z[0, 0]) < 1000 * tiny
    assert np.isnan(ss.selective_scan(one, one, -one, one, one, z=one * np.nan)).all()
