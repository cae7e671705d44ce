"""Laws that hold for every system, on systems that are drawn: `pytest -m deep` runs each on 2,000 examples.

A law is one equation and one bound, from the error model of `statespace.testing`. tests/mutants.py breaks the library
in a hundred places and looks whether these laws see it.
"""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from margins import ENOUGH, MARGINS, VACUOUS, record, rooms

import statespace as ss
from gallery import METHODS, exact, exponential, interval, kernel
from statespace import scan
from statespace.discretization.names import as_method
from statespace.scan import time_blocks
from statespace.testing import strategies
from statespace.testing.bounds import block_bound, convolution_bound, memory, output_bound
from statespace.testing.margin import compare

pytestmark = pytest.mark.deep

EPS = np.finfo(float).eps


# --------------------------------------------------------------- what is drawn


def either(time, **options):
    """Real and complex systems."""
    return st.one_of(strategies.systems(time, **options), strategies.systems(time, dtype=complex, **options))


@st.composite
def runs(draw, systems, length=None, kinds=(float, complex)):
    """A system and a signal for it, (L, m), which may be complex unless one of each pair is stored."""
    system = draw(systems)
    dtype = draw(st.sampled_from(kinds[:1] if system.stores_pairs else kinds))
    return system, draw(strategies.signals(length, system.n_inputs, dtype=dtype))


@st.composite
def steps(draw, systems, **options):
    """A continuous system and a step of time for it."""
    system = draw(systems)
    return system, draw(strategies.time_steps(system, **options))


@st.composite
def states(draw, system):
    """A starting state, or none."""
    kind = draw(st.sampled_from((None, 1.0, -2.0, 1j)))
    if kind is None:
        return None
    return kind * (1.0 + np.arange(system.state_size)) / max(system.state_size, 1)


def reference(system):
    """The five lines of NumPy as a function of u."""
    return lambda u: scan.reference(system, u, np.zeros(len(system.A.poles)))


ENGINES = {"numpy": reference, "numba": lambda system: system}
DISCRETE = either("discrete")
# Coefficients of a stiff system are known to eps·‖ΔA‖ in the worst case and much better as a rule: a quarter is stiff.
CONTINUOUS = st.one_of(*3 * [either("continuous", stiffness=30.0)], either("continuous"))
RATIONAL = [METHODS[name] for name in ("bilinear", "s4_bilinear", "euler", "backward_euler", "gbt(0.3)")]
RULES = [as_method(method) for method in RATIONAL]


# --------------------------------------------------------------- one recurrence, two engines, every form


@given(runs(DISCRETE), st.data())
def test_the_engine_is_the_reference(run, data):
    """numba and the five lines of NumPy, from rest and from a state, on memory that cannot be written."""
    system, u = run
    u.setflags(write=False)
    x0 = None if system.stores_pairs else data.draw(states(system))
    y = ss.simulate(system, u, x0=x0, form="recurrent").y.reshape(len(u), system.n_outputs)
    wanted = scan.reference(system, u, np.zeros(system.n_states) if x0 is None else x0).reshape(y.shape)
    assert y.dtype == np.result_type(wanted.dtype, u.dtype)
    bound = output_bound(system, u, x0)
    record(
        "engine", compare("engine", {"numba": y, "numpy": wanted}, bound, memory(system, len(u)), system=system, u=u)
    )


@given(runs(DISCRETE, length=None), st.data())
def test_forms_agree(run, data):
    system, u = run
    record("forms", ss.testing.assert_forms_agree(system, u, x0=data.draw(states(system))))


@given(runs(DISCRETE, length=300), st.data())
def test_forms_agree_over_blocks(run, data):
    """Ten blocks of 32, and what is handed from one to the next."""
    system, u = run
    margin = ss.testing.assert_forms_agree(system, u, x0=data.draw(states(system)))
    record("forms over blocks", margin)


