"""The pullback of the selective scan: against difference quotients, PyTorch's autograd and the scan itself."""

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from test_selective import KINDS, METHODS, PAIRED, case, drawn

import statespace as ss
from statespace.testing import assert_gradient


def packed(y, state):
    parts = [y, *(state if isinstance(state, tuple) else (state,))]
    return np.concatenate([np.ravel(p) for p in parts])


def gradient_case(seed, method, kind, length, d, n, groups, full):
    """Arguments of a scan, and the function and its pullback, of y and the last state together."""
    of_a, of_u, pairs = KINDS[kind]
    u, delta, a, b, c, direct = case(seed, length, d, n, groups, kind)
    if of_a:
        a = a.real * 1e-2 + 1j * a.imag  # |α| above 0.99
    rng, paired, whole = np.random.default_rng(seed + 100), method in PAIRED, of_a or of_u
    delta = rng.normal(size=(2, *delta.shape)) if full else np.stack([delta, 2 * delta])
    x0, v0 = drawn(rng, (2, d, n), whole), drawn(rng, (d, n), whole) if paired else None
    z, bias = (rng.normal(size=(2, length, d)), rng.normal(size=d)) if full else (None, None)
    how = {
        "groups": groups, "pairs": pairs, "method": METHODS[method], "delta_softplus": full, "return_state": True,
        "reset": rng.random((2, length)) < 0.05 if full else None,
    }  # fmt: skip

    def start(x, v):
        return (x, v) if paired else x

    def function(*args):
        *arrays, z, bias, x, v = args
        return packed(*ss.selective_scan(*arrays, z=z, delta_bias=bias, x0=start(x, v), **how))

    def vjp(*args):
        *arrays, z, bias, x, v = args
        (y, state), pullback = ss.selective_scan_vjp(*arrays, z=z, delta_bias=bias, x0=start(x, v), **how)

        def pull(w):
            each = np.split(w, np.cumsum([y.size, 2 * d * n])[: 2 if paired else 1])
            grad_y = each[0].reshape(y.shape)
            rest = [part.reshape(2, d, n) if whole else part.reshape(2, d, n).real for part in each[1:]]
            found = pullback(grad_y.real if pairs else grad_y, tuple(rest) if paired else rest[0])
            return (*found[:8], *(found.x0 if paired else (found.x0, None)))

        return packed(y, state), pull

    return function, vjp, (u, delta, a, b, c[:1] if full else c, direct, z, bias, x0, v0)


@pytest.mark.filterwarnings("ignore:A has:RuntimeWarning")  # where the quotient steps beyond the axis
@pytest.mark.parametrize(
    ("method", "kind", "full"),
    [
        *((method, kind, False) for method in METHODS for kind in KINDS),
        *((method, kind, True) for method, kind in zip(METHODS, itertools.cycle(KINDS), strict=False)),
        *(("mamba", kind, True) for kind in KINDS),
    ],
)
def test_gradients_are_those_of_the_scan(method, kind, full):
    """By the adjoint dot-product test; full has two tiles, resets, gate, softplus, and a constant C."""
    sizes = (140, 10, 3, 2) if full else (30, 3, 2, 1)
    function, vjp, args = gradient_case(1, method, kind, *sizes, full)
    assert_gradient(function, vjp, *args)


def test_gradients_against_differences():
    """A loss that weights time unevenly, |α| in [0.99, 1): 1e-9 of the largest, by extrapolated differences."""
    length, d, n = 200, 3, 2
    rng = np.random.default_rng(3)
    u, b, c = rng.normal(size=(length, d)), rng.normal(size=(length, n)), rng.normal(size=(length, n))
    delta, a = 1e-3 * (1 + rng.random((length, d))), -rng.uniform(0.1, 5, (d, n))
    weight = np.linspace(0.1, 3, length)[:, None] ** 2 * rng.normal(size=(length, d))
    args = [u, delta, a, b, c]
    _, pullback = ss.selective_scan_vjp(*args)
    for i, grad in enumerate(pullback(weight)[:5]):
        v = args[i] * rng.uniform(0.5, 1, args[i].shape)

        def loss(h, i=i, v=v):
            moved = [array + h * v if k == i else array for k, array in enumerate(args)]
            return float(np.sum(weight * ss.selective_scan(*moved)))

        rough, fine = ((loss(h) - loss(-h)) / (2 * h) for h in (2e-2, 1e-2))
        rougher = (loss(4e-2) - loss(-4e-2)) / 8e-2
        slope = (64 * fine - 20 * rough + rougher) / 45  # the errors in h² and h⁴ removed
        assert abs(slope - np.sum(grad * v)) <= 1e-9 * np.sum(np.abs(grad * v))


