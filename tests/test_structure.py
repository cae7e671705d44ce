"""The linear algebra below: φ functions against 50 digits, matrix functions, balancing, zeros, resolvents."""

import numpy as np
import pytest

import statespace as ss
from statespace.arrays import phi1, phi1_minus_phi2, phi2
from statespace.structure.matrices import balancing, exponentials, invariant_zeros, norm1, solve

EPS = float(np.finfo(float).eps)


# --------------------------------------------------------------- φ1, φ2, φ1 − φ2 of numbers

REAL = np.r_[0.0, np.geomspace(1e-300, 1e-6, 12), np.linspace(0.01, 3, 60), np.nextafter(1.25, [0, 1, 2]),
             5.0, 20.0, 100.0, 700.0, 1e4, 1e8, 1e150]  # fmt: skip
ANGLES = np.exp(1j * np.linspace(0, 2 * np.pi, 24, endpoint=False))
GRIDS = {
    "negative": -REAL,
    "positive": REAL[REAL < 701],
    "imaginary": 1j * REAL[REAL < 1e5],
    "complex, left": (-1 + 0.3j) * REAL,
    "circle inside the series": (1.2499 * ANGLES),
    "circle outside the series": (1.2501 * ANGLES),
    "circle at 3": 3.0 * ANGLES,
    "near 2πj": 2j * np.pi + 1e-3 * ANGLES,
    "oscillating, damped": -1e-3 + 1j * np.linspace(0.1, 50, 60),
}


def references(mpmath):
    """The three functions with 50 digits; the series where the closed forms cancel."""

    def near(z):
        return abs(z) < 1e-3

    def taylor(weight):
        return lambda z: sum(weight(k) * z**k / mpmath.factorial(k + 2) for k in range(20))

    return {
        phi1: lambda z: 1 + z * taylor(lambda k: 1)(z) if near(z) else (mpmath.exp(z) - 1) / z,
        phi2: lambda z: taylor(lambda k: 1)(z) if near(z) else (mpmath.exp(z) - 1 - z) / z**2,
        phi1_minus_phi2: lambda z: taylor(lambda k: k + 1)(z) if near(z) else ((z - 1) * mpmath.exp(z) + 1) / z**2,
    }


@pytest.mark.peer
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("function", [phi1, phi2, phi1_minus_phi2], ids=lambda f: f.__name__)
def test_phi_against_fifty_digits(function, grid):
    mpmath = pytest.importorskip("mpmath")
    z = GRIDS[grid]
    with mpmath.workdps(50):
        wanted = np.array([complex(references(mpmath)[function](mpmath.mpmathify(complex(x)))) for x in z])
    got = function(z)
    # Relative, at every point. Six roundings at most: 1.5e-15; measured 5.8e-16.
    assert (np.abs(got - wanted) / np.abs(wanted)).max() < 1.5e-15
    assert got.dtype == z.dtype


def test_phi_at_zero_and_in_single_precision():
    for function, value in ((phi1, 1.0), (phi2, 0.5), (phi1_minus_phi2, 0.5)):
        assert function(np.array(0.0)) == value
        assert function(np.zeros((2, 0, 3))).shape == (2, 0, 3)
        np.testing.assert_allclose(function(np.array([-1e-9], np.float32)), value, rtol=1e-7)


# --------------------------------------------------------------- functions of matrices


def rotated(diagonal, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(diagonal),) * 2))[0]
    return q @ np.diag(diagonal) @ q.T


def companion(roots):
    c = np.poly(roots).real
    a = np.eye(len(roots), k=-1)
    a[0] = -c[1:]
    return a