@given(runs(strategies.systems("discrete"), length=300), st.data())
def test_lanes_agree(run, data):
    """Channels as lanes, and eight blocks of 32 as lanes, with what they remember or what is carried."""
    system, u = run
    assume(scan.as_lanes(system) is not None)
    x0 = data.draw(states(system))
    start = np.zeros(system.state_size) if x0 is None else x0
    one = ss.simulate(system, u, x0=x0, form="recurrent").y.reshape(len(u), -1)
    blocks, past = time_blocks.Blocks(8, 32), time_blocks.memory(system, 32)
    quick = scan.quick_lanes(system)
    ways = {"channels": (scan.as_lanes(system), {}), "channels in quick units": (quick, {})}
    if past is not None:
        ways["blocks"] = quick, {"run": scan.run_blocks, "blocks": blocks, "past": past}
    bound = output_bound(system, u, x0) + block_bound(system, u, 32)
    for name, (lanes, how) in ways.items():
        signals = np.stack([0 * u, u, u[::-1]])
        y = scan.output_like(system, signals, start)
        scan.run_lanes(system, lanes, signals, start, y, **how)
        sides = {name: y[1], "recurrent": one}
        record(f"lanes, {name}", compare(name, sides, bound, memory(system, len(u)), system=system, u=u, x0=x0))


@given(runs(strategies.systems("discrete", structure="cascade", batch=()), length=300))
def test_lanes_agree_in_single_precision(run):
    """Where it is enough: channels, and sixteen blocks of 16."""
    system, u = run
    u = (u.real / max(np.abs(u).max(initial=0.0), 1e-30)).astype(np.float32)
    assume(scan.in_single(system, u.dtype))
    wide = u.astype(float)
    one = ss.simulate(system, wide, form="recurrent").y
    blocks, past = time_blocks.Blocks(16, 16), time_blocks.memory(system, 16, True)
    ways = {"channels": {}}
    if past is not None:
        ways["blocks"] = {"run": scan.run_blocks, "blocks": blocks, "past": past}
    bound = 2.0**29 * (output_bound(system, wide) + block_bound(system, wide, 16))
    for name, how in ways.items():
        y = scan.output_like(system, u, np.zeros(system.state_size))
        scan.run_lanes(system, scan.quick_lanes(system, True), u, np.zeros(system.state_size), y, **how)
        sides = {name: y.astype(float), "recurrent": one}
        margin = compare(name, sides, bound, memory(system, len(u)), system=system, u=u)
        record(f"lanes in single, {name}", margin)


@given(runs(strategies.systems("discrete", structure="pairs"), length=100), st.data())
def test_pairs_are_the_real_system(run, data):
    """One of each pair and 2·Re(·), in every form, against the real matrices."""
    system, u = run
    x0 = data.draw(states(system))
    whole = None if x0 is None else np.stack([x0.real, x0.imag], axis=-1).reshape(-1)
    real = ss.DiscreteSystem(*system, dt=system.dt)
    wanted = ss.simulate(real, u, x0=whole, form="recurrent").y
    bound = (output_bound(system, u, x0) + output_bound(real, u, whole)) / 2  # one run of each
    more = {"recurrent": 0.0, "chunked": block_bound(system, u, 32), "convolution": convolution_bound(system, u)}
    for form, extra in more.items():
        sides = {form: ss.simulate(system, u, x0=x0, form=form).y, "real": wanted}
        margin = compare("pairs", sides, bound + extra, memory(system, len(u)), system=system, u=u, x0=x0)
        record(f"pairs, {form}", margin)


@given(runs(DISCRETE), st.data())
def test_any_blocks_are_one_run(run, data):
    """The same bits, in the stream of a system and in pieces of `simulate` from state to state."""
    system, u = run
    chunks = data.draw(strategies.chunkings(len(u)))
    ss.testing.assert_streaming_agrees(system, u, chunks)

    def piece(block, state):
        part = ss.simulate(system, block, x0=state, form="recurrent")
        return part.y.reshape(len(block), system.n_outputs), part.final_state

    ss.testing.assert_streaming_agrees(piece, u, chunks, exact=True)


@given(runs(DISCRETE, length=200), st.data())
def test_any_blocks_are_one_run_in_chunks(run, data):
    """A form that works in blocks of its own, cut anywhere."""
    system, u = run

    def piece(block, state):
        part = ss.simulate(system, block, x0=state, form="chunked")
        return part.y.reshape(len(block), system.n_outputs), part.final_state

    chunks = data.draw(strategies.chunkings(len(u)))
    record("chunked in pieces", ss.testing.assert_streaming_agrees(piece, u, chunks, system=system))