@pytest.mark.parametrize("is_complex", [False, True])
def test_gradients_against_pytorch(is_complex):
    """Autograd of the plain loop of the Mamba paper."""
    torch = pytest.importorskip("torch")
    u, _, a, b, c, d = case(2, 60, 5, 3, kind="pairs" if is_complex else "real")
    b, c, rng = b[:, 0], c[:, 0], np.random.default_rng(0)
    z, bias, weight = (rng.normal(size=s) for s in ((60, 5), 5, (60, 5)))
    raw = rng.normal(size=(60, 5))
    args = [u, raw, a, b, c, d, z, bias]
    t = [torch.tensor(x, requires_grad=True) for x in args]
    step, x, y = torch.nn.functional.softplus(t[1] + t[7]), 0, []
    for k in range(60):
        x = torch.exp(step[k][:, None] * t[2]) * x + step[k][:, None] * t[3][k] * t[0][k][:, None]
        out = (t[4][k] * x).sum(-1)
        y.append((2 * out.real if is_complex else out) + t[5] * t[0][k])
    (torch.stack(y) * torch.nn.functional.silu(t[6]) * torch.tensor(weight)).sum().backward()
    _, pullback = ss.selective_scan_vjp(
        u, raw, a, b, c, d, z=z, delta_bias=bias, delta_softplus=True, pairs=is_complex
    )  # fmt: skip
    for own, other in zip(pullback(weight)[:8], t, strict=True):
        np.testing.assert_allclose(own, other.grad.numpy(), rtol=0, atol=1e-9 * np.abs(own).max())


def test_sums_over_time_are_double():
    """Gradients in single precision of what is constant: 1e-6 over 200,000 samples of one sign."""
    length = 200_000
    u, delta = np.full((length, 1), 1.1, np.float32), np.full((length, 1), 0.5, np.float32)
    one = np.ones((1, 1))
    found = [
        ss.selective_scan_vjp(u.astype(t), delta.astype(t), -one, one, one, [1.0], delta_bias=[0.0])[1](np.ones_like(u))
        for t in (np.float32, np.float64)
    ]
    for name in ("A", "B", "C", "D", "delta_bias"):
        single, double = (getattr(g, name) for g in found)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=2e-6)


def test_a_pullback_can_be_called_again():
    u, delta, a, b, c, d = case(3, 100, 4, 2)
    _, pullback = ss.selective_scan_vjp(u, delta, a, b, c, d, groups=1)
    first, second = pullback(u), pullback(u)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(pullback(2 * u).A, 2 * first.A)


def test_gradients_take_a_tenth_of_the_inputs():
    """Peak of a process of its own: y, the gradients, and no more than a tenth of the inputs beside them."""
    code = """
        import resource, numpy as np, statespace as ss
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rng = np.random.default_rng(0)
        def run(length):
            d, n = 512, 16
            u = rng.standard_normal((length, d), dtype="f")  # no copy in double, whose peak would hide others
            delta, a = np.full((length, d), 0.01, "f"), -np.ones((d, n), "f")
            b, c = (rng.standard_normal((length, n), dtype="f") for _ in range(2))
            before = peak()
            y, pullback = ss.selective_scan_vjp(u, delta, a, b, c)
            grads = pullback(y)
            inputs = sum(x.nbytes for x in (u, delta, a, b, c))
            gradients = sum(x.nbytes for x in grads if x is not None)
            return (peak() - before - y.nbytes - gradients) / inputs
        run(300)
        print(run(40_000))
    """
    env = os.environ | {"STATESPACE_THREADS": "2"}
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=env, check=False
    )
    assert out.returncode == 0, out.stderr
    assert float(out.stdout) <= 0.1