SI = 2 * np.pi * 1e3 * np.exp(1j * np.pi * (2 * np.arange(8) + 9) / 16)  # Butterworth of order 8 at 1 kHz
MATRICES = {
    "zero": np.zeros((3, 3)),
    "one state": np.array([[-0.3]]),
    "double integrator": np.array([[0.0, 1.0], [0.0, 0.0]]),
    "Jordan block": -0.5 * np.eye(4) + np.eye(4, k=1),
    "singular": np.array([[-1.0, 1.0], [1.0, -1.0]]),
    "stiff, rotated": rotated([-3000.0, -1.0]),
    "very stiff, diagonal": np.diag([-1e8, -1.0]),
    "companion in SI units": companion(SI) / 8e3,
    "fast rotation": 1000.0 * np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "rotation in bad units": np.array([[0.0, 1e6], [-1e-6, 0.0]]),
    "complex": np.array([[-1 + 2j, 0.5], [0.3j, -2 - 1j]]),
    "growing": np.array([[2.0, 1.0], [0.0, 3.0]]),
    "random": np.random.default_rng(1).standard_normal((6, 6)),
    "triangular, graded": np.array([[-1.0, 1e8], [0.0, -2.0]]),
}


def exact(mpmath, z):
    """e^z, φ1, φ2 from one exponential of [[z, 1, 0], [0, 0, 1], [0, 0, 0]], and φ1 − φ2."""
    n = len(z)
    big = mpmath.zeros(3 * n)
    for i, j in np.ndindex(n, n):
        big[i, j] = mpmath.mpmathify(z[i, j].item())
    for i in range(2 * n):
        big[i, n + i] = mpmath.mpf(1)
    e = mpmath.expm(big, method="taylor")
    parts = [e[:n, k * n : (k + 1) * n] for k in range(3)]
    return [np.array(m.tolist(), complex) for m in (*parts, parts[1] - parts[2])]


@pytest.mark.peer
@pytest.mark.parametrize("name", MATRICES)
def test_matrix_functions_against_fifty_digits(name):
    mpmath = pytest.importorskip("mpmath")
    z = MATRICES[name]
    if name == "very stiff, diagonal":  # the numbers themselves
        wanted = [np.diag(f(np.diag(z))) for f in (np.exp, phi1, phi2, phi1_minus_phi2)]
    else:
        with mpmath.workdps(100):  # 50 more for the squarings of the reference
            wanted = exact(mpmath, z)
    scale = balancing(z)
    weigh = scale[None, :] / scale[:, None]  # errors are relative in balanced coordinates
    # eps·‖z‖ is inherent for a dense matrix; 18 terms and the doublings add as much: twice both, measured 0.8.
    bound = 2 * EPS * (1 + norm1(z * weigh))
    for got, reference in zip(exponentials(z), wanted, strict=True):
        error = np.abs((got - reference) * weigh).sum(0).max() / np.abs(reference * weigh).sum(0).max()
        assert error < bound, (error, bound)
        assert got.dtype == z.dtype