@pytest.mark.parametrize("engine", ENGINES)
@given(run=runs(DISCRETE), data=st.data())
def test_linear(engine, run, data):
    system, u = run
    v = data.draw(strategies.signals(len(u), system.n_inputs))
    a, b = data.draw(st.tuples(*2 * [st.sampled_from((1.0, -1.0, 2.0, 1 / 3, -1e3))]))
    assume(not (engine == "numpy" and system.stores_pairs))
    margin = ss.testing.assert_linear(ENGINES[engine](system), u, v, a=a, b=b, system=system)
    record(f"linear, {engine}", margin)


@pytest.mark.parametrize("engine", ENGINES)
@given(run=runs(DISCRETE), delay=st.integers(0, 40))
def test_time_invariant(engine, run, delay):
    """The same bits later, and zeros before."""
    system, u = run
    ss.testing.assert_time_invariant(ENGINES[engine](system), u, delay, exact=True)


@given(runs(either("discrete", batch=(2,))), st.data())
def test_a_batch_is_a_loop(run, data):
    """The same bits as each system alone, in y, in the states and in the kernel."""
    system, u = run
    x0 = data.draw(states(system))
    both = ss.simulate(system, u, x0=x0, form="recurrent")
    h = ss.kernel(system, 20)
    for k in range(2):
        alone = member(system, k)
        assume(alone.is_complex == system.is_complex)  # else its arithmetic is real, and the bits are others
        one = ss.simulate(alone, u, x0=x0, form="recurrent")
        assert np.array_equal(both.y[k].reshape(one.y.shape), one.y)
        assert np.array_equal(both.final_state[k], one.final_state)
        assert np.array_equal(h[k], ss.kernel(alone, 20))


def member(system, k):
    """One system of a batch of two."""

    def part(array, core):
        return np.broadcast_to(array, (2, *array.shape[array.ndim - core :]))[k]

    structure = system.A
    if isinstance(structure, ss.Cascade):
        names = ("known_poles", "zeros", "gains")
        return ss.DiscreteSystem(ss.Cascade(*(part(getattr(structure, name), 1) for name in names)), dt=system.dt)
    if isinstance(structure, ss.Diagonal):
        structure = ss.Diagonal(part(structure.diagonal, 1), structure.pairs)
    elif isinstance(structure, ss.DiagonalPlusLowRank):
        structure = ss.DiagonalPlusLowRank(part(structure.diagonal, 1), part(structure.P, 2), part(structure.Q, 2))
    elif isinstance(structure, ss.Dense):
        structure = ss.Dense(part(structure.matrix, 2))
    return ss.DiscreteSystem(structure, *(part(m, 2) for m in (system.B, system.C, system.D)), dt=system.dt)


@given(runs(DISCRETE))
def test_single_precision_is_rounded_once(run):
    """float32 in, float32 out, a state in double: the bits of the run in double, rounded."""
    system, u = run
    narrow = u.astype(np.complex64 if np.iscomplexobj(u) else np.float32)
    one = ss.simulate(system, narrow, form="recurrent")
    wide = ss.simulate(system, narrow.astype(u.dtype), form="recurrent")
    assert one.y.dtype == (np.complex64 if np.iscomplexobj(wide.y) else np.float32)
    assert one.final_state.dtype == wide.final_state.dtype
    assert wide.y.dtype == (complex if system.is_complex or np.iscomplexobj(u) else float)
    assert np.array_equal(one.y, wide.y.astype(one.y.dtype))


# --------------------------------------------------------------- the kernel


@given(runs(DISCRETE))
def test_the_kernel_is_the_impulse_response(run):
    """h_0 = D, h_k = C A^{k−1} B, and y = h ∗ u."""
    system, u = run
    length = len(u)
    h, plain = ss.kernel(system, length), kernel(system, length)
    for j in range(system.n_inputs):
        impulse = np.eye(system.n_inputs)[j] * (np.arange(length) == 0)[:, None]
        sides = {"kernel": h[:, :, j], "C A^(k−1) B": plain[:, :, j]}
        past, bound = memory(system, length), output_bound(system, impulse)
        record("kernel", compare("kernel", sides, bound, past, system=system, u=impulse))
    convolved = {"h": lambda system, u: ss.convolve(u, h)}
    record("convolution", ss.testing.assert_forms_agree(system, u, forms=convolved))


