"""Named systems that the laws are held against, and small helpers of the tests."""

import numpy as np

import statespace as ss

EXPONENTIAL = ("zoh", "s4_zoh", "foh", "impulse", "exp_trapezoidal")
RATIONAL = ("bilinear", "s4_bilinear", "euler", "backward_euler")
METHODS = {name: name for name in EXPONENTIAL + RATIONAL} | {"gbt(0.3)": ss.GeneralizedBilinear(0.3)}


def random_matrices(seed, n=4, m=2, p=3, batch=(), complex_=False):
    """Stable A of size about 1, with B, C, D; complex ones have no symmetry."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        x = rng.normal(size=(*batch, *shape))
        return x + 1j * rng.normal(size=(*batch, *shape)) if complex_ else x

    a = draw(n, n)
    margin = np.linalg.eigvals(a).real.max(axis=-1)[..., None, None] + 0.2
    return a - margin * np.eye(n), draw(n, m), draw(p, n), draw(p, m)


def systems():
    """Continuous systems of every structure and size."""
    rng = np.random.default_rng(1)
    poles = -0.5 + 1j * rng.uniform(1, 4, size=3)
    b, c = rng.normal(size=(3, 2)) + 1j, rng.normal(size=(2, 3)) - 0.5j
    return {
        "spring": ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]]),
        "dense": ss.ContinuousSystem(*random_matrices(2)),
        "complex": ss.ContinuousSystem(*random_matrices(3, complex_=True)),
        "batch": ss.ContinuousSystem(*random_matrices(4, n=3, m=1, p=1, batch=(2, 3))),
        "jordan": ss.ContinuousSystem([[-1, 1], [0, -1]], [[0], [1]], [[1, 0]], [[0.5]]),
        "integrators": ss.ContinuousSystem([[0, 1], [0, 0]], [[0], [1]], np.eye(2)),
        "diagonal": ss.ContinuousSystem(ss.Diagonal([-1.0, -2.0, 0.0]), np.ones((3, 1)), np.ones((1, 3))),
        "pairs": ss.ContinuousSystem(ss.Diagonal(poles, pairs=True), b, c, np.eye(2)),
        "cascade": ss.from_zpk([3j, -3j, -4], [-1 + 2j, -1 - 2j, -3, -0.5, -0.5], 2.0),
        "lowpass": ss.from_zpk([], [-1 + 2j, -1 - 2j, -3], 15.0),
        "complex cascade": ss.from_zpk([1j], [-1 + 2j, -0.5, -2j - 1.5], 1.0 + 1j),
        "static": ss.ContinuousSystem([], [], [], [[2.0, 1.0]]),
    }


def digital_systems():
    """Discrete systems of every structure: those above by zoh, and those that are discrete by themselves."""
    rng = np.random.default_rng(2)
    found = {name: ss.discretize(system, 0.1) for name, system in systems().items()}
    modes = -0.5 + 1j * np.arange(-2, 3)
    low, b, c = rng.normal(size=(5, 2)) + 1j * rng.normal(size=(5, 2)), np.ones((5, 1)), rng.normal(size=(2, 5))
    low_rank = ss.ContinuousSystem(ss.DiagonalPlusLowRank(modes, low, low), b, c)
    return found | {
        "sections": ss.discretize(systems()["cascade"], 0.1, "bilinear"),
        "odd sections": ss.discretize(systems()["lowpass"], 0.2, "bilinear"),
        "complex sections": ss.discretize(systems()["complex cascade"], 0.1, "bilinear"),
        "taps": ss.from_ba([1.0, -0.5, 0.25, 2.0], [1.0], dt=0.1),
        "low rank": ss.discretize(low_rank, 0.1, "bilinear"),
        "dead": ss.DiscreteSystem(ss.Diagonal([0.0, 0.5, -0.9]), np.ones((3, 2)), np.ones((1, 3)), dt=0.1),
        "complex modes": ss.DiscreteSystem(ss.Diagonal([0.9j, 0.5]), np.ones((2, 1)), [[1.0, 2j]], dt=0.1),
        "batch of steps": ss.discretize(systems()["pairs"], [0.1, 0.3]),
    }


def realization(system):
    """The four plain matrices."""
    return tuple(system)


def kernel(system, length):
    """h_0 = D, h_k = C A^{k−1} B by the plain recurrence, (..., L, p, m)."""
    a, b, c, d = system
    x, h = b, [np.broadcast_to(d, np.broadcast_shapes(d.shape, (c @ b).shape))]
    for _ in range(length - 1):
        h.append(c @ x)
        x = a @ x
    return np.stack(h, axis=-3)


def exact(system, u, du, t, x0, dt=None):
    """Output at the stamps for u(t) a line with value u[k] and slope du[k] on each interval: by one big expm."""
    a, b, c, d = system
    x, y = np.array(x0), []
    for k in range(len(t)):
        y.append(c @ x + d @ u[k])
        if k + 1 < len(t):
            h = t[k + 1] - t[k] if dt is None else dt  # stamps far from 0 know their difference less well
            x = interval(a, b, h) @ np.concatenate([x, u[k], du[k] * h])
    return np.array(y)


def interval(a, b, h):
    """The first n rows of e^{h[A B 0; 0 0 1/h; 0 0 0]}: what a state, an input and its slope make in h.

    B counts by its direction: at ‖hB‖ = 4e5 beside ‖hA‖ = 0.5 twenty squarings more would lose six digits.
    """
    n, m = b.shape
    size = max(np.abs(b).max(initial=0.0) * h, 1e-300)
    big = np.zeros((n + 2 * m, n + 2 * m), dtype=np.result_type(a, b))
    big[:n, :n], big[:n, n : n + m], big[n : n + m, n + m :] = a * h, b * h / size, np.eye(m)
    e = exponential(big)[:n]
    e[:, n:] *= size
    return e


def exponential(matrix):
    """e^M in extended precision: Taylor's series at ‖M‖/2^s ≤ ½, then s squarings, which lose 2^s of 1e-19.

    SciPy's expm is off by 20 roundings at ‖M‖ = 4, and by eight digits for complex triangles whose diagonal nearly
    agrees (tests/test_faults.py: test_scipys_exponential_of_a_complex_triangle).
    """
    size = float(np.abs(matrix).sum(axis=-1).max(initial=0.0))
    halvings = max(int(np.ceil(np.log2(size))) + 1, 0) if size else 0
    wide = matrix.astype(np.clongdouble if matrix.dtype.kind == "c" else np.longdouble) / 2.0**halvings
    total = term = np.eye(len(matrix), dtype=wide.dtype)
    for k in range(1, 24):
        term = term @ wide / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total.astype(complex if matrix.dtype.kind == "c" else float)


def relative(got, wanted):
    """Largest difference, relative to the largest value."""
    return np.max(np.abs(got - wanted), initial=0.0) / max(np.max(np.abs(wanted), initial=0.0), 1e-300)