def test_integrators_and_jordan_blocks_are_exact():
    e, p1, p2, ramp = exponentials(np.array([[0.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(e, [[1, 1], [0, 1]])
    np.testing.assert_array_equal(p1, [[1, 0.5], [0, 1]])
    np.testing.assert_allclose(p2, [[0.5, 1 / 6], [0, 0.5]], rtol=EPS)
    np.testing.assert_allclose(ramp, [[0.5, 1 / 3], [0, 0.5]], rtol=EPS)


def test_a_batch_of_very_different_norms_is_a_loop():
    two = [m for m in MATRICES.values() if m.shape == (2, 2) and m.dtype == float] + [np.zeros((2, 2))]
    batch = np.stack(two)[:, None]
    for k, matrix in enumerate(two):
        for whole, one in zip(exponentials(batch), exponentials(matrix), strict=True):
            np.testing.assert_array_equal(whole[k, 0], one)
    for whole in exponentials(np.zeros((0, 2, 2))) + exponentials(np.zeros((3, 0, 0))):
        assert whole.size == 0


def test_large_negative_exponents_do_not_become_nan():
    for value in exponentials(np.diag([-1e300, -1e-300])):
        assert np.isfinite(value).all()


# --------------------------------------------------------------- balancing, solving

TO_BALANCE = {n: m for n, m in MATRICES.items() if n != "zero"} | {
    "wild": np.random.default_rng(2).standard_normal((5, 5)) * 10.0 ** np.arange(-20, 30, 2).reshape(5, 5),
    "batch": np.stack([companion(SI), companion(SI * 1e-3)]),
    "with a zero row": np.array([[1.0, 2.0], [0.0, 3.0]]),
}


@pytest.mark.parametrize("name", TO_BALANCE)
def test_balancing(name):
    a = TO_BALANCE[name]
    t = balancing(a)
    assert t.shape == a.shape[:-1]
    np.testing.assert_array_equal(np.frexp(t)[0], 0.5)  # powers of two
    b = a * (t[..., None, :] / t[..., :, None])
    np.testing.assert_array_equal(b * (t[..., :, None] / t[..., None, :]), a)  # no digit is changed
    before, off = (np.abs(m) * (1 - np.eye(a.shape[-1])) for m in (a, b))
    assert np.all(off.sum((-2, -1)) <= before.sum((-2, -1)) * (1 + EPS))
    columns, rows = off.sum(-2), off.sum(-1)
    ratio = np.where((columns > 0) & (rows > 0), np.maximum(columns, 1e-300) / np.maximum(rows, 1e-300), 1.0)
    assert np.all((ratio >= 0.45) & (ratio <= 2.2))  # a power of two can do no better than a factor √2 each


def test_balancing_gains_digits():
    with np.errstate(all="ignore"):
        roots = np.sort_complex(ss.Dense(companion(SI)).poles)
    np.testing.assert_allclose(roots, np.sort_complex(SI), rtol=1e-12)  # condition of the roots is about 1e3


def test_solve():
    a = MATRICES["companion in SI units"] - 2 * np.eye(8)
    x = np.random.default_rng(0).standard_normal((8, 2))
    residual = a @ solve(a, a @ x) - a @ x
    assert np.abs(residual).max() <= 1e-12 * (np.abs(a) @ np.abs(x)).max()  # backward stable
    assert solve(np.zeros((3, 0, 0)), np.zeros((0, 2))).shape == (3, 0, 2)
    with pytest.raises(np.linalg.LinAlgError):
        solve(np.zeros((2, 2)), np.eye(2))


# --------------------------------------------------------------- zeros


def pencil_rank_falls(a, b, c, d, s):
    """Smallest singular value of [[a − s, b], [c, d]] at s against that beside it."""

    def smallest(s):
        return np.linalg.svd(np.block([[a - s * np.eye(len(a)), b], [c, d]]), compute_uv=False)[-1]

    return smallest(s) < 1e-7 * smallest(s + 0.1 + 0.1j)


@pytest.mark.parametrize("seed", range(20))
def test_invariant_zeros_drop_the_rank_of_the_pencil(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 7), rng.integers(1, 3)
    a, b, c = rng.standard_normal((n, n)), rng.standard_normal((n, m)), rng.standard_normal((m, n))
    d = rng.standard_normal((m, m)) * (seed % 3 == 0)
    if seed % 3 == 2 and m == 2:
        d[0, 0] = 1.0
    found = invariant_zeros(a, b, c, d)
    assert all(pencil_rank_falls(a, b, c, d, s) for s in found)
    # A square system has n + rank-deficient feedthrough fewer: n − (m − rank d) for generic b, c.
    assert len(found) == n - (m - np.linalg.matrix_rank(d))


@pytest.mark.parametrize(("p", "m"), [(1, 3), (3, 1), (2, 3), (3, 2)])
def test_a_generic_system_that_is_not_square_has_no_zeros(p, m):
    rng = np.random.default_rng(p + 5 * m)
    parts = [rng.standard_normal(shape) for shape in ((5, 5), (5, m), (p, 5), (p, m))]
    assert invariant_zeros(*parts).size == 0
    assert invariant_zeros(*parts[:3], np.zeros((p, m))).size == 0


def test_zeros_do_not_depend_on_the_coordinates():
    rng = np.random.default_rng(3)
    a, b, c, d = ss.from_zpk([-2.0, -1 + 1j, -1 - 1j], [-3.0, -4.0, -5.0, -6.0, -7.0], 1.0)
    for power in (0, 4, 8):
        t = np.diag(10.0 ** np.linspace(0, power, 5)) @ (np.eye(5) + 0.1 * rng.standard_normal((5, 5)))
        i = np.linalg.inv(t)
        found = invariant_zeros(t @ a @ i, t @ b, c @ i, d)
        found = found[np.lexsort((found.imag, found.real.round(6)))]
        np.testing.assert_allclose(found, [-2, -1 - 1j, -1 + 1j], rtol=1e-10)  # roots of condition 1e3, balanced


def test_a_degenerate_system_has_no_finite_list_of_zeros():
    zero = invariant_zeros(-np.eye(2), np.zeros((2, 1)), np.ones((1, 2)), np.zeros((1, 1)))  # G = 0 for every s
    assert np.isfinite(zero).all()


# --------------------------------------------------------------- resolvents

S = np.array([0.3 + 1.1j, -0.7 + 0.2j, 2.0 - 0.5j, 1.4j, 30.0])
RESOLVENTS = {
    "dense": lambda: ss.ContinuousSystem(MATRICES["random"], np.ones((6, 2)), np.ones((1, 6))),
    "complex": lambda: ss.ContinuousSystem(MATRICES["complex"], np.eye(2), np.eye(2)),
    "SI units": lambda: ss.ContinuousSystem(MATRICES["companion in SI units"], np.eye(8, 1), np.ones((1, 8))),
    "diagonal": lambda: ss.ContinuousSystem(ss.Diagonal([-1.0, -2.0, 0.0]), np.ones((3, 2)), np.ones((1, 3))),
    "cascade, even": lambda: ss.from_zpk([-3.0], [-1 + 2j, -1 - 2j, -0.5, -0.6], 2.0),
    "cascade, odd": lambda: ss.from_zpk([3j, -3j], [-1 + 2j, -1 - 2j, -4.0], 2.0),
    "cascade, one state": lambda: ss.from_zpk([], [-4.0], 2.0),
    "cascade, complex": lambda: ss.from_zpk([], [-1 + 2j, -1.0, -3j - 1], 1.0),
    "cascade, integrators": lambda: ss.from_zpk([-1.0], [0.0, 0.0, 0.0], 1.0),
    "delay line": lambda: ss.from_ba([1.0, 2.0, 3.0, 4.0], [1.0], dt=1.0),
    "delay, one": lambda: ss.from_ba([1.0, 2.0], [1.0], dt=1.0),
}


@pytest.mark.parametrize("name", RESOLVENTS)
def test_resolvent_is_the_dense_inverse(name):
    system = RESOLVENTS[name]()
    a = np.asarray(system.A)
    assert a.shape == (system.A.state_size,) * 2
    for s in S:
        got = system.A.resolvent(np.asarray(s), system.B.astype(complex))
        wanted = np.linalg.solve(s * np.eye(len(a)) - a, system.B + 0j)
        assert got.shape == wanted.shape
        # eps times the condition of s − A in balanced coordinates, below 1e4 for these
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13 * np.abs(wanted).max())
    grid = system.A.resolvent(S.reshape(5, 1), system.B.astype(complex))
    assert grid.shape == (5, 1, *system.B.shape)


def test_resolvent_of_pairs_is_that_of_the_complex_modes():
    a, b = ss.Diagonal([-1 + 2j, -0.5 + 1j], pairs=True), np.array([[1.0 + 1j], [2.0]])
    np.testing.assert_allclose(a.resolvent(S, b)[..., 0], b[:, 0] / (S[:, None] - a.diagonal), rtol=4 * EPS)
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(np.asarray(a))), np.sort_complex(a.poles), rtol=1e-14)


def test_the_dense_matrix_of_each_structure_has_its_poles():
    for name in ("dense", "complex", "diagonal", "cascade, even", "cascade, odd", "cascade, complex"):
        system = RESOLVENTS[name]()
        found = np.linalg.eigvals(np.asarray(system.A))
        distance = np.abs(found[:, None] - system.A.poles).min(0)
        assert distance.max() < 1e-12, name  # well separated: condition below 1e3