@given(strategies.systems("discrete", structure=("dense", "cascade", "delay"), max_states=3, inputs=1, outputs=1))
def test_a_long_kernel_goes_on(system):
    """Over the blocks of 8192 samples in which a recurrence makes it: the bits of one run."""
    impulse = (np.arange(9000) == 0)[:, None] * 1.0
    h, one = ss.kernel(system, 9000)[..., 0], ss.simulate(system, impulse, form="recurrent").y
    # A state is cut off where only subnormal numbers are left of it.
    assert np.array_equal(np.where(np.abs(one) < 1e-280, 0.0, h), np.where(np.abs(one) < 1e-280, 0.0, one))


@given(runs(DISCRETE, length=60), st.sampled_from([1, 2, 3, 4, 5, 6]))
def test_a_lifted_system_is_the_system(run, M):
    system, u = run
    assume(not system.stores_pairs)
    blocks = ss.simulate(ss.lift(system, M), u.reshape(60 // M, M * system.n_inputs), form="recurrent")
    one = ss.simulate(system, u, form="recurrent")
    sides = {"lifted": blocks.y.reshape(60, system.n_outputs), "one by one": one.y.reshape(60, system.n_outputs)}
    record("lift", compare("lift", sides, output_bound(system, u), memory(system, 60), system=system, u=u))


# --------------------------------------------------------------- coordinates and connections


@given(runs(either("discrete", structure="dense")), st.data())
def test_coordinates_cannot_be_seen(run, data):
    """x = T w: the same behaviour. The new matrices are rounded once: an angle of 1."""
    system, u = run
    turn, back = data.draw(strategies.bases(system.n_states))
    a, b, c, d = system
    turned = ss.DiscreteSystem(turn @ a @ back, turn @ b, c @ back, d, dt=system.dt)
    record("coordinates", ss.testing.assert_equivalent(turned, system, u, angle=1.0))


ONE_CHANNEL = strategies.systems("discrete", inputs=1, outputs=1, dt=1.0)


@given(runs(ONE_CHANNEL, kinds=(float,)), ONE_CHANNEL)
def test_series_is_one_after_the_other(run, second):
    first, u = run
    both = ss.series(first, second)
    between = ss.simulate(first, u, form="recurrent").y
    sides = {"series": ss.simulate(both, u).y, "one by one": ss.simulate(second, between).y}
    # What the first rounds enters the second at every sample.
    passed = np.abs(ss.kernel(second, len(u))).sum(axis=-3) @ output_bound(first, u)
    bound = (output_bound(both, u) + output_bound(second, between) + passed) / 2  # one run of each
    record("series", compare("series", sides, bound, memory(both, len(u)), first=first, second=second, u=u))


@given(runs(ONE_CHANNEL, kinds=(float,)), ONE_CHANNEL)
def test_parallel_is_the_sum(run, second):
    first, u = run
    parts = [ss.simulate(s, u, form="recurrent").y for s in (first, second)]
    sides = {"parallel": ss.simulate(ss.parallel(first, second), u).y, "sum": parts[0] + parts[1]}
    past = np.maximum(memory(first, len(u)), memory(second, len(u)))
    bound = output_bound(first, u) + output_bound(second, u)
    record("parallel", compare("parallel", sides, bound, past, first=first, second=second, u=u))


# --------------------------------------------------------------- discretization: the table, and what it means


def table(method, z, dt):
    """α, β, γ of DESIGN's table for a matrix z = ΔA, from the exponential of one large matrix."""
    n, one = len(z), np.eye(len(z))
    big = np.zeros((3 * n, 3 * n), dtype=z.dtype)
    big[:n, :n], big[:n, n : 2 * n], big[n : 2 * n, 2 * n :] = z, one, one
    e, phi1, phi2 = exponential(big)[:n].reshape(n, 3, n).swapaxes(0, 1)
    zero, w = np.zeros_like(z), getattr(as_method(method), "w", None)
    if method in ("zoh", "s4_zoh"):
        return (e, dt * phi1, zero) if method == "zoh" else (e, zero, dt * phi1)
    if method == "foh":
        return e, dt * (phi1 - phi2), dt * phi2
    if method in ("impulse", "exp_trapezoidal"):
        w = 1.0 if method == "impulse" else w
        return e, (1 - w) * dt * e, w * dt * one
    r = np.linalg.inv(one - w * z)
    alpha = r @ (one + (1 - w) * z)
    return (alpha, zero, dt * r) if method == "s4_bilinear" else (alpha, (1 - w) * dt * r, w * dt * r)


def two_taps(system, dt, method, u, x):
    """x_k = α x_{k−1} + β v_{k−1} + γ v_k, v = B u, from the physical x_0; y_k = C x_k + D u_k."""
    pairs = system.stores_pairs
    a = np.diag(system.A.diagonal) if pairs else np.asarray(system.A)
    alpha, beta, gamma = table(method, dt * a, dt)
    y = []
    for k, u_k in enumerate(u):
        x = x if k == 0 else alpha @ x + beta @ system.B @ u[k - 1] + gamma @ system.B @ u_k
        seen = system.C @ x
        y.append((2 * seen.real if pairs else seen) + system.D @ u_k)
    return np.array(y).reshape(len(u), system.n_outputs)


def angle_of(system, dt):
    """‖ΔA‖, what coefficients are known to, in eps."""
    return max(1.0, float(np.linalg.norm(np.asarray(system.A))) * float(np.max(dt)))


def discrete_bound(system, digital, dt, u, x0=None):
    """Two ways to discretize: coefficients known to ‖ΔA‖, the feedthrough C γ B and the shift γ B u too."""
    # The other way is exact. 1 + z is known to its last digit, rational functions nearly so.
    share = 0.0 if isinstance(digital.method, ss.ForwardEuler) else 0.4 if digital.method in RULES else 0.7
    angle = share * angle_of(system, dt)
    through = np.abs(system.C) @ np.abs(system.B) @ np.abs(u).max(axis=0, initial=0.0) * dt * (1 + system.stores_pairs)
    return output_bound(digital, u, x0, angle=angle) + 2 * EPS * angle * through


def digitized(system, dt, method):
    """A discretization, or no example where a rational rule has no value: a pole near 1/(w·dt)."""
    try:
        return ss.discretize(system, dt, method)
    except (ValueError, ss.AccuracyWarning):
        assume(False)


@pytest.mark.parametrize("method", METHODS)
@given(step=steps(CONTINUOUS), data=st.data())
def test_the_table(method, step, data):
    """Every method is its row of the table, from a physical state, in the structure that it keeps."""
    (system, dt), method = step, METHODS[method]
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank) or method in RATIONAL)
    u = data.draw(strategies.signals(None, system.n_inputs))
    digital = digitized(system, dt, method)
    if np.abs(digital.poles).max(initial=0.0) > 1.01:
        u = u[:12]  # of what grows the last sample is all that counts
    # Of a pole next to a zero the mapped section knows the residue to eps/distance, which its state shows at once.
    x0 = None if isinstance(digital.A, ss.Cascade) else data.draw(states(system))
    start = ss.initial_state(system, dt, method, x0, u[0] if len(u) else None)
    y = ss.simulate(digital, u, x0=start, form="recurrent").y.reshape(len(u), system.n_outputs)
    x = np.zeros(system.state_size) if x0 is None else x0
    sides = {"simulate": y, "two taps": two_taps(system, dt, method, u, x)}
    bound, past = discrete_bound(system, digital, dt, u, start), memory(digital, len(u))
    record(
        f"table, {method}", compare("the table", sides, bound, past, system=system, dt=dt, method=method, x0=x0, u=u)
    )


@given(steps(CONTINUOUS), st.data())
def test_held_and_straight_inputs_are_exact(step, data):
    """zoh on steps and foh on straight lines, in `simulate` of a continuous system: against e^{Δ[A B 0; 0 0 1; 0]}."""
    system, dt = step
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank) and not system.stores_pairs)
    u, x0 = data.draw(strategies.signals(None, system.n_inputs)), data.draw(states(system))
    for hold in ("zoh", "foh"):
        slopes = np.diff(u, axis=0, append=u[-1:]) / dt * (hold == "foh")
        wanted = exact(system, u, slopes, dt * np.arange(len(u)), np.zeros(system.n_states) if x0 is None else x0, dt)
        y = ss.simulate(system, u, dt=dt, hold=hold, x0=x0, form="recurrent").y
        sides = {hold: y.reshape(len(u), system.n_outputs), "expm": wanted.reshape(len(u), system.n_outputs)}
        digital = ss.discretize(system, dt, hold)
        start = ss.initial_state(system, dt, hold, x0, u[0] if len(u) else None)
        bound = discrete_bound(system, digital, dt, u, start)
        context = {"system": system, "dt": dt, "x0": x0, "u": u}
        record(f"{hold} is exact", compare(f"{hold} is exact", sides, bound, memory(digital, len(u)), **context))


@given(
    steps(CONTINUOUS), st.sampled_from([ss.Impulse(), ss.ExponentialTrapezoidal(0.5), ss.ExponentialTrapezoidal(0.2)])
)
def test_impulses_are_exact(step, method):
    """h_k = Δ C e^{kz} B: what impulses of area Δ leave behind; the first has the weight w of its rule."""
    system, dt = step
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank))
    digital = ss.discretize(system, dt, method)
    t = dt * np.arange(12)
    exact = dt * ss.impulse_response(system, t=t).y.reshape(12, system.n_outputs, system.n_inputs)
    exact[0] = getattr(method, "w", 1.0) * exact[0] + system.D
    h = ss.kernel(digital, 12)
    for j in range(system.n_inputs):
        impulse = np.eye(system.n_inputs)[j] * (np.arange(12) == 0)[:, None]
        bound = discrete_bound(system, digital, dt, impulse)
        sides = {"kernel": h[..., j], "Δ h(kΔ)": exact[..., j]}
        context = {"system": system, "dt": dt, "method": method}
        record("impulse is exact", compare("impulses", sides, bound, memory(digital, 12), **context))


@given(steps(CONTINUOUS), st.sampled_from([(2, 0), (0, 1), (0.5, 2), (-1.5, 0.5)]), st.data())
def test_substitutions_are_exact(step, point, data):
    """H_d(ζ) = H((ζ − 1)/(Δ (w ζ + 1 − w))) off the unit circle, and S4's rule: two of its taps are one of Tustin's."""
    system, dt = step
    zeta = complex(*point)
    method = data.draw(strategies.discretizations(dt).filter(lambda m: getattr(m, "substitutes", False)))
    digital = digitized(system, dt, method)
    warped = method.warped(dt) if isinstance(method, ss.Bilinear) else dt
    s = (zeta - 1) / (warped * (method.w * zeta + 1 - method.w))
    a, b, c, d = system
    distance = np.linalg.norm(np.linalg.inv(s * np.eye(len(a)) - a), 2) if len(a) else 0.0
    got, wanted = digital(zeta), system(s)
    # (s − A)⁻¹ is known to eps times its condition.
    condition = 1 + distance * (abs(s) + np.linalg.norm(a)) if len(a) else 1.0
    size = np.linalg.norm(c) * np.linalg.norm(b) * distance + np.linalg.norm(d)
    away = np.abs(zeta - digital.poles).min(initial=np.inf)
    assume(away > 1e-3)
    bound = 3 * EPS * condition * size * angle_of(system, dt) / min(1.0, away)
    context = {"system": system, "dt": dt, "method": method}
    sides = {"H_d(ζ)": got.reshape(1, -1), "H(s(ζ))": wanted.reshape(1, -1)}
    record("substitution", compare("the substitution", sides, bound, **context))


@given(steps(CONTINUOUS))
def test_tustin_is_the_mean_of_two_of_s4s_taps(step):
    """Beside D, which neither touches."""
    system, dt = step
    early, late = (digitized(system, dt, name) for name in ("s4_bilinear", "bilinear"))
    h, tustin = np.array(ss.kernel(early, 16)), np.array(ss.kernel(late, 16))
    h[0], tustin[0] = h[0] - system.D, tustin[0] - system.D
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    for j in range(system.n_inputs):
        impulse = np.eye(system.n_inputs)[j] * (np.arange(16) == 0)[:, None]
        bound = (discrete_bound(system, early, dt, impulse) + discrete_bound(system, late, dt, impulse)) / 2
        sides = {"Tustin": tustin[..., j], "mean": (h + before)[..., j] / 2}
        record("two taps of S4", compare("Tustin", sides, bound, memory(late, 16), system=system, dt=dt))


@given(steps(either("continuous", structure=("dense", "diagonal"))))
def test_semigroup(step):
    """A step of 2Δ is two of Δ under a held input: A_2 = A_1², B_2 = (A_1 + 1) B_1."""
    system, dt = step
    one, two = ss.discretize(system, dt), ss.discretize(system, 2 * dt)
    a, b = np.asarray(one.A), one.B
    size = np.linalg.norm(a)
    known = 5 * EPS * angle_of(system, 2 * dt)
    bound = known * max(size**2, np.linalg.norm(np.asarray(two.A))), known * (size + 1) * np.linalg.norm(b)
    for name, pair, allowed in (("A", (np.asarray(two.A), a @ a), bound[0]), ("B", (two.B, a @ b + b), bound[1])):
        sides = {"2Δ": pair[0], "Δ twice": pair[1]}
        record("semigroup", compare(f"the semigroup law of {name}", sides, allowed, system=system, dt=dt))


ORDERS = {"zoh": 1, "s4_zoh": 1, "impulse": 1, "s4_bilinear": 1, "euler": 1, "backward_euler": 1, "gbt(0.3)": 1}


@pytest.mark.parametrize("method", METHODS)
@given(either("continuous", stiffness=1e3, batch=(), min_states=1))
def test_order_of_convergence(method, system):
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank) or METHODS[method] in RATIONAL)
    ss.testing.assert_discretization_order(METHODS[method], ORDERS.get(method, 2), system)


@given(steps(CONTINUOUS), st.sampled_from(sorted(METHODS)))
def test_there_and_back_and_there_again(step, method):
    """What `undiscretize` finds, discretized again, is the same system; or it says that it cannot be found."""
    (system, dt), method = step, METHODS[method]
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank) or method in RATIONAL)
    digital = digitized(system, dt, method)
    assume(np.all(np.abs(digital.poles) < 1.01))  # Euler's rule makes what grows beyond all numbers of a stiff system
    assert_found_again(digital, None)


@given(DISCRETE, st.sampled_from(["zoh", "foh"]))
def test_back_and_there_again(digital, method):
    """A discrete system of any origin, with negative poles too, is found again, or refused."""
    assert_found_again(digital, method)


def assert_found_again(digital, method):
    # Sections of poles far below the promised e^−17 have states of sizes that are worlds apart.
    assume(not np.any((np.abs(digital.poles) < np.exp(-17)) & (digital.poles != 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ss.AccuracyWarning)
        try:
            system = ss.undiscretize(digital, method)
        except (ValueError, ss.AccuracyWarning):
            return
    rule = as_method(method or digital.method)
    again, angle = ss.discretize(system, digital.dt, rule), angle_of(system, digital.dt)
    if isinstance(digital.A, ss.Diagonal) or (rule in RULES and isinstance(digital.A, ss.Cascade)):  # mode by mode
        angle = 2.0
    elif rule not in RULES and digital.n_states:  # B = φ1⁻¹ B_d/Δ may be larger than B_d, and comes back through φ1
        angle *= max(1.0, digital.dt * np.linalg.norm(system.B) / max(np.linalg.norm(digital.B), 1e-300))
    # The worst of 36,000 was 0.44 of the whole bound.
    record("there and back", ss.testing.assert_equivalent(again, digital, angle=angle, slack=0.5))


# --------------------------------------------------------------- grids


@given(steps(CONTINUOUS), st.sampled_from(["zoh", "foh"]), st.data())
def test_simulating_is_discretizing(step, hold, data):
    """`simulate` of a continuous system runs its discretization from the mapped state: the same bits."""
    system, dt = step
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank))
    u, x0 = data.draw(strategies.signals(None, system.n_inputs)), data.draw(states(system))
    assume(len(u))
    start = ss.initial_state(system, dt, hold, x0, u[0])
    one = ss.simulate(system, u, dt=dt, hold=hold, x0=x0, form="recurrent")
    assert np.array_equal(one.y, ss.simulate(ss.discretize(system, dt, hold), u, x0=start, form="recurrent").y)


@given(steps(CONTINUOUS), st.sampled_from(["zoh", "foh"]), st.data())
def test_a_continuous_run_goes_on(step, hold, data):
    """From its final state, which is x at the last stamp; the second piece repeats that stamp."""
    system, dt = step
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank))
    u = data.draw(strategies.signals(data.draw(st.integers(1, 60)), system.n_inputs))
    cut = data.draw(st.integers(1, len(u)))
    whole, first = (ss.simulate(system, part, dt=dt, hold=hold) for part in (u, u[:cut]))
    rest = ss.simulate(system, u[cut - 1 :], dt=dt, hold=hold, x0=first.final_state)
    pieces = np.concatenate([first.y, rest.y[1:]]).reshape(len(u), system.n_outputs)
    sides = {"in pieces": pieces, "whole": whole.y.reshape(pieces.shape)}
    # The state is shifted by γ B u and back.
    shift = np.abs(system.C) @ np.abs(system.B) @ np.abs(u).max(axis=0) * dt * (1 + system.stores_pairs)
    start = ss.initial_state(system, dt, hold, None, u[0])
    bound = output_bound(whole.system, u, start) + 2 * EPS * shift
    context = {"system": system, "dt": dt, "u": u, "cut": cut}
    record("goes on", compare(f"going on by {hold}", sides, bound, memory(whole.system, len(u)), **context))


@given(st.data(), CONTINUOUS, st.sampled_from(["zoh", "foh"]))
def test_uneven_grids_are_exact(data, system, hold):
    """From stamp to stamp by e^{hA}, whatever the steps."""
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank))
    t = data.draw(strategies.irregular_grids(system))
    u, x0 = data.draw(strategies.signals(len(t), system.n_inputs)), data.draw(states(system))
    y = ss.simulate(system, u, t=t, hold=hold, x0=x0).y.reshape(len(t), system.n_outputs)
    slopes = np.zeros_like(u)
    if hold == "foh" and len(t) > 1:
        slopes[:-1] = np.diff(u, axis=0) / np.diff(t)[:, None]
    wanted, bound = exact_with_bound(system, u, slopes, t, np.zeros(system.state_size) if x0 is None else x0)
    sides = {"simulate": y, "expm": wanted.reshape(y.shape)}
    record("uneven grids", compare(f"an uneven grid by {hold}", sides, bound, len(t), system=system, t=t, u=u, x0=x0))


def exact_with_bound(system, u, slopes, t, x0):
    """Outputs by one matrix exponential an interval, and what rounding may do: each e^{hA} is known to ‖hA‖, and each
    stamp to four units in its last place, over which the state moves by x' = A x + B u."""
    a, b, c, d = (np.diag(system.A.diagonal), system.B, 2 * system.C, system.D) if system.stores_pairs else system
    n = len(a)
    x, y, loss, allowed = np.array(x0), [], np.zeros(n), 0.0
    for k in range(len(t)):
        y.append(c @ x + d @ u[k])
        allowed = np.maximum(allowed, np.abs(c) @ (loss + np.abs(x)) + np.abs(d) @ np.abs(u[k]))
        if k + 1 < len(t):
            h = t[k + 1] - t[k]
            e = interval(a, b, h)
            before = np.concatenate([x, u[k], slopes[k] * h])
            x = e @ before
            moving = np.abs(a @ x + b @ (u[k] + slopes[k] * h))
            local = (1 + np.linalg.norm(a) * h) * (np.abs(e) @ np.abs(before)) + 4 * np.abs(t[k + 1]) * moving
            loss = np.abs(e[:, :n]) @ loss + local
    y = np.real(y) if system.stores_pairs else np.array(y)  # 2·Re(C x) + D u
    return y, 2 * EPS * allowed


@given(st.data(), CONTINUOUS)
def test_as_many_samples_as_stamps(data, system):
    """Any way to write a uniform grid is one, and gives an output for each stamp."""
    assume(not isinstance(system.A, ss.DiagonalPlusLowRank))
    t = data.draw(strategies.irregular_grids(system, uniform=True))
    u = data.draw(strategies.signals(len(t), system.n_inputs))
    response = ss.simulate(system, u, t=t)
    assert len(response.t) == len(t)
    assert response.y.reshape(-1, system.n_outputs).shape == (len(t), system.n_outputs)


# --------------------------------------------------------------- the laws themselves


def test_no_law_is_vacuous():
    """The bounds are needed: the median of each law is below 100 errors that add up at random, of all together too."""
    together = np.concatenate([rooms(law) for law in MARGINS] or [[]])
    if together.size >= ENOUGH:
        assert np.median(together) < VACUOUS
    for law in MARGINS:
        found = rooms(law)
        if found.size >= ENOUGH:  # -m deep
            assert np.median(found) < VACUOUS, f"{law}: bound / error / √memory is {np.median(found):.3g} in the median"
